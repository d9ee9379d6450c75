/* SPDX-License-Identifier: Apache-2.0 */
/* The table `setting`: a row a setting that is not at its default. */
#ifndef RECORDS_SETTING_H
#define RECORDS_SETTING_H

#include "rules/settings.h"
#include "store/store.h"

/* Defaults where nothing is stored. */
enum status setting_row_load(struct store_tx *tx, struct settings *ret_settings);

/* All of them, as they are. */
enum status setting_row_save(struct store_tx *tx, const struct settings *settings);

#endif

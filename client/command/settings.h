/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SETTINGS_H
#define SETTINGS_H

/* The names of all settings, `end` behind each and `separator` between them. malloc'd. */
char *settings_names(const char *separator, const char *end);

#endif

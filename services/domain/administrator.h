/* SPDX-License-Identifier: Apache-2.0 */
/* Somebody must be left who may administer. */
#ifndef DOMAIN_ADMINISTRATOR_H
#define DOMAIN_ADMINISTRATOR_H

#include "domain/work.h"

/* What a credential was and is, as far as it administers: the work takes note if it did and does no more. */
struct administrator_state {
    bool is_live;
    struct role_set effective;
};
void administrator_note(struct work *work, const struct administrator_state *was, const struct administrator_state *is);

/* FAILED_PRECONDITION: this work takes user_manager from a live credential, and no other live one would hold it
 * effectively. */
enum status administrator_check(struct work *work);

/* Makes a credential that holds user_manager and resource_server, without a caller: for `gatehoused init`. Waits for
 * the store. The secret is the caller's to wipe. ALREADY_EXISTS: there is a living credential of this name. */
enum status administrator_create(struct store *store, struct work *work, const char *name,
                                 char client_id[static CLIENT_ID_LEN + 1], char secret[static SECRET_TEXT_LEN + 1]);

#endif

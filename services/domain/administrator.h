/* SPDX-License-Identifier: Apache-2.0 */
/* At least one administrator must be left. */
#ifndef DOMAIN_ADMINISTRATOR_H
#define DOMAIN_ADMINISTRATOR_H

#include "domain/work.h"
#include "records/credential.h"

/* What a credential was and is, as far as somebody can get in with it and administer: the work takes note if it could,
 * and can no more, or now for less than a day, which is no more in the end. */
struct administrator_state {
    int64_t until; /* credential_usable_until */
    struct role_set effective;
};
struct administrator_state administrator_state(const struct work *work, const struct credential *credential);
void administrator_note(struct work *work, const struct administrator_state *was, const struct administrator_state *is);

/* FAILED_PRECONDITION: this work takes such a one away, and there would be no other: a live credential that holds
 * user_manager effectively and has a secret key that works, each for another day. Where there was none for so long
 * before, one for this moment is enough. */
enum status administrator_check(struct work *work);

/* Would nobody else be left for another day? */
enum status administrator_is_last(struct work *work, const struct credential *credential, bool *ret_is_last);

/* Makes a credential that holds user_manager and resource_server, without a caller: for `gatehoused init`. Waits for
 * the store. The secret is the caller's to wipe. ALREADY_EXISTS: there is a living credential of this name. */
enum status administrator_create(struct store *store, struct work *work, const char *name,
                                 char client_id[static CLIENT_ID_LEN + 1], char secret[static SECRET_TEXT_LEN + 1]);

#endif

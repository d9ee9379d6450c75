/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to a credential.
 *
 * A role change is effective if it changes what a token would carry; then, and only then, the credential's epoch moves
 * on and every token of an earlier epoch has ended. Everything here runs inside a write transaction (struct work).
 */
#ifndef DOMAIN_CREDENTIAL_H
#define DOMAIN_CREDENTIAL_H

#include "domain/work.h"
#include "records/credential.h"

/* A new one, named and dated by `credential` (name, owner, expires, sources …); gives client ID and the secret key's
 * text. ALREADY_EXISTS: the name is taken. */
enum status credential_create(struct work *work, struct credential *credential, const struct role_set *roles,
                              char secret[static SECRET_TEXT_LEN + 1]);

/* Name, owner, expiry, sources, limits as set in `credential`, which was loaded before. */
enum status credential_update(struct work *work, struct credential *credential);

/* It ends at once; undeleted, it is live again, but none of its earlier tokens is. */
enum status credential_delete(struct work *work, struct credential *credential);
enum status credential_undelete(struct work *work, struct credential *credential);

/* It gets no token until it is resumed; those that it has end, for good. */
enum status credential_suspend(struct work *work, struct credential *credential);
enum status credential_resume(struct work *work, struct credential *credential);

/* Grants `grant` and revokes `revoke`, whichever of them change anything. */
enum status credential_change_roles(struct work *work, struct credential *credential, const struct role_set *grant,
                                    const struct role_set *revoke);

/* A new secret key. The newest one before lives on for `overlap`; any other ends now; with overlap 0 all, and the live
 * tokens. */
enum status credential_regenerate(struct work *work, struct credential *credential, int64_t overlap,
                                  char secret[static SECRET_TEXT_LEN + 1]);

/* NOT_FOUND: it has no such secret that is live. */
enum status credential_end_secret(struct work *work, struct credential *credential, int64_t secret_id);

/* Floors of its limits that were set later than `latest`: a clock that was wrong has set them. No error where there is
 * no such credential or floor. */
enum status credential_mend(struct work *work, int64_t id, int64_t latest);

/* All that are live. */
enum status credential_end_tokens(struct work *work, struct credential *credential);

#endif

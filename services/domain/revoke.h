/* SPDX-License-Identifier: Apache-2.0 */
/* Ending one token. */
#ifndef DOMAIN_REVOKE_H
#define DOMAIN_REVOKE_H

#include "domain/work.h"

/* Ends it for good. *ret_credential_id: whose it was, if it was live until now as far as the store knows of its uses,
 * else 0. A token that the
 * store does not have may be in somebody's memory nevertheless: it is ended there, too, and that is no error. */
enum status revoke_token(struct work *work, const struct token_key *key, int64_t *ret_credential_id);

/* Whose it is, as far as is known; 0: no token of ours, or gone. */
enum status revoke_find(struct work *work, const struct token_key *key, int64_t *ret_credential_id);

/* PERMISSION_DENIED: the token is another credential's. */
enum status revoke_check(struct work *work, const struct token_key *key, int64_t credential_id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the users that own credentials. */
#ifndef DOMAIN_OWNER_H
#define DOMAIN_OWNER_H

#include "domain/work.h"

/* Makes the user if need be; ends the tokens of the credentials whose effective roles change. Without any difference
 * nothing is written. */
enum status user_set_roles(struct work *work, const char *id, const struct role_set *roles);

/* It has no role any more. NOT_FOUND. */
enum status user_delete(struct work *work, const char *id);

#endif

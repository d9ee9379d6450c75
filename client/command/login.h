/* SPDX-License-Identifier: Apache-2.0 */
/* A token that is kept between commands, of a client ID at a server: in a file of the user's alone. */
#ifndef LOGIN_H
#define LOGIN_H

#include "config.h"

/* The token that `gatehouse login` has kept for the client ID and server of `config`. malloc'd, to be wiped; NULL:
 * none.
 */
char *login_token(const struct config *config);

/* Keeps it, in the place of another. False: it could not be written, errno says why. */
[[nodiscard]] bool login_keep(const struct config *config, const char *token);

/* Forgets it. */
void login_forget(const struct config *config);

#endif

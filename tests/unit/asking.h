/* SPDX-License-Identifier: Apache-2.0 */
/* The services over a fixture, asked and waited for. */
#ifndef TEST_UNIT_ASKING_H
#define TEST_UNIT_ASKING_H

#include "fixture.h"

#include "api/api.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>

/* Whose administrator is known by a certificate. */
struct api *api_of(const struct fixture *fixture);

/* The answer to a method, by its name; authorization NULL: to that administrator. NULL: it failed, and a line says how.
 * The caller releases. */
void *ask_admin(struct api *api, const char *method, const void *request, const char *authorization);

/* The same of AuthService, where the administrator may introspect. */
void *ask_auth(struct api *api, const char *method, const void *request);

/* Frees an answer, which must be there. */
void release(void *answer);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A credential's labels, as the command line gives them: --label KEY=VALUE, --remove-label KEY. */
#ifndef LABELS_H
#define LABELS_H

#include <gatehouse/v1/credential_admin.pb-c.h>

#include "output.h"

/* What a request has for its map; the texts are the command line's and the response's. */
struct labels {
    Gatehouse__V1__Credential__LabelsEntry *entries, **list;
    size_t count, used;                             /* of the list, of the entries */
    Gatehouse__V1__GetCredentialResponse *response; /* NULL: not asked for */
};
/* Frees what it holds; by LABELS_DONE at the end of the block. */
void labels_done(struct labels *labels);
#define LABELS_DONE __attribute__((cleanup(labels_done)))

/* Are there any on the command line? */
bool labels_are_given(const struct context *context);

/* Those of a new credential. */
void labels_take(struct context *context, struct labels *labels, Gatehouse__V1__Credential *credential);

/* Those that credential->client_id has, changed by those of the command line: a change replaces all of them, so it is
 * made conditional by credential->etag. False: the credential could not be read; reported. */
[[nodiscard]] bool labels_change(struct context *context, struct labels *labels, Gatehouse__V1__Credential *credential);

/* Adds the terms of a list's --label KEY=VALUE and --label KEY. False: reported. */
[[nodiscard]] bool labels_filter(struct context *context, char **filter);

/* "env=prod, team=payments". */
column_format labels_format;

#endif

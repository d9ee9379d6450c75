/* SPDX-License-Identifier: Apache-2.0 */
/* What commands about credentials share. */
#ifndef CREDENTIAL_H
#define CREDENTIAL_H

#include <gatehouse/v1/credential_admin.pb-c.h>

#include "output.h"

/* A credential that the command line names, by client ID or by name. */
struct target {
    char *client_id;
    char *name; /* NULL: not looked up */
    char *etag; /* NULL: not looked up */
};
/* Frees what it holds; by TARGET_DONE at the end of the block. */
void target_done(struct target *target);
#define TARGET_DONE __attribute__((cleanup(target_done)))

/* Finds it. Looks a client ID up only if is_name_wanted. False: reported. */
[[nodiscard]] bool target_find(struct context *context, const char *word, bool is_name_wanted,
                               struct target *ret_target);

/* The same among deleted ones. */
[[nodiscard]] bool target_find_deleted(struct context *context, const char *word, struct target *ret_target);

/* The client ID, where a credential, deleted or not, has this name; else the word itself, which may be another thing's
 * ID. NULL for NULL. malloc'd. False: several have the name, or the call failed; reported. */
[[nodiscard]] bool target_find_id(struct context *context, const char *word, char **ret_id);

/* What a change prints of it: with -o value the client ID. */
extern const struct view credential_view;

/* Prints a response with a credential and its new secret key, which --write-secret may have a file for. */
enum exit_code credential_print_secret(struct context *context, FILE *secret_file, void *response,
                                       const struct view *view);

#endif

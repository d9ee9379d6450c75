/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets and tokens: where they come from, and where a new one is written to. */
#ifndef SECRET_H
#define SECRET_H

#include <stdio.h>

#include "command.h"

enum { SECRET_READ_MAX = 512 }; /* what is longer is another file, and not to be sent anywhere */

/* Reads one of at most max bytes, which is at most SECRET_READ_MAX, from a file; "-" is standard input, which at a
 * terminal is asked for without echo. `what` names it in messages. malloc'd, to be wiped; NULL: reported. */
char *secret_read(struct context *context, const char *path, size_t max, const char *what);

/* Makes a new file of mode 0600 for a secret key, before the call that makes the key: then the key is not lost where
 * the file cannot be made. NULL: reported. */
FILE *secret_file_create(struct context *context, const char *path);

/* Writes the key and closes. If that fails the key is printed nowhere: that is reported, with what to do. */
enum exit_code secret_file_write(struct context *context, FILE *file, const char *path, const char *secret);

/* A file that is to take the place of `path`: beside it, of mode 0600 and, for root, of the same owner. It has room for
 * a secret key on the disk before there is a key: where the disk is full, nothing was made yet. *ret_temporary: its
 * path, malloc'd. NULL: reported. */
FILE *secret_file_begin(struct context *context, const char *path, char **ret_temporary);

/* Writes the key, closes, and puts it into its place, durably and at once: whoever reads `path` reads the old key or
 * the new one. If that fails, `path` is as it was, and that is reported. */
enum exit_code secret_file_replace(struct context *context, FILE *file, const char *temporary, const char *path,
                                   const char *secret);

/* Closes and removes it again, for when there is no key to write. NULL is fine. */
void secret_file_discard(FILE *file, const char *path);

#endif

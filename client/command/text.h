/* SPDX-License-Identifier: Apache-2.0 */
/* Text from elsewhere, made harmless for a terminal; memory that must be had. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

/* A copy in which control characters, and those that reorder or hide text, stand as \uXXXX, and a byte that is not
 * UTF-8 as "?". Applied to JSON it changes its bytes and not its meaning. malloc'd. */
char *text_printable(const char *text);

/* How many columns of a terminal it takes, and in *ret_fitting how many bytes of it fit into `most`. */
size_t text_width(const char *text, size_t most, size_t *ret_fitting);

/* malloc'd; ends the process when there is no memory. */
char *text_copy(const char *text);
[[gnu::format(printf, 1, 2)]] char *text_format(const char *format, ...);

/* Ends the process if pointer is NULL, gives it otherwise. */
void *text_must(void *pointer);

/* For __attribute__((cleanup)): frees what the char * at the address points to. */
void text_free(char **text);
/* Wipes it first. */
void text_wipe(char **text);

#define TEXT_FREE __attribute__((cleanup(text_free)))
#define TEXT_WIPE __attribute__((cleanup(text_wipe)))

#endif

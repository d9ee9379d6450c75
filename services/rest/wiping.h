/* SPDX-License-Identifier: Apache-2.0 */
/* malloc's memory, wiped before it is freed: for libraries that let us say how they free. */
#ifndef REST_WIPING_H
#define REST_WIPING_H

#include <stddef.h>

/* As free and realloc, which they stand for. */
void wiping_free(void *memory);
void *wiping_realloc(void *memory, size_t size);

#endif

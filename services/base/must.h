/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that must be there: a process that has run out of it ends, since nothing can be done safely without it. */
#ifndef BASE_MUST_H
#define BASE_MUST_H

#include <stdlib.h>
#include <string.h>

/* What malloc, calloc or realloc gave. */
static inline void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* A copy of the text ("" of NULL); the caller's to free. */
static inline char *must_copy(const char *text)
{
    return must(strdup(text == NULL ? "" : text));
}

#endif

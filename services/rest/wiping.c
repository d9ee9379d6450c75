/* SPDX-License-Identifier: Apache-2.0 */
#include "wiping.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

void wiping_free(void *memory)
{
    if (memory == NULL)
        return;
    explicit_bzero(memory, malloc_usable_size(memory));
    free(memory);
}

void *wiping_realloc(void *memory, size_t size)
{
    void *larger = malloc(size);
    if (larger == NULL || memory == NULL)
        return larger;
    size_t old_size = malloc_usable_size(memory);
    memcpy(larger, memory, old_size < size ? old_size : size);
    wiping_free(memory);
    return larger;
}

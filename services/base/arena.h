/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed all at once: what a call makes on the way to its answer. Out of memory ends the process. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *blocks;
};

void *arena_alloc(struct arena *arena, size_t size); /* zeroed */
void arena_done(struct arena *arena);                /* wipes and frees everything */

/* A copy of `text`; NULL gives "". */
char *arena_text(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(arena, type) ((type *)arena_alloc(arena, sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_alloc(arena, sizeof(type) * (count)))

#endif

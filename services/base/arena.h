/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given out piece by piece, zeroed, and taken back all at once, wiped: what a call makes on the way to
 * its answer. One thread at a time. An arena of zeros is an empty one, without a limit. */
#ifndef ARENA_H
#define ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct arena_block;

struct arena {
    char *at, *end; /* what is free of the newest block, or of the first one, and zero */
    struct arena_block *blocks;
    size_t taken, limit; /* bytes of all blocks; 0: as many as there are */
    char *first, *first_end;
};

/* `first`, aligned for anything and zeroed, is used up before memory is taken, of which there are at most `limit`
 * bytes. It stays the caller's, and must stay. */
void arena_init(struct arena *arena, void *first, size_t size, size_t limit);

/* Wipes everything and frees what was taken; the arena is as it was before. */
void arena_done(struct arena *arena);

/* Out of memory, or at the limit: the process ends. */
void *arena_alloc(struct arena *arena, size_t size);

/* NULL then. The copy has a NUL behind it. */
void *arena_try(struct arena *arena, size_t size);
char *arena_try_copy(struct arena *arena, const void *bytes, size_t len);

/* For protobuf-c, which fails cleanly then; what it takes lives as long as the rest. */
ProtobufCAllocator arena_allocator(struct arena *arena);

/* Copies: of `text`, where NULL gives ""; of `len` bytes, with a NUL behind. */
char *arena_text(struct arena *arena, const char *text);
char *arena_copy(struct arena *arena, const void *bytes, size_t len);
/* What printf would print. */
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define arena_new(arena, type) ((type *)arena_alloc(arena, sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_alloc(arena, sizeof(type) * (count)))

#endif

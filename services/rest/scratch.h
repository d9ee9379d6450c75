/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of one request: given out piece by piece, taken back all at once, and wiped then, for it held secrets.
 * One thread at a time.
 */
#ifndef REST_SCRATCH_H
#define REST_SCRATCH_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct scratch_block;

struct scratch {
    struct scratch_block *blocks; /* a scratch of zeros is an empty one */
};

/* Zeroed, aligned for anything. NULL: out of memory. */
void *scratch_alloc(struct scratch *scratch, size_t size);

/* With a NUL after it. */
char *scratch_copy(struct scratch *scratch, const char *text, size_t len);

__attribute__((format(printf, 2, 3))) char *scratch_print(struct scratch *scratch, const char *format, ...);

/* Wipes and frees all that was taken. */
void scratch_done(struct scratch *scratch);

/* For protobuf-c: what it takes lives as long as the scratch. */
ProtobufCAllocator scratch_allocator(struct scratch *scratch);

/* malloc's memory, wiped before it is freed. For libraries that let us say how they free. */
void wiping_free(void *memory);
void *wiping_realloc(void *memory, size_t size);

#endif

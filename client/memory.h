/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the cache knows: answers, the order of what ended them, and until when it may be trusted. Rules C1 to C6 and C10
 * of client/README.md. No network in here; whoever hears the stream says what it brought. Any thread; one lock, under
 * which C5 and C6 exclude each other. C3 takes none: see gatehouse_memory_find. All times are microseconds of the clock
 * that was handed in.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include "base/siphash.h"
#include "gatehouse.h"

#include <stdbool.h>

struct memory;
struct entry;
struct uses;

enum { MEMORY_WINDOW = 4096, MEMORY_WAITING = 1024 };
#define MEMORY_SECOND INT64_C(1000000)

struct position {
    int64_t revision, change_id;
};

/* A token, without its text. */
struct memory_key {
    struct siphash hash;
};

struct hit {
    struct entry *entry;
    int64_t now; /* when it was found */
};

/* `secret`: random. `lease`: so long may an answer wait for its position. `clock` counts suspended time.
 * `uses`, in which those of its entries are counted, is freed with it. */
struct memory *gatehouse_memory_new(size_t entries, int64_t lease, const struct siphash_key *secret,
                                    int64_t (*clock)(void), struct uses *uses);
void gatehouse_memory_free(struct memory *memory);
struct memory_key gatehouse_memory_key(const struct memory *memory, const char *token);

/* C3, C10. `min_position` may be NULL: then without a lock. Inside base/epoch, and the entry is there until that is
 * left. false: ask the server. */
bool gatehouse_memory_find(struct memory *memory, const struct memory_key *key,
                           const Gatehouse__V1__Position *min_position, struct hit *ret_hit);

/* C5: an active answer to a call that was sent at `sent` (or later). It is copied. */
void gatehouse_memory_keep(struct memory *memory, const struct memory_key *key,
                           const Gatehouse__V1__IntrospectResponse *response, int64_t sent);
/* The server has said that it is not active, or the token was revoked; then (`for_good`) no answer under way brings it
 * back. */
void gatehouse_memory_remove(struct memory *memory, const struct memory_key *key, bool for_good);

/* This connection has made a change and was told so: no hits until the stream has reached it, so that who made it sees
 * it obeyed. */
void gatehouse_memory_require(struct memory *memory, const struct position *position);

/* What the stream brings, in its order. false: that cannot be; everything is forgotten, and so is the position. */
bool gatehouse_memory_event(struct memory *memory, const Gatehouse__V1__WatchEvent *event);
bool gatehouse_memory_resumed(struct memory *memory, const struct position *position);
void gatehouse_memory_reset(struct memory *memory, const struct position *position);
void gatehouse_memory_forget(struct memory *memory);
/* C2: a ping that was sent at `sent` was answered, on a stream with this lease. */
void gatehouse_memory_pong(struct memory *memory, int64_t sent, int64_t lease);
/* The position reached; false: none is. */
bool gatehouse_memory_position(struct memory *memory, struct position *ret_position);
/* Drops what has waited for longer than the lease. */
void gatehouse_memory_tidy(struct memory *memory);

/* What it knows of the statistics; the rest is 0. */
void gatehouse_memory_stats(struct memory *memory, struct gatehouse_cache_stats *ret_stats);

#endif

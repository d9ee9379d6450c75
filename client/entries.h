/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers that are kept (C1): by token, which any thread looks up without a lock, inside base/epoch; by accessor
 * and by client, for events. All else is for one thread at a time.
 */
#ifndef ENTRIES_H
#define ENTRIES_H

#include "memory.h"
#include "rules/source.h"
#include "uses.h"

#define uthash_fatal(message) abort()
/* Its keys are short, and not for others to choose. */
#include <uthash.h>

struct client;
struct entries;

/* What the server said, for as long as somebody reads it. */
struct answer {
    _Atomic unsigned references;
    Gatehouse__V1__IntrospectResponse *response;
};

enum { ENTRY_CLIENT_ID_SIZE = 65 };

struct entry {
    /* What a hit reads is one cache line; `uses` begins on it. */
    _Alignas(64) struct entry *_Atomic next;
    struct memory_key key;
    int64_t limit;       /* `until` less the margin of C9 */
    atomic_bool was_hit; /* since it was last the oldest */
    struct use_counts uses;
    char client_id[ENTRY_CLIENT_ID_SIZE];
    int64_t until;
    struct answer *answer;
    struct source_rule sources; /* from where the token may be used */
    bool has_unknown_network;   /* one that cannot be read: perhaps of a newer server */
    struct entries *owner;
    struct position position;
    int64_t sent;
    uint64_t accessor, client; /* as events name them: see memory.c */
    /* Of the thread that has the entries. */
    struct client *of;
    struct entry *previous_of_client, *next_of_client;
    struct entry *older, *younger; /* while it waits for its position: older is the next */
    UT_hash_handle hh;             /* by accessor */
};

/* At most `max` entries, whose uses are counted in `uses`. */
struct entries *gatehouse_entries_new(size_t max, struct uses *uses);
/* Nobody reads any more, nobody will: all entries go, to `uses`, which may keep some until they are reported or it is
 * freed; and after that the table. */
void gatehouse_entries_close(struct entries *entries);
void gatehouse_entries_free(struct entries *entries);

/* An answer, which is copied. The caller sets what is not the answer's. */
struct entry *gatehouse_entry_new(struct entries *entries, const Gatehouse__V1__IntrospectResponse *response);
/* One that is in no table. */
void gatehouse_entry_free(struct entry *entry);
void gatehouse_answer_release(struct answer *answer);

/* Any thread, inside the epoch. NULL: there is none. */
struct entry *gatehouse_entries_find(struct entries *entries, const struct memory_key *key);

/* It is the table's from now on, beside what is kept of other tokens. Returns how many had to go for want of room. */
size_t gatehouse_entries_add(struct entries *entries, struct entry *entry);
/* From here on nobody finds it. */
void gatehouse_entries_remove(struct entries *entries, struct entry *entry);
/* All of them; returns how many. */
size_t gatehouse_entries_remove_accessor(struct entries *entries, const char *accessor);
size_t gatehouse_entries_remove_client(struct entries *entries, const char *client_id);
size_t gatehouse_entries_remove_all(struct entries *entries);
size_t gatehouse_entries_count(const struct entries *entries);
/* Frees what was removed and nobody reads any more. */
void gatehouse_entries_sweep(struct entries *entries);

#endif

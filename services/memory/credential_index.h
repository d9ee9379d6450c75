/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials by their id, or by their client ID: a hash table that is read without a lock. About 12 bytes for each. */
#ifndef MEMORY_CREDENTIAL_INDEX_H
#define MEMORY_CREDENTIAL_INDEX_H

#include "base/epoch.h"
#include "memory/packed_facts.h"

#include <stdatomic.h>
#include <stddef.h>

/* What the directory has of one credential. It stays where it is until the directory is freed, so that tokens can point
 * to it; `facts` are replaced, see directory.h. */
struct credential_entry {
    int64_t id;
    char client_id[CLIENT_ID_LEN + 1];
    bool is_purged; /* for writers */
    /* Its own idle timeout, if it has one that holds: in minutes, rounded down, so that nobody has to look at `facts`.
     */
    _Atomic uint16_t idle_minutes;
    _Atomic int64_t last_used;
    const struct packed_facts *_Atomic facts;
    struct credential_entry *next_retired;
};

struct credential_slots;

struct credential_index {
    bool is_by_client_id; /* else by id */
    size_t live;
    struct credential_slots *_Atomic slots;
};

/* Empty. By client ID, or by id. */
void credential_index_init(struct credential_index *index, bool is_by_client_id);
/* Frees the slots, not what stands in them. */
void credential_index_done(struct credential_index *index);

/* By readers, who have entered (base/epoch.h), and by the writer. NULL: there is none. */
struct credential_entry *credential_index_find_id(const struct credential_index *index, int64_t id);
struct credential_entry *credential_index_find_client(const struct credential_index *index, const char *client_id);

/* By one writer at a time. None of the same key may be there. The table that a larger one replaces goes to the bin; to
 * make room takes its time now and then, and may be done before: for one more, and for `count` in all. */
void credential_index_make_room(struct credential_index *index, size_t count, struct epoch_bin *bin);
void credential_index_add(struct credential_index *index, struct credential_entry *entry, struct epoch_bin *bin);
void credential_index_remove(struct credential_index *index, struct credential_entry *entry);

/* All of them, for the writer: begins with *at = 0, ends with NULL. What is given may be removed meanwhile. */
struct credential_entry *credential_index_next(const struct credential_index *index, size_t *at);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* An event of the audit log, and the hash that chains it to the one before. */
#ifndef RULES_AUDIT_H
#define RULES_AUDIT_H

#include "base/arena.h"
#include "base/crypto.h"

struct audit_event {
    int64_t sequence; /* given by audit_row_append */
    int64_t at;
    const char *actor;
    const char *action;
    const char *subject;
    const char *peer;
    const char *request_id;
    const char *outcome;
    const char *detail;
    uint8_t hash[SHA256_BYTES];            /* given by audit_row_append */
    const char *actor_name, *subject_name; /* of credentials, as they are called now: audit_row_list says; in no hash */
};

/* What event->hash must be after an event whose hash is `before` (zeros: it is the first). */
void audit_hash(const struct audit_event *event, const uint8_t before[static SHA256_BYTES],
                uint8_t hash[static SHA256_BYTES]);

/* As a line of JSON, for who keeps what the log does not: its members, `at` in microseconds, the hash in hexadecimal.
 */
char *audit_line(struct arena *arena, const struct audit_event *event);

/* A place in the chain: behind the event `sequence`, which has this hash; 0: at the beginning. */
struct audit_place {
    int64_t sequence;
    uint8_t hash[SHA256_BYTES];
};

/* Events up to this place were removed, and an event that was appended then says so: its number. */
struct audit_anchor {
    struct audit_place place;
    int64_t event;
};

/* How that event's action is called, and how its detail begins. */
#define AUDIT_TRIM_ACTION "TrimAuditLog"
enum { AUDIT_TRIM_DETAIL_MAX = 160 };
void audit_trim_detail(const struct audit_place *place, char detail[static AUDIT_TRIM_DETAIL_MAX]);

#endif

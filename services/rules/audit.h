/* SPDX-License-Identifier: Apache-2.0 */
/* An event of the audit log, and the hash that chains it to the one before. */
#ifndef RULES_AUDIT_H
#define RULES_AUDIT_H

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
    uint8_t hash[SHA256_BYTES]; /* given by audit_row_append */
};

/* What event->hash must be after an event whose hash is `before` (zeros: it is the first). */
void audit_hash(const struct audit_event *event, const uint8_t before[static SHA256_BYTES],
                uint8_t hash[static SHA256_BYTES]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/audit.h"

#include "base/arena.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(const char *text)
{
    return text == NULL ? "" : text;
}

/* Each field with its length before it, so that no two events have the same bytes. */
void audit_hash(const struct audit_event *event, const uint8_t before[static SHA256_BYTES],
                uint8_t hash[static SHA256_BYTES])
{
    struct arena arena = {0};
    const char *fields[] = {event->actor,      event->action,  event->subject, event->peer,
                            event->request_id, event->outcome, event->detail};
    char *text = arena_format(&arena, "%" PRId64 ":%" PRId64, event->sequence, event->at);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        text = arena_format(&arena, "%s:%zu:%s", text, strlen(text_of(fields[i])), text_of(fields[i]));
    size_t len = strlen(text);
    uint8_t *input = arena_alloc(&arena, SHA256_BYTES + len);
    memcpy(input, before, SHA256_BYTES);
    memcpy(input + SHA256_BYTES, text, len);
    crypto_sha256(input, SHA256_BYTES + len, hash);
    arena_done(&arena);
}

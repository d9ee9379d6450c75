/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/audit.h"

#include <inttypes.h>
#include <stdio.h>
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

static void hash_format(const uint8_t hash[static SHA256_BYTES], char text[static 2 * SHA256_BYTES + 1])
{
    for (int i = 0; i < SHA256_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

/* A JSON string without its quotes. What is text here is UTF-8 already. */
static const char *escape(struct arena *arena, const char *text)
{
    enum { ESCAPED_MAX = 6 };
    char *escaped = arena_alloc(arena, strlen(text) * ESCAPED_MAX + 1), *end = escaped;
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
            end += snprintf(end, ESCAPED_MAX + 1, "\\u%04x", (unsigned)(unsigned char)*text);
        else
            *end++ = *text;
    }
    return escaped;
}

char *audit_line(struct arena *arena, const struct audit_event *event)
{
    char hash[2 * SHA256_BYTES + 1];
    hash_format(event->hash, hash);
    return arena_format(arena,
                        "{\"sequence\":%" PRId64 ",\"at\":%" PRId64
                        ",\"actor\":\"%s\",\"action\":\"%s\",\"subject\":\"%s\","
                        "\"peer\":\"%s\",\"requestId\":\"%s\",\"outcome\":\"%s\",\"detail\":\"%s\",\"hash\":\"%s\"}\n",
                        event->sequence, event->at, escape(arena, text_of(event->actor)),
                        escape(arena, text_of(event->action)), escape(arena, text_of(event->subject)),
                        escape(arena, text_of(event->peer)), escape(arena, text_of(event->request_id)),
                        escape(arena, text_of(event->outcome)), escape(arena, text_of(event->detail)), hash);
}

void audit_trim_detail(const struct audit_place *place, char detail[static AUDIT_TRIM_DETAIL_MAX])
{
    char hash[2 * SHA256_BYTES + 1];
    hash_format(place->hash, hash);
    snprintf(detail, AUDIT_TRIM_DETAIL_MAX, "events up to %" PRId64 ", which has the hash %s", place->sequence, hash);
}

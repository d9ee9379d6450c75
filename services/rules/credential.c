/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/credential.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* With its NUL. */
static size_t size_of(const char *text)
{
    return text == NULL ? 1 : strlen(text) + 1;
}

/* A copy at *end, which is behind it afterwards. */
static char *append(char **end, const char *text)
{
    char *copy = *end;
    *end = stpcpy(copy, text == NULL ? "" : text) + 1;
    return copy;
}

struct credential_facts *credential_facts_make(const struct credential_texts *texts)
{
    size_t size = size_of(texts->name) + size_of(texts->owner) + size_of(texts->contact) + size_of(texts->labels);
    struct credential_facts *facts = must(calloc(1, sizeof *facts + size));
    char *end = (char *)(facts + 1);
    facts->name = append(&end, texts->name);
    facts->owner = append(&end, texts->owner);
    facts->contact = append(&end, texts->contact);
    facts->labels = append(&end, texts->labels);
    return facts;
}

void credential_facts_free(struct credential_facts *facts)
{
    if (facts == NULL)
        return;
    free(facts->sources.networks);
    free(facts);
}

enum credential_state credential_state(int64_t deleted, int64_t suspended, int64_t expires, int64_t now)
{
    if (deleted != 0)
        return CREDENTIAL_DELETED;
    if (suspended != 0)
        return CREDENTIAL_SUSPENDED;
    return expires != 0 && expires <= now ? CREDENTIAL_EXPIRED : CREDENTIAL_LIVE;
}

bool secret_has_ended(int64_t ends, int64_t now)
{
    return ends != 0 && ends <= now;
}

bool secret_comes_before(int64_t id, int64_t ends, int64_t other_id, int64_t other_ends, int64_t now)
{
    bool has_ended = secret_has_ended(ends, now);
    return has_ended != secret_has_ended(other_ends, now) ? !has_ended : id > other_id;
}

static const int announced_days[] = {30, 7, 1};
enum { ANNOUNCEMENTS = sizeof announced_days / sizeof announced_days[0] };
#define DAY (INT64_C(86400) * 1000000)

int64_t end_announced_next(int64_t end, int64_t now)
{
    for (int i = 0; i < ANNOUNCEMENTS && end != 0; i++)
        if (end - announced_days[i] * DAY > now)
            return end - announced_days[i] * DAY;
    return 0;
}

int end_days(int64_t end, int64_t now)
{
    for (int i = ANNOUNCEMENTS - 1; i >= 0 && end > now; i--)
        if (end - announced_days[i] * DAY <= now)
            return announced_days[i];
    return 0;
}

int64_t credential_usable_until(enum credential_state state, int64_t expires, const int64_t *ends, int count,
                                int64_t now)
{
    int64_t until = 0;
    for (int i = 0; i < count && state == CREDENTIAL_LIVE; i++) {
        int64_t end = ends[i] == 0 ? INT64_MAX : ends[i];
        if (!secret_has_ended(ends[i], now) && end > until)
            until = end;
    }
    return expires != 0 && expires < until ? expires : until;
}

struct role_set credential_effective(const struct role_set *granted, const char *owner,
                                     const struct role_set *owner_has)
{
    return owner[0] == '\0' ? *granted : role_set_and(granted, owner_has);
}

void credential_client_id(const uint8_t random[static CLIENT_ID_BYTES], char client_id[static CLIENT_ID_LEN + 1])
{
    uint8_t b[CLIENT_ID_BYTES];
    memcpy(b, random, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562, version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(client_id, CLIENT_ID_LEN + 1, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

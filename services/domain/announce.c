/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/announce.h"

#include "records/announcement.h"
#include "records/audit.h"

#include <time.h>

static const char *time_text(struct arena *arena, int64_t time)
{
    char text[40] = "";
    struct tm parts;
    time_t seconds = (time_t)(time / CLOCK_SECOND);
    if (gmtime_r(&seconds, &parts) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return arena_text(arena, text);
}

static struct audit_event describe(const struct work *work, const struct announcement *due, int days)
{
    const char *key = due->is_secret ? arena_format(work->arena, "key: ...%s; ", due->hint) : "";
    return (struct audit_event){
        .at = work->now,
        .actor = work->actor,
        .action = due->is_secret ? "SecretKeyEnds" : "CredentialExpires",
        .subject = due->client_id,
        .outcome = status_name(STATUS_OK),
        .detail = arena_format(work->arena, "%swithin %d %s: %s", key, days, days == 1 ? "day" : "days",
                               time_text(work->arena, due->ends)),
    };
}

enum status announce_due(struct work *work, int64_t now, int *ret_count)
{
    struct announcement *due = arena_array(work->arena, struct announcement, 2 * ANNOUNCE_LIMIT);
    struct audit_event *events = arena_array(work->arena, struct audit_event, 2 * ANNOUNCE_LIMIT);
    size_t told = 0;
    TRY(announcement_due(work->tx, now, ANNOUNCE_LIMIT, due, ret_count));
    for (int i = 0; i < *ret_count; i++) {
        /* What was put off meanwhile, has ended already or is deleted is not told of; its next time is set all the
         * same. */
        int days = due[i].is_deleted ? 0 : end_days(due[i].ends, now);
        if (days != 0)
            events[told++] = describe(work, &due[i], days);
        TRY(announcement_move(work->tx, &due[i], end_announced_next(due[i].ends, now)));
    }
    return audit_row_append_all(work->tx, events, told);
}

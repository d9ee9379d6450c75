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

/* What was put off meanwhile, has ended already or is deleted is not told of; its next time is set all the same. */
static enum status tell(struct work *work, const struct announcement *due, int64_t now)
{
    int days = due->is_deleted ? 0 : end_days(due->ends, now);
    bool is_mine = false;
    TRY(announcement_move(work->tx, due, end_announced_next(due->ends, now), &is_mine));
    if (days == 0 || !is_mine)
        return STATUS_OK;
    const char *key = due->is_secret ? arena_format(work->arena, "key: ...%s; ", due->hint) : "";
    struct audit_event event = {
        .at = work->now,
        .actor = work->actor,
        .action = due->is_secret ? "SecretKeyEnds" : "CredentialExpires",
        .subject = due->client_id,
        .outcome = status_name(STATUS_OK),
        .detail = arena_format(work->arena, "%swithin %d %s: %s", key, days, days == 1 ? "day" : "days",
                               time_text(work->arena, due->ends)),
    };
    return audit_row_append(work->tx, &event);
}

enum status announce_due(struct work *work, int64_t now, int *ret_count)
{
    struct announcement *due = arena_array(work->arena, struct announcement, 2 * ANNOUNCE_LIMIT);
    TRY(announcement_due(work->tx, now, ANNOUNCE_LIMIT, due, ret_count));
    for (int i = 0; i < *ret_count; i++)
        TRY(tell(work, &due[i], now));
    return STATUS_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/disuse.h"

#include "domain/administrator.h"
#include "domain/credential.h"
#include "records/audit.h"
#include "records/process.h"

#include <inttypes.h>
#include <stdio.h>

enum { PAGE = 1000 };
#define DAY (24 * 3600 * CLOCK_SECOND)

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A use of a token, an issue of one, a new secret key, its making or resumption: whoever needs it does one of these. */
static int64_t last_active(const struct credential *credential)
{
    int64_t active = later(later(credential->created, credential->resumed), credential->last_used);
    for (int i = 0; i < credential->secret_count; i++)
        active = later(active, later(credential->secrets[i].created, credential->secrets[i].last_used));
    return active;
}

int64_t disuse_suspends_at(const struct credential *credential, const struct settings *settings)
{
    int64_t active = last_active(credential);
    if (settings->suspend_unused_after == 0 || credential->warned == 0 || active > credential->warned)
        return 0;
    return later(active + settings->suspend_unused_after, credential->warned + settings_disuse_notice(settings));
}

static enum status tell(struct work *work, const struct credential *credential, const char *action, const char *detail)
{
    return audit_row_append(work->tx, &(struct audit_event){
                                          .at = work->now,
                                          .actor = work->actor,
                                          .action = action,
                                          .subject = credential->client_id,
                                          .outcome = status_name(STATUS_OK),
                                          .detail = detail,
                                      });
}

struct looking {
    struct work *work;
    struct disuse *disuse;
    const struct settings *settings;
    int64_t now, latest;
};

static enum status suspend(struct looking *looking, struct credential *credential)
{
    struct work *work = looking->work;
    int64_t unused = (looking->now - last_active(credential)) / DAY, ended_before = work->tokens_ended;
    TRY(credential_suspend(work, credential));
    return tell(work, credential, "SuspendCredential",
                arena_format(work->arena, "unused for %" PRId64 " days; tokens ended: %" PRId64, unused,
                             work->tokens_ended - ended_before));
}

static enum status announce(struct looking *looking, struct credential *credential)
{
    struct work *work = looking->work;
    bool is_again = credential->warned != 0; /* by a clock that was wrong: told already */
    credential->warned = looking->now;
    TRY(credential_row_warn(work->tx, credential->id, credential->warned));
    if (is_again)
        return STATUS_OK;
    int64_t left = disuse_suspends_at(credential, looking->settings) - looking->now;
    return tell(work, credential, "SuspensionAnnounced",
                arena_format(work->arena,
                             "unused for %" PRId64 " days; suspended in %" PRId64 " hours unless it is used",
                             (looking->now - last_active(credential)) / DAY, left / (3600 * CLOCK_SECOND)));
}

/* A credential_each_fn. */
static enum status look_at(struct credential *credential, void *arg)
{
    struct looking *looking = arg;
    const struct settings *settings = looking->settings;
    int64_t now = looking->now, notice = settings_disuse_notice(settings);
    bool is_last = false, is_on = settings->suspend_unused_after != 0;
    bool is_live =
        credential_state(credential->deleted, credential->suspended, credential->expires, now) == CREDENTIAL_LIVE;
    if (is_on && is_live)
        TRY(administrator_is_last(looking->work, credential, &is_last));
    if (!is_on || !is_live || is_last || now < last_active(credential) + settings->suspend_unused_after - notice)
        return credential->warned == 0 ? STATUS_OK : credential_row_warn(looking->work->tx, credential->id, 0);
    if (credential->warned == 0 || credential->warned > looking->latest || last_active(credential) > credential->warned)
        TRY(announce(looking, credential));
    else if (now >= disuse_suspends_at(credential, settings))
        return suspend(looking, credential);
    looking->disuse->announced++;
    return STATUS_OK;
}

enum status disuse_look(struct work *work, struct disuse *disuse, const struct settings *settings, int64_t now,
                        int64_t latest)
{
    int64_t ids[PAGE], program = 0, since = INT64_MIN;
    int count = 0;
    struct looking looking = {work, disuse, settings, now, latest};
    if (disuse->cursor == 0)
        disuse->announced = 0;
    if (settings->suspend_unused_after != 0)
        since = now - settings->suspend_unused_after + settings_disuse_notice(settings);
    TRY(process_row_oldest(work->tx, &program));
    if (program < PROCESS_KNOWS_SUSPENSION)
        return STATUS_OK;
    TRY(credential_row_unused(work->tx, since, PAGE, &disuse->cursor, ids, &count));
    return credential_row_each(work->tx, ids, (size_t)count, work->now, look_at, &looking);
}

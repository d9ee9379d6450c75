/* SPDX-License-Identifier: Apache-2.0 */
/* What a change was, in words for the audit log: old and new value of what is another now, and nothing else. */
#include "api/admin.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static void add(struct admin_call *admin, const char *text)
{
    admin->detail = admin->detail[0] == '\0' ? text : arena_format(&admin->arena, "%s; %s", admin->detail, text);
}

void admin_tell(struct admin_call *admin, const char *what, const char *before, const char *after)
{
    if (strcmp(before, after) != 0)
        add(admin, arena_format(&admin->arena, "%s: %s -> %s", what, before, after));
}

char *admin_quoted(struct admin_call *admin, const char *text)
{
    char *quoted = arena_alloc(&admin->arena, 2 * strlen(text) + 3), *to = quoted;
    *to++ = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            *to++ = '\\';
        *to++ = *text;
    }
    *to++ = '"';
    *to = '\0';
    return quoted;
}

void admin_tell_text(struct admin_call *admin, const char *what, const char *before, const char *after)
{
    admin_tell(admin, what, admin_quoted(admin, before), admin_quoted(admin, after));
}

static const char *time_text(struct admin_call *admin, int64_t time)
{
    char text[40];
    struct tm parts;
    time_t seconds = (time_t)(time / CLOCK_SECOND);
    if (time == 0)
        return "never";
    if (gmtime_r(&seconds, &parts) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        return "?";
    return arena_text(&admin->arena, text);
}

void admin_tell_time(struct admin_call *admin, const char *what, int64_t before, int64_t after)
{
    admin_tell(admin, what, time_text(admin, before), time_text(admin, after));
}

static const char *duration_text(struct admin_call *admin, int64_t microseconds)
{
    if (microseconds % CLOCK_SECOND != 0)
        return arena_format(&admin->arena, "%" PRId64 " us", microseconds);
    return arena_format(&admin->arena, "%" PRId64 " s", microseconds / CLOCK_SECOND);
}

void admin_tell_duration(struct admin_call *admin, const char *what, int64_t before, int64_t after)
{
    admin_tell(admin, what, duration_text(admin, before), duration_text(admin, after));
}

static void tell_set(struct admin_call *admin, const char *what, const struct role_set *roles)
{
    size_t count = 0;
    char **ids = admin_role_ids(admin, roles, &count);
    if (count > 0)
        add(admin, arena_format(&admin->arena, "%s: %s", what, admin_join(admin, count, ids)));
}

void admin_tell_roles(struct admin_call *admin, const struct role_set *before, const struct role_set *after)
{
    struct role_set granted = {0}, revoked = {0};
    for (int role = 0; role < ROLES_MAX; role++) {
        if (role_set_has(after, role) && !role_set_has(before, role))
            role_set_add(&granted, role);
        if (role_set_has(before, role) && !role_set_has(after, role))
            role_set_add(&revoked, role);
    }
    tell_set(admin, "granted", &granted);
    tell_set(admin, "revoked", &revoked);
}

static bool is_among(const struct credential *credential, int64_t secret_id)
{
    for (int i = 0; i < credential->secret_count; i++)
        if (credential->secrets[i].id == secret_id)
            return true;
    return false;
}

void admin_tell_secrets(struct admin_call *admin, const struct credential *before, const struct credential *after)
{
    for (int i = 0; i < after->secret_count; i++)
        if (!is_among(before, after->secrets[i].id))
            add(admin, arena_format(&admin->arena, "new key: ...%s", after->secrets[i].hint));
    for (int i = 0; i < before->secret_count; i++)
        if (!is_among(after, before->secrets[i].id))
            add(admin, arena_format(&admin->arena, "ended key: ...%s", before->secrets[i].hint));
}

void admin_tell_number(struct admin_call *admin, const char *what, int64_t before, int64_t after)
{
    admin_tell(admin, what, arena_format(&admin->arena, "%" PRId64, before),
               arena_format(&admin->arena, "%" PRId64, after));
}

void admin_tell_ended(struct admin_call *admin)
{
    admin->is_unchanged = admin->detail[0] == '\0';
    if (admin->work.tokens_ended > 0)
        add(admin, arena_format(&admin->arena, "tokens ended: %" PRId64, admin->work.tokens_ended));
    if (admin->work.credentials_affected > 1)
        add(admin, arena_format(&admin->arena, "of %" PRId64 " credentials", admin->work.credentials_affected));
}

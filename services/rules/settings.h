/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator sets for all: how long tokens live, how much is kept. Times in microseconds. */
#ifndef RULES_SETTINGS_H
#define RULES_SETTINGS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* Each setting: its member, its name in the store, its field of the contract's Settings (NULL: it is not there), its
 * default (of the contract's, 0: absent). Whoever stores, reads, changes or shows settings goes by this table. */
#define SETTINGS(X) \
    /* a token expires when it was not used for this long */ \
    X(idle_timeout, "idle_timeout", "idle_session_timeout", 20 * 60 * CLOCK_SECOND) \
    /* a token expires at this age; 0: no cap */ \
    X(max_token_life, "max_token_life", "max_token_life", 0) \
    /* live tokens of one credential; 0: no cap */ \
    X(max_tokens, "max_tokens", "max_tokens_per_credential", 0) \
    /* how long a deleted credential can be undeleted */ \
    X(deletion_retention, "deletion_retention", "deletion_retention", 30 * SETTINGS_DAY) \
    X(usage_retention, "usage_retention", "usage_retention", 400 * SETTINGS_DAY) \
    /* 0: for ever */ \
    X(audit_retention, "audit_retention", "audit_retention", 0) \
    /* a credential that was unused for this long is suspended; 0: none is */ \
    X(suspend_unused_after, "suspend_unused_after", "suspend_unused_after", 0) \
    /* What has ended stays so: tokens last used at or before idle_floor (issued at or before life_floor) had ended \
     * when the setting was raised, and the new one does not bring them back. A floor that was set at a time that has \
     * not come yet was set by a clock that was wrong, and does not count. */ \
    X(idle_floor, "idle_floor", NULL, INT64_MIN) \
    X(life_floor, "life_floor", NULL, INT64_MIN) \
    X(idle_floor_set, "idle_floor_set", NULL, 0) \
    X(life_floor_set, "life_floor_set", NULL, 0) \
    X(version, "version", NULL, 1)
#define SETTINGS_DAY (24 * 3600 * CLOCK_SECOND)

struct settings {
#define SETTINGS_MEMBER(member, name, field, otherwise) int64_t member;
    SETTINGS(SETTINGS_MEMBER)
#undef SETTINGS_MEMBER
};

/* A token is within its times if and only if last_used > used_after and issued > issued_after. */
struct token_limits {
    int64_t used_after;
    int64_t issued_after;
};
/* The later of `after` and a floor that was set at `set`; see above. */
int64_t settings_after_floor(int64_t after, int64_t floor, int64_t set, int64_t now);
/* What they make of a token's times at `now`; of a credential that has no limits of its own, see limits.h. */
struct token_limits settings_limits(const struct settings *settings, int64_t now);

/* The floors and the version of `next`, which follows `before`. */
void settings_raise(const struct settings *before, struct settings *next, int64_t now);

/* Floors that were set later than `latest`: takes them back to what holds now anyway. True: there were some, and
 * the version has moved on. */
bool settings_mend(struct settings *settings, int64_t latest, int64_t now);

/* How long before a suspension for disuse it is announced. */
int64_t settings_disuse_notice(const struct settings *settings);

/* How long a use may stay in memory only, when uses are stored every `interval` (0: when somebody says so, who may take
 * his time). Where
 * others read the same store, a token never comes nearer to the end of its idle time, as the store knows it, than
 * settings_store_margin: a use in that time is stored before it is answered. So whoever finds a token idle in the store
 * is right. */
int64_t settings_flush_pause(const struct settings *settings, int64_t interval);
int64_t settings_store_margin(const struct settings *settings, int64_t interval);

/* Not each use is worth a write. One is stored when it is later than what the store has by settings_use_step, a
 * twentieth of the idle timeout: a crash makes a token expire that much early at most. Or when what the store has ends
 * within settings_use_margin: long enough before settings_store_margin that a use rarely has to be stored before it is
 * answered, and that nobody who asks the store finds a token idle whose last use waits here. */
int64_t settings_use_step(const struct settings *settings);
int64_t settings_use_margin(const struct settings *settings, int64_t interval);

#endif

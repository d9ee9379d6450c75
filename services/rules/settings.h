/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator sets for all: how long tokens live, how much is kept. Times in microseconds. */
#ifndef RULES_SETTINGS_H
#define RULES_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

struct settings {
    int64_t idle_timeout;       /* a token dies when it was not used for this long */
    int64_t max_token_life;     /* a token dies at this age; 0: no cap */
    int64_t max_tokens;         /* live tokens of one credential; 0: no cap */
    int64_t deletion_retention; /* how long a deleted credential can be undeleted */
    int64_t usage_retention;
    int64_t audit_retention; /* 0: for ever */
    /* Dead stays dead: tokens last used at or before idle_floor (issued at or before life_floor) were dead when the
     * setting was raised, and the new one does not bring them back. A floor that was set at a time that has not come
     * yet was set by a clock that was wrong, and does not count. */
    int64_t idle_floor, idle_floor_set;
    int64_t life_floor, life_floor_set;
    int64_t version;
};

/* A token is within its times if and only if last_used > used_after and issued > issued_after. */
struct token_limits {
    int64_t used_after;
    int64_t issued_after;
};
/* What they make of a token's times at `now`. */
struct token_limits settings_limits(const struct settings *settings, int64_t now);

/* The floors and the version of `next`, which follows `before`. */
void settings_raise(const struct settings *before, struct settings *next, int64_t now);

/* Floors that were set later than `latest`: takes them back to what holds now anyway. True: there were some, and
 * the version has moved on. */
bool settings_mend(struct settings *settings, int64_t latest, int64_t now);

/* How long a use may stay in memory only, when uses are stored every `interval` (0: when somebody says so, who may take
 * his time). Where
 * others read the same store, a token never comes nearer to the end of its idle time, as the store knows it, than
 * settings_store_margin: a use in that time is stored before it is answered. So whoever finds a token idle in the store
 * is right. */
int64_t settings_flush_pause(const struct settings *settings, int64_t interval);
int64_t settings_store_margin(const struct settings *settings, int64_t interval);

/* Not each use is worth a write. One is stored when it is later than what the store has by settings_use_step, a
 * twentieth of the idle timeout: a crash makes a token die that much early at most. Or when what the store has ends
 * within settings_use_margin: long enough before settings_store_margin that a use rarely has to be stored before it is
 * answered, and that nobody who asks the store finds a token idle whose last use waits here. */
int64_t settings_use_step(const struct settings *settings);
int64_t settings_use_margin(const struct settings *settings, int64_t interval);

#endif

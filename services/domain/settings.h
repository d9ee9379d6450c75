/* SPDX-License-Identifier: Apache-2.0 */
/* What an administrator sets for all: how long tokens live, how much is kept. Times in microseconds. */
#ifndef DOMAIN_SETTINGS_H
#define DOMAIN_SETTINGS_H

#include "store/store.h"

struct settings {
    int64_t idle_timeout;       /* a token dies when it was not used for this long */
    int64_t max_token_life;     /* a token dies at this age; 0: no cap */
    int64_t max_tokens;         /* live tokens of one credential; 0: no cap */
    int64_t deletion_retention; /* how long a deleted credential can be undeleted */
    int64_t usage_retention;
    /* Dead stays dead: tokens last used at or before idle_floor (issued at or before life_floor) were dead when the
     * * setting was raised, and the new one does not bring them back. A floor that was set at a time that has not come
     * yet was set by a clock that was wrong, and does not count. */
    int64_t idle_floor, idle_floor_set;
    int64_t life_floor, life_floor_set;
    int64_t version;
};

/* Defaults where nothing is stored. */
enum status settings_load(struct store_tx *tx, struct settings *ret_settings);

/* Stores `next`, whose floors and version are computed from `before`. */
enum status settings_save(struct store_tx *tx, const struct settings *before, struct settings *next, int64_t now);

/* Floors that were set later than `latest`: takes them back to what holds now anyway, in `settings` and in the store.
 * *ret_mended: there were some. */
enum status settings_mend(struct store_tx *tx, struct settings *settings, int64_t latest, int64_t now,
                          bool *ret_mended);

/* A token is within its times if and only if last_used > used_after and issued > issued_after. */
struct token_limits {
    int64_t used_after;
    int64_t issued_after;
};
struct token_limits settings_limits(const struct settings *settings, int64_t now);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests of services/domain share: a domain on a SQLite file of its own, whose clock stands still until it
 * is moved, and whose threads do not run. */
#ifndef TEST_UNIT_FIXTURE_H
#define TEST_UNIT_FIXTURE_H

#include "support.h"

#include "domain/credential.h"
#include "domain/domain.h"
#include "domain/flush.h"
#include "domain/introspect.h"
#include "domain/reap.h"
#include "memory/token_table.h"
#include "records/token.h"

#define START (INT64_C(1800000000) * CLOCK_SECOND)
#define MINUTE (60 * CLOCK_SECOND)

struct fixture {
    struct store *store;
    struct clock *clock;
    struct domain *domain;
    struct arena arena;
};

/* Every file name is used once. driver NULL: that of the URL; GATEHOUSE_TEST_STORE names a database in the file's
 * stead, which is opened once. */
void fixture_open(struct fixture *fixture, const char *file, const struct driver *driver);
void fixture_close(struct fixture *fixture);

/* The same database again, after everything that was in memory only is gone. */
void fixture_crash(struct fixture *fixture, const char *file);

/* A credential with these roles; its client ID is in the arena. */
struct credential *make_credential(struct fixture *fixture, const char *name, const char *role);

/* Runs fn as administrative work does: in a transaction, then put into memory. */
typedef enum status work_fn(struct work *work, void *arg);
enum status do_work(struct fixture *fixture, work_fn *fn, void *arg, int64_t *ret_tokens_ended);

/* A token of it that was issued now, in the store but not in memory. */
struct token_key make_token(struct fixture *fixture, const struct credential *credential);
struct token_key make_token_text(struct fixture *fixture, const struct credential *credential,
                                 char text[static TOKEN_TEXT_LEN + 1]);

/* Asked as the API asks: memory first, then the store. */
bool is_active(struct fixture *fixture, const struct token_key *key, bool is_use);

/* Waits. */
enum status flush(struct fixture *fixture);

int64_t query_number(struct fixture *fixture, store_fn *fn);

#endif

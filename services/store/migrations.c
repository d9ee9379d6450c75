/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrations.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "store/constraints.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES_MAX = 20, REASON_SHOWN = 120 };

static enum status query(struct connection *connection, const char *sql, int64_t *ret_number)
{
    return connection->driver->run(connection, sql, NULL, 0, store_read_int, ret_number);
}

/* Without a word that makes or changes anything: a role that may only read and write rows starts, too. */
static enum status read_version(struct connection *connection, int64_t *ret_version)
{
    int64_t has_table = 0;
    *ret_version = 0;
    TRY(query(connection,
              connection->driver->dialect == STORE_SQLITE
                  ? STORE_SQL_IN("store_sql_sqlite",
                                 "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'")
                  : STORE_SQL_IN("store_sql_postgres",
                                 "SELECT count(*) FROM information_schema.tables"
                                 " WHERE table_schema = current_schema() AND table_name = 'schema_version'"),
              &has_table));
    if (has_table == 0)
        return STATUS_OK;
    return query(connection, STORE_SQL("SELECT coalesce(max(number), 0) FROM schema_version"), ret_version);
}

/* Which version must a program know at least that uses this newer database? */
static enum status read_needed(struct connection *connection, int64_t *ret_version)
{
    return query(connection,
                 STORE_SQL("SELECT max(CASE WHEN needs = 0 THEN number ELSE needs END) FROM schema_version"),
                 ret_version);
}

static enum status note_step(struct connection *connection, const struct store_step *step, int64_t number)
{
    const struct driver *driver = connection->driver;
    const struct store_value values[] = {store_int(number), store_int(time(NULL) * CLOCK_SECOND),
                                         store_int(step->needs)};
    if (step->needs == 0) /* the column came with a step */
        return driver->run(connection, STORE_SQL("INSERT INTO schema_version (number, applied) VALUES ($1, $2)"),
                           values, 2, NULL, NULL);
    return driver->run(connection, STORE_SQL("INSERT INTO schema_version (number, applied, needs) VALUES ($1, $2, $3)"),
                       values, 3, NULL, NULL);
}

/* Step `version` + 1, if there is one; alone among the processes. */
static enum status make_step(struct connection *connection, const struct store_schema *schema, int64_t *ret_version,
                             char why[STORE_WHY_MAX])
{
    const struct driver *driver = connection->driver;
    TRY(driver->lock_schema(connection));
    TRY(read_version(connection, ret_version));
    if (*ret_version >= (int64_t)schema->steps_count)
        return STATUS_OK;
    const struct store_step *step = &schema->steps[*ret_version];
    if (*ret_version == 0)
        TRY(driver->script(connection, "CREATE TABLE IF NOT EXISTS schema_version ("
                                       "number BIGINT PRIMARY KEY, applied BIGINT NOT NULL) /* table */;"));
    if (step->sql[0] != '\0')
        TRY(driver->script(connection, step->sql));
    TRY(constraints_announce(connection, schema, *ret_version + 1));
    TRY(constraints_enforce(connection, schema, *ret_version + 1, why));
    TRY(note_step(connection, step, *ret_version + 1));
    ++*ret_version;
    return STATUS_OK;
}

typedef enum status work_fn(struct connection *connection, const struct store_schema *schema, int64_t *ret_version,
                            char why[STORE_WHY_MAX]);

static enum status in_transaction(struct connection *connection, const struct store_schema *schema, work_fn *work,
                                  int64_t *ret_version, char why[STORE_WHY_MAX])
{
    const struct driver *driver = connection->driver;
    enum status status = driver->begin(connection);
    if (status == STATUS_OK)
        status = work(connection, schema, ret_version, why);
    if (status == STATUS_OK)
        status = driver->commit(connection);
    driver->rollback(connection);
    return status;
}

/* A version that is newer is as good as this program's own, if it can be used by this program. */
static enum status look(struct connection *connection, const struct store_schema *schema, int64_t *ret_version,
                        char why[STORE_WHY_MAX])
{
    (void)why;
    int64_t needed = 0;
    TRY(read_version(connection, ret_version));
    if (*ret_version <= (int64_t)schema->steps_count)
        return STATUS_OK;
    TRY(read_needed(connection, &needed));
    if (needed <= (int64_t)schema->steps_count)
        *ret_version = (int64_t)schema->steps_count;
    return STATUS_OK;
}

enum status migrations_apply(struct connection *connection, const struct store_schema *schema, char why[STORE_WHY_MAX])
{
    int64_t version = 0;
    why[0] = '\0';
    enum status status = in_transaction(connection, schema, look, &version, why);
    while (status == STATUS_OK && version < (int64_t)schema->steps_count) {
        status = STATUS_CONFLICT;
        for (int tries = 0; status == STATUS_CONFLICT && tries < TRIES_MAX; tries++)
            status = in_transaction(connection, schema, make_step, &version, why);
    }
    if (status != STATUS_OK && why[0] == '\0') {
        snprintf(why, STORE_WHY_MAX,
                 "the database's schema cannot be brought up to date; a role that may make tables does it with"
                 " `gatehoused migrate`: %.*s",
                 (int)utf8_fitting(connection->driver->reason(connection), REASON_SHOWN),
                 connection->driver->reason(connection));
    }
    if (status != STATUS_OK)
        return status;
    if (version <= (int64_t)schema->steps_count)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX,
             "the database is newer than this program: its schema is version %" PRId64
             ", and this program knows up to version %zu; use the newer program",
             version, schema->steps_count);
    return STATUS_FAILED_PRECONDITION;
}

static char *replace(const char *text, const struct migration_word *word)
{
    size_t from = strlen(word->from), to = strlen(word->to), count = 0;
    for (const char *at = text; (at = strstr(at, word->from)) != NULL; at += from)
        count++;
    char *result = malloc(strlen(text) + count * to + 1);
    if (result == NULL)
        return NULL;
    char *end = result;
    for (const char *at; (at = strstr(text, word->from)) != NULL; text = at + from) {
        end = mempcpy(end, text, (size_t)(at - text));
        end = mempcpy(end, word->to, to);
    }
    memcpy(end, text, strlen(text) + 1);
    return result;
}

char *migration_translate(const char *sql, const struct migration_word *words)
{
    char *text = strdup(sql);
    for (; text != NULL && words->from != NULL; words++) {
        char *next = replace(text, words);
        free(text);
        text = next;
    }
    return text;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrations.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES_MAX = 20 };

static enum status keep_number(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

static enum status read_version(struct connection *connection, int64_t *ret_version)
{
    const struct driver *driver = connection->driver;
    TRY(driver->script(connection, "CREATE TABLE IF NOT EXISTS schema_version ("
                                   "number BIGINT PRIMARY KEY, applied BIGINT NOT NULL) /* table */;"));
    return driver->run(connection, STORE_SQL("SELECT coalesce(max(number), 0) FROM schema_version"), NULL, 0,
                       keep_number, ret_version);
}

/* Step `version` + 1, if there is one. */
static enum status step(struct connection *connection, const struct store_schema *schema, int64_t *ret_version)
{
    const struct driver *driver = connection->driver;
    TRY(read_version(connection, ret_version));
    if (*ret_version >= (int64_t)schema->steps_count)
        return STATUS_OK;
    TRY(driver->script(connection, schema->steps[*ret_version]));
    const struct store_value values[] = {store_int(*ret_version + 1), store_int(time(NULL) * CLOCK_SECOND)};
    TRY(driver->run(connection, STORE_SQL("INSERT INTO schema_version (number, applied) VALUES ($1, $2)"), values, 2,
                    NULL, NULL));
    ++*ret_version;
    return STATUS_OK;
}

/* Replicas may start together: whoever loses finds the step made. */
static bool is_made_by_another(enum status status)
{
    return status == STATUS_ABORTED || status == STATUS_ALREADY_EXISTS;
}

static enum status step_in_transaction(struct connection *connection, const struct store_schema *schema,
                                       int64_t *ret_version)
{
    const struct driver *driver = connection->driver;
    enum status status = driver->begin(connection);
    if (status == STATUS_OK)
        status = step(connection, schema, ret_version);
    if (status == STATUS_OK)
        status = driver->commit(connection);
    driver->rollback(connection);
    return status;
}

enum status migrations_apply(struct connection *connection, const struct store_schema *schema, char why[STORE_WHY_MAX])
{
    int64_t version = 0, before = -1;
    while (version != before && version <= (int64_t)schema->steps_count) {
        before = version;
        enum status status = step_in_transaction(connection, schema, &version);
        for (int tries = 0; is_made_by_another(status) && tries < TRIES_MAX; tries++)
            status = step_in_transaction(connection, schema, &version);
        if (status != STATUS_OK) {
            snprintf(why, STORE_WHY_MAX, "the database's schema cannot be brought up to date: %s",
                     connection->driver->reason(connection));
            return status;
        }
    }
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

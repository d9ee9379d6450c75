/* SPDX-License-Identifier: Apache-2.0 */
#include "store/migrations.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TRIES_MAX = 20 };

/* Times are microseconds since 1970; 0 where something has not happened or never ends. */
static const char first[] =
    "CREATE TABLE credential ("
    "    id BIGINT PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, owner TEXT,"
    "    created BIGINT NOT NULL, updated BIGINT NOT NULL DEFAULT 0, expires BIGINT NOT NULL DEFAULT 0,"
    "    deleted BIGINT NOT NULL DEFAULT 0, epoch BIGINT NOT NULL DEFAULT 0, version BIGINT NOT NULL DEFAULT 0,"
    "    last_used BIGINT NOT NULL DEFAULT 0, created_by TEXT"
    ") /* table */;"
    "CREATE UNIQUE INDEX credential_by_name ON credential (name) WHERE deleted = 0;"
    "CREATE INDEX credential_by_owner ON credential (owner);"

    "CREATE TABLE secret ("
    "    id BIGINT PRIMARY KEY, credential BIGINT NOT NULL, digest BLOB NOT NULL, hint TEXT,"
    "    created BIGINT NOT NULL, ends BIGINT NOT NULL DEFAULT 0, last_used BIGINT NOT NULL DEFAULT 0"
    ") /* table */;"
    "CREATE INDEX secret_by_credential ON secret (credential);"

    "CREATE TABLE role ("
    "    id TEXT PRIMARY KEY NOT NULL, number BIGINT NOT NULL UNIQUE, name TEXT NOT NULL, role_group TEXT,"
    "    description TEXT, created BIGINT NOT NULL, retired BIGINT NOT NULL DEFAULT 0,"
    "    version BIGINT NOT NULL DEFAULT 0"
    ") /* table */;"
    "CREATE TABLE credential_role ("
    "    credential BIGINT NOT NULL, role BIGINT NOT NULL, granted BIGINT NOT NULL, granted_by TEXT,"
    "    revoked BIGINT NOT NULL DEFAULT 0, revoked_by TEXT, PRIMARY KEY (credential, role)"
    ") /* table in order of its key */;"

    "CREATE TABLE user_account ("
    "    id TEXT PRIMARY KEY NOT NULL, created BIGINT NOT NULL, updated BIGINT NOT NULL DEFAULT 0,"
    "    version BIGINT NOT NULL DEFAULT 0, deleted BIGINT NOT NULL DEFAULT 0"
    ") /* table in order of its key */;"
    "CREATE TABLE user_role ("
    "    user_id TEXT NOT NULL, role BIGINT NOT NULL, granted BIGINT NOT NULL, revoked BIGINT NOT NULL DEFAULT 0,"
    "    PRIMARY KEY (user_id, role)"
    ") /* table in order of its key */;"

    /* key: four bytes of the time of issue, big-endian, before 28 bytes of SHA-256. New tokens then go to the end of
     * the tree instead of to a page anywhere in it, which makes their inserts two to three times as fast. */
    "CREATE TABLE token ("
    "    key BLOB PRIMARY KEY NOT NULL, credential BIGINT NOT NULL, epoch BIGINT NOT NULL,"
    "    last_used BIGINT NOT NULL, roles BLOB, last_api TEXT"
    ") /* table in order of its key */;"
    "CREATE INDEX token_by_credential ON token (credential, key);"

    "CREATE TABLE setting (name TEXT PRIMARY KEY NOT NULL, value BIGINT NOT NULL) /* table in order of its key */;"

    "CREATE TABLE usage ("
    "    credential BIGINT NOT NULL, api TEXT NOT NULL, hour BIGINT NOT NULL, allowed BIGINT NOT NULL DEFAULT 0,"
    "    denied BIGINT NOT NULL DEFAULT 0, first_used BIGINT NOT NULL DEFAULT 0,"
    "    last_used BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (credential, api, hour)"
    ") /* table in order of its key */;"
    "CREATE INDEX usage_by_hour ON usage (hour);"

    "CREATE TABLE audit ("
    "    sequence BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT, action TEXT NOT NULL,"
    "    subject TEXT, peer TEXT, request_id TEXT, outcome TEXT, detail TEXT, hash BLOB"
    ") /* table */;"

    "CREATE TABLE request ("
    "    id TEXT NOT NULL, actor TEXT NOT NULL, method TEXT NOT NULL, digest BLOB, response BLOB,"
    "    at BIGINT NOT NULL, PRIMARY KEY (actor, id)"
    ") /* table */;"

    "CREATE TABLE change_log ("
    "    revision BIGINT PRIMARY KEY, kind BIGINT NOT NULL, subject BLOB, at BIGINT NOT NULL"
    ") /* table */;"

    /* 'page_key': what signs page tokens, the same on every replica. */
    "CREATE TABLE instance (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) /* table in order of its key */;"

    /* The last number given out, of 'revision', 'credential_id', 'secret_id', 'audit', … */
    "CREATE TABLE counter (name TEXT PRIMARY KEY NOT NULL, value BIGINT NOT NULL) /* table in order of its key */;";

/* The row that a replica locks to be alone. */
static const char second[] = "INSERT INTO counter (name, value) VALUES ('lock', 0)";

/* change_id: random; with its revision it names the history of the store up to this change. 0: an older program wrote
 * it. process: each that serves from this store; for how long it may be behind, and when it said so last (milliseconds
 * of the database's clock where it has one). */
static const char third[] = "ALTER TABLE change_log ADD COLUMN change_id BIGINT NOT NULL DEFAULT 0;"
                            "CREATE TABLE process ("
                            "    id BIGINT PRIMARY KEY, lease BIGINT NOT NULL, seen BIGINT NOT NULL"
                            ") /* table */;";

const char *const migrations[] = {first, second, third};
const size_t migrations_count = sizeof migrations / sizeof migrations[0];

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
    return driver->run(connection, "SELECT coalesce(max(number), 0) FROM schema_version", NULL, 0, keep_number,
                       ret_version);
}

/* Step `version` + 1, if there is one. */
static enum status step(struct connection *connection, int64_t *ret_version)
{
    const struct driver *driver = connection->driver;
    TRY(read_version(connection, ret_version));
    if (*ret_version >= (int64_t)migrations_count)
        return STATUS_OK;
    TRY(driver->script(connection, migrations[*ret_version]));
    const struct store_value values[] = {store_int(*ret_version + 1), store_int(time(NULL) * CLOCK_SECOND)};
    TRY(driver->run(connection, "INSERT INTO schema_version (number, applied) VALUES ($1, $2)", values, 2, NULL, NULL));
    ++*ret_version;
    return STATUS_OK;
}

/* Replicas may start together: whoever loses finds the step made. */
static bool is_made_by_another(enum status status)
{
    return status == STATUS_ABORTED || status == STATUS_ALREADY_EXISTS;
}

static enum status step_in_transaction(struct connection *connection, int64_t *ret_version)
{
    const struct driver *driver = connection->driver;
    enum status status = driver->begin(connection);
    if (status == STATUS_OK)
        status = step(connection, ret_version);
    if (status == STATUS_OK)
        status = driver->commit(connection);
    driver->rollback(connection);
    return status;
}

enum status migrations_apply(struct connection *connection, char why[STORE_WHY_MAX])
{
    int64_t version = 0, before = -1;
    while (version != before && version <= (int64_t)migrations_count) {
        before = version;
        enum status status = step_in_transaction(connection, &version);
        for (int tries = 0; is_made_by_another(status) && tries < TRIES_MAX; tries++)
            status = step_in_transaction(connection, &version);
        if (status != STATUS_OK) {
            snprintf(why, STORE_WHY_MAX, "the database's schema cannot be brought up to date: %s",
                     connection->driver->reason(connection));
            return status;
        }
    }
    if (version <= (int64_t)migrations_count)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX,
             "the database is newer than this program: its schema is version %" PRId64
             ", and this program knows up to version %zu; use the newer program",
             version, migrations_count);
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

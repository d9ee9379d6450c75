/* SPDX-License-Identifier: Apache-2.0 */
#include "store/constraints.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SQL_MAX = 512 };

static enum status script(struct connection *connection, const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum status script(struct connection *connection, const char *format, ...)
{
    char sql[SQL_MAX];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(sql, sizeof sql, format, arguments);
    va_end(arguments);
    return len < SQL_MAX ? connection->driver->script(connection, sql) : STATUS_INTERNAL;
}

enum status constraints_announce(struct connection *connection, const struct store_schema *schema, int64_t version)
{
    for (size_t i = 0; connection->driver->dialect == STORE_POSTGRES && i < schema->constraints_count; i++) {
        const struct store_constraint *constraint = &schema->constraints[i];
        if (constraint->since == version)
            TRY(script(connection, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s, ADD CONSTRAINT %s %s NOT VALID",
                       constraint->table, constraint->name, constraint->name, constraint->definition));
    }
    return STATUS_OK;
}

/* The rows that an older fault has left. */

static enum status refuse_broken(struct connection *connection, const struct store_constraint *constraint,
                                 char why[STORE_WHY_MAX])
{
    int64_t count = 0;
    TRY(connection->driver->run(connection, constraint->broken, NULL, 0, store_read_int, &count));
    if (count == 0)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX,
             "the database's schema cannot be brought up to date: of table %s %" PRId64
             " rows are not as they must be: %s; put them right, or restore a backup",
             constraint->table, count, constraint->definition);
    return STATUS_FAILED_PRECONDITION;
}

static enum status mend(struct connection *connection, const struct store_constraint *constraint)
{
    const struct driver *driver = connection->driver;
    int64_t count = 0;
    TRY(driver->run(connection, constraint->mend, NULL, 0, NULL, NULL));
    TRY(driver->changes(connection, &count));
    if (count > 0)
        log_write(LOG_LEVEL_WARN, "schema_mended", "table", constraint->table, "removed", log_number(count).text,
                  "broke", constraint->definition, NULL);
    return STATUS_OK;
}

/* SQLite cannot add one to a table: the table is written anew. */

struct remaking {
    const struct store_schema *schema;
    const char *table;
    int64_t since;
    FILE *sql;
    bool is_wanted; /* there is a constraint that the table has not */
};

/* sql: made the table; it may have some already. */
static void write_constraints(struct remaking *remaking, const char *sql)
{
    for (size_t i = 0; i < remaking->schema->constraints_count; i++) {
        const struct store_constraint *constraint = &remaking->schema->constraints[i];
        if (constraint->since == remaking->since && strcmp(constraint->table, remaking->table) == 0 &&
            strstr(sql, constraint->name) == NULL) {
            fprintf(remaking->sql, ", CONSTRAINT %s %s", constraint->name, constraint->definition);
            remaking->is_wanted = true;
        }
    }
}

/* A store_row_fn: the words that made the table come first, then those that made its indexes. */
static enum status write_remade(const struct store_row *row, void *arg)
{
    struct remaking *remaking = arg;
    const char *sql = store_row_text(row, 0), *columns = strchr(sql, '('), *end = strrchr(sql, ')');
    if (strncmp(sql, "CREATE TABLE", strlen("CREATE TABLE")) != 0) {
        fprintf(remaking->sql, "%s;", sql);
        return STATUS_OK;
    }
    if (columns == NULL || end == NULL)
        return STATUS_INTERNAL;
    fprintf(remaking->sql, "CREATE TABLE remade %.*s", (int)(end - columns), columns);
    write_constraints(remaking, sql);
    fprintf(remaking->sql, "%s; INSERT INTO remade SELECT * FROM %s; DROP TABLE %s; ALTER TABLE remade RENAME TO %s;",
            end, remaking->table, remaking->table, remaking->table);
    return STATUS_OK;
}

static enum status remake(struct connection *connection, const struct store_schema *schema,
                          const struct store_constraint *first)
{
    char *sql = NULL;
    size_t len = 0;
    struct remaking remaking = {
        .schema = schema, .table = first->table, .since = first->since, .sql = open_memstream(&sql, &len)};
    if (remaking.sql == NULL)
        return STATUS_UNAVAILABLE;
    const struct store_value table = {.type = STORE_TEXT, .data = first->table, .len = strlen(first->table)};
    enum status status = connection->driver->run(
        connection,
        STORE_SQL_IN("store_sql_sqlite", "SELECT sql FROM sqlite_schema WHERE tbl_name = $1 AND sql IS NOT NULL"
                                         " ORDER BY rowid"),
        &table, 1, write_remade, &remaking);
    bool is_written = fclose(remaking.sql) == 0;
    if (status == STATUS_OK && remaking.is_wanted) /* one that others refer to cannot go */
        status = is_written ? connection->driver->script(connection, sql) : STATUS_UNAVAILABLE;
    free(sql);
    return status;
}

static bool is_first_of_table(const struct store_schema *schema, size_t index)
{
    const struct store_constraint *constraint = &schema->constraints[index];
    for (size_t i = 0; i < index; i++) {
        const struct store_constraint *before = &schema->constraints[i];
        if (before->since == constraint->since && strcmp(before->table, constraint->table) == 0)
            return false;
    }
    return true;
}

enum status constraints_enforce(struct connection *connection, const struct store_schema *schema, int64_t version,
                                char why[STORE_WHY_MAX])
{
    bool is_sqlite = connection->driver->dialect == STORE_SQLITE;
    for (size_t i = 0; i < schema->constraints_count; i++) {
        const struct store_constraint *constraint = &schema->constraints[i];
        if (constraint->since + 1 == version)
            TRY(constraint->mend == NULL ? refuse_broken(connection, constraint, why) : mend(connection, constraint));
    }
    for (size_t i = 0; i < schema->constraints_count; i++) {
        const struct store_constraint *constraint = &schema->constraints[i];
        if (constraint->since + 1 != version || (is_sqlite && !is_first_of_table(schema, i)))
            continue;
        TRY(is_sqlite
                ? remake(connection, schema, constraint)
                : script(connection, "ALTER TABLE %s VALIDATE CONSTRAINT %s", constraint->table, constraint->name));
    }
    return STATUS_OK;
}

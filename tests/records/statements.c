/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statements URL: makes the schema in the store and writes every statement that the program may run on it, each as
 * "sqlite", "postgres" or "both", a tab, its text, and a zero byte.
 *
 * The linker has put the texts of STORE_SQL into sections, so a new statement is here as soon as it is compiled; what a
 * copy makes of its list of tables is asked of it.
 */
#include "records/schema.h"
#include "store/copy_table.h"

#include <stdio.h>
#include <string.h>

extern const char __start_store_sql[], __stop_store_sql[];
extern const char __start_store_sql_sqlite[], __stop_store_sql_sqlite[];
extern const char __start_store_sql_postgres[], __stop_store_sql_postgres[];

static void put(const char *dialect, const char *sql)
{
    printf("%s\t%s%c", dialect, sql, 0);
}

static void put_section(const char *dialect, const char *at, const char *end)
{
    for (; at < end; at += strlen(at) + 1)
        if (*at != '\0')
            put(dialect, at);
}

static void put_copy(const struct store_table *table)
{
    struct plan plan;
    if (plan_init(&plan, table) != STATUS_OK)
        return;
    const char *const texts[] = {plan.first, plan.next, plan.insert, plan.insert_many, plan.remove, plan.total};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        put("both", texts[i]);
    plan_done(&plan);
}

int main(int argc, char **argv)
{
    char why[256] = "an address is missing";
    struct store *store = NULL;
    const struct store_options options = {.url = argc < 2 ? "" : argv[1], .create = true, .schema = &records_schema};
    if (store_open(&options, &store, why) != STATUS_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    store_close(store);
    put_section("both", __start_store_sql, __stop_store_sql);
    put_section("sqlite", __start_store_sql_sqlite, __stop_store_sql_sqlite);
    put_section("postgres", __start_store_sql_postgres, __stop_store_sql_postgres);
    for (size_t i = 0; i < records_schema.tables_count; i++)
        put_copy(&records_schema.tables[i]);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_check.h"

#include "store/sqlite_file.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { INSTRUCTIONS = 100000 }; /* of SQLite's, between two looks whether it is wanted still */

/* SQLite's, between its instructions, on the thread that checks: not 0 breaks it off. */
static int is_unwanted(void *arg)
{
    const struct sqlite_check_options *options = arg;
    return !options->goes_on(options->arg);
}

static enum status check(const struct sqlite_check_options *options, sqlite3 *db, char why[STORE_WHY_MAX])
{
    sqlite3_stmt *statement = NULL;
    if (options->goes_on != NULL)
        sqlite3_progress_handler(db, INSTRUCTIONS, is_unwanted, (void *)(uintptr_t)options);
    int code = sqlite3_prepare_v2(db, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    const char *verdict = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errmsg(db);
    enum status status = STATUS_OK;
    if ((code & 0xff) == SQLITE_INTERRUPT) {
        snprintf(why, STORE_WHY_MAX, "given up");
        status = STATUS_CANCELLED;
    } else if (code != SQLITE_ROW || strcmp(verdict, "ok") != 0) {
        bool is_damaged = code == SQLITE_ROW || (code & 0xff) == SQLITE_CORRUPT;
        snprintf(why, STORE_WHY_MAX, "the database %s %s: %s", options->path,
                 is_damaged ? "is damaged" : "cannot be read", verdict);
        status = is_damaged ? STATUS_FAILED_PRECONDITION : STATUS_UNAVAILABLE;
    }
    sqlite3_finalize(statement);
    return status;
}

enum status sqlite_check(const struct sqlite_check_options *options, char why[256])
{
    struct sqlite_file file;
    sqlite3 *db = NULL;
    int told = -1;
    enum status status = sqlite_file_find(&file, options->path, why);
    if (status == STATUS_OK) {
        told = sqlite_file_tell_backup(&file);
        status = sqlite_file_open(&file, false, &db, why);
    }
    if (status == STATUS_OK)
        status = sqlite_file_identify(&file, db, false, why);
    if (status == STATUS_OK)
        status = check(options, db, why);
    sqlite3_close(db);
    if (told >= 0)
        close(told);
    sqlite_file_done(&file);
    return status;
}

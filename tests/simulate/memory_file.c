/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_file.h"

#include "store/sqlite_file.h"

#include <sqlite3.h>
#include <stdlib.h>

static sqlite3 *last;

sqlite3 *memory_file_last(void)
{
    return last;
}

void memory_file_copy(sqlite3 *from, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (backup == NULL || sqlite3_backup_step(backup, -1) != SQLITE_DONE || sqlite3_backup_finish(backup) != SQLITE_OK)
        abort();
}

enum status sqlite_file_init(struct sqlite_file *file, const char *path, const struct store_options *options,
                             char why[STORE_WHY_MAX])
{
    (void)path;
    (void)options;
    (void)why;
    *file = (struct sqlite_file){.lock = -1};
    return STATUS_OK;
}

void sqlite_file_done(struct sqlite_file *file)
{
    (void)file;
}

enum status sqlite_file_find(struct sqlite_file *file, const char *path, char why[STORE_WHY_MAX])
{
    return sqlite_file_init(file, path, NULL, why);
}

bool sqlite_file_is_used(const char *path)
{
    (void)path;
    return false;
}

int sqlite_file_tell_backup(const struct sqlite_file *file)
{
    (void)file;
    return -1;
}

bool sqlite_file_is_backed_up(const struct sqlite_file *file)
{
    (void)file;
    return false;
}

enum status sqlite_file_identify(const struct sqlite_file *file, sqlite3 *db, bool create, char why[STORE_WHY_MAX])
{
    (void)file;
    (void)db;
    (void)create;
    (void)why;
    return STATUS_OK;
}

enum status sqlite_file_check(const struct sqlite_file *file, bool create, char why[STORE_WHY_MAX])
{
    return sqlite_file_identify(file, NULL, create, why);
}

/* Small pages: the whole database is copied often. */
enum status sqlite_file_open(const struct sqlite_file *file, bool writes, sqlite3 **ret_db, char why[STORE_WHY_MAX])
{
    (void)file;
    (void)writes;
    (void)why;
    if (sqlite3_open_v2(":memory:", &last, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        abort();
    sqlite3_extended_result_codes(last, 1);
    if (sqlite3_exec(last, "PRAGMA page_size = 1024", NULL, NULL, NULL) != SQLITE_OK)
        abort();
    *ret_db = last;
    return STATUS_OK;
}

bool sqlite_file_is_full(sqlite3 *db)
{
    (void)db;
    return false;
}

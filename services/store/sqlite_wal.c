/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_wal.h"

#include <sqlite3.h>

enum {
    CHECKPOINT_PAGES = 2000, /* the WAL is copied back when it has grown by so much (8 MB) */
    RESTART_PAGES = 8000,    /* … and if readers have kept it from starting anew for so long, they are waited for, */
    RESTART_WAIT_MS = 100,   /* the longer the larger it is */
};

/* SQLite's WAL hook, on the thread that commits. */
static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_wal *wal = arg;
    (void)db, (void)name;
    if (pages < wal->pages) /* it began anew */
        wal->checkpoint_at = CHECKPOINT_PAGES;
    wal->pages = pages;
    return SQLITE_OK;
}

void sqlite_wal_init(struct sqlite_wal *wal, const struct sqlite_file *file, sqlite3 *db)
{
    *wal = (struct sqlite_wal){.file = file, .checkpoint_at = CHECKPOINT_PAGES};
    sqlite3_wal_hook(db, on_commit, wal);
}

/* A checkpoint copies what no reader needs in the WAL any more; the next commit begins it anew if it was all of it.
 * Readers that follow each other without a gap would prevent that for ever, so at last the writer waits for those that
 * are there, while the new ones begin where nothing in the WAL is theirs. Not for a backup, which reads for minutes. */
int sqlite_wal_tidy(struct sqlite_wal *wal, sqlite3 *db)
{
    if (wal->pages < wal->checkpoint_at)
        return SQLITE_OK;
    int overdue = wal->pages / RESTART_PAGES;
    if (overdue > 0 && sqlite_file_is_backed_up(wal->file))
        overdue = 0;
    int mode = overdue > 0 ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
    wal->checkpoint_at = wal->pages + CHECKPOINT_PAGES;
    sqlite3_busy_timeout(db, overdue * RESTART_WAIT_MS);
    int code = sqlite3_wal_checkpoint_v2(db, NULL, mode, NULL, NULL);
    sqlite3_busy_timeout(db, wal->file->busy_timeout_ms);
    return code;
}

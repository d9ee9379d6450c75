/* SPDX-License-Identifier: Apache-2.0 */
/* When SQLite's write-ahead log is copied back into the file, by the one connection that writes. */
#ifndef STORE_SQLITE_WAL_H
#define STORE_SQLITE_WAL_H

#include "store/sqlite_file.h"

struct sqlite_wal {
    const struct sqlite_file *file;
    int pages; /* it has so many */
    int checkpoint_at;
};

/* Both stay where they are as long as db is open. */
void sqlite_wal_init(struct sqlite_wal *wal, const struct sqlite_file *file, struct sqlite3 *db);

/* Outside a transaction: copies back what is due. SQLite's result code. */
int sqlite_wal_tidy(struct sqlite_wal *wal, struct sqlite3 *db);

#endif

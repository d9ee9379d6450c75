/* SPDX-License-Identifier: Apache-2.0 */
/* store/sqlite_file.h over memory instead of files: every handle is an empty database of its own. The rest of the
 * driver (store/sqlite.c) is the real one. */
#ifndef SIMULATE_MEMORY_FILE_H
#define SIMULATE_MEMORY_FILE_H

struct sqlite3;

/* What the driver opened last: it keeps its handles to itself. */
struct sqlite3 *memory_file_last(void);

/* Makes `to` what `from` is now. Neither is in a transaction. */
void memory_file_copy(struct sqlite3 *from, struct sqlite3 *to);

#endif

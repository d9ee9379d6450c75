/* SPDX-License-Identifier: Apache-2.0 */
/* Is every page, row and index of a SQLite database whole? Reads all of it, while the daemon may be running, which
 * looks at a large file only in passing when it starts. */
#ifndef STORE_SQLITE_CHECK_H
#define STORE_SQLITE_CHECK_H

#include "base/status.h"

#include <stdbool.h>

struct sqlite_check_options {
    const char *path;
    /* NULL, or is called now and then; false: give it up (STATUS_CANCELLED). */
    bool (*goes_on)(void *arg);
    void *arg;
};

/* Otherwise there is a sentence in `why`: STATUS_FAILED_PRECONDITION (damaged, or not ours), STATUS_NOT_FOUND,
 * STATUS_UNAVAILABLE (not readable), STATUS_CANCELLED. As with a backup, the daemon's WAL grows meanwhile. */
enum status sqlite_check(const struct sqlite_check_options *options, char why[256]);

#endif

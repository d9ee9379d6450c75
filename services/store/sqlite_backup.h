/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a SQLite database in one file, made while the daemon may be running.
 *
 * It is one state of the database: everything whose commit was acknowledged before the backup began is in it. It is
 * read in one long transaction, not step by step, because SQLite begins a stepwise backup anew whenever another process
 * has written in between, and under a daemon that always writes it would never end. The price: for as long as it takes,
 * the daemon's WAL grows by what is written. The daemon's writer does not wait for it (sqlite.c: sqlite_tidy).
 */
#ifndef STORE_SQLITE_BACKUP_H
#define STORE_SQLITE_BACKUP_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct sqlite_backup_options {
    const char *source;      /* a path */
    const char *destination; /* a path; is there, whole and on stable storage, or not at all */
    bool overwrite;          /* … and replaces what is there, but never the source, nor what a daemon uses */
    /* NULL, or is called now and then, with bytes; false: give it up (STATUS_CANCELLED). */
    bool (*progress)(void *arg, int64_t done, int64_t total);
    void *arg;
};

struct sqlite_backup {
    int64_t bytes, credentials, tokens;
};

/* Otherwise there is a sentence in `why`: STATUS_NOT_FOUND (no source), STATUS_ALREADY_EXISTS (a destination),
 * STATUS_FAILED_PRECONDITION (the source is damaged or not ours; a daemon uses the destination), STATUS_UNAVAILABLE
 * (disk full, not readable, not writable, locked), STATUS_CANCELLED. */
enum status sqlite_backup(const struct sqlite_backup_options *options, struct sqlite_backup *ret_backup, char why[256]);

#endif

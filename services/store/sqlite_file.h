/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a SQLite database, up to the point where it can be used: it is there, private, one daemon's, ours, and
 * whole. */
#ifndef STORE_SQLITE_FILE_H
#define STORE_SQLITE_FILE_H

#include "store/driver.h"

struct sqlite3;

struct sqlite_file {
    char *path; /* without links */
    int lock;   /* a descriptor */
    int busy_timeout_ms;
    bool is_unchecked;
    int64_t checked_wholly; /* see struct store_options, both */
};

/* Finds the file, or makes an empty one that only its owner can read where the options say so. Takes the lock that says
 * "a daemon uses this database" (path-lock beside it), which hinders no other process from using SQLite on it. */
enum status sqlite_file_init(struct sqlite_file *file, const char *path, const struct store_options *options,
                             char why[STORE_WHY_MAX]);
void sqlite_file_done(struct sqlite_file *file); /* where init failed, too */

/* The same without the lock and without making anything: for whoever only looks. */
enum status sqlite_file_find(struct sqlite_file *file, const char *path, char why[STORE_WHY_MAX]);

/* Does a daemon hold the lock of the database at `path`? */
bool sqlite_file_is_used(const char *path);

/* Lets a daemon know that its database is being read for long, for as long as the descriptor is open; -1 where there
 * never was a daemon. A lock of another kind on the same file. */
int sqlite_file_tell_backup(const struct sqlite_file *file);
bool sqlite_file_is_backed_up(const struct sqlite_file *file);

/* Is what this handle has open Gatehouse's, or empty and to become Gatehouse's because `create` says so? */
enum status sqlite_file_identify(const struct sqlite_file *file, struct sqlite3 *db, bool create,
                                 char why[STORE_WHY_MAX]);

/* Is it Gatehouse's and, as far as a look in passing tells where it is large, undamaged? An empty file becomes
 * Gatehouse's, if `create` says so. */
enum status sqlite_file_check(const struct sqlite_file *file, bool create, char why[STORE_WHY_MAX]);

/* A handle with all settings made. */
enum status sqlite_file_open(const struct sqlite_file *file, bool writes, struct sqlite3 **ret_db,
                             char why[STORE_WHY_MAX]);

/* Was it for want of room on the disk that the last call failed? */
bool sqlite_file_is_full(struct sqlite3 *db);

#endif

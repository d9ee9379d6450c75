/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x47415445,       /* "GATE", in the file's header */
    CHECKED_WHOLLY = 64 * 1024 * 1024, /* bytes: less than a second */
};

static enum status create_private(const char *path, char why[STORE_WHY_MAX])
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EEXIST) {
        snprintf(why, STORE_WHY_MAX, "the database %s cannot be made: %s", path, strerror(errno));
        return STATUS_FAILED_PRECONDITION;
    }
    if (fd >= 0)
        close(fd);
    return STATUS_OK;
}

static enum status find(const char *path, bool create, char **ret_path, char why[STORE_WHY_MAX])
{
    struct stat file;
    if (stat(path, &file) != 0 && errno == ENOENT && create)
        TRY(create_private(path, why));
    if (stat(path, &file) != 0) {
        bool is_absent = errno == ENOENT;
        snprintf(why, STORE_WHY_MAX, "the database %s cannot be opened: %s", path, strerror(errno));
        return is_absent ? STATUS_NOT_FOUND : STATUS_FAILED_PRECONDITION;
    }
    if (!S_ISREG(file.st_mode)) {
        snprintf(why, STORE_WHY_MAX, "the database %s is not a file", path);
        return STATUS_FAILED_PRECONDITION;
    }
    *ret_path = realpath(path, NULL);
    if (*ret_path != NULL)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX, "the database %s cannot be opened: %s", path, strerror(errno));
    return STATUS_FAILED_PRECONDITION;
}

/* For the sentence only: it may be of a daemon that has ended since. */
static long read_owner(int fd)
{
    char text[24] = {0};
    return pread(fd, text, sizeof text - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

static void write_owner(int fd)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return; /* the lock holds without it, on a full disk too */
}

/* The file beside the database that says who has it open. */
static enum status lock(const char *path, int *ret_fd, char why[STORE_WHY_MAX])
{
    char *name = NULL;
    if (asprintf(&name, "%s-lock", path) < 0) {
        snprintf(why, STORE_WHY_MAX, "out of memory");
        return STATUS_UNAVAILABLE;
    }
    int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = errno;
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
        write_owner(fd);
        free(name);
        *ret_fd = fd;
        return STATUS_OK;
    }
    bool may_pass = fd >= 0 || error == ENOSPC || error == EDQUOT;
    if (fd < 0)
        snprintf(why, STORE_WHY_MAX, "the lock %s cannot be opened: %s", name, strerror(error));
    else
        snprintf(why, STORE_WHY_MAX, "another daemon uses the database %s (process %ld)", path, read_owner(fd));
    if (fd >= 0)
        close(fd);
    free(name);
    return may_pass ? STATUS_UNAVAILABLE : STATUS_FAILED_PRECONDITION;
}

enum status sqlite_file_init(struct sqlite_file *file, const char *path, const struct store_options *options,
                             char why[STORE_WHY_MAX])
{
    *file =
        (struct sqlite_file){.lock = -1,
                             .busy_timeout_ms = (int)options->busy_timeout_ms,
                             .is_unchecked = options->is_unchecked,
                             .checked_wholly = options->checked_wholly == 0 ? CHECKED_WHOLLY : options->checked_wholly};
    TRY(find(path, options->create, &file->path, why));
    return lock(file->path, &file->lock, why);
}

enum status sqlite_file_find(struct sqlite_file *file, const char *path, char why[STORE_WHY_MAX])
{
    *file = (struct sqlite_file){.lock = -1};
    return find(path, false, &file->path, why);
}

bool sqlite_file_is_used(const char *path)
{
    char *name = NULL;
    if (asprintf(&name, "%s-lock", path) < 0)
        return true;
    int fd = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool is_used = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    free(name);
    return is_used;
}

/* Of the first byte, belonging to the open file: processes come and go, and closing another descriptor ends nothing. */
static struct flock backup_lock(short type)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
}

int sqlite_file_tell_backup(const struct sqlite_file *file)
{
    char *name = NULL;
    if (asprintf(&name, "%s-lock", file->path) < 0)
        return -1;
    int fd = open(name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    free(name);
    struct flock lock = backup_lock(F_RDLCK);
    if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool sqlite_file_is_backed_up(const struct sqlite_file *file)
{
    struct flock lock = backup_lock(F_WRLCK);
    return fcntl(file->lock, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

void sqlite_file_done(struct sqlite_file *file)
{
    if (file->lock >= 0)
        close(file->lock);
    free(file->path);
}

bool sqlite_file_is_full(struct sqlite3 *db)
{
    int error = db == NULL ? 0 : sqlite3_system_errno(db);
    return error == ENOSPC || error == EDQUOT;
}

/* Why a database cannot be opened, before anything relies on it. */
static enum status explain(const struct sqlite_file *file, sqlite3 *db, int code, char why[STORE_WHY_MAX])
{
    const char *detail = db != NULL ? sqlite3_errmsg(db) : "out of memory";
    switch (code & 0xff) {
    case SQLITE_NOTADB:
        snprintf(why, STORE_WHY_MAX, "%s is not a SQLite database", file->path);
        return STATUS_FAILED_PRECONDITION;
    case SQLITE_CORRUPT:
        snprintf(why, STORE_WHY_MAX, "the database %s is damaged: %s", file->path, detail);
        return STATUS_FAILED_PRECONDITION;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        snprintf(why, STORE_WHY_MAX, "the database %s is locked by another process", file->path);
        return STATUS_UNAVAILABLE;
    case SQLITE_FULL:
        snprintf(why, STORE_WHY_MAX, "the disk of the database %s is full", file->path);
        return STATUS_UNAVAILABLE;
    default:
        if (sqlite_file_is_full(db)) {
            snprintf(why, STORE_WHY_MAX, "the disk of the database %s is full", file->path);
            return STATUS_UNAVAILABLE;
        }
        snprintf(why, STORE_WHY_MAX, "the database %s cannot be opened: %s", file->path, detail);
        return STATUS_FAILED_PRECONDITION;
    }
}

/* The first column of the first row. */
static int query(sqlite3 *db, const char *sql, char *text, int size)
{
    sqlite3_stmt *handle;
    int code = sqlite3_prepare_v2(db, sql, -1, &handle, NULL);
    if (code != SQLITE_OK)
        return code;
    if (sqlite3_step(handle) == SQLITE_ROW)
        snprintf(text, (size_t)size, "%s", (const char *)sqlite3_column_text(handle, 0));
    return sqlite3_finalize(handle);
}

/* Settings that hold for the connection only. */
static int configure(sqlite3 *db, bool writes, const struct sqlite_file *file)
{
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, file->busy_timeout_ms);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, !file->is_unchecked, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !writes, NULL);
    return sqlite3_exec(db,
                        writes ? "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -65536;"
                                 "PRAGMA journal_size_limit = 33554432"
                               : "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384",
                        NULL, NULL, NULL);
}

enum status sqlite_file_open(const struct sqlite_file *file, bool writes, sqlite3 **ret_db, char why[STORE_WHY_MAX])
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(file->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = configure(db, writes, file);
    if (code == SQLITE_OK && sqlite3_db_readonly(db, "main") == 1)
        code = SQLITE_READONLY;
    if (code == SQLITE_OK) {
        *ret_db = db;
        return STATUS_OK;
    }
    enum status status = explain(file, db, code, why);
    if (code == SQLITE_READONLY)
        snprintf(why, STORE_WHY_MAX, "the database %s cannot be written to", file->path);
    sqlite3_close(db);
    return status;
}

enum status sqlite_file_identify(const struct sqlite_file *file, sqlite3 *db, bool create, char why[STORE_WHY_MAX])
{
    char id[24] = "", tables[24] = "";
    int code = query(db, "PRAGMA application_id", id, sizeof id);
    if (code == SQLITE_OK)
        code = query(db, "SELECT count(*) FROM sqlite_schema", tables, sizeof tables);
    if (code != SQLITE_OK)
        return explain(file, db, code, why);
    if (strtol(id, NULL, 10) == APPLICATION_ID)
        return STATUS_OK;
    if (strtol(id, NULL, 10) != 0 || strtol(tables, NULL, 10) != 0) {
        snprintf(why, STORE_WHY_MAX, "%s is a database of another program", file->path);
        return STATUS_FAILED_PRECONDITION;
    }
    if (!create) {
        snprintf(why, STORE_WHY_MAX, "the database %s is empty", file->path);
        return STATUS_NOT_FOUND;
    }
    char sql[64];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d", APPLICATION_ID);
    code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK : explain(file, db, code, why);
}

/* Can the first row of each table be read? (That the file is as long as it says, SQLite sees by itself.) For one that
 * takes long to be read. */
static int look_in_passing(sqlite3 *db)
{
    sqlite3_stmt *tables;
    int code = sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type = 'table'", -1, &tables, NULL);
    if (code != SQLITE_OK)
        return code;
    while (code == SQLITE_OK && sqlite3_step(tables) == SQLITE_ROW) {
        char *sql = sqlite3_mprintf("SELECT * FROM \"%w\" LIMIT 1", sqlite3_column_text(tables, 0)), row[8] = "";
        code = sql == NULL ? SQLITE_NOMEM : query(db, sql, row, sizeof row);
        sqlite3_free(sql);
    }
    int end = sqlite3_finalize(tables);
    return code == SQLITE_OK ? end : code;
}

/* What takes no time is checked wholly; `gatehouse admin check` does that to any. */
static enum status check_integrity(const struct sqlite_file *file, sqlite3 *db, char why[STORE_WHY_MAX])
{
    char verdict[128] = "ok";
    struct stat found;
    bool is_small = stat(file->path, &found) != 0 || found.st_size <= file->checked_wholly;
    int code = is_small ? query(db, "PRAGMA quick_check(1)", verdict, sizeof verdict) : look_in_passing(db);
    if (code != SQLITE_OK)
        return explain(file, db, code, why);
    if (strcmp(verdict, "ok") == 0)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX, "the database %s is damaged: %s", file->path, verdict);
    return STATUS_FAILED_PRECONDITION;
}

static enum status use_wal(const struct sqlite_file *file, sqlite3 *db, char why[STORE_WHY_MAX])
{
    char mode[16] = "";
    int code = query(db, "PRAGMA journal_mode = WAL", mode, sizeof mode);
    if (code != SQLITE_OK)
        return explain(file, db, code, why);
    if (strcmp(mode, "wal") == 0)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX, "the file system of the database %s does not allow SQLite's WAL", file->path);
    return STATUS_FAILED_PRECONDITION;
}

enum status sqlite_file_check(const struct sqlite_file *file, bool create, char why[STORE_WHY_MAX])
{
    sqlite3 *db;
    TRY(sqlite_file_open(file, true, &db, why));
    enum status status = sqlite_file_identify(file, db, create, why);
    if (status == STATUS_OK)
        status = check_integrity(file, db, why);
    if (status == STATUS_OK)
        status = use_wal(file, db, why);
    sqlite3_close(db);
    return status;
}

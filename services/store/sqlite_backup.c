/* SPDX-License-Identifier: Apache-2.0 */
#include "store/sqlite_backup.h"

#include "store/sqlite_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_PAGES = 1024, BUSY_TIMEOUT_MS = 10000, CHECK_INSTRUCTIONS = 1000000 };

struct job {
    const struct sqlite_backup_options *options;
    struct sqlite_file file; /* the source */
    sqlite3 *from, *to;
    char *partial; /* what is written, until it is whole */
    int fd;        /* of the partial file; closed after `to`: closing it ends SQLite's locks on the file, too */
    bool is_ours;  /* the partial file, and nobody else writes it */
    int lock;      /* of the database that is overwritten */
    int told;      /* the lock by which the source's daemon knows */
    char *why;
};

static enum status fail(const struct job *job, enum status status, const char *what, const char *detail)
{
    snprintf(job->why, STORE_WHY_MAX, "%s: %s", what, detail);
    return status;
}

static enum status fail_destination(const struct job *job, int error)
{
    return fail(job, STATUS_UNAVAILABLE, job->options->destination, strerror(error));
}

/* What a result code means when it comes up between the two databases. */
static enum status fail_sqlite(const struct job *job, sqlite3 *db, int code)
{
    int error = sqlite3_system_errno(db);
    switch (code & 0xff) {
    case SQLITE_NOTADB:
        return fail(job, STATUS_FAILED_PRECONDITION, job->options->source, "not a SQLite database");
    case SQLITE_CORRUPT:
        return fail(job, STATUS_FAILED_PRECONDITION, job->options->source, "the database is damaged");
    case SQLITE_FULL:
        return fail_destination(job, ENOSPC);
    case SQLITE_INTERRUPT:
        return fail(job, STATUS_CANCELLED, job->options->destination, "given up; nothing was written");
    case SQLITE_IOERR:
        if (db == job->to && error != 0)
            return fail_destination(job, error);
        return fail(job, STATUS_UNAVAILABLE, job->options->source, error != 0 ? strerror(error) : sqlite3_errstr(code));
    default:
        return fail(job, STATUS_UNAVAILABLE, db == job->to ? job->options->destination : job->options->source,
                    sqlite3_errmsg(db));
    }
}

static enum status run(const struct job *job, sqlite3 *db, const char *sql)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? STATUS_OK : fail_sqlite(job, db, code);
}

/* Begins the transaction that keeps what is seen as it is now. */
static enum status open_source(struct job *job)
{
    TRY(sqlite_file_find(&job->file, job->options->source, job->why));
    job->told = sqlite_file_tell_backup(&job->file);
    int code = sqlite3_open_v2(job->file.path, &job->from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return fail_sqlite(job, job->from, code);
    sqlite3_extended_result_codes(job->from, 1);
    sqlite3_busy_timeout(job->from, BUSY_TIMEOUT_MS);
    /* It never checkpoints: see the head of sqlite.c. */
    sqlite3_db_config(job->from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    TRY(run(job, job->from, "PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0; BEGIN"));
    return sqlite_file_identify(&job->file, job->from, false, job->why);
}

static char *beside(const char *path, const char *end)
{
    char *name = NULL;
    return asprintf(&name, "%s%s", path, end) < 0 ? NULL : name;
}

static bool is_there(const char *path, const char *end)
{
    char *name = beside(path, end);
    struct stat file;
    bool is = name == NULL || lstat(name, &file) == 0;
    free(name);
    return is;
}

static enum status remove_beside(const struct job *job, const char *path)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char *name = beside(path, ends[i]);
        if (name == NULL || (unlink(name) != 0 && errno != ENOENT)) {
            free(name);
            return fail_destination(job, errno);
        }
        free(name);
    }
    return STATUS_OK;
}

/* The lock of the daemon whose database is overwritten, where there ever was one. */
static enum status lock_destination(struct job *job)
{
    const char *path = job->options->destination;
    char *name = beside(path, "-lock");
    job->lock = name == NULL ? -1 : open(name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    int error = errno;
    free(name);
    if (job->lock < 0)
        return error == ENOENT ? STATUS_OK : fail_destination(job, error);
    if (flock(job->lock, LOCK_EX | LOCK_NB) == 0)
        return STATUS_OK;
    return fail(job, STATUS_FAILED_PRECONDITION, path, "a running daemon uses this database; stop it first");
}

static enum status check_destination(struct job *job)
{
    const char *path = job->options->destination;
    struct stat source, destination;
    bool is_file = stat(path, &destination) == 0;
    if (is_file && !S_ISREG(destination.st_mode))
        return fail(job, STATUS_FAILED_PRECONDITION, path, "is there, and no file");
    if (is_file && stat(job->file.path, &source) == 0 && source.st_dev == destination.st_dev &&
        source.st_ino == destination.st_ino)
        return fail(job, STATUS_FAILED_PRECONDITION, path, "is the database itself");
    /* A WAL that is left over would become a part of the database that is put in front of it. */
    if (!is_there(path, "") && !is_there(path, "-wal") && !is_there(path, "-journal"))
        return STATUS_OK;
    if (!job->options->overwrite)
        return fail(job, STATUS_ALREADY_EXISTS, path, is_file ? "is there already" : "a -wal or -journal is there");
    return lock_destination(job);
}

/* The partial file, ours alone until it is renamed. What a backup that was killed left of it is used again. */
static enum status open_partial(struct job *job)
{
    struct stat file, named;
    job->fd = open(job->partial, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (job->fd < 0)
        return fail_destination(job, errno);
    if (flock(job->fd, LOCK_EX | LOCK_NB) != 0 || fstat(job->fd, &file) != 0 || stat(job->partial, &named) != 0 ||
        file.st_ino != named.st_ino || file.st_dev != named.st_dev)
        return fail(job, STATUS_UNAVAILABLE, job->options->destination, "another backup is being written there");
    if (!S_ISREG(file.st_mode) || file.st_uid != geteuid() || file.st_nlink != 1)
        return fail(job, STATUS_FAILED_PRECONDITION, job->partial, "is there, and of somebody else");
    if (fchmod(job->fd, 0600) != 0 || ftruncate(job->fd, 0) != 0)
        return fail_destination(job, errno);
    job->is_ours = true;
    return remove_beside(job, job->partial);
}

static enum status open_destination(struct job *job)
{
    TRY(check_destination(job));
    job->partial = beside(job->options->destination, ".partial");
    if (job->partial == NULL)
        return fail_destination(job, ENOMEM);
    TRY(open_partial(job));
    int code = sqlite3_open_v2(job->partial, &job->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK)
        return fail_sqlite(job, job->to, code);
    sqlite3_extended_result_codes(job->to, 1);
    /* Nobody reads it before it is whole, and it is synced as a whole. */
    return run(job, job->to,
               "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
               "PRAGMA cache_size = -16384");
}

static bool goes_on(const struct job *job, int64_t done, int64_t total)
{
    return job->options->progress == NULL || job->options->progress(job->options->arg, done, total);
}

static int64_t query_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t number = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        return 0;
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static enum status copy_pages(struct job *job)
{
    int64_t page_size = query_number(job->from, "PRAGMA page_size");
    sqlite3_backup *backup = sqlite3_backup_init(job->to, "main", job->from, "main");
    if (backup == NULL)
        return fail_sqlite(job, job->to, sqlite3_extended_errcode(job->to));
    int code;
    bool is_wanted = true;
    do {
        code = sqlite3_backup_step(backup, STEP_PAGES);
        int64_t total = sqlite3_backup_pagecount(backup), left = sqlite3_backup_remaining(backup);
        is_wanted = goes_on(job, (total - left) * page_size, total * page_size);
    } while (code == SQLITE_OK && is_wanted);
    sqlite3_backup_finish(backup); /* its error is the step's */
    if (code == SQLITE_DONE)
        return STATUS_OK;
    if (code == SQLITE_OK)
        code = SQLITE_INTERRUPT;
    return fail_sqlite(job, sqlite3_errcode(job->from) == SQLITE_OK ? job->to : job->from, code);
}

/* SQLite's, between its instructions, on the thread that checks: not 0 breaks it off. */
static int is_unwanted(void *arg)
{
    return !goes_on(arg, 1, 1);
}

/* A file by itself, without a WAL; and is every table and index whole? */
static enum status check_copy(struct job *job, struct sqlite_backup *ret_backup)
{
    sqlite3_stmt *statement;
    TRY(run(job, job->to, "PRAGMA journal_mode = DELETE"));
    sqlite3_progress_handler(job->to, CHECK_INSTRUCTIONS, is_unwanted, job);
    int code = sqlite3_prepare_v2(job->to, "PRAGMA integrity_check(1)", -1, &statement, NULL);
    if (code != SQLITE_OK)
        return fail_sqlite(job, job->to, code);
    code = sqlite3_step(statement);
    const char *verdict = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    enum status status = STATUS_OK;
    if (verdict == NULL)
        status = fail_sqlite(job, job->to, code);
    else if (strcmp(verdict, "ok") != 0)
        status = fail(job, STATUS_FAILED_PRECONDITION, "the database is damaged, and so would be the backup", verdict);
    sqlite3_finalize(statement);
    sqlite3_progress_handler(job->to, 0, NULL, NULL);
    ret_backup->credentials = query_number(job->to, "SELECT count(*) FROM credential WHERE deleted = 0");
    ret_backup->tokens = query_number(job->to, "SELECT count(*) FROM token");
    return status;
}

static int sync_folder(const char *path)
{
    char *copy = strdup(path);
    int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    free(copy);
    return result;
}

/* Root gives what it overwrites back to its owner: the daemon must be able to open it. */
static int keep_owner(const struct job *job)
{
    struct stat before;
    if (geteuid() != 0 || stat(job->options->destination, &before) != 0)
        return 0;
    return fchown(job->fd, before.st_uid, before.st_gid);
}

static enum status put_in_place(struct job *job, struct sqlite_backup *ret_backup)
{
    const char *path = job->options->destination;
    struct stat file;
    int code = sqlite3_close(job->to);
    job->to = NULL;
    if (code != SQLITE_OK || keep_owner(job) != 0 || fsync(job->fd) != 0 || fstat(job->fd, &file) != 0)
        return fail_destination(job, errno);
    ret_backup->bytes = file.st_size;
    if (job->options->overwrite) /* before the rename: the old WAL must never stand beside the new file */
        TRY(remove_beside(job, path));
    int result = renameat2(AT_FDCWD, job->partial, AT_FDCWD, path, job->options->overwrite ? 0 : RENAME_NOREPLACE);
    if (result != 0 && errno == EINVAL) /* not every file system can */
        result = rename(job->partial, path);
    if (result != 0 && errno == EEXIST)
        return fail(job, STATUS_ALREADY_EXISTS, path, "is there already");
    if (result != 0 || sync_folder(path) != 0)
        return fail_destination(job, errno);
    return STATUS_OK;
}

/* Whatever came of it. */
static void end(struct job *job, enum status status)
{
    sqlite3_close(job->to);
    sqlite3_close(job->from);
    if (job->is_ours && status != STATUS_OK)
        unlink(job->partial);
    if (job->fd >= 0)
        close(job->fd);
    if (job->lock >= 0)
        close(job->lock);
    if (job->told >= 0)
        close(job->told);
    free(job->partial);
    sqlite_file_done(&job->file);
}

enum status sqlite_backup(const struct sqlite_backup_options *options, struct sqlite_backup *ret_backup, char why[256])
{
    struct job job = {.options = options, .file.lock = -1, .fd = -1, .lock = -1, .told = -1, .why = why};
    struct sqlite_backup result = {0};
    enum status status = open_source(&job);
    if (status == STATUS_OK)
        status = open_destination(&job);
    if (status == STATUS_OK)
        status = copy_pages(&job);
    if (status == STATUS_OK)
        status = check_copy(&job, &result);
    if (status == STATUS_OK)
        status = put_in_place(&job, &result);
    end(&job, status);
    if (status == STATUS_OK)
        *ret_backup = result;
    return status;
}

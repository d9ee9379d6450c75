/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite's files under errors of the disk, and under readers that never make a pause. */
#include "support.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>

/* A disk that breaks: SQLite's own methods, of which some fail from a moment on. */

struct methods {
    sqlite3_io_methods ours; /* first: what a file points to */
    const sqlite3_io_methods *real;
};

static struct {
    sqlite3_vfs vfs, *real;
    struct methods methods[4]; /* databases and their journals have different ones */
    atomic_bool sync_fails, write_fails;
    atomic_int syncs;
} disk;

static const sqlite3_io_methods *real_of(const sqlite3_file *file)
{
    return ((const struct methods *)file->pMethods)->real;
}

static int disk_sync(sqlite3_file *file, int flags)
{
    atomic_fetch_add(&disk.syncs, 1);
    return atomic_load(&disk.sync_fails) ? SQLITE_IOERR_FSYNC : real_of(file)->xSync(file, flags);
}

static int disk_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 offset)
{
    return atomic_load(&disk.write_fails) ? SQLITE_IOERR_WRITE : real_of(file)->xWrite(file, data, len, offset);
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    int code = disk.real->xOpen(disk.real, name, file, flags, ret_flags);
    if (code != SQLITE_OK)
        return code;
    struct methods *methods = disk.methods;
    while (methods->real != NULL && methods->real != file->pMethods)
        methods++;
    if (methods->real == NULL) {
        methods->real = file->pMethods;
        methods->ours = *file->pMethods;
        methods->ours.xSync = disk_sync;
        methods->ours.xWrite = disk_write;
    }
    file->pMethods = &methods->ours;
    return code;
}

static void disk_install(void)
{
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.real;
    disk.vfs.zName = "breaking";
    disk.vfs.xOpen = disk_open;
    assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

static void tell_status(enum status status, void *arg)
{
    if (write(*(int *)arg, &status, sizeof status) != sizeof status)
        _exit(1);
}

static enum status write_row(struct store_tx *tx, void *arg)
{
    (void)arg;
    return counter_add(tx, "x", 1);
}

/* Writes one, breaks the disk, writes another, and tells on the pipe what became of each. */
static _Noreturn void write_on_breaking_disk(const char *url, atomic_bool *what, int pipe)
{
    alarm(120); /* where the process does not end as it should */
    disk_install();
    struct store *store = open_store(&(struct store_options){.url = url});
    tell_status(store_write_wait(store, write_row, NULL), &pipe);
    atomic_store(what, true);
    store_write(store, write_row, tell_status, &pipe);
    for (;;)
        pause();
}

static void expect_end_of_process(const char *name, atomic_bool *what)
{
    char url[200];
    enum status status;
    int ends[2], code;
    snprintf(url, sizeof url, "sqlite:%s", test_path(name));
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0)
        write_on_breaking_disk(url, what, ends[1]);
    close(ends[1]);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFEXITED(code));
    assert_int_equal(WEXITSTATUS(code), EX_IOERR);
    assert_int_equal(read(ends[0], &status, sizeof status), sizeof status);
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(read(ends[0], &status, sizeof status), 0); /* the second write got no answer */
    close(ends[0]);
    struct store *store = open_store(&(struct store_options){.url = url});
    assert_in_range(counter_read(store, "x"), 1, 2);
    store_close(store);
}

static void a_failing_sync_ends_the_process(void **state)
{
    (void)state;
    expect_end_of_process("sync.db", &disk.sync_fails);
}

static void a_failing_write_ends_the_process(void **state)
{
    (void)state;
    expect_end_of_process("write.db", &disk.write_fails);
}

static void each_commit_is_synced_before_it_is_done(void **state)
{
    (void)state;
    char url[200];
    snprintf(url, sizeof url, "sqlite:%s", test_path("synced.db"));
    disk_install();
    struct store *store = open_store(&(struct store_options){.url = url});
    for (int i = 0; i < 20; i++) {
        int before = atomic_load(&disk.syncs);
        assert_int_equal(store_write_wait(store, write_row, NULL), STATUS_OK);
        assert_true(atomic_load(&disk.syncs) > before);
    }
    store_close(store);
    assert_int_equal(sqlite3_vfs_unregister(&disk.vfs), SQLITE_OK);
}

/* The WAL */

enum { BLOB_BYTES = 1 << 16, MEGABYTES = 100, READERS_AT_ONCE = 6 };

struct load {
    struct store *store;
    atomic_bool is_over;
    atomic_int reading;
    int64_t next;
    atomic_int reads;
};

static enum status write_blob(struct store_tx *tx, void *arg)
{
    char blob[BLOB_BYTES];
    struct load *load = arg;
    memset(blob, (int)load->next, sizeof blob); /* SQLite does not write what is there already */
    return store_run(tx,
                     "INSERT INTO change_log (revision, kind, subject, at) VALUES ($1, 0, $2, 0)"
                     " ON CONFLICT (revision) DO UPDATE SET subject = excluded.subject",
                     NULL, NULL, store_int(load->next++ % 100), store_blob(blob, sizeof blob));
}

static enum status read_slowly(struct store_tx *tx, void *arg)
{
    int64_t value;
    (void)arg;
    TRY(counter_get(tx, "x", &value));
    nanosleep(&(struct timespec){0, 3000000}, NULL);
    return counter_get(tx, "x", &value);
}

static void read_again(enum status status, void *arg)
{
    struct load *load = arg;
    atomic_fetch_add(&load->reads, 1);
    if (status != STATUS_OK || atomic_load(&load->is_over))
        atomic_fetch_sub(&load->reading, 1);
    else
        store_read(load->store, read_slowly, read_again, load);
}

static off_t write_much(struct load *load, const char *wal)
{
    struct stat file;
    off_t largest = 0;
    for (int i = 0; i < MEGABYTES * ((1 << 20) / BLOB_BYTES); i++) {
        assert_int_equal(store_write_wait(load->store, write_blob, load), STATUS_OK);
        assert_int_equal(stat(wal, &file), 0);
        if (file.st_size > largest)
            largest = file.st_size;
    }
    return largest >> 20;
}

static void the_wal_stays_small(void **state)
{
    (void)state;
    char url[200], wal[200];
    snprintf(url, sizeof url, "sqlite:%s", test_path("wal.db"));
    snprintf(wal, sizeof wal, "%s", test_path("wal.db-wal"));
    struct load load = {.store = open_store(&(struct store_options){.url = url})};
    assert_in_range(write_much(&load, wal), 1, 12);
    store_close(load.store);
}

static void the_wal_stays_bounded_under_readers_without_a_pause(void **state)
{
    (void)state;
    char url[200], wal[200];
    snprintf(url, sizeof url, "sqlite:%s", test_path("read.db"));
    snprintf(wal, sizeof wal, "%s", test_path("read.db-wal"));
    struct load load = {.store = open_store(&(struct store_options){.url = url}), .reading = READERS_AT_ONCE};
    for (int i = 0; i < READERS_AT_ONCE; i++)
        store_read(load.store, read_slowly, read_again, &load);
    off_t largest = write_much(&load, wal);
    atomic_store(&load.is_over, true);
    while (atomic_load(&load.reading) > 0)
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    store_close(load.store);
    print_message("the WAL grew to %ld MB, %d reads\n", (long)largest, load.reads);
    assert_in_range(largest, 1, 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failing_sync_ends_the_process),
        cmocka_unit_test(a_failing_write_ends_the_process),
        cmocka_unit_test(each_commit_is_synced_before_it_is_done),
        cmocka_unit_test(the_wal_stays_small),
        cmocka_unit_test(the_wal_stays_bounded_under_readers_without_a_pause),
    };
    return cmocka_run_group_tests_name("SQLite's files", tests, NULL, NULL);
}

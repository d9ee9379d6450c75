/* SPDX-License-Identifier: Apache-2.0 */
/* What only a SQLite file can be: of another program, damaged, locked, on a full disk. */
#include "records/schema.h"
#include "support.h"

#include "store/sqlite_check.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SKIPPED = 77 };

static char *url_of(const char *name)
{
    static char urls[4][160];
    static unsigned next;
    char *url = urls[next++ % 4];
    snprintf(url, sizeof urls[0], "sqlite:%s", test_path(name));
    return url;
}

static void make(const char *name)
{
    store_close(open_store(&(struct store_options){.url = url_of(name)}));
}

/* Opens and expects a refusal with these words. */
static void expect_refusal(const char *name, bool create, enum status status, const char *words)
{
    struct store *store = NULL;
    char why[STORE_WHY_MAX] = "";
    struct store_options options = {
        .url = url_of(name), .schema = &records_schema, .create = create, .busy_timeout_ms = 50};
    assert_int_equal(store_open(&options, &store, why), status);
    if (strstr(why, words) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", words, why);
    assert_null(store);
}

static sqlite3 *open_raw(const char *name)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(test_path(name), &db), SQLITE_OK);
    return db;
}

static void run_raw(sqlite3 *db, const char *sql)
{
    char *error = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s", error);
}

static void run_on_file(const char *name, const char *sql)
{
    sqlite3 *db = open_raw(name);
    run_raw(db, sql);
    sqlite3_close(db);
}

static void put_file(const char *name, long offset, const void *data, size_t len)
{
    int fd = open(test_path(name), O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, offset), len);
    close(fd);
}

static mode_t mode_of(const char *name)
{
    struct stat file;
    assert_int_equal(stat(test_path(name), &file), 0);
    return file.st_mode & 07777;
}

static long size_of(const char *name)
{
    struct stat file;
    assert_int_equal(stat(test_path(name), &file), 0);
    return file.st_size;
}

static enum status write_one(struct store *store, const char *name)
{
    struct pending pending;
    pending_init(&pending, name, 1, STATUS_OK);
    return store_write_wait(store, pending_add, &pending);
}

/* The files themselves */

static void the_files_can_be_read_by_their_owner_only(void **state)
{
    (void)state;
    mode_t before = umask(0);
    struct store *store = open_store(&(struct store_options){.url = url_of("private.db")});
    assert_int_equal(write_one(store, "x"), STATUS_OK);
    assert_int_equal(mode_of("private.db"), 0600);
    assert_int_equal(mode_of("private.db-wal"), 0600);
    assert_int_equal(mode_of("private.db-shm"), 0600);
    assert_int_equal(mode_of("private.db-lock"), 0600);
    store_close(store);
    umask(before);
}

static void a_file_that_is_not_there_is_made_only_when_asked(void **state)
{
    (void)state;
    expect_refusal("absent.db", false, STATUS_NOT_FOUND, "No such file");
    assert_int_equal(access(test_path("absent.db"), F_OK), -1);
    expect_refusal("no-such-folder/absent.db", true, STATUS_FAILED_PRECONDITION, "cannot be made: No such file");
    make("absent.db");
    assert_int_equal(access(test_path("absent.db"), F_OK), 0);
}

static void an_empty_file_is_used_only_when_asked(void **state)
{
    (void)state;
    put_file("empty.db", 0, "", 0);
    expect_refusal("empty.db", false, STATUS_NOT_FOUND, "is empty");
    assert_int_equal(size_of("empty.db"), 0);
    make("empty.db");
}

static void a_folder_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(test_path("folder.db"), 0700), 0);
    expect_refusal("folder.db", true, STATUS_FAILED_PRECONDITION, "is not a file");
}

static void a_database_of_another_program_is_refused(void **state)
{
    (void)state;
    run_on_file("other.db", "CREATE TABLE thing (id INTEGER); INSERT INTO thing VALUES (1)");
    expect_refusal("other.db", true, STATUS_FAILED_PRECONDITION, "of another program");
    run_on_file("numbered.db", "PRAGMA application_id = 7");
    expect_refusal("numbered.db", true, STATUS_FAILED_PRECONDITION, "of another program");
    run_on_file("other.db", "INSERT INTO thing VALUES (2)"); /* still what it was */
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
    (void)state;
    static const char text[] = "Dear diary,\nI did not expect to be opened as a database. It was a long day for us.\n"
                               "A SQLite file has a header of a hundred bytes, and this one would have had another.\n";
    char after[sizeof text] = "";
    put_file("diary.txt", 0, text, sizeof text);
    expect_refusal("diary.txt", true, STATUS_FAILED_PRECONDITION, "is not a SQLite database");
    assert_int_equal(size_of("diary.txt"), sizeof text);
    int fd = open(test_path("diary.txt"), O_RDONLY);
    assert_int_equal(read(fd, after, sizeof after), sizeof after);
    close(fd);
    assert_string_equal(after, text);
}

static void a_newer_database_is_refused_and_left_alone(void **state)
{
    (void)state;
    make("newer.db");
    run_on_file("newer.db", "INSERT INTO schema_version (number, applied) VALUES (9999, 0)");
    expect_refusal("newer.db", true, STATUS_FAILED_PRECONDITION, "newer than this program: its schema is version 9999");
    run_on_file("newer.db", "DELETE FROM schema_version WHERE number = 9999");
    make("newer.db");
}

static void a_damaged_database_is_refused(void **state)
{
    (void)state;
    static const char garbage[4096 * 4] = {[10] = 'x', [5000] = 'y'};
    make("damaged.db");
    put_file("damaged.db", 4096, garbage, sizeof garbage);
    expect_refusal("damaged.db", false, STATUS_FAILED_PRECONDITION, "is damaged");
}

static void a_truncated_database_is_refused(void **state)
{
    (void)state;
    make("short.db");
    assert_int_equal(truncate(test_path("short.db"), 4096 * 3), 0);
    expect_refusal("short.db", false, STATUS_FAILED_PRECONDITION, "is damaged");
}

/* One that takes long to be read: what is seen of it in passing. */
static void a_large_database_is_looked_at_in_passing(void **state)
{
    (void)state;
    static const char garbage[4096] = {[10] = 'x', [2000] = 'y'};
    struct store *store = NULL;
    char why[STORE_WHY_MAX] = "";
    const struct store_options options = {.url = url_of("large.db"), .schema = &records_schema, .checked_wholly = 1};
    make("large.db");
    run_on_file("large.db",
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
                " INSERT INTO change_log (revision, kind, at, subject) SELECT i, 1, 1, zeroblob(100) FROM n");
    long size = size_of("large.db");
    assert_true(size > 100 * 4096);
    put_file("large.db", size - 20 * 4096, garbage, sizeof garbage);
    expect_refusal("large.db", false, STATUS_FAILED_PRECONDITION, "is damaged");
    assert_int_equal(store_open(&options, &store, why), STATUS_OK); /* it was not read */
    store_close(store);
    const struct sqlite_check_options check = {.path = test_path("large.db")};
    assert_int_equal(sqlite_check(&check, why), STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(why, "is damaged"));
    assert_int_equal(truncate(test_path("large.db"), size / 2 / 4096 * 4096), 0);
    assert_int_equal(store_open(&options, &store, why), STATUS_FAILED_PRECONDITION);
    assert_non_null(strstr(why, "is damaged"));
}

static void a_database_whose_making_was_interrupted_is_finished(void **state)
{
    (void)state;
    run_on_file("half.db", "PRAGMA application_id = 1195463749; PRAGMA journal_mode = WAL");
    make("half.db");
    run_on_file("half.db", "INSERT INTO counter (name, value) VALUES ('x', 1)");
}

/* Other processes */

static int exit_code_of(pid_t child)
{
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    return WIFEXITED(code) ? WEXITSTATUS(code) : 128 + WTERMSIG(code);
}

static void a_second_daemon_is_refused(void **state)
{
    (void)state;
    struct store *store = open_store(&(struct store_options){.url = url_of("two.db")});
    expect_refusal("two.db", true, STATUS_UNAVAILABLE, "another daemon uses the database");
    assert_int_equal(symlink(test_path("two.db"), test_path("link.db")), 0);
    expect_refusal("link.db", true, STATUS_UNAVAILABLE, "another daemon uses the database");
    store_close(store);
    make("two.db");
}

static void a_killed_daemon_leaves_the_database_free(void **state)
{
    (void)state;
    int ends[2];
    char byte;
    make("killed.db");
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        open_store(&(struct store_options){.url = url_of("killed.db")});
        _exit(write(ends[1], "x", 1) == 1 ? pause() : 1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    expect_refusal("killed.db", false, STATUS_UNAVAILABLE, "another daemon uses the database");
    kill(child, SIGKILL);
    assert_int_equal(exit_code_of(child), 128 + SIGKILL);
    make("killed.db");
    close(ends[0]);
    close(ends[1]);
}

static void other_processes_can_read_meanwhile(void **state)
{
    (void)state;
    struct store *store = open_store(&(struct store_options){.url = url_of("read.db")});
    assert_int_equal(write_one(store, "x"), STATUS_OK);
    run_on_file("read.db", "SELECT * FROM counter");
    assert_int_equal(write_one(store, "x"), STATUS_OK);
    store_close(store);
}

static void a_lock_of_another_process_is_unavailable_until_it_goes(void **state)
{
    (void)state;
    struct store *store = open_store(&(struct store_options){.url = url_of("locked.db"), .busy_timeout_ms = 50});
    sqlite3 *other = open_raw("locked.db");
    run_raw(other, "BEGIN IMMEDIATE");
    assert_int_equal(write_one(store, "x"), STATUS_UNAVAILABLE);
    assert_int_equal(counter_read(store, "x"), -1);
    run_raw(other, "COMMIT");
    assert_int_equal(write_one(store, "x"), STATUS_OK);
    assert_int_equal(counter_read(store, "x"), 1);
    sqlite3_close(other);
    store_close(store);
}

static void a_database_that_is_locked_at_the_start_is_unavailable(void **state)
{
    (void)state;
    make("busy.db");
    sqlite3 *other = open_raw("busy.db");
    run_raw(other, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    expect_refusal("busy.db", false, STATUS_UNAVAILABLE, "is locked by another process");
    run_raw(other, "COMMIT");
    sqlite3_close(other);
    make("busy.db");
}

/* As somebody who may read the file and not write it: root could. */
static int open_as_nobody(const char *url)
{
    enum { NOBODY = 65534 };
    struct store *store = NULL;
    char why[STORE_WHY_MAX] = "";
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        return SKIPPED;
    if (store_open(&(struct store_options){.url = url, .schema = &records_schema}, &store, why) !=
        STATUS_FAILED_PRECONDITION)
        return 1;
    return strstr(why, "cannot be written to") != NULL ? 0 : 2;
}

static void a_read_only_file_is_refused(void **state)
{
    (void)state;
    char file[200], folder[200];
    snprintf(folder, sizeof folder, "%s", test_path("readonly"));
    snprintf(file, sizeof file, "%s", test_path("readonly/file.db"));
    assert_int_equal(mkdir(folder, 0777), 0);
    make("readonly/file.db");
    assert_int_equal(unlink(test_path("readonly/file.db-lock")), 0);
    assert_int_equal(chmod(file, 0444), 0);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(chmod(test_path(""), 0755), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(open_as_nobody(url_of("readonly/file.db")));
    int code = exit_code_of(child);
    if (code == SKIPPED)
        skip();
    assert_int_equal(code, 0);
}

/* Full disk: in a child with a file system of its own, which goes when it ends. */

enum { DISK_BYTES = 3 << 19, ROW_BYTES = 3000 };

struct bulk {
    int number;
};

static enum status write_bulk(struct store_tx *tx, void *arg)
{
    static const char filler[ROW_BYTES] = {1};
    const struct bulk *bulk = arg;
    return store_run(tx, "INSERT INTO change_log (revision, kind, subject, at) VALUES ($1, 0, $2, 0)", NULL, NULL,
                     store_int(bulk->number), store_blob(filler, sizeof filler));
}

static enum status keep_number(const struct store_row *row, void *arg)
{
    *(int *)arg = (int)store_row_int(row, 0);
    return STATUS_OK;
}

static enum status count_bulk(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM change_log", keep_number, arg);
}

static void expect_rows(struct store *store, int rows)
{
    int found = -1;
    assert_int_equal(store_read_wait(store, count_bulk, &found), STATUS_OK);
    assert_int_equal(found, rows);
}

static void fill_and_free_the_disk(const char *url)
{
    struct bulk bulk = {0};
    enum status status;
    struct store *store = open_store(&(struct store_options){.url = url});
    while ((status = store_write_wait(store, write_bulk, &bulk)) == STATUS_OK)
        bulk.number++;
    assert_int_equal(status, STATUS_UNAVAILABLE);
    assert_true(bulk.number > 10);
    expect_rows(store, bulk.number);
    assert_int_equal(store_write_wait(store, write_bulk, &bulk), STATUS_UNAVAILABLE);
    assert_int_equal(unlink(test_path("small/ballast")), 0);
    for (int i = 0; i < 10; i++, bulk.number++)
        assert_int_equal(store_write_wait(store, write_bulk, &bulk), STATUS_OK);
    expect_rows(store, bulk.number);
    store_close(store);
    store = open_store(&(struct store_options){.url = url});
    expect_rows(store, bulk.number);
    store_close(store);
}

static int mount_and_fill(const char *folder)
{
    char size[32];
    static const char zeros[1 << 19];
    snprintf(size, sizeof size, "size=%d", DISK_BYTES);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", folder, "tmpfs", 0, size) != 0)
        return SKIPPED;
    int fd = open(test_path("small/ballast"), O_WRONLY | O_CREAT, 0600);
    if (write(fd, zeros, sizeof zeros) != sizeof zeros)
        return 1;
    close(fd);
    fill_and_free_the_disk(url_of("small/full.db"));
    return 0;
}

static void on_a_full_disk_nothing_is_lost_and_it_goes_on_when_there_is_room(void **state)
{
    (void)state;
    char folder[200];
    snprintf(folder, sizeof folder, "%s", test_path("small"));
    assert_int_equal(mkdir(folder, 0700), 0);
    pid_t child = fork();
    if (child == 0)
        _exit(mount_and_fill(folder)); /* a failed assertion ends the child with another code */
    int code = exit_code_of(child);
    if (code == SKIPPED) {
        print_message("no file system can be mounted here: not tested\n");
        skip();
    }
    assert_int_equal(code, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_files_can_be_read_by_their_owner_only),
        cmocka_unit_test(a_file_that_is_not_there_is_made_only_when_asked),
        cmocka_unit_test(an_empty_file_is_used_only_when_asked),
        cmocka_unit_test(a_folder_is_refused),
        cmocka_unit_test(a_database_of_another_program_is_refused),
        cmocka_unit_test(a_file_that_is_no_database_is_refused_and_left_alone),
        cmocka_unit_test(a_newer_database_is_refused_and_left_alone),
        cmocka_unit_test(a_damaged_database_is_refused),
        cmocka_unit_test(a_truncated_database_is_refused),
        cmocka_unit_test(a_large_database_is_looked_at_in_passing),
        cmocka_unit_test(a_database_whose_making_was_interrupted_is_finished),
        cmocka_unit_test(a_second_daemon_is_refused),
        cmocka_unit_test(a_killed_daemon_leaves_the_database_free),
        cmocka_unit_test(other_processes_can_read_meanwhile),
        cmocka_unit_test(a_lock_of_another_process_is_unavailable_until_it_goes),
        cmocka_unit_test(a_database_that_is_locked_at_the_start_is_unavailable),
        cmocka_unit_test(a_read_only_file_is_refused),
        cmocka_unit_test(on_a_full_disk_nothing_is_lost_and_it_goes_on_when_there_is_room),
    };
    return cmocka_run_group_tests_name("a SQLite file", tests, NULL, NULL);
}

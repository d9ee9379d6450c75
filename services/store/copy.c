/* SPDX-License-Identifier: Apache-2.0 */
#include "store/copy.h"

#include "store/copy_presence.h"
#include "store/copy_table.h"
#include "store/driver.h"
#include "store/sqlite_backup.h"
#include "store/sqlite_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* The mark's value: this word, or another that names the copy under way. Two of them would make nonsense together. */
static const char finished[] = "finished";
enum { MARK_LEN = 16, KEY_MAX = 64, SHOW_ROWS = 1000, REPLY_TIMEOUT_MS = 600000 };

struct copy {
    const struct copy_options *options;
    struct copy_result *result;
    struct store *from, *to;
    char *folder; /* where the source's backup is; NULL: there is none */
    char *url;    /* its address */
    struct side source, target;
    struct plan plans[COPY_TABLES_MAX];
    uint8_t mark[MARK_LEN];
    int64_t begun; /* by the source's clock, where it is shared */
    char *why;
};

static enum status fail(struct copy *copy, enum status status, const char *what, const char *detail)
{
    snprintf(copy->why, STORE_WHY_MAX, "%s: %s", what, detail);
    return status;
}

/* Keeps the reason that is there already. */
static enum status explain(struct copy *copy, enum status status, const char *what, const char *table)
{
    if (status != STATUS_OK && copy->why[0] == '\0')
        snprintf(copy->why, STORE_WHY_MAX, "%s table %s: %s", what, table,
                 status == STATUS_FAILED_PRECONDITION
                     ? "the rows do not come in the order of their bytes; the database's collation must be \"C\""
                     : status_name(status));
    return status;
}

static enum status give_up(struct copy *copy)
{
    return fail(copy, STATUS_CANCELLED, "given up", "made again, the copy goes on where it is");
}

/* The source, as of one moment */

static const char *sqlite_path(const char *url)
{
    size_t len = strlen(sqlite_driver.scheme);
    return strncmp(url, sqlite_driver.scheme, len) == 0 ? url + len : NULL;
}

/* sqlite_backup_options.progress, on the thread of store_copy. */
static bool show_backup(void *arg, int64_t done, int64_t total)
{
    struct copy *copy = arg;
    const struct copy_options *options = copy->options;
    return options->progress == NULL || options->progress(options->arg, "reading", "bytes", done, total);
}

static char *file_in(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static enum status back_up(struct copy *copy, const char *path)
{
    const char *parent = getenv("TMPDIR");
    struct sqlite_backup backup;
    copy->folder = file_in(parent == NULL || parent[0] == '\0' ? "/var/tmp" : parent, "gatehouse-copy-XXXXXX");
    if (copy->folder == NULL || mkdtemp(copy->folder) == NULL) {
        enum status status = fail(copy, STATUS_UNAVAILABLE, "no temporary file can be made", strerror(errno));
        free(copy->folder);
        copy->folder = NULL;
        return status;
    }
    char *file = file_in(copy->folder, "source");
    if (file == NULL)
        return fail(copy, STATUS_UNAVAILABLE, copy->folder, "out of memory");
    const struct sqlite_backup_options options = {
        .source = path, .destination = file, .progress = show_backup, .arg = copy};
    enum status status = sqlite_backup(&options, &backup, copy->why);
    free(file);
    return status;
}

static void remove_backup(struct copy *copy)
{
    static const char *const names[] = {"source", "source-wal", "source-shm", "source-lock", "source-journal"};
    for (size_t i = 0; copy->folder != NULL && i < sizeof names / sizeof names[0]; i++) {
        char *path = file_in(copy->folder, names[i]);
        if (path != NULL)
            unlink(path);
        free(path);
    }
    if (copy->folder != NULL)
        rmdir(copy->folder);
    free(copy->folder);
}

static enum status open_source(struct copy *copy)
{
    const char *path = sqlite_path(copy->options->from);
    struct store_options options = {.url = copy->options->from,
                                    .schema = copy->options->schema,
                                    .readers = 1,
                                    .reply_timeout_ms = REPLY_TIMEOUT_MS};
    copy->result->is_source_used = path != NULL && sqlite_file_is_used(path);
    if (copy->result->is_source_used) {
        TRY(back_up(copy, path));
        if (asprintf(&copy->url, "%s%s/source", sqlite_driver.scheme, copy->folder) < 0)
            return fail(copy, STATUS_UNAVAILABLE, path, "out of memory");
        options.url = copy->url;
    }
    TRY(store_open(&options, &copy->from, copy->why));
    return store_is_shared(copy->from) ? presence_look(copy->from, &copy->begun, &copy->result->is_source_used)
                                       : STATUS_OK;
}

/* Marks */

struct identity {
    uint8_t key[KEY_MAX], mark[KEY_MAX];
    size_t key_len, mark_len;
    int64_t rows; /* of all tables */
    struct copy *copy;
};

/* A store_row_fn: name and value of `instance`. */
static enum status keep_instance(const struct store_row *row, void *arg)
{
    struct identity *identity = arg;
    const char *name = store_row_text(row, 0);
    size_t len = 0;
    const void *value = store_row_blob(row, 1, &len);
    bool is_key = strcmp(name, "page_key") == 0, is_mark = strcmp(name, "copy") == 0;
    if ((!is_key && !is_mark) || len > KEY_MAX)
        return STATUS_OK;
    memcpy(is_key ? identity->key : identity->mark, value, len);
    *(is_key ? &identity->key_len : &identity->mark_len) = len;
    return STATUS_OK;
}

/* A store_row_fn. */
static enum status add_number(const struct store_row *row, void *arg)
{
    *(int64_t *)arg += store_row_int(row, 0);
    return STATUS_OK;
}

/* A store_fn of either side. */
static enum status identify(struct store_tx *tx, void *arg)
{
    struct identity *identity = arg;
    identity->key_len = identity->mark_len = 0;
    return store_run(tx, "SELECT name, value FROM instance", keep_instance, identity);
}

/* A store_fn of the target. */
static enum status count_all(struct store_tx *tx, void *arg)
{
    struct identity *identity = arg;
    const struct store_schema *schema = identity->copy->options->schema;
    identity->rows = 0;
    for (size_t i = 0; i < schema->tables_count; i++) {
        if (strcmp(schema->tables[i].name, "counter") == 0) /* a new database has some */
            continue;
        TRY(store_run_n(tx, identity->copy->plans[i].total, NULL, 0, add_number, &identity->rows));
    }
    return STATUS_OK;
}

static bool is_finished(const struct identity *identity)
{
    return identity->mark_len == strlen(finished) && memcmp(identity->mark, finished, strlen(finished)) == 0;
}

static enum status put_mark(struct store_tx *tx, const void *value, size_t len)
{
    return store_run(tx,
                     "INSERT INTO instance (name, value) VALUES ('copy', $1) ON CONFLICT (name) DO UPDATE SET "
                     "value = excluded.value",
                     NULL, NULL, store_blob(value, len));
}

/* A store_fn of the target. */
static enum status set_mark(struct store_tx *tx, void *arg)
{
    struct copy *copy = arg;
    TRY(put_mark(tx, copy->mark, sizeof copy->mark));
    return references_lift(tx, copy->options->schema);
}

/* A store_row_fn. */
static enum status keep_is_ours(const struct store_row *row, void *arg)
{
    size_t len = 0;
    const void *mark = store_row_blob(row, 0, &len);
    struct identity *identity = arg;
    identity->mark_len = len;
    memcpy(identity->mark, mark, len < KEY_MAX ? len : KEY_MAX);
    return STATUS_OK;
}

/* Nobody else has begun a copy to the same target since. */
static enum status check_mark(struct store_tx *tx, struct copy *copy)
{
    struct identity now = {0};
    TRY(store_run(tx, "SELECT value FROM instance WHERE name = 'copy'", keep_is_ours, &now));
    if (now.mark_len == sizeof copy->mark && memcmp(now.mark, copy->mark, sizeof copy->mark) == 0)
        return STATUS_OK;
    return fail(copy, STATUS_FAILED_PRECONDITION, copy->options->to, "another copy to it has begun");
}

/* A store_fn of the target, after all tables. */
static enum status finish(struct store_tx *tx, void *arg)
{
    struct copy *copy = arg;
    TRY(check_mark(tx, copy));
    TRY(put_mark(tx, finished, strlen(finished)));
    return references_restore(tx, copy->options->schema);
}

static enum status check_source(struct copy *copy, struct identity *identity)
{
    TRY(side_read(&copy->source, identify, identity));
    if (identity->mark_len != 0 && !is_finished(identity))
        return fail(copy, STATUS_FAILED_PRECONDITION, copy->options->from, "is a copy that is not finished");
    if (identity->key_len == 0)
        return fail(copy, STATUS_FAILED_PRECONDITION, copy->options->from, "has nothing in it; was it ever in use?");
    return STATUS_OK;
}

/* Empty, or an earlier copy of the same installation that no daemon has taken into use. */
static enum status check_target(struct copy *copy)
{
    struct identity source = {.copy = copy}, target = {.copy = copy};
    const char *url = copy->options->to;
    TRY(check_source(copy, &source));
    TRY(side_read(&copy->target, identify, &target));
    bool is_same = target.key_len == source.key_len && memcmp(target.key, source.key, source.key_len) == 0;
    if (target.key_len != 0 && !is_same)
        return fail(copy, STATUS_FAILED_PRECONDITION, url, "has another installation in it");
    if (target.mark_len == 0) {
        TRY(side_read(&copy->target, count_all, &target));
        if (target.rows != 0)
            return fail(copy, STATUS_FAILED_PRECONDITION, url,
                        is_same ? "is in use already: what was done there since would be lost" : "is not empty");
    }
    ssize_t len = getrandom(copy->mark, sizeof copy->mark, 0);
    if (len != sizeof copy->mark)
        return fail(copy, STATUS_UNAVAILABLE, "no random numbers", strerror(errno));
    return store_write_wait(copy->to, set_mark, copy);
}

/* One table */

struct pass {
    struct copy *copy;
    const struct plan *plan;
    struct copy_table *entry;
    const char *doing;
    bool is_removing;
    struct batch *batch;
    int64_t total, done, target_rows, different;
    uint64_t target_digest;
};

static bool goes_on(const struct pass *pass)
{
    const struct copy_options *options = pass->copy->options;
    return options->progress == NULL ||
           options->progress(options->arg, pass->doing, pass->entry->name, pass->done, pass->total);
}

static enum status insert_many(struct store_tx *tx, const struct plan *plan, const struct row *rows)
{
    struct store_value values[MANY_ROWS * STORE_COLUMNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < MANY_ROWS; i++) {
        for (size_t j = 0; j < plan->table->count; j++)
            values[count++] = rows[i].values[j];
    }
    return store_run_n(tx, plan->insert_many, values, count, NULL, NULL);
}

/* A store_fn of the target. */
static enum status write_batch(struct store_tx *tx, void *arg)
{
    struct pass *pass = arg;
    const struct plan *plan = pass->plan;
    const struct row *row = pass->batch->rows, *end = row + pass->batch->count;
    TRY(check_mark(tx, pass->copy));
    for (; pass->is_removing && row < end; row++)
        TRY(store_run_n(tx, plan->remove, row->values, plan->table->keys, NULL, NULL));
    for (; end - row >= MANY_ROWS; row += MANY_ROWS)
        TRY(insert_many(tx, plan, row));
    for (; row < end; row++)
        TRY(store_run_n(tx, plan->insert, row->values, plan->table->count, NULL, NULL));
    return STATUS_OK;
}

static enum status flush(struct pass *pass)
{
    if (pass->batch->count == 0)
        return STATUS_OK;
    enum status status = store_write_wait(pass->copy->to, write_batch, pass);
    *(pass->is_removing ? &pass->entry->removed : &pass->entry->inserted) += (int64_t)pass->batch->count;
    batch_clear(pass->batch, pass->plan->table);
    return status;
}

static enum status count_row(struct pass *pass)
{
    pass->done++;
    return pass->done % SHOW_ROWS != 0 || goes_on(pass) ? STATUS_OK : give_up(pass->copy);
}

/* A visit_fn. */
static enum status write_row(void *arg, enum difference difference, const struct row *from, const struct row *to)
{
    struct pass *pass = arg;
    bool is_wanted =
        pass->is_removing ? difference == ROW_EXTRA || difference == ROW_DIFFERENT : difference == ROW_MISSING;
    TRY(count_row(pass));
    if (!is_wanted)
        return STATUS_OK;
    batch_add(pass->batch, pass->plan->table, pass->is_removing ? to : from);
    return pass->batch->count == BATCH_ROWS ? flush(pass) : STATUS_OK;
}

static enum status compare_row(void *arg, enum difference difference, const struct row *from, const struct row *to)
{
    struct pass *pass = arg;
    const struct store_table *table = pass->plan->table;
    pass->different += difference != ROW_SAME;
    pass->entry->rows += from != NULL;
    pass->target_rows += to != NULL;
    if (from != NULL)
        pass->entry->digest = row_digest(pass->entry->digest, table, from);
    if (to != NULL)
        pass->target_digest = row_digest(pass->target_digest, table, to);
    return count_row(pass);
}

/* What is to go goes first: a row that comes may need its place in a unique index. */
static enum status write_table(struct pass *pass)
{
    static const char *const doing[] = {"copying", "clearing"};
    for (int is_removing = 1; is_removing >= 0; is_removing--) {
        pass->is_removing = is_removing != 0;
        pass->doing = doing[is_removing];
        pass->done = 0;
        TRY(table_walk(pass->plan, &pass->copy->source, &pass->copy->target, pass->is_removing, write_row, pass));
        TRY(flush(pass));
    }
    return STATUS_OK;
}

static enum status check_table(struct pass *pass)
{
    pass->doing = "checking";
    pass->done = 0;
    pass->entry->digest = pass->target_digest = DIGEST_START;
    TRY(table_walk(pass->plan, &pass->copy->source, &pass->copy->target, false, compare_row, pass));
    if (pass->different == 0 && pass->entry->rows == pass->target_rows && pass->entry->digest == pass->target_digest)
        return STATUS_OK;
    snprintf(pass->copy->why, STORE_WHY_MAX,
             "table %s: %" PRId64 " rows differ (%" PRId64 " and %" PRId64
             " rows): something else writes to the target",
             pass->entry->name, pass->different, pass->entry->rows, pass->target_rows);
    return STATUS_FAILED_PRECONDITION;
}

/* Both sides are the same afterwards, which is checked. */
static enum status copy_table(struct copy *copy, const struct plan *plan)
{
    struct copy_table *entry = &copy->result->tables[copy->result->count++];
    *entry = (struct copy_table){.name = plan->table->name};
    struct pass pass = {.copy = copy, .plan = plan, .entry = entry, .batch = calloc(1, sizeof *pass.batch)};
    if (pass.batch == NULL)
        return fail(copy, STATUS_UNAVAILABLE, entry->name, "out of memory");
    enum status status = store_run_n(copy->source.tx, plan->total, NULL, 0, add_number, &pass.total);
    if (status == STATUS_OK)
        status = write_table(&pass);
    if (status == STATUS_OK)
        status = check_table(&pass);
    batch_clear(pass.batch, plan->table);
    free(pass.batch);
    return explain(copy, status, "copying", entry->name);
}

/* Before it counts as the last copy. */
static enum status listen(struct copy *copy)
{
    enum status status = presence_listen(copy->from, copy->options, copy->begun, &copy->result->is_source_used);
    return status == STATUS_CANCELLED ? give_up(copy) : explain(copy, status, "reading", "process");
}

/* The whole copy runs inside one transaction that reads the source. */
static enum status copy_all(struct store_tx *tx, void *arg)
{
    struct copy *copy = arg;
    copy->source = (struct side){.tx = tx};
    copy->target = (struct side){.store = copy->to};
    copy->result->count = 0;
    TRY(explain(copy, check_target(copy), "reading", "instance"));
    for (size_t i = 0; i < copy->options->schema->tables_count; i++)
        TRY(copy_table(copy, &copy->plans[i]));
    /* With a daemon on the source it is not the last copy: what is done there from now on is missing. On a shared store
     * one may have been started since. */
    if (store_is_shared(copy->from))
        TRY(listen(copy));
    return copy->result->is_source_used ? STATUS_OK : store_write_wait(copy->to, finish, copy);
}

static enum status make_plans(struct copy *copy)
{
    _Static_assert(sizeof copy->plans / sizeof copy->plans[0] >= 14, "room for all tables");
    for (size_t i = 0; i < copy->options->schema->tables_count; i++) {
        if (plan_init(&copy->plans[i], &copy->options->schema->tables[i]) != STATUS_OK)
            return fail(copy, STATUS_UNAVAILABLE, copy->options->schema->tables[i].name, "out of memory");
    }
    return STATUS_OK;
}

enum status store_copy(const struct copy_options *options, struct copy_result *ret_result, char why[256])
{
    struct copy copy = {.options = options, .result = ret_result, .why = why};
    const struct store_options to = {.url = options->to,
                                     .schema = options->schema,
                                     .create = true,
                                     .is_unchecked = true,
                                     .readers = 1,
                                     .reply_timeout_ms = REPLY_TIMEOUT_MS};
    *ret_result = (struct copy_result){0};
    why[0] = '\0';
    enum status status = make_plans(&copy);
    if (status == STATUS_OK)
        status = open_source(&copy);
    if (status == STATUS_OK)
        status = store_open(&to, &copy.to, why);
    if (status == STATUS_OK)
        status = explain(&copy, store_read_wait(copy.from, copy_all, &copy), "finishing", "instance");
    store_close(copy.to);
    store_close(copy.from);
    remove_backup(&copy);
    free(copy.url);
    for (size_t i = 0; i < options->schema->tables_count; i++)
        plan_done(&copy.plans[i]);
    return status;
}

/* The daemon's side */

/* A store_fn. */
static enum status claim(struct store_tx *tx, void *arg)
{
    struct identity *identity = arg;
    TRY(identify(tx, identity));
    if (!is_finished(identity))
        return STATUS_OK;
    identity->mark_len = 0;
    return store_run(tx, "DELETE FROM instance WHERE name = 'copy' AND value = $1", NULL, NULL,
                     store_blob(finished, strlen(finished)));
}

enum status copy_claim(struct store *store, bool *ret_was_copy, char why[256])
{
    struct identity identity = {0};
    enum status status = store_read_wait(store, identify, &identity);
    *ret_was_copy = status == STATUS_OK && is_finished(&identity);
    if (*ret_was_copy)
        status = store_write_wait(store, claim, &identity);
    if (status != STATUS_OK) {
        snprintf(why, STORE_WHY_MAX, "the database cannot be read: %s", status_name(status));
        return status;
    }
    if (identity.mark_len == 0)
        return STATUS_OK;
    snprintf(why, STORE_WHY_MAX,
             "the database is a copy that is not finished; stop the daemon that it is copied from, and run `gatehouse "
             "admin copy` again");
    return STATUS_FAILED_PRECONDITION;
}

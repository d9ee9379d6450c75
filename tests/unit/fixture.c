/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "records/schema.h"

#include <string.h>

static const char *url_of(const char *file)
{
    static char url[160];
    const char *given = getenv("GATEHOUSE_TEST_STORE");
    if (given != NULL && given[0] != '\0')
        return given;
    snprintf(url, sizeof url, "sqlite:%s", test_path(file));
    return url;
}

static void open_domain(struct fixture *fixture)
{
    struct domain_options options = {.store = fixture->store, .clock = fixture->clock, .flush_interval_ms = -1};
    assert_int_equal(domain_open(&options, &fixture->domain), STATUS_OK);
}

void fixture_open(struct fixture *fixture, const char *file, const struct driver *driver)
{
    char why[STORE_WHY_MAX] = "";
    struct store_options options = {.url = url_of(file), .schema = &records_schema, .create = true};
    *fixture = (struct fixture){.clock = clock_new_manual(START)};
    enum status status = driver == NULL ? store_open(&options, &fixture->store, why)
                                        : store_open_driver(driver, &options, &fixture->store, why);
    if (status != STATUS_OK)
        fail_msg("%s", why);
    open_domain(fixture);
}

void fixture_close(struct fixture *fixture)
{
    domain_close(fixture->domain);
    store_close(fixture->store);
    clock_free(fixture->clock);
    arena_done(&fixture->arena);
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    enum status status;
};

static void wake(enum status status, struct waiting *waiting)
{
    pthread_mutex_lock(&waiting->lock);
    waiting->is_done = true;
    waiting->status = status;
    pthread_cond_signal(&waiting->changed);
    pthread_mutex_unlock(&waiting->lock);
}

static enum status wait_for(struct waiting *waiting)
{
    pthread_mutex_lock(&waiting->lock);
    while (!waiting->is_done)
        pthread_cond_wait(&waiting->changed, &waiting->lock);
    pthread_mutex_unlock(&waiting->lock);
    return waiting->status;
}

static void flushed(enum status status, void *arg)
{
    wake(status, arg);
}

static enum status nothing(struct store_tx *tx, void *arg)
{
    (void)tx;
    (void)arg;
    return STATUS_OK;
}

enum status flush(struct fixture *fixture)
{
    struct waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    flush_begin(fixture->domain->flush, FLUSH_ROUND, flushed, &waiting);
    enum status status = wait_for(&waiting);
    /* Completions come in order: when this one is done, so is all that the flush's own did after it told us. */
    enum status after = store_write_wait(fixture->store, nothing, NULL);
    (void)after;
    return status;
}

void fixture_crash(struct fixture *fixture, const char *file)
{
    /* What domain_close would still store is taken away first. */
    struct store *before = fixture->store;
    char why[STORE_WHY_MAX] = "";
    struct token_use *uses = NULL;
    struct usage_delta *deltas = NULL;
    token_table_gather(fixture->domain->memory->tokens, &(struct token_gathering){.is_all = true}, &uses);
    usage_gather(fixture->domain->memory->usage, clock_now(fixture->clock), &deltas);
    free(uses);
    free(deltas);
    domain_close(fixture->domain);
    store_close(before);
    assert_int_equal(
        store_open(&(struct store_options){.url = url_of(file), .schema = &records_schema}, &fixture->store, why),
        STATUS_OK);
    open_domain(fixture);
}

struct working {
    struct work work;
    work_fn *fn;
    void *arg;
};

static enum status run_work(struct store_tx *tx, void *arg)
{
    struct working *working = arg;
    work_begin(&working->work, tx);
    return working->fn(&working->work, working->arg);
}

enum status do_work(struct fixture *fixture, work_fn *fn, void *arg, int64_t *ret_tokens_ended)
{
    struct working working = {.fn = fn, .arg = arg};
    working.work = domain_work(fixture->domain, &fixture->arena, "test");
    enum status status = store_write_wait(fixture->store, run_work, &working);
    if (ret_tokens_ended != NULL)
        *ret_tokens_ended = working.work.tokens_ended;
    if (status == STATUS_OK)
        work_apply(&working.work);
    work_reset(&working.work);
    return status;
}

struct making {
    struct credential *credential;
    struct role_set roles;
};

static enum status create(struct work *work, void *arg)
{
    struct making *making = arg;
    char secret[SECRET_TEXT_LEN + 1];
    return credential_create(work, making->credential, &making->roles, secret);
}

struct credential *make_credential(struct fixture *fixture, const char *name, const char *role)
{
    struct making making = {.credential = arena_new(&fixture->arena, struct credential)};
    making.credential->name = arena_text(&fixture->arena, name);
    making.credential->owner = making.credential->contact = making.credential->labels = "";
    role_set_add(&making.roles, directory_role_number(fixture->domain->memory->directory, role));
    assert_int_equal(do_work(fixture, create, &making, NULL), STATUS_OK);
    return making.credential;
}

struct inserting {
    struct token_row row;
    const char *client_id;
    int64_t inserted;
};

static enum status insert(struct store_tx *tx, void *arg)
{
    struct inserting *inserting = arg;
    return token_row_insert(tx, &inserting->row, inserting->client_id, &inserting->inserted);
}

struct token_key make_token(struct fixture *fixture, const struct credential *credential)
{
    char text[TOKEN_TEXT_LEN + 1];
    return make_token_text(fixture, credential, text);
}

struct token_key make_token_text(struct fixture *fixture, const struct credential *credential,
                                 char text[static TOKEN_TEXT_LEN + 1])
{
    struct inserting inserting = {.row = {.credential_id = credential->id, .epoch = credential->epoch},
                                  .client_id = credential->client_id};
    inserting.row.last_used = clock_now(fixture->clock);
    assert_true(token_text_new(inserting.row.last_used, crypto_random, text));
    assert_true(token_text_parse(text, &inserting.row.key));
    assert_int_equal(store_write_wait(fixture->store, insert, &inserting), STATUS_OK);
    assert_int_equal(inserting.inserted, 1);
    return inserting.row.key;
}

static void answered(enum status status, struct introspection *introspection)
{
    wake(status, introspection->arg);
}

bool is_active(struct fixture *fixture, const struct token_key *key, bool is_use)
{
    struct waiting waiting = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct introspection question;
    memset(&question, 0xa5, sizeof question); /* what a pool of connections gives out, say */
    introspection_init(&question);
    question.is_token = true;
    question.key = *key;
    question.api = "GET /";
    question.is_use = is_use;
    question.arg = &waiting;
    if (!introspect_in_memory(&fixture->domain->introspect, &question, clock_now(fixture->clock))) {
        introspect_in_store(&fixture->domain->introspect, &question, answered);
        assert_int_equal(wait_for(&waiting), STATUS_OK);
    }
    return question.is_active;
}

int64_t query_number(struct fixture *fixture, store_fn *fn)
{
    int64_t number = 0;
    assert_int_equal(store_read_wait(fixture->store, fn, &number), STATUS_OK);
    return number;
}

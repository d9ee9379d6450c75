/* SPDX-License-Identifier: Apache-2.0 */
/* What CredentialAdmin asks of the store: on which connection, and how much. The driver between counts. */
#include "asking.h"

static struct {
    atomic_int usage_by_writer, usage_by_others, tokens_by_writer, commits, rows;
} counted;

struct counting {
    store_row_fn *each;
    void *arg;
};

static enum status count_row(const struct store_row *row, void *arg)
{
    const struct counting *counting = arg;
    atomic_fetch_add(&counted.rows, 1);
    return counting->each(row, counting->arg);
}

struct watched_connection {
    struct connection base;
    struct connection *inner;
    bool writes;
};

static struct connection *inner_of(struct connection *connection)
{
    return ((struct watched_connection *)connection)->inner;
}

static enum status watch_connect(struct database *database, enum connection_use use, struct connection **ret_connection,
                                 char why[STORE_WHY_MAX])
{
    struct watched_connection *connection = calloc(1, sizeof *connection);
    connection->base.driver = database->driver;
    connection->writes = use == CONNECTION_WRITES;
    enum status status = sqlite_driver.connect(database, use, &connection->inner, why);
    *ret_connection = &connection->base;
    return status;
}

static void watch_disconnect(struct connection *connection)
{
    sqlite_driver.disconnect(inner_of(connection));
    free(connection);
}

static enum status watch_run(struct connection *connection, const char *sql, const struct store_value *values,
                             size_t count, store_row_fn *each, void *arg)
{
    bool writes = ((struct watched_connection *)connection)->writes;
    if (strstr(sql, "FROM usage WHERE") != NULL && strncmp(sql, "SELECT", 6) == 0)
        atomic_fetch_add(writes ? &counted.usage_by_writer : &counted.usage_by_others, 1);
    if (strstr(sql, "FROM token t CROSS JOIN") != NULL && writes)
        atomic_fetch_add(&counted.tokens_by_writer, 1);
    struct counting counting = {each, arg};
    return sqlite_driver.run(inner_of(connection), sql, values, count, each == NULL ? NULL : count_row, &counting);
}

#define PASS(name, parameters, ...) \
    static enum status watch_##name parameters \
    { \
        return sqlite_driver.name(inner_of(connection) __VA_OPT__(, ) __VA_ARGS__); \
    }
PASS(begin, (struct connection * connection))
PASS(lock, (struct connection * connection))
PASS(start, (struct connection * connection, bool marked), marked)
PASS(lock_schema, (struct connection * connection))
PASS(keep, (struct connection * connection))
PASS(undo, (struct connection * connection))
PASS(send,
     (struct connection * connection, const char *sql, const struct store_value *values, size_t count,
      int64_t *changed),
     sql, values, count, changed)
PASS(changes, (struct connection * connection, int64_t *rows), rows)
PASS(now, (struct connection * connection, int64_t *time), time)
PASS(script, (struct connection * connection, const char *sql), sql)

static enum status watch_commit(struct connection *connection)
{
    atomic_fetch_add(&counted.commits, 1);
    return sqlite_driver.commit(inner_of(connection));
}

static void watch_attend(struct connection *connection, store_waits_fn *waits, const void *waiter)
{
    sqlite_driver.attend(inner_of(connection), waits, waiter);
}

static void watch_rollback(struct connection *connection)
{
    sqlite_driver.rollback(inner_of(connection));
}

static const char *watch_reason(struct connection *connection)
{
    return sqlite_driver.reason(inner_of(connection));
}

static void watch_tidy(struct connection *connection)
{
    sqlite_driver.tidy(inner_of(connection));
}

static struct driver watched_driver(void)
{
    struct driver driver = sqlite_driver;
    driver.connect = watch_connect;
    driver.disconnect = watch_disconnect;
    driver.begin = watch_begin;
    driver.lock = watch_lock;
    driver.start = watch_start;
    driver.keep = watch_keep;
    driver.undo = watch_undo;
    driver.run = watch_run;
    driver.send = watch_send;
    driver.changes = watch_changes;
    driver.attend = watch_attend;
    driver.now = watch_now;
    driver.lock_schema = watch_lock_schema;
    driver.script = watch_script;
    driver.commit = watch_commit;
    driver.rollback = watch_rollback;
    driver.reason = watch_reason;
    driver.tidy = watch_tidy;
    return driver;
}

static struct fixture fixture;
static struct api *api;

static void *ask(const char *method, const void *request, const char *authorization)
{
    return ask_admin(api, method, request, authorization);
}

static void open_it(const char *file)
{
    static struct driver driver;
    driver = watched_driver();
    fixture_open(&fixture, file, &driver);
    api = api_of(&fixture);
    memset(&counted, 0, sizeof counted);
}

static void close_it(void)
{
    api_free(api);
    fixture_close(&fixture);
}

static void get(struct credential *credential, const char *authorization)
{
    Gatehouse__V1__GetCredentialRequest request = GATEHOUSE__V1__GET_CREDENTIAL_REQUEST__INIT;
    request.client_id = credential->client_id;
    release(ask("GetCredential", &request, authorization));
}

static void reads_do_not_write(void **state)
{
    (void)state;
    open_it("reads.db");
    struct credential *credential = make_credential(&fixture, "reads", "work_creator");
    atomic_store(&counted.commits, 0);
    for (int i = 0; i < 100; i++)
        get(credential, NULL);
    assert_int_equal(atomic_load(&counted.commits), 0);
    /* What was noted is written first, once. */
    struct token_key key = make_token(&fixture, credential);
    assert_true(is_active(&fixture, &key, true));
    atomic_store(&counted.commits, 0);
    get(credential, NULL);
    int commits = atomic_load(&counted.commits);
    assert_in_range(commits, 1, 2);
    get(credential, NULL);
    assert_int_equal(atomic_load(&counted.commits), commits);
    close_it();
}

static void nor_does_the_use_of_the_token_that_reads(void **state)
{
    (void)state;
    open_it("own.db");
    struct credential *manager = make_credential(&fixture, "manager", ROLE_USER_MANAGER);
    char text[TOKEN_TEXT_LEN + 1], authorization[TOKEN_TEXT_LEN + 8];
    make_token_text(&fixture, manager, text);
    snprintf(authorization, sizeof authorization, "Bearer %s", text);
    get(manager, authorization);
    atomic_store(&counted.commits, 0);
    for (int i = 0; i < 100; i++) {
        clock_advance(fixture.clock, CLOCK_SECOND);
        get(manager, authorization);
    }
    assert_int_equal(atomic_load(&counted.commits), 0);
    assert_int_equal(flush(&fixture), STATUS_OK); /* but it is stored with all others */
    assert_true(atomic_load(&counted.commits) > 0);
    close_it();
}

static void the_impact_of_a_dry_run_is_no_work_of_the_writer(void **state)
{
    (void)state;
    open_it("dry.db");
    struct credential *credential = make_credential(&fixture, "dry", "work_creator");
    struct token_key key = make_token(&fixture, credential);
    assert_true(is_active(&fixture, &key, true));
    clock_advance(fixture.clock, MINUTE);
    Gatehouse__V1__DeleteCredentialRequest request = GATEHOUSE__V1__DELETE_CREDENTIAL_REQUEST__INIT;
    request.client_id = credential->client_id;
    request.validate_only = true;
    Gatehouse__V1__DeleteCredentialResponse *response = ask("DeleteCredential", &request, NULL);
    assert_non_null(response);
    assert_int_equal(response->impact->tokens_ended, 1);
    assert_int_equal(response->impact->n_recent_usage, 1);
    assert_string_equal(response->impact->recent_usage[0]->api, "GET /");
    release(response);
    assert_int_equal(atomic_load(&counted.usage_by_writer), 0);
    assert_int_equal(atomic_load(&counted.usage_by_others), 1);
    assert_true(is_active(&fixture, &key, false));
    close_it();
}

static void what_stricter_settings_end_is_no_work_of_the_writer(void **state)
{
    (void)state;
    open_it("stricter.db");
    struct credential *credential = make_credential(&fixture, "stricter", "work_creator");
    make_token(&fixture, credential);
    clock_advance(fixture.clock, 10 * MINUTE);
    Gatehouse__V1__UpdateSettingsRequest request = GATEHOUSE__V1__UPDATE_SETTINGS_REQUEST__INIT;
    Gatehouse__V1__Settings settings = GATEHOUSE__V1__SETTINGS__INIT;
    Google__Protobuf__Duration idle = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *path = (char[]){"idle_session_timeout"};
    mask.paths = &path;
    mask.n_paths = 1;
    idle.seconds = 5 * 60;
    settings.idle_session_timeout = &idle;
    request.settings = &settings;
    request.update_mask = &mask;
    Gatehouse__V1__UpdateSettingsResponse *response = ask("UpdateSettings", &request, NULL);
    assert_non_null(response);
    assert_int_equal(response->impact->tokens_ended, 1);
    assert_int_equal(response->impact->credentials_affected, 1);
    release(response);
    assert_int_equal(atomic_load(&counted.tokens_by_writer), 0);
    idle.seconds = 60 * 60; /* ends nothing */
    response = ask("UpdateSettings", &request, NULL);
    assert_int_equal(response->impact->tokens_ended, 0);
    release(response);
    close_it();
}

/* One page, of which *ret_rows rows were read; the caller frees. */
static Gatehouse__V1__ListCredentialsResponse *list(const char *order, const char *filter, const char *page,
                                                    int *ret_rows)
{
    Gatehouse__V1__ListCredentialsRequest request = GATEHOUSE__V1__LIST_CREDENTIALS_REQUEST__INIT;
    request.page_size = 10;
    request.order_by = arena_text(&fixture.arena, order);
    request.filter = arena_text(&fixture.arena, filter);
    request.page_token = arena_text(&fixture.arena, page);
    atomic_store(&counted.rows, 0);
    Gatehouse__V1__ListCredentialsResponse *response = ask("ListCredentials", &request, NULL);
    assert_non_null(response);
    *ret_rows = atomic_load(&counted.rows);
    return response;
}

enum { LISTED = 95 };

/* In this order: all, once, whose values are equal, too; a page reads what is on it; how many there are is said once.
 */
static void walk(const char *order, const char *filter, int most_rows)
{
    bool seen[LISTED] = {false};
    int rows, count = 0;
    char *page = arena_text(&fixture.arena, "");
    do {
        Gatehouse__V1__ListCredentialsResponse *response = list(order, filter, page, &rows);
        assert_int_equal(response->total_size, page[0] == '\0' ? LISTED : 0);
        assert_in_range(rows, 1, most_rows);
        for (size_t i = 0; i < response->n_credentials; i++, count++) {
            int number = atoi(response->credentials[i]->name + strlen("listed "));
            assert_false(seen[number]);
            seen[number] = true;
        }
        page = arena_text(&fixture.arena, response->next_page_token);
        release(response);
    } while (page[0] != '\0');
    assert_int_equal(count, LISTED);
}

static void a_page_of_a_list_reads_what_is_on_it(void **state)
{
    (void)state;
    static const char *const orders[] = {"",
                                         "name desc",
                                         "create_time",
                                         "create_time desc",
                                         "expire_time",
                                         "expire_time desc",
                                         "last_use_time",
                                         "last_use_time desc"};
    enum { ROWS_OF_ONE = 4 }; /* its own, a role, a secret key, its place */
    open_it("list.db");
    for (int i = 0; i < LISTED; i++) {
        if (i % 20 == 0)
            clock_advance(fixture.clock, MINUTE); /* twenty of a moment */
        make_credential(&fixture, arena_format(&fixture.arena, i % 2 == 0 ? "listed %d" : "LISTED %d", i),
                        "work_creator");
    }
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        walk(orders[i], "", 11 * ROWS_OF_ONE);
        walk(orders[i], "name:listed AND role=work_creator", LISTED + 10 * ROWS_OF_ONE);
    }
    int rows;
    Gatehouse__V1__ListCredentialsResponse *response = list("", "name:\"no such\"", "", &rows);
    assert_int_equal(response->n_credentials, 0);
    assert_int_equal(response->total_size, 0);
    assert_string_equal(response->next_page_token, "");
    release(response);
    close_it();
}

static void a_list_of_one_owner_goes_by_the_owner(void **state)
{
    (void)state;
    open_it("owner.db");
    for (int i = 0; i < 30; i++)
        make_credential(&fixture, arena_format(&fixture.arena, "nobody %d", i), "work_creator");
    struct credential *owned = make_credential(&fixture, "owned", "work_creator");
    Gatehouse__V1__UpdateCredentialRequest request = GATEHOUSE__V1__UPDATE_CREDENTIAL_REQUEST__INIT;
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *path = (char[]){"owner"}, owner[] = "somebody";
    mask.paths = &path;
    mask.n_paths = 1;
    credential.client_id = owned->client_id;
    credential.owner = owner;
    request.credential = &credential;
    request.update_mask = &mask;
    release(ask("UpdateCredential", &request, NULL));
    int rows;
    const char *const filters[] = {"owner=somebody", arena_format(&fixture.arena, "client_id=%s", owned->client_id)};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        Gatehouse__V1__ListCredentialsResponse *response = list("last_use_time desc", filters[i], "", &rows);
        assert_int_equal(response->n_credentials, 1);
        assert_int_equal(response->total_size, 1);
        assert_in_range(rows, 1, 5);
        release(response);
    }
    close_it();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_do_not_write),
        cmocka_unit_test(nor_does_the_use_of_the_token_that_reads),
        cmocka_unit_test(the_impact_of_a_dry_run_is_no_work_of_the_writer),
        cmocka_unit_test(a_page_of_a_list_reads_what_is_on_it),
        cmocka_unit_test(a_list_of_one_owner_goes_by_the_owner),
        cmocka_unit_test(what_stricter_settings_end_is_no_work_of_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

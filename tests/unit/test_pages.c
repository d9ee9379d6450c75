/* SPDX-License-Identifier: Apache-2.0 */
/* A page of a list, and all else that is read for many at a time, costs the same number of statements however many they
 * are: each is a round trip to PostgreSQL. (What is sent without being waited for, store_send, is none.) Holds for any
 * backend: GATEHOUSE_TEST_STORE names another one. */
#include "asking.h"

#include "domain/announce.h"
#include "domain/disuse.h"
#include "domain/flush_batch.h"
#include "domain/news.h"
#include "memory/observed.h"
#include "records/change_log.h"
#include "records/user.h"

enum { CREDENTIALS = 60, OWNERS = 56, FEW = 5, MANY = 50 };

static struct fixture fixture;
static struct api *api;
static struct credential *made[CREDENTIALS];
static atomic_int statements;

/* What the linker puts in the place of store_run_n. */
enum status __real_store_run_n(struct store_tx *tx, const char *sql, const struct store_value *values, size_t count,
                               store_row_fn *each, void *arg);
enum status __wrap_store_run_n(struct store_tx *tx, const char *sql, const struct store_value *values, size_t count,
                               store_row_fn *each, void *arg);
enum status __wrap_store_run_n(struct store_tx *tx, const char *sql, const struct store_value *values, size_t count,
                               store_row_fn *each, void *arg)
{
    atomic_fetch_add(&statements, 1);
    return __real_store_run_n(tx, sql, values, count, each, arg);
}

/* An id that means something to JSON and to PostgreSQL's arrays, if nobody takes care. */
static char *owner_name(int number)
{
    static const char *const ends[] = {"", "\"", "\\", "{,}", "[null]", "'", " NULL", "\xc3\xa9"};
    return arena_format(&fixture.arena, "owner %02d%s", number, ends[number % 8]);
}

static void set_roles(int owner, size_t count)
{
    Gatehouse__V1__SetUserRolesRequest request = GATEHOUSE__V1__SET_USER_ROLES_REQUEST__INIT;
    char *roles[] = {(char[]){"work_creator"}, (char[]){"work_assigner"}};
    request.user = owner_name(owner);
    request.roles = roles;
    request.n_roles = count;
    release(ask_admin(api, "SetUserRoles", &request, NULL));
}

static void own(const struct credential *owned, int owner)
{
    Gatehouse__V1__UpdateCredentialRequest request = GATEHOUSE__V1__UPDATE_CREDENTIAL_REQUEST__INIT;
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    Gatehouse__V1__CredentialLimits limits = GATEHOUSE__V1__CREDENTIAL_LIMITS__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *paths[] = {(char[]){"owner"}, (char[]){"limits"}};
    mask.paths = paths;
    mask.n_paths = 2;
    limits.max_tokens = 10 + owner;
    credential.client_id = (char *)(uintptr_t)owned->client_id;
    credential.owner = owner_name(owner);
    credential.limits = &limits;
    request.credential = &credential;
    request.update_mask = &mask;
    release(ask_admin(api, "UpdateCredential", &request, NULL));
}

/* The first OWNERS have an owner and a limit each. */
static int fill(void **state)
{
    (void)state;
    fixture_open(&fixture, "pages.db", NULL);
    api = api_of(&fixture);
    for (int i = 0; i < CREDENTIALS; i++) {
        made[i] = make_credential(&fixture, arena_format(&fixture.arena, "name %02d", i),
                                  i % 3 == 0 ? "work_assigner" : "work_creator");
        if (i < OWNERS) {
            set_roles(i, 1 + (size_t)i % 2);
            own(made[i], i);
        }
    }
    return 0;
}

static int leave(void **state)
{
    (void)state;
    api_free(api);
    fixture_close(&fixture);
    return 0;
}

static Gatehouse__V1__ListCredentialsResponse *list_credentials_of(int size)
{
    Gatehouse__V1__ListCredentialsRequest request = GATEHOUSE__V1__LIST_CREDENTIALS_REQUEST__INIT;
    request.page_size = size;
    atomic_store(&statements, 0);
    return ask_admin(api, "ListCredentials", &request, NULL);
}

static int credentials_cost(int size)
{
    Gatehouse__V1__ListCredentialsResponse *response = list_credentials_of(size);
    int cost = atomic_load(&statements);
    assert_int_equal(response->n_credentials, size);
    release(response);
    return cost;
}

static void a_page_of_credentials_is_a_few_statements(void **state)
{
    (void)state;
    credentials_cost(FEW); /* what other work has left behind is heard of once */
    int few = credentials_cost(FEW);
    assert_in_range(few, 1, 12);
    assert_int_equal(credentials_cost(MANY), few);
}

static int users_cost(int size)
{
    Gatehouse__V1__ListUsersRequest request = GATEHOUSE__V1__LIST_USERS_REQUEST__INIT;
    request.page_size = size;
    atomic_store(&statements, 0);
    Gatehouse__V1__ListUsersResponse *response = ask_admin(api, "ListUsers", &request, NULL);
    int cost = atomic_load(&statements);
    assert_int_equal(response->n_users, size);
    release(response);
    return cost;
}

static void a_page_of_users_is_a_few_statements(void **state)
{
    (void)state;
    users_cost(FEW);
    int few = users_cost(FEW);
    assert_in_range(few, 1, 12);
    assert_int_equal(users_cost(MANY), few);
}

/* What is loaded together belongs to whom it is said to belong to. */
static void each_on_a_page_has_what_is_its_own(void **state)
{
    (void)state;
    Gatehouse__V1__ListCredentialsResponse *page = list_credentials_of(CREDENTIALS);
    assert_int_equal(page->n_credentials, CREDENTIALS);
    for (int i = 0; i < CREDENTIALS; i++) {
        const Gatehouse__V1__Credential *listed = page->credentials[i];
        const char *role = i % 3 == 0 ? "work_assigner" : "work_creator";
        bool is_owned = i < OWNERS, is_effective = !is_owned || i % 3 != 0 || i % 2 == 1;
        assert_string_equal(listed->name, arena_format(&fixture.arena, "name %02d", i));
        assert_string_equal(listed->owner, is_owned ? owner_name(i) : "");
        assert_int_equal(listed->n_roles, 1);
        assert_string_equal(listed->roles[0]->role, role);
        assert_int_equal(listed->n_effective_roles, is_effective);
        assert_int_equal(listed->n_secrets, 1);
        assert_int_equal(listed->limits == NULL ? 0 : listed->limits->max_tokens, is_owned ? 10 + i : 0);
        Gatehouse__V1__GetCredentialRequest request = GATEHOUSE__V1__GET_CREDENTIAL_REQUEST__INIT;
        request.client_id = listed->client_id;
        Gatehouse__V1__GetCredentialResponse *alone = ask_admin(api, "GetCredential", &request, NULL);
        assert_int_equal(alone->credential->secrets[0]->secret_id, listed->secrets[0]->secret_id);
        assert_string_equal(alone->credential->etag, listed->etag);
        release(alone);
    }
    release(page);
}

static void each_user_has_what_is_its_own(void **state)
{
    (void)state;
    Gatehouse__V1__ListUsersRequest request = GATEHOUSE__V1__LIST_USERS_REQUEST__INIT;
    request.page_size = 1000;
    Gatehouse__V1__ListUsersResponse *page = ask_admin(api, "ListUsers", &request, NULL);
    assert_int_equal(page->n_users, OWNERS);
    for (int i = 0; i < OWNERS; i++) {
        assert_string_equal(page->users[i]->user, owner_name(i));
        assert_int_equal(page->users[i]->n_roles, 1 + i % 2);
        assert_int_equal(page->users[i]->credential_count, 1);
    }
    release(page);
    request.filter = (char[]){"user:\"no such\""};
    page = ask_admin(api, "ListUsers", &request, NULL);
    assert_int_equal(page->n_users, 0);
    release(page);
}

static const char odd_id[] = "a tab\t, a line\n, an escape \033, \"\\\"";

static enum status save_odd(struct store_tx *tx, void *arg)
{
    const int *role = arg;
    const struct user user = {.id = odd_id, .version = 1};
    TRY(user_row_save(tx, &user, START));
    return user_row_save_role(tx, odd_id, *role, true, START);
}

static enum status load_odd(struct store_tx *tx, void *arg)
{
    return user_row_load(tx, odd_id, arg);
}

static enum status remove_odd(struct store_tx *tx, void *arg)
{
    (void)arg;
    TRY(store_run(tx, "DELETE FROM user_role WHERE user_id = $1", NULL, NULL, store_text(odd_id)));
    return store_run(tx, "DELETE FROM user_account WHERE id = $1", NULL, NULL, store_text(odd_id));
}

/* The contract lets nobody make such a user; a database may have one all the same. */
static void any_character_is_itself_in_a_list(void **state)
{
    (void)state;
    int role = directory_role_number(fixture.domain->memory->directory, "work_creator");
    struct user user;
    assert_int_equal(store_write_wait(fixture.store, save_odd, &role), STATUS_OK);
    assert_int_equal(store_read_wait(fixture.store, load_odd, &user), STATUS_OK);
    assert_true(role_set_has(&user.has, role));
    assert_int_equal(store_write_wait(fixture.store, remove_odd, NULL), STATUS_OK);
}

/* Another replica's changes */

static enum status read_position(struct store_tx *tx, void *arg)
{
    return change_log_last(tx, arg);
}

static enum status read_news(struct store_tx *tx, void *arg)
{
    return news_read(tx, arg);
}

static int news_cost(int changes)
{
    struct news news = {.now = START};
    assert_int_equal(store_read_wait(fixture.store, read_position, &news.since), STATUS_OK);
    for (int i = 0; i < changes; i++)
        own(made[i], (i + changes) % OWNERS); /* another one than before */
    atomic_store(&statements, 0);
    assert_int_equal(store_read_wait(fixture.store, read_news, &news), STATUS_OK);
    int cost = atomic_load(&statements);
    assert_int_equal(news.kind, NEWS_SINCE);
    assert_int_equal(news.facts_count, changes);
    for (int i = 0; i < changes; i++)
        assert_int_equal(news.facts[i]->id, made[i]->id);
    news_done(&news);
    return cost;
}

static void what_a_replica_hears_of_is_read_in_a_few_statements(void **state)
{
    (void)state;
    int few = news_cost(FEW);
    assert_in_range(few, 1, 12);
    assert_int_equal(news_cost(MANY), few);
}

/* One owner's credentials: their tokens end, each by a few writes, when a role is taken from the owner. */
static int owner_cost(int owned)
{
    for (int i = 0; i < owned; i++)
        own(made[i], OWNERS);
    set_roles(OWNERS, 2);
    atomic_store(&statements, 0);
    set_roles(OWNERS, 0);
    return atomic_load(&statements);
}

static void the_credentials_of_an_owner_are_read_together(void **state)
{
    (void)state;
    enum { WRITES = 3 }; /* how many tokens end, the row, its change's revision */
    int few = owner_cost(FEW);
    assert_in_range(few, FEW * WRITES, FEW * WRITES + 30);
    assert_int_equal(owner_cost(MANY) - few, (MANY - FEW) * WRITES);
}

/* What is done from time to time */

static enum status look_for_disuse(struct work *work, void *arg)
{
    struct disuse *disuse = arg;
    struct settings settings = memory_settings(fixture.domain->memory);
    settings.suspend_unused_after = INT64_C(90) * 24 * 60 * MINUTE;
    return disuse_look(work, disuse, &settings, START, INT64_MAX);
}

static void the_unused_are_looked_for_in_a_few_statements(void **state)
{
    (void)state;
    struct disuse disuse = {0};
    atomic_store(&statements, 0);
    assert_int_equal(do_work(&fixture, look_for_disuse, &disuse, NULL), STATUS_OK); /* none was used yet */
    assert_in_range(atomic_load(&statements), 1, 12);
    assert_int_equal(disuse.cursor, made[CREDENTIALS - 1]->id);
}

static enum status make_due(struct store_tx *tx, void *arg)
{
    const int *last = arg;
    return store_run(tx, "UPDATE credential SET announce = $1, expires = $2 WHERE id <= $3", NULL, NULL,
                     store_int(START), store_int(START + 5 * 24 * 60 * MINUTE), store_int(made[*last - 1]->id));
}

static enum status announce(struct work *work, void *arg)
{
    return announce_due(work, START, arg);
}

static enum status count_announced(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM audit WHERE action = 'CredentialExpires'", store_read_int, arg);
}

static int announcements_cost(int count)
{
    int due = 0;
    int64_t before = query_number(&fixture, count_announced);
    assert_int_equal(store_write_wait(fixture.store, make_due, &count), STATUS_OK);
    atomic_store(&statements, 0);
    assert_int_equal(do_work(&fixture, announce, &due, NULL), STATUS_OK);
    int cost = atomic_load(&statements);
    assert_int_equal(due, count);
    assert_int_equal(query_number(&fixture, count_announced) - before, count);
    return cost;
}

static void ends_are_announced_in_a_few_statements(void **state)
{
    (void)state;
    int few = announcements_cost(FEW);
    assert_in_range(few, 1, 12);
    assert_int_equal(announcements_cost(MANY), few);
    Gatehouse__V1__VerifyAuditLogRequest request = GATEHOUSE__V1__VERIFY_AUDIT_LOG_REQUEST__INIT;
    Gatehouse__V1__VerifyAuditLogResponse *verdict = ask_admin(api, "VerifyAuditLog", &request, NULL);
    assert_true(verdict->intact);
    release(verdict);
}

/* What a flush stores beside usage */

static struct token_key keys[MANY];

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, sizeof keys[0]);
}

struct missing {
    int count;
    bool is_missing[MANY];
};

static enum status find_missing(struct store_tx *tx, void *arg)
{
    struct missing *missing = arg;
    return token_row_find_missing(tx, keys, (size_t)missing->count, missing->is_missing);
}

static int missing_cost(int count)
{
    struct missing missing = {.count = count};
    atomic_store(&statements, 0);
    assert_int_equal(store_read_wait(fixture.store, find_missing, &missing), STATUS_OK);
    int cost = atomic_load(&statements);
    for (int i = 0; i < count; i++) /* every other one was never issued */
        assert_int_equal(missing.is_missing[i], keys[i].bytes[TOKEN_KEY_BYTES - 1] == 0);
    return cost;
}

static void tokens_that_the_store_has_lost_are_looked_for_together(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        do
            keys[i] = make_token(&fixture, made[CREDENTIALS - 1]);
        while (keys[i].bytes[TOKEN_KEY_BYTES - 1] == 0);
        if (i % 2 == 1)
            keys[i].bytes[TOKEN_KEY_BYTES - 1] = 0;
    }
    qsort(keys, MANY, sizeof keys[0], compare_keys);
    int few = missing_cost(FEW), many = missing_cost(MANY);
    if (store_is_shared(fixture.store)) /* SQLite is asked for each, and is not far away */
        assert_int_equal(many, few);
}

/* Of tokens that memory does not have. */
static int introspection_cost(int count)
{
    static char texts[MANY][TOKEN_TEXT_LEN + 1];
    Gatehouse__V1__BatchIntrospectRequest request = GATEHOUSE__V1__BATCH_INTROSPECT_REQUEST__INIT;
    Gatehouse__V1__BatchIntrospectEntry entries[MANY], *pointers[MANY];
    char asked[] = "GET /";
    for (int i = 0; i < count; i++) {
        make_token_text(&fixture, made[CREDENTIALS - 1], texts[i]);
        gatehouse__v1__batch_introspect_entry__init(&entries[i]);
        entries[i].token = i == 1 ? texts[0] : texts[i]; /* one is asked for twice, another not at all */
        entries[i].api = asked;
        pointers[i] = &entries[i];
    }
    texts[2][TOKEN_TEXT_LEN - 1] ^= 1; /* no token */
    request.requests = pointers;
    request.n_requests = (size_t)count;
    atomic_store(&statements, 0);
    Gatehouse__V1__BatchIntrospectResponse *response = ask_auth(api, "BatchIntrospect", &request);
    int cost = atomic_load(&statements);
    assert_int_equal(response->n_responses, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(response->responses[i]->active, i != 2);
    release(response);
    return cost;
}

static void the_tokens_of_a_batch_are_loaded_together(void **state)
{
    (void)state;
    introspection_cost(FEW);
    int few = introspection_cost(FEW), many = introspection_cost(MANY);
    if (store_is_shared(fixture.store))
        assert_int_equal(many, few);
}

static enum status observe_limits(struct store_tx *tx, void *arg)
{
    (void)arg;
    return store_run(tx, "UPDATE credential_limit SET observed = 1, told = 0", NULL, NULL);
}

static enum status count_observed(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM audit WHERE action = 'LimitObserved'", store_read_int, arg);
}

static enum status store_batch(struct store_tx *tx, void *arg)
{
    return flush_batch_store(tx, arg, fixture.domain->memory->usage, START);
}

static int observed_cost(int count)
{
    struct flush_batch *batch = flush_batch_new(NULL, 0);
    int64_t before = query_number(&fixture, count_observed);
    assert_int_equal(store_write_wait(fixture.store, observe_limits, NULL), STATUS_OK);
    batch->observed_count = (size_t)count;
    batch->observed = calloc((size_t)count, sizeof *batch->observed);
    for (int i = 0; i < count; i++)
        batch->observed[i] = (struct observed_count){made[i]->id, LIMIT_TOKENS, 1, START, START};
    atomic_store(&statements, 0);
    assert_int_equal(store_write_wait(fixture.store, store_batch, batch), STATUS_OK);
    int cost = atomic_load(&statements);
    flush_batch_free(batch);
    assert_int_equal(query_number(&fixture, count_observed) - before, count);
    return cost;
}

static void observed_limits_are_told_in_a_few_statements(void **state)
{
    (void)state;
    int few = observed_cost(FEW);
    assert_in_range(few, 1, 12);
    assert_int_equal(observed_cost(MANY), few);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_credentials_is_a_few_statements),
        cmocka_unit_test(a_page_of_users_is_a_few_statements),
        cmocka_unit_test(each_on_a_page_has_what_is_its_own),
        cmocka_unit_test(each_user_has_what_is_its_own),
        cmocka_unit_test(any_character_is_itself_in_a_list),
        cmocka_unit_test(what_a_replica_hears_of_is_read_in_a_few_statements),
        cmocka_unit_test(the_credentials_of_an_owner_are_read_together),
        cmocka_unit_test(the_unused_are_looked_for_in_a_few_statements),
        cmocka_unit_test(ends_are_announced_in_a_few_statements),
        cmocka_unit_test(tokens_that_the_store_has_lost_are_looked_for_together),
        cmocka_unit_test(the_tokens_of_a_batch_are_loaded_together),
        cmocka_unit_test(observed_limits_are_told_in_a_few_statements),
    };
    return cmocka_run_group_tests_name("pages", tests, fill, leave);
}

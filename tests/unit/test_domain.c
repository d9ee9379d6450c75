/* SPDX-License-Identifier: Apache-2.0 */
/* The domain as a whole: loads that race with revocations, a store that fails, what is removed and when. */
#include "fixture.h"

#include "domain/owner.h"

#include "domain/revoke.h"
#include "faulty.h"
#include "memory/packed_facts.h"
#include "records/credential_facts.h"
#include "records/user.h"

static enum status end_it(struct work *work, void *arg)
{
    int64_t whose = 0;
    enum status status = revoke_token(work, arg, &whose);
    if (status == STATUS_OK)
        work->tokens_ended = whose != 0;
    return status;
}

/* A driver whose reads stop, when told to, after they have seen the token's row. */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_closed, is_reached;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void set_gate(bool is_closed)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_closed = is_closed;
    gate.is_reached = false;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void wait_until_reached(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.is_reached)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* The first that comes waits, the others pass. */
static void pass_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    bool waits = gate.is_closed && !gate.is_reached;
    gate.is_reached = true;
    pthread_cond_broadcast(&gate.changed);
    while (waits && gate.is_closed)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static enum status gated_run(struct connection *connection, const char *sql, const struct store_value *values,
                             size_t count, store_row_fn *each, void *arg)
{
    enum status status = sqlite_driver.run(connection, sql, values, count, each, arg);
    if (strstr(sql, "FROM token WHERE key =") != NULL)
        pass_gate();
    return status;
}

struct asking {
    struct fixture *fixture;
    const struct token_key *key;
    bool is_active;
};

static void *ask(void *arg)
{
    struct asking *asking = arg;
    asking->is_active = is_active(asking->fixture, asking->key, true);
    return NULL;
}

static enum status end_all(struct work *work, void *arg)
{
    struct credential *credential = NULL;
    TRY(credential_row_load_id(work->tx, work->arena, *(int64_t *)arg, work->now, &credential));
    return credential_end_tokens(work, credential);
}

/* The row is read; then the token ends, by `fn`; then the load goes on. Whatever it says (it may say what was when it
 * was asked), the token is dead from then on. */
static void race(const char *file, bool by_epoch)
{
    struct driver driver = sqlite_driver;
    struct fixture fixture;
    pthread_t thread;
    driver.run = gated_run;
    fixture_open(&fixture, file, &driver);
    struct credential *credential = make_credential(&fixture, "race", "work_creator");
    struct token_key key = make_token(&fixture, credential);
    struct asking asking = {&fixture, &key, false};
    set_gate(true);
    assert_int_equal(pthread_create(&thread, NULL, ask, &asking), 0);
    wait_until_reached();
    enum status status =
        by_epoch ? do_work(&fixture, end_all, &credential->id, NULL) : do_work(&fixture, end_it, &key, NULL);
    assert_int_equal(status, STATUS_OK);
    set_gate(false);
    pthread_join(thread, NULL);
    assert_false(asking.is_active); /* it was asked again, or judged by the epoch of now */
    assert_false(is_active(&fixture, &key, true));
    assert_int_equal(token_table_count(fixture.domain->memory->tokens), 0);
    fixture_close(&fixture);
}

static void a_load_in_flight_does_not_bring_a_revoked_token_back(void **state)
{
    (void)state;
    race("race-revoke.db", false);
}

static void nor_one_that_a_change_of_epoch_ended(void **state)
{
    (void)state;
    race("race-epoch.db", true);
}

static enum status read_number(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

static enum status count_used(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM token WHERE last_used = $1", read_number, arg,
                     store_int(START + 15 * MINUTE));
}

static enum status count_allowed(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT sum(allowed) FROM usage", read_number, arg);
}

static void many_uses_are_stored_in_parts_between_which_others_can_write(void **state)
{
    (void)state;
    enum { TOKENS = 2500, PARTS = 3 };
    struct fixture fixture;
    fixture_open(&fixture, "parts.db", NULL);
    struct credential *credential = make_credential(&fixture, "parts", "work_creator");
    struct token_key *keys = calloc(TOKENS, sizeof *keys);
    assert_non_null(keys);
    for (int i = 0; i < TOKENS; i++)
        keys[i] = make_token(&fixture, credential);
    clock_advance(fixture.clock, 15 * MINUTE);
    for (int i = 0; i < TOKENS; i++)
        assert_true(is_active(&fixture, &keys[i], true));
    uint64_t commits, before, after;
    store_counters(fixture.store, &commits, &before);
    assert_int_equal(flush(&fixture), STATUS_OK);
    store_counters(fixture.store, &commits, &after);
    assert_int_equal(after - before, PARTS + 2); /* what else a flush stores; and flush() looks that it is over */
    assert_int_equal(query_number(&fixture, count_used), TOKENS);
    clock_advance(fixture.clock, MINUTE);
    for (int i = 0; i < TOKENS; i++)
        assert_true(is_active(&fixture, &keys[i], true));
    flush_begin(fixture.domain->flush, FLUSH_ROUND, NULL, NULL);
    assert_int_equal(flush(&fixture), STATUS_OK); /* carries nothing, and is done when the one before is */
    assert_int_equal(query_number(&fixture, count_allowed), 2 * TOKENS);
    free(keys);
    fixture_close(&fixture);
}

static void uses_that_could_not_be_stored_are_stored_later(void **state)
{
    (void)state;
    struct faulty faulty;
    struct fixture fixture;
    faulty_init(&faulty, &sqlite_driver);
    fixture_open(&fixture, "faulty.db", &faulty.driver);
    struct credential *credential = make_credential(&fixture, "faulty", "work_creator");
    struct token_key key = make_token(&fixture, credential);
    clock_advance(fixture.clock, 15 * MINUTE);
    assert_true(is_active(&fixture, &key, true));
    struct audit_event refused = {.at = START, .action = "ClientRefused", .outcome = "UNAUTHENTICATED"};
    audit_queue_add(fixture.domain->memory->audit, &refused);
    faulty_arm(&faulty, 1, FAULTY_COMMIT, STATUS_UNAVAILABLE);
    atomic_store(&faulty.is_lasting, true); /* a flush is one commit or two, as it happens */
    assert_int_equal(flush(&fixture), STATUS_UNAVAILABLE);
    assert_true(faulty_disarm(&faulty));
    const struct token_gathering all = {.is_all = true};
    struct token_use *uses = NULL;
    struct usage_delta *deltas = NULL;
    struct audit_event *events = NULL;
    assert_int_equal(token_table_gather(fixture.domain->memory->tokens, &all, &uses), 1);
    assert_int_equal(uses[0].used, START + 15 * MINUTE);
    token_table_touch(fixture.domain->memory->tokens, &uses[0].key, uses[0].used, uses[0].api);
    size_t count = usage_gather(fixture.domain->memory->usage, START, &deltas);
    assert_int_equal(count, 1);
    assert_int_equal(deltas[0].allowed, 1);
    usage_give_back(fixture.domain->memory->usage, deltas, count);
    assert_int_equal(audit_queue_gather(fixture.domain->memory->audit, &fixture.arena, 0, true, &events), 1);
    audit_queue_add(fixture.domain->memory->audit, &events[0]);
    free(uses);
    free(deltas);
    assert_int_equal(flush(&fixture), STATUS_OK);
    fixture_crash(&fixture, "faulty.db");
    clock_advance(fixture.clock, 15 * MINUTE);
    assert_true(is_active(&fixture, &key, false)); /* 30 minutes after its issue, 15 after its use */
    fixture_close(&fixture);
}

static enum status count_rows_of_usage(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM usage", read_number, arg);
}

static void usage_is_stored_in_parts_between_which_others_can_write(void **state)
{
    (void)state;
    enum { ROWS = 2100, PARTS = 5 };
    struct fixture fixture;
    struct door door;
    fixture_open(&fixture, "rows.db", NULL);
    char api[32];
    for (int i = 0; i < ROWS; i++) {
        snprintf(api, sizeof api, "GET /x%dy", i % 250);
        usage_count(fixture.domain->memory->usage, 1 + i / 250, api, START, true, 1);
    }
    uint64_t commits, before, after;
    store_counters(fixture.store, &commits, &before);
    door_hold_writer(&door, fixture.store);
    flush_begin(fixture.domain->flush, FLUSH_ROUND, NULL, NULL);
    struct looking {
        struct pending pending;
        int64_t rows;
    } looking = {.rows = -1};
    pending_init(&looking.pending, "between", 1, STATUS_OK);
    looking.pending.then = count_rows_of_usage;
    looking.pending.then_arg = &looking.rows;
    store_write(fixture.store, pending_add, pending_done, &looking.pending);
    door_open(&door);
    assert_int_equal(pending_wait(&looking.pending), STATUS_OK);
    assert_in_range(looking.rows, 0, ROWS - 1); /* it did not wait for all */
    assert_int_equal(flush(&fixture), STATUS_OK);
    store_counters(fixture.store, &commits, &after);
    assert_in_range(after - before, PARTS + 2, PARTS + 8); /* and what flush() and the tokens' uses take */
    assert_int_equal(query_number(&fixture, count_rows_of_usage), ROWS);
    fixture_close(&fixture);
}

static enum status count_refusals(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM audit WHERE action = 'ClientRefused'", read_number, arg);
}

static enum status count_marks(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM request", read_number, arg);
}

/* The commit of usage and events breaks in the middle; whether it was carried out, nobody can say. */
static void store_in_doubt(const char *file, bool has_effect)
{
    struct faulty faulty;
    struct fixture fixture;
    faulty_init(&faulty, &sqlite_driver);
    faulty.has_effect = has_effect;
    fixture_open(&fixture, file, &faulty.driver);
    struct credential *credential = make_credential(&fixture, "doubt", "work_creator");
    struct token_key key = make_token(&fixture, credential);
    assert_true(is_active(&fixture, &key, true));
    struct audit_event refused = {.at = START, .action = "ClientRefused", .outcome = "UNAUTHENTICATED"};
    audit_queue_add(fixture.domain->memory->audit, &refused);
    for (int i = 0; i < 3; i++) { /* and again when it is tried again */
        faulty_arm(&faulty, 1, FAULTY_COMMIT, STATUS_UNKNOWN);
        atomic_store(&faulty.is_lasting, true);
        assert_true(flush(&fixture) != STATUS_OK);
        assert_true(faulty_disarm(&faulty));
        assert_true(is_active(&fixture, &key, true)); /* what is used meanwhile is another part */
    }
    assert_int_equal(flush(&fixture), STATUS_OK);
    assert_int_equal(query_number(&fixture, count_allowed), 4);
    assert_int_equal(query_number(&fixture, count_refusals), 1);
    for (int i = 0; i < 3; i++) {
        assert_true(is_active(&fixture, &key, true));
        assert_int_equal(flush(&fixture), STATUS_OK);
    }
    assert_int_equal(query_number(&fixture, count_allowed), 7);
    assert_int_equal(query_number(&fixture, count_marks), 1); /* the last one's */
    fixture_close(&fixture);
}

static void usage_whose_commit_is_in_doubt_is_stored_once(void **state)
{
    (void)state;
    store_in_doubt("doubt-stored.db", true);
    store_in_doubt("doubt-lost.db", false);
}

static void a_flush_of_which_a_part_fails_has_failed_and_stores_that_part_later(void **state)
{
    (void)state;
    enum { TOKENS = 1001 }; /* two parts of uses, and the rest: the first fails alone */
    struct faulty faulty;
    struct fixture fixture;
    faulty_init(&faulty, &sqlite_driver);
    fixture_open(&fixture, "half.db", &faulty.driver);
    struct credential *credential = make_credential(&fixture, "half", "work_creator");
    struct token_key keys[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        keys[i] = make_token(&fixture, credential);
    clock_advance(fixture.clock, 15 * MINUTE);
    for (int i = 0; i < TOKENS; i++)
        assert_true(is_active(&fixture, &keys[i], true));
    faulty_arm(&faulty, 1, FAULTY_COMMIT, STATUS_UNAVAILABLE);
    assert_int_equal(flush(&fixture), STATUS_UNAVAILABLE);
    assert_true(faulty_disarm(&faulty));
    assert_int_equal(query_number(&fixture, count_used), 0);
    assert_int_equal(query_number(&fixture, count_allowed), TOKENS);
    faulty_arm(&faulty, 1, FAULTY_COMMIT, STATUS_UNAVAILABLE);
    flush_begin(fixture.domain->flush, FLUSH_ROUND, NULL, NULL);
    assert_int_equal(flush(&fixture), STATUS_UNAVAILABLE); /* what it did not find is not stored either */
    assert_true(faulty_disarm(&faulty));
    assert_int_equal(flush(&fixture), STATUS_OK);
    assert_int_equal(query_number(&fixture, count_used), TOKENS);
    assert_int_equal(query_number(&fixture, count_allowed), TOKENS); /* once */
    fixture_close(&fixture);
}

static void a_use_that_was_not_stored_is_lost_in_a_crash_and_no_revocation_is(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "crash.db", NULL);
    struct credential *credential = make_credential(&fixture, "crash", "work_creator");
    struct token_key used = make_token(&fixture, credential), ended = make_token(&fixture, credential);
    clock_advance(fixture.clock, 15 * MINUTE);
    assert_true(is_active(&fixture, &used, true) && is_active(&fixture, &ended, true));
    int64_t count = 0;
    assert_int_equal(do_work(&fixture, end_it, &ended, &count), STATUS_OK);
    assert_int_equal(count, 1);
    fixture_crash(&fixture, "crash.db");
    assert_false(is_active(&fixture, &ended, false));
    assert_true(is_active(&fixture, &used, false));
    clock_advance(fixture.clock, 5 * MINUTE); /* early by what was lost, never late */
    assert_false(is_active(&fixture, &used, false));
    fixture_close(&fixture);
}

static enum status count_tokens(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM token", read_number, arg);
}

static void the_reaper_takes_what_is_dead_and_only_that(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "reaper.db", NULL);
    struct credential *credential = make_credential(&fixture, "reaper", "work_creator");
    enum { COUNT = 2500 };
    for (int i = 0; i < COUNT; i++)
        (void)make_token(&fixture, credential);
    clock_advance(fixture.clock, 10 * MINUTE);
    struct token_key living = make_token(&fixture, credential);
    clock_advance(fixture.clock, 10 * MINUTE);
    struct reaped reaped;
    int total = 0;
    assert_int_equal(reap_round(fixture.domain->reap, &reaped), STATUS_OK);
    assert_int_equal(reaped.removed, 0); /* dead, but a replica may know of a later use */
    clock_advance(fixture.clock, 2 * MINUTE);
    for (int round = 0; round < 6; round++) {
        assert_int_equal(reap_round(fixture.domain->reap, &reaped), STATUS_OK);
        assert_in_range(reaped.seen, 0, 1000);
        total += reaped.removed;
    }
    assert_int_equal(total, COUNT);
    assert_int_equal(query_number(&fixture, count_tokens), 1);
    assert_true(is_active(&fixture, &living, false));
    fixture_close(&fixture);
}

static enum status add_unknown(struct store_tx *tx, void *arg)
{
    const struct credential *known = arg;
    const struct token_row rows[] = {
        {.credential_id = 9001, .epoch = 1, .last_used = START},      /* which another replica has made */
        {.credential_id = 9002, .epoch = 1, .last_used = START},      /* which is not there */
        {.credential_id = known->id, .epoch = 2, .last_used = START}, /* which another replica has changed */
        {.credential_id = known->id, .epoch = 1, .last_used = START},
    };
    TRY(store_run(tx,
                  "INSERT INTO credential (id, client_id, name, created, epoch) VALUES (9001, 'x', 'elsewhere', 1, 1)",
                  NULL, NULL));
    TRY(store_run(tx, "UPDATE credential SET epoch = 2 WHERE id = $1", NULL, NULL, store_int(known->id)));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct token_key key = token_key_at(START);
        key.bytes[TOKEN_KEY_BYTES - 1] = (uint8_t)i;
        TRY(store_run(tx, "INSERT INTO token (key, credential, epoch, last_used) VALUES ($1, $2, $3, $4)", NULL, NULL,
                      store_blob(key.bytes, TOKEN_KEY_BYTES), store_int(rows[i].credential_id),
                      store_int(rows[i].epoch), store_int(rows[i].last_used)));
    }
    return STATUS_OK;
}

static enum status count_ahead(struct store_tx *tx, void *arg)
{
    return store_run(tx, "SELECT count(*) FROM token WHERE credential = 9001 OR epoch = 2", read_number, arg);
}

static void the_reaper_goes_by_the_store_and_not_by_what_memory_knows_of_credentials(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "ahead.db", NULL);
    struct credential *credential = make_credential(&fixture, "ahead", "work_creator");
    assert_int_equal(store_write_wait(fixture.store, add_unknown, credential), STATUS_OK);
    struct reaped reaped;
    assert_int_equal(reap_round(fixture.domain->reap, &reaped), STATUS_OK);
    assert_int_equal(reaped.seen, 4);
    assert_int_equal(reaped.removed, 2);
    assert_int_equal(query_number(&fixture, count_ahead), 2);
    assert_int_equal(query_number(&fixture, count_tokens), 2);
    fixture_close(&fixture);
}

struct secrets {
    int64_t credential_id;
    int count;
};

static enum status regenerate(struct work *work, void *arg)
{
    const struct secrets *secrets = arg;
    char secret[SECRET_TEXT_LEN + 1];
    struct credential *credential = NULL;
    TRY(credential_row_load_id(work->tx, work->arena, secrets->credential_id, work->now, &credential));
    return credential_regenerate(work, credential, 0, secret);
}

static void what_ended_this_second_does_not_keep_the_domain_from_opening(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "secrets.db", NULL);
    struct secrets secrets = {make_credential(&fixture, "secrets", "work_creator")->id, 0};
    for (int i = 0; i < 5; i++)
        assert_int_equal(do_work(&fixture, regenerate, &secrets, NULL), STATUS_OK);
    fixture_crash(&fixture, "secrets.db");
    struct directory *directory = fixture.domain->memory->directory;
    uint64_t turn = directory_begin(directory);
    struct credential_facts facts;
    int secret_count = directory_facts(directory_find_id(directory, secrets.credential_id), &facts)->secret_count;
    assert_true(directory_end(directory, turn));
    assert_int_equal(secret_count, 1);
    fixture_close(&fixture);
}

/* Newer keys than the one that lives, which have ended, or will: more than there is room for. */
static enum status add_keys(struct work *work, int64_t credential_id)
{
    enum { KEYS = 3, APART = 1000000 };
    for (int i = 1; i <= KEYS; i++)
        TRY(store_run(work->tx,
                      "INSERT INTO secret (id, credential, digest, hint, created, ends, last_used)"
                      " SELECT id + $1, credential, digest, hint, created, $2, 0 FROM secret"
                      " WHERE credential = $3 AND id < $4",
                      NULL, NULL, store_int(i * APART), store_int(work->now + (i == 2 ? 2 : 1) * MINUTE),
                      store_int(credential_id), store_int(APART)));
    return STATUS_OK;
}

/* Owners, revoked roles, several keys, deleted ones. */
static enum status make_various(struct work *work, void *arg)
{
    char secret[SECRET_TEXT_LEN + 1];
    struct role_set roles = {{0x3f}}, owner_has = {{0x15}}, some = {{0x6}}, none = {0};
    (void)arg;
    TRY(user_set_roles(work, "owner", &owner_has));
    for (int i = 0; i < 60; i++) {
        struct credential *credential = arena_new(work->arena, struct credential);
        credential->name = arena_format(work->arena, "various %d", i);
        credential->owner = i % 3 == 0 ? "owner" : i % 3 == 1 ? "nobody" : "";
        credential->contact = i % 2 == 0 ? "" : arena_format(work->arena, "contact %d", i);
        credential->labels = i % 5 < 2 ? "" : arena_format(work->arena, "number=%d\nteam=x\n", i);
        credential->expires = i % 4 == 0 ? work->now + MINUTE : 0;
        struct network networks[SOURCE_NETWORKS_MAX];
        assert_true(source_parse(i % 2 == 0 ? "10.0.0.0/8 2001:db8::/32" : "", networks, &credential->sources.count));
        credential->sources.networks = networks;
        credential->sources.is_observed = i % 4 == 0;
        TRY(credential_create(work, credential, &roles, secret));
        if (i % 5 == 0)
            TRY(credential_change_roles(work, credential, &none, &some));
        if (i % 7 < 3)
            TRY(credential_regenerate(work, credential, i % 7 * MINUTE, secret));
        if (i % 4 == 1)
            TRY(add_keys(work, credential->id));
        if (i % 11 == 0)
            TRY(credential_delete(work, credential));
    }
    return STATUS_OK;
}

static void assert_same(const struct credential_facts *one, const struct credential_facts *other)
{
    assert_string_equal(one->client_id, other->client_id);
    assert_string_equal(one->name, other->name);
    assert_string_equal(one->owner, other->owner);
    assert_string_equal(one->contact, other->contact);
    assert_string_equal(one->labels, other->labels);
    assert_int_equal(one->expires, other->expires);
    assert_int_equal(one->deleted, other->deleted);
    assert_int_equal(one->epoch, other->epoch);
    assert_int_equal(one->version, other->version);
    assert_int_equal(one->sources.count, other->sources.count);
    assert_int_equal(one->sources.is_observed, other->sources.is_observed);
    for (int i = 0; i < one->sources.count; i++) {
        assert_int_equal(one->sources.networks[i].bits, other->sources.networks[i].bits);
        assert_memory_equal(&one->sources.networks[i].base, &other->sources.networks[i].base, sizeof(struct address));
    }
    assert_memory_equal(&one->granted, &other->granted, sizeof one->granted);
    assert_memory_equal(&one->effective, &other->effective, sizeof one->effective);
    assert_int_equal(one->secret_count, other->secret_count);
    assert_memory_equal(one->secrets, other->secrets, (size_t)one->secret_count * sizeof one->secrets[0]);
}

static enum status compare_all(struct store_tx *tx, void *arg)
{
    struct fixture *fixture = arg;
    struct credential_facts **all = NULL;
    size_t count = 0;
    int64_t now = clock_now(fixture->clock);
    TRY(credential_facts_load_all(tx, now, &all, &count));
    assert_int_equal(count, 60);
    for (size_t i = 0; i < count; i++) {
        struct credential *credential = NULL;
        TRY(credential_row_load_id(tx, &fixture->arena, all[i]->id, now, &credential));
        struct credential_facts *single = credential_facts_new(credential);
        assert_same(all[i], single);
        struct packed_facts *packed = packed_facts_new(single);
        struct credential_facts unpacked = *single;
        packed_facts_read(packed, &unpacked);
        assert_same(&unpacked, single);
        packed_facts_free(packed);
        credential_facts_free(single);
        credential_facts_free(all[i]);
    }
    free(all);
    return STATUS_OK;
}

static void all_credentials_at_once_are_what_each_is_alone(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "various.db", NULL);
    assert_int_equal(do_work(&fixture, make_various, NULL, NULL), STATUS_OK);
    clock_advance(fixture.clock, MINUTE + 1);
    assert_int_equal(store_read_wait(fixture.store, compare_all, &fixture), STATUS_OK);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_in_flight_does_not_bring_a_revoked_token_back),
        cmocka_unit_test(nor_one_that_a_change_of_epoch_ended),
        cmocka_unit_test(many_uses_are_stored_in_parts_between_which_others_can_write),
        cmocka_unit_test(uses_that_could_not_be_stored_are_stored_later),
        cmocka_unit_test(usage_is_stored_in_parts_between_which_others_can_write),
        cmocka_unit_test(usage_whose_commit_is_in_doubt_is_stored_once),
        cmocka_unit_test(a_flush_of_which_a_part_fails_has_failed_and_stores_that_part_later),
        cmocka_unit_test(a_use_that_was_not_stored_is_lost_in_a_crash_and_no_revocation_is),
        cmocka_unit_test(the_reaper_takes_what_is_dead_and_only_that),
        cmocka_unit_test(the_reaper_goes_by_the_store_and_not_by_what_memory_knows_of_credentials),
        cmocka_unit_test(all_credentials_at_once_are_what_each_is_alone),
        cmocka_unit_test(what_ended_this_second_does_not_keep_the_domain_from_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is removed when its time has come: a few rows at a time, however many there are, and by one process of several.
 */
#include "fixture.h"

#include "domain/administrator.h"
#include "domain/group.h"
#include "domain/owner.h"

enum { MANY = 2500, AT_ONCE = 1000 };

/* Rows i = 1 … MANY of a table. */
#define ROWS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT "

static enum status make_old(struct store_tx *tx, void *arg)
{
    (void)arg;
    TRY(store_run(tx, "INSERT INTO request (id, actor, method, at) " ROWS "'r' || i, 'me', 'm', i FROM n", NULL, NULL));
    TRY(store_run(tx, "INSERT INTO change_log (revision, kind, at) " ROWS "i - 5000, 1, i FROM n", NULL, NULL));
    TRY(store_run(tx, "INSERT INTO usage (credential, api, hour) " ROWS "i, 'api', 3600000000 FROM n", NULL, NULL));
    return store_run(
        tx, "INSERT INTO secret (id, credential, digest, created, ends) " ROWS "i + 9000, 1, zeroblob(32), 1, 1 FROM n",
        NULL, NULL);
}

#define COUNT(name, rows) \
    static enum status name(struct store_tx *tx, void *arg) \
    { \
        return store_run(tx, "SELECT count(*) FROM " rows, store_read_int, arg); \
    }
COUNT(count_requests, "request")
COUNT(count_changes, "change_log WHERE revision < 0")
COUNT(count_all_changes, "change_log")
COUNT(count_usage, "usage")
COUNT(count_secrets, "secret WHERE ends = 1")
COUNT(count_credentials, "credential")

static struct reaped reap(struct fixture *fixture)
{
    struct reaped reaped;
    assert_int_equal(reap_round(fixture->domain->reap, &reaped), STATUS_OK);
    return reaped;
}

static void what_has_had_its_time_goes_a_thousand_rows_at_a_time(void **state)
{
    (void)state;
    static store_fn *const counts[] = {count_requests, count_changes, count_usage, count_secrets};
    struct fixture fixture;
    fixture_open(&fixture, "upkeep.db", NULL);
    make_credential(&fixture, "upkeep", "work_creator");
    assert_int_equal(store_write_wait(fixture.store, make_old, NULL), STATUS_OK);
    for (int round = 1; round <= 3; round++) {
        assert_int_equal(reap(&fixture).is_behind, round < 3);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
            assert_int_equal(query_number(&fixture, counts[i]), round < 3 ? MANY - round * AT_ONCE : 0);
    }
    assert_true(query_number(&fixture, count_all_changes) > 0); /* the log is never empty again */
    fixture_close(&fixture);
}

static enum status only_old_changes(struct store_tx *tx, void *arg)
{
    (void)arg;
    return store_run(tx, "DELETE FROM change_log WHERE revision >= 0", NULL, NULL);
}

static void the_last_change_stays_though_all_are_old(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "last.db", NULL);
    make_credential(&fixture, "last", "work_creator");
    assert_int_equal(store_write_wait(fixture.store, make_old, NULL), STATUS_OK);
    assert_int_equal(store_write_wait(fixture.store, only_old_changes, NULL), STATUS_OK);
    while (reap(&fixture).is_behind)
        continue;
    assert_int_equal(query_number(&fixture, count_all_changes), 1);
    fixture_close(&fixture);
}

static enum status give_usage(struct store_tx *tx, void *arg)
{
    const struct credential *credential = arg;
    return store_run(tx,
                     "INSERT INTO usage (credential, api, hour) SELECT $1, api || hour, $2 FROM"
                     " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
                     " SELECT i AS api, 'x' AS hour FROM n) AS rows",
                     NULL, NULL, store_int(credential->id), store_int(START));
}

static enum status delete_it(struct work *work, void *arg)
{
    return credential_delete(work, arg);
}

static void a_deleted_credential_goes_when_its_usage_is_gone(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "purge.db", NULL);
    struct credential *credential = make_credential(&fixture, "purge", "work_creator");
    assert_int_equal(store_write_wait(fixture.store, give_usage, credential), STATUS_OK);
    assert_int_equal(do_work(&fixture, delete_it, credential, NULL), STATUS_OK);
    clock_advance(fixture.clock, 31 * 24 * 60 * MINUTE);
    for (int round = 1; round <= 3; round++) {
        assert_int_equal(reap(&fixture).is_behind, round < 3);
        assert_int_equal(query_number(&fixture, count_usage), round < 3 ? MANY - round * AT_ONCE : 0);
        assert_int_equal(query_number(&fixture, count_credentials), round < 3);
    }
    fixture_close(&fixture);
}

/* What is announced */

#define DAYS(count) ((count) * 24 * 60 * MINUTE)

COUNT(count_credentials_announced, "audit WHERE action = 'CredentialExpires'")
COUNT(count_keys_announced, "audit WHERE action = 'SecretKeyEnds'")
COUNT(count_of_7_days, "audit WHERE action = 'CredentialExpires' AND detail LIKE 'within 7 days: 20%Z'")

/* As many rounds as there are between two looks at what grows slowly. */
static int64_t announced(struct fixture *fixture, store_fn *count)
{
    for (int round = 0; round < 30; round++)
        reap(fixture);
    return query_number(fixture, count);
}

struct ending {
    int64_t id, expires;
};

static enum status set_expiry(struct work *work, void *arg)
{
    const struct ending *ending = arg;
    struct credential *credential = NULL;
    TRY(credential_row_load_id(work->tx, work->arena, ending->id, work->now, &credential));
    credential->expires = ending->expires;
    return credential_update(work, credential);
}

static void what_expires_is_announced_once_at_30_7_and_1_days_whatever_the_clock_does(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "announce.db", NULL);
    struct ending ending = {make_credential(&fixture, "ends", "work_creator")->id, START + DAYS(40)};
    assert_int_equal(do_work(&fixture, set_expiry, &ending, NULL), STATUS_OK);
    clock_advance(fixture.clock, DAYS(9));
    assert_int_equal(announced(&fixture, count_credentials_announced), 0);
    clock_advance(fixture.clock, DAYS(2));
    assert_int_equal(announced(&fixture, count_credentials_announced), 1);
    fixture_crash(&fixture, "announce.db");
    assert_int_equal(announced(&fixture, count_credentials_announced), 1);
    clock_step(fixture.clock, DAYS(25)); /* and is put right */
    assert_int_equal(announced(&fixture, count_credentials_announced), 1);
    clock_step(fixture.clock, -DAYS(25));
    clock_advance(fixture.clock, DAYS(23));
    assert_int_equal(announced(&fixture, count_credentials_announced), 2);
    assert_int_equal(query_number(&fixture, count_of_7_days), 1);
    clock_step(fixture.clock, -DAYS(3));
    assert_int_equal(announced(&fixture, count_credentials_announced), 2);
    clock_step(fixture.clock, DAYS(3));
    clock_advance(fixture.clock, DAYS(11) / 2);
    assert_int_equal(announced(&fixture, count_credentials_announced), 3);
    ending.expires = START + DAYS(60); /* put off: what is announced is another end */
    assert_int_equal(do_work(&fixture, set_expiry, &ending, NULL), STATUS_OK);
    assert_int_equal(announced(&fixture, count_credentials_announced), 3);
    clock_advance(fixture.clock, DAYS(20)); /* while nobody is there: 7 days and a day before are one */
    assert_int_equal(announced(&fixture, count_credentials_announced), 4);
    clock_advance(fixture.clock, DAYS(2));
    assert_int_equal(announced(&fixture, count_credentials_announced), 4);
    fixture_close(&fixture);
}

static void what_is_deleted_ends_unannounced(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "announce_deleted.db", NULL);
    struct credential *credential = make_credential(&fixture, "gone", "work_creator");
    struct ending ending = {credential->id, START + DAYS(31)};
    assert_int_equal(do_work(&fixture, set_expiry, &ending, NULL), STATUS_OK);
    credential->expires = ending.expires;
    credential->announce = START + DAYS(1);
    assert_int_equal(do_work(&fixture, delete_it, credential, NULL), STATUS_OK);
    clock_advance(fixture.clock, DAYS(2));
    assert_int_equal(announced(&fixture, count_credentials_announced), 0);
    fixture_close(&fixture);
}

static enum status regenerate(struct work *work, void *arg)
{
    const struct ending *ending = arg;
    struct credential *credential = NULL;
    char secret[SECRET_TEXT_LEN + 1];
    TRY(credential_row_load_id(work->tx, work->arena, ending->id, work->now, &credential));
    return credential_regenerate(work, credential, ending->expires, secret);
}

static void a_secret_key_that_goes_on_for_a_while_is_announced_too(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "announce_key.db", NULL);
    struct ending ending = {make_credential(&fixture, "keys", "work_creator")->id, DAYS(1)};
    assert_int_equal(do_work(&fixture, regenerate, &ending, NULL), STATUS_OK);
    assert_int_equal(announced(&fixture, count_keys_announced), 0); /* whoever made it was told */
    ending.expires = DAYS(30);
    assert_int_equal(do_work(&fixture, regenerate, &ending, NULL), STATUS_OK);
    clock_advance(fixture.clock, DAYS(24));
    assert_int_equal(announced(&fixture, count_keys_announced), 1);
    clock_advance(fixture.clock, DAYS(11) / 2);
    assert_int_equal(announced(&fixture, count_keys_announced), 2);
    fixture_close(&fixture);
}

struct saying {
    struct group *group;
    struct group_word word;
};

static enum status say(struct store_tx *tx, void *arg)
{
    struct saying *saying = arg;
    return group_say(saying->group, tx, &saying->word);
}

static void tell(struct fixture *fixture, struct group *group)
{
    struct saying saying = {.group = group};
    assert_int_equal(store_write_wait(fixture->store, say, &saying), STATUS_OK);
    group_said(group, &saying.word);
}

static enum status leave(struct store_tx *tx, void *arg)
{
    return group_leave(arg, tx);
}

static void of_several_processes_one_removes(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "group.db", NULL);
    const struct group_self self = {.lease = CLOCK_SECOND};
    struct group *one = group_new(fixture.clock, &self), *other = group_new(fixture.clock, &self);
    assert_false(group_is_first(one)); /* it has not said that it is there */
    tell(&fixture, one);
    assert_true(group_is_first(one));
    tell(&fixture, other);
    tell(&fixture, one);
    assert_true(group_is_first(one) != group_is_first(other));
    struct group *first = group_is_first(one) ? one : other, *second = group_is_first(one) ? other : one;
    clock_advance(fixture.clock, 12 * CLOCK_SECOND); /* the first may be late */
    tell(&fixture, second);
    assert_true(group_is_first(first) && !group_is_first(second));
    clock_advance(fixture.clock, 4 * CLOCK_SECOND); /* it was killed: another one is, and not both */
    tell(&fixture, second);
    assert_true(!group_is_first(first) && group_is_first(second));
    tell(&fixture, first);
    tell(&fixture, second);
    assert_true(group_is_first(first) && !group_is_first(second));
    assert_int_equal(store_write_wait(fixture.store, leave, first), STATUS_OK);
    tell(&fixture, second);
    assert_true(group_is_first(second));
    clock_advance(fixture.clock, 3 * MINUTE); /* the others may count it as gone */
    assert_false(group_is_first(second));
    group_free(one);
    group_free(other);
    fixture_close(&fixture);
}

static enum status read_stored(struct store_tx *tx, void *arg)
{
    return process_row_stored(tx, arg);
}

/* By then all processes had stored their uses; as the microseconds since `begin`. */
static int64_t stored_since(struct fixture *fixture, int64_t begin)
{
    int64_t stored = 0;
    assert_int_equal(store_read_wait(fixture->store, read_stored, &stored), STATUS_OK);
    return stored - begin;
}

static void tell_stored(struct fixture *fixture, struct group *group)
{
    group_has_stored(group, clock_steady(fixture->clock));
    tell(fixture, group);
}

static void while_nobody_can_write_nobody_is_gone(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "silent.db", NULL);
    const struct group_self self = {.lease = CLOCK_SECOND};
    struct group *one = group_new(fixture.clock, &self), *other = group_new(fixture.clock, &self);
    int64_t begin = clock_now(fixture.clock);
    tell(&fixture, one);
    tell(&fixture, other);
    clock_advance(fixture.clock, 8 * CLOCK_SECOND);
    tell_stored(&fixture, one);
    assert_int_equal(stored_since(&fixture, begin), 0); /* the other may know of uses that it could not store */
    tell(&fixture, other);
    assert_int_equal(stored_since(&fixture, begin), 0); /* it speaks, and has not stored them */
    tell_stored(&fixture, other);
    assert_int_equal(stored_since(&fixture, begin), 8 * CLOCK_SECOND);
    clock_advance(fixture.clock, 10 * MINUTE);
    for (int seconds = 0; seconds < 180; seconds += 10) { /* it was killed; or will it speak again, too? */
        tell_stored(&fixture, one);
        assert_int_equal(stored_since(&fixture, begin), 8 * CLOCK_SECOND);
        clock_advance(fixture.clock, 10 * CLOCK_SECOND);
    }
    tell_stored(&fixture, one);
    assert_int_equal(stored_since(&fixture, begin), clock_now(fixture.clock) - begin);
    group_free(one);
    group_free(other);
    fixture_close(&fixture);
}

static void a_process_goes_by_no_more_than_the_others_have_heard_of(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, "heard.db", NULL);
    const struct group_self brief = {.lease = CLOCK_SECOND, .cache_lease = 2 * CLOCK_SECOND},
                            lasting = {.lease = 60 * CLOCK_SECOND, .cache_lease = 10 * CLOCK_SECOND};
    struct group *one = group_new(fixture.clock, &brief), *other = group_new(fixture.clock, &lasting);
    assert_int_equal(group_lease(one), 0);
    tell(&fixture, one);
    assert_int_equal(group_lease(one), CLOCK_SECOND); /* nobody is there to hear it */
    for (int seconds = 0; seconds < 15; seconds += 5) {
        tell(&fixture, other); /* a failover may lose it, and then nobody waits for so long */
        assert_int_equal(group_lease(other), CLOCK_SECOND);
        assert_int_equal(group_cache_lease(other), 2 * CLOCK_SECOND);
        clock_advance(fixture.clock, 5 * CLOCK_SECOND);
        tell(&fixture, one);
        assert_int_equal(group_leases(one).own, 60 * CLOCK_SECOND); /* it waits for the longer one already */
    }
    tell(&fixture, other);
    assert_int_equal(group_lease(other), 60 * CLOCK_SECOND);
    assert_int_equal(group_cache_lease(other), 10 * CLOCK_SECOND);
    struct group *third = group_new(fixture.clock, &lasting);
    tell(&fixture, third); /* all have heard of such a lease */
    assert_int_equal(group_lease(third), 60 * CLOCK_SECOND);
    assert_int_equal(group_cache_lease(third), 10 * CLOCK_SECOND);
    group_free(one);
    group_free(other);
    group_free(third);
    fixture_close(&fixture);
}

/* The last administrator. The driver counts how often it is looked for. */

static int looks;

static enum status count_looks(struct connection *connection, const char *sql, const struct store_value *values,
                               size_t count, store_row_fn *each, void *arg)
{
    looks += strstr(sql, "FROM credential_role r JOIN") != NULL;
    return sqlite_driver.run(connection, sql, values, count, each, arg);
}

static enum status move_expiry(struct work *work, void *arg)
{
    struct credential *credential = arg;
    credential->expires = work->now + 3 * 24 * 60 * MINUTE;
    TRY(credential_update(work, credential));
    return administrator_check(work);
}

static enum status expire(struct work *work, void *arg)
{
    struct credential *credential = arg;
    credential->expires = 1;
    TRY(credential_update(work, credential));
    return administrator_check(work);
}

static enum status delete_and_check(struct work *work, void *arg)
{
    TRY(credential_delete(work, arg));
    return administrator_check(work);
}

static enum status take_roles_of_owner(struct work *work, void *arg)
{
    (void)arg;
    TRY(user_set_roles(work, "boss", &(struct role_set){0}));
    return administrator_check(work);
}

static enum status give_to_owner(struct work *work, void *arg)
{
    struct credential *credential = arg;
    TRY(user_set_roles(work, "boss", &credential->granted));
    credential->owner = "boss";
    TRY(credential_update(work, credential));
    return administrator_check(work);
}

static struct loading {
    struct fixture *fixture;
    int64_t id;
    struct credential *credential;
} loading;

static enum status load_tx(struct store_tx *tx, void *arg)
{
    struct loading *one = arg;
    return credential_row_load_id(tx, &one->fixture->arena, one->id, START, &one->credential);
}

/* As it is stored. */
static struct credential *load(struct fixture *fixture, const struct credential *credential)
{
    loading = (struct loading){.fixture = fixture, .id = credential->id};
    assert_int_equal(store_read_wait(fixture->store, load_tx, &loading), STATUS_OK);
    return loading.credential;
}

static void the_last_administrator_is_looked_for_only_where_one_is_taken(void **state)
{
    (void)state;
    struct driver driver = sqlite_driver;
    struct fixture fixture;
    driver.run = count_looks;
    fixture_open(&fixture, "administrator.db", &driver);
    struct credential *other = make_credential(&fixture, "other", "work_creator");
    struct credential *manager = make_credential(&fixture, "manager", ROLE_USER_MANAGER);
    looks = 0;
    assert_int_equal(do_work(&fixture, move_expiry, load(&fixture, other), NULL), STATUS_OK);
    assert_int_equal(do_work(&fixture, move_expiry, load(&fixture, manager), NULL), STATUS_OK);
    assert_int_equal(do_work(&fixture, expire, load(&fixture, other), NULL), STATUS_OK);
    assert_int_equal(looks, 0);
    assert_int_equal(do_work(&fixture, expire, load(&fixture, manager), NULL), STATUS_FAILED_PRECONDITION);
    assert_int_equal(do_work(&fixture, delete_and_check, load(&fixture, manager), NULL), STATUS_FAILED_PRECONDITION);
    assert_int_equal(do_work(&fixture, give_to_owner, load(&fixture, manager), NULL), STATUS_OK);
    assert_int_equal(looks, 2);
    assert_int_equal(do_work(&fixture, take_roles_of_owner, NULL, NULL), STATUS_FAILED_PRECONDITION);
    struct credential *second = make_credential(&fixture, "second", ROLE_USER_MANAGER);
    assert_int_equal(do_work(&fixture, take_roles_of_owner, NULL, NULL), STATUS_OK);
    assert_int_equal(do_work(&fixture, delete_and_check, load(&fixture, second), NULL), STATUS_FAILED_PRECONDITION);
    assert_int_equal(looks, 5);
    assert_int_equal(do_work(&fixture, delete_and_check, load(&fixture, manager), NULL),
                     STATUS_OK); /* it holds nothing */
    assert_int_equal(looks, 5);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_had_its_time_goes_a_thousand_rows_at_a_time),
        cmocka_unit_test(the_last_change_stays_though_all_are_old),
        cmocka_unit_test(a_deleted_credential_goes_when_its_usage_is_gone),
        cmocka_unit_test(what_expires_is_announced_once_at_30_7_and_1_days_whatever_the_clock_does),
        cmocka_unit_test(what_is_deleted_ends_unannounced),
        cmocka_unit_test(a_secret_key_that_goes_on_for_a_while_is_announced_too),
        cmocka_unit_test(of_several_processes_one_removes),
        cmocka_unit_test(while_nobody_can_write_nobody_is_gone),
        cmocka_unit_test(a_process_goes_by_no_more_than_the_others_have_heard_of),
        cmocka_unit_test(the_last_administrator_is_looked_for_only_where_one_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

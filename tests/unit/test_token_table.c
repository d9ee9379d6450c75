/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "memory/credential_index.h"

#include <stdatomic.h>

static struct credential_entry nobody;
static const struct token_gathering all = {.is_all = true};

/* A key of part number `part`, unlike any other of the process. */
static struct token_key new_key(uint8_t part)
{
    struct token_key key;
    crypto_random(key.bytes, sizeof key.bytes);
    key.bytes[4] = part;
    return key;
}

static bool put(struct token_table *table, const struct token_key *key, int64_t last_used, uint64_t generation)
{
    struct token_facts facts = {
        .key = *key, .credential = &nobody, .last_used = last_used, .stored = last_used, .epoch = 1};
    return token_table_put(table, &facts, generation, 0);
}

static bool has(struct token_table *table, const struct token_key *key, uint64_t *ret_generation)
{
    struct token_facts facts;
    uint64_t generation;
    bool is_there = token_table_get(table, key, &facts, &generation);
    if (ret_generation != NULL)
        *ret_generation = generation;
    assert_true(!is_there || crypto_equal(facts.key.bytes, key->bytes, TOKEN_KEY_BYTES));
    return is_there;
}

static uint64_t generation_of(struct token_table *table, const struct token_key *key)
{
    uint64_t generation;
    has(table, key, &generation);
    return generation;
}

static void what_is_put_in_is_found_until_it_is_removed(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    struct token_table *table = token_table_new(COUNT * 2);
    struct token_key *keys = calloc(COUNT, sizeof *keys);
    assert_non_null(keys);
    for (int i = 0; i < COUNT; i++) {
        keys[i] = new_key((uint8_t)i);
        assert_true(put(table, &keys[i], START, generation_of(table, &keys[i])));
    }
    assert_int_equal(token_table_count(table), COUNT);
    for (int i = 0; i < COUNT; i += 2)
        token_table_remove(table, &keys[i]);
    for (int i = 0; i < COUNT; i++)
        assert_true(has(table, &keys[i], NULL) == (i % 2 == 1));
    assert_int_equal(token_table_count(table), COUNT / 2);
    token_table_touch(table, &keys[1], START + 1, 5);
    token_table_clear(table); /* it may have been revoked, whatever its last use */
    assert_int_equal(token_table_count(table), 0);
    free(keys);
    token_table_free(table);
    token_table_free(NULL);
}

static void what_was_read_before_a_removal_is_not_put_in_after_it(void **state)
{
    (void)state;
    struct token_table *table = token_table_new(1000);
    struct token_key key = new_key(7), neighbour = new_key(7), elsewhere = new_key(8);
    uint64_t generation = generation_of(table, &key);
    token_table_remove(table, &key);
    assert_false(put(table, &key, START, generation));
    assert_false(has(table, &key, &generation));
    assert_true(put(table, &key, START, generation));

    generation = generation_of(table, &neighbour);
    token_table_remove(table, &elsewhere);
    assert_true(put(table, &neighbour, START, generation));
    generation = generation_of(table, &neighbour);
    token_table_clear(table);
    assert_false(put(table, &neighbour, START, generation));
    token_table_free(table);
}

static void it_keeps_to_its_size_and_keeps_what_is_asked_for(void **state)
{
    (void)state;
    enum { MAX = 6400, COUNT = 100000 };
    struct token_table *table = token_table_new(MAX);
    struct token_key favourite = new_key(3);
    assert_true(put(table, &favourite, START, generation_of(table, &favourite)));
    for (int i = 0; i < COUNT; i++) {
        struct token_key key = new_key((uint8_t)i);
        assert_true(put(table, &key, START, generation_of(table, &key)));
        if (i % 64 == 3)
            assert_true(has(table, &favourite, NULL));
    }
    assert_in_range(token_table_count(table), MAX / 2, MAX + MAX / 8);
    assert_true(token_table_bytes(table) < (MAX + 64 * 256) * 150);
    token_table_free(table);
}

static void put_many(struct token_table *table)
{
    for (int i = 0; i < 20000; i++) {
        struct token_key key = new_key((uint8_t)i);
        assert_true(put(table, &key, START, generation_of(table, &key)));
    }
}

static void a_use_that_is_not_stored_keeps_its_entry(void **state)
{
    (void)state;
    enum { MAX = 640, USED = 2000 };
    struct token_table *table = token_table_new(MAX);
    struct token_key *used = calloc(USED, sizeof *used);
    assert_non_null(used);
    for (int i = 0; i < USED; i++) {
        used[i] = new_key((uint8_t)i);
        assert_true(put(table, &used[i], START, generation_of(table, &used[i])));
        token_table_touch(table, &used[i], START + 1 + i, 5);
    }
    assert_int_equal(token_table_count(table), USED);
    struct token_use *uses = NULL;
    assert_int_equal(token_table_gather(table, &all, &uses), USED);
    int64_t sum = 0;
    for (int i = 0; i < USED; i++)
        sum += uses[i].used - START - 1;
    assert_int_equal(sum, (int64_t)USED * (USED - 1) / 2);
    struct token_use *more = NULL;
    assert_int_equal(token_table_gather(table, &all, &more), 0);
    free(more);
    put_many(table); /* while the uses are on their way to the store */
    for (int i = 0; i < USED; i++)
        assert_true(has(table, &used[i], NULL));
    token_table_give_back(table, uses, USED); /* it failed */
    put_many(table);
    free(uses);
    assert_int_equal(token_table_gather(table, &all, &uses), USED);
    token_table_stored(table, uses, USED);
    free(uses);
    put_many(table);
    assert_true(token_table_count(table) < USED);
    free(used);
    token_table_free(table);
}

static void a_later_use_is_never_replaced_by_an_earlier_one(void **state)
{
    (void)state;
    struct token_table *table = token_table_new(100);
    struct token_key key = new_key(0);
    struct token_facts facts;
    uint64_t generation = generation_of(table, &key);
    assert_true(put(table, &key, START, generation));
    assert_true(token_table_touch(table, &key, START + 10, 1));
    assert_true(token_table_touch(table, &key, START + 5, 2));
    assert_true(put(table, &key, START + 1, generation));
    assert_true(token_table_get(table, &key, &facts, &generation));
    assert_int_equal(facts.last_used, START + 10);
    struct token_use *uses = NULL;
    assert_int_equal(token_table_gather(table, &all, &uses), 1);
    assert_int_equal(uses[0].used, START + 10);
    assert_int_equal(uses[0].api, 1);
    free(uses);
    struct token_key absent = new_key(0);
    assert_false(token_table_touch(table, &absent, START, 1));
    assert_int_equal(token_table_count(table), 1);
    token_table_free(table);
}

static void a_removed_token_leaves_no_use_to_its_successor(void **state)
{
    (void)state;
    struct token_table *table = token_table_new(100);
    struct token_key first = new_key(0), second = new_key(0);
    assert_true(put(table, &first, START, generation_of(table, &first)));
    token_table_touch(table, &first, START + 1, 1);
    token_table_remove(table, &first);
    assert_true(put(table, &second, START, generation_of(table, &second))); /* in the same place */
    struct token_use *uses = NULL;
    assert_int_equal(token_table_gather(table, &all, &uses), 0);
    free(uses);
    token_table_touch(table, &second, START + 2, 1);
    assert_int_equal(token_table_gather(table, &all, &uses), 1);
    assert_memory_equal(uses[0].key.bytes, second.bytes, TOKEN_KEY_BYTES);
    free(uses);
    token_table_free(table);
}

#define IDLE (20 * MINUTE)
#define STEP (1 * MINUTE)
#define MARGIN (3 * MINUTE)

static size_t gather_at(struct token_table *table, int64_t now, struct token_use **ret_uses)
{
    const struct token_gathering due = {.now = now, .idle_timeout = IDLE, .step = STEP, .end_margin = MARGIN};
    return token_table_gather(table, &due, ret_uses);
}

static size_t count_at(struct token_table *table, int64_t now)
{
    struct token_use *uses = NULL;
    size_t count = gather_at(table, now, &uses);
    token_table_stored(table, uses, count);
    free(uses);
    return count;
}

static void a_use_is_stored_when_it_is_late_enough_or_the_end_is_near(void **state)
{
    (void)state;
    struct token_table *table = token_table_new(100);
    struct token_key key = new_key(0);
    struct token_use *uses = NULL;
    assert_int_equal(count_at(table, START), 0);
    assert_true(put(table, &key, START, generation_of(table, &key)));
    token_table_touch(table, &key, START + STEP - 1, 1);
    assert_int_equal(count_at(table, START + STEP), 0);
    token_table_touch(table, &key, START + STEP, 1);
    assert_int_equal(count_at(table, START + STEP), 1);
    token_table_touch(table, &key, START + STEP + STEP / 2, 2);
    assert_int_equal(count_at(table, START + STEP + IDLE - MARGIN), 0);
    assert_int_equal(gather_at(table, START + STEP + IDLE - MARGIN + 1 + IDLE / 40, &uses), 1);
    assert_int_equal(uses[0].used, START + STEP + STEP / 2);
    assert_int_equal(uses[0].api, 2);
    assert_int_equal(count_at(table, START + 2 * IDLE), 0); /* it is being stored */
    token_table_give_back(table, uses, 1);
    assert_int_equal(count_at(table, START + 2 * IDLE), 1);
    free(uses);
    token_table_free(table);
}

static void put_and_use(struct token_table *table, int count)
{
    for (int i = 0; i < count; i++) {
        struct token_key key = new_key((uint8_t)i);
        assert_true(put(table, &key, START, generation_of(table, &key)));
        token_table_touch(table, &key, START + 1, 1);
    }
}

static void all_are_looked_at_within_a_fortieth_of_the_idle_timeout(void **state)
{
    (void)state;
    enum { COUNT = 50000, LOOKS = 20 };
    struct token_table *table = token_table_new(COUNT);
    int64_t now = START + IDLE - MARGIN;
    assert_int_equal(count_at(table, now), 0);
    put_and_use(table, COUNT);
    size_t found = 0, most = 0;
    for (int i = 1; i <= LOOKS; i++) {
        size_t count = count_at(table, now + 1 + i * (IDLE / 40 / LOOKS));
        found += count;
        most = count > most ? count : most;
    }
    assert_int_equal(found, COUNT);
    assert_true(most < COUNT / 5); /* and not all at once */
    token_table_free(table);
}

static void a_new_idle_timeout_is_obeyed_at_once_and_all_means_all(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct token_table *table = token_table_new(4 * COUNT);
    struct token_use *uses = NULL;
    assert_int_equal(count_at(table, START), 0);
    put_and_use(table, COUNT);
    assert_int_equal(count_at(table, START + STEP), 0);
    const struct token_gathering shorter = {
        .now = START + STEP, .idle_timeout = MARGIN, .step = STEP, .end_margin = MARGIN};
    assert_int_equal(token_table_gather(table, &shorter, &uses), COUNT);
    token_table_stored(table, uses, COUNT);
    free(uses);
    assert_int_equal(count_at(table, START + STEP), 0);
    put_and_use(table, COUNT);
    assert_int_equal(count_at(table, START + STEP), 0);
    assert_int_equal(token_table_gather(table, &all, &uses), COUNT);
    free(uses);
    token_table_free(table);
}

static void a_use_that_takes_a_wanted_place_is_stored(void **state)
{
    (void)state;
    enum { MAX = 640 };
    struct token_table *table = token_table_new(MAX);
    assert_int_equal(count_at(table, START), 0);
    put_and_use(table, MAX);
    assert_int_equal(count_at(table, START + 1), 0);
    for (int i = 0; i < 10; i++) {
        put_many(table);
        count_at(table, START + 2);
    }
    assert_true(token_table_count(table) < 2 * MAX);
    token_table_free(table);
}

static void roles_of_its_own_are_kept_and_freed(void **state)
{
    (void)state;
    struct token_table *table = token_table_new(100);
    struct token_facts facts = {
        .key = new_key(0), .credential = &nobody, .last_used = START, .stored = START, .is_narrowed = true};
    uint64_t generation = generation_of(table, &facts.key);
    role_set_add(&facts.roles, 200);
    size_t bytes = token_table_bytes(table);
    assert_true(token_table_put(table, &facts, generation, 0));
    struct token_facts found = {.is_narrowed = false};
    assert_true(token_table_get(table, &facts.key, &found, &generation));
    assert_true(found.is_narrowed && role_set_equal(&found.roles, &facts.roles));
    assert_true(token_table_bytes(table) > bytes);
    facts.is_narrowed = false;
    assert_true(token_table_put(table, &facts, generation, 0));
    assert_true(token_table_get(table, &facts.key, &found, &generation));
    assert_false(found.is_narrowed);
    facts.is_narrowed = true;
    assert_true(token_table_put(table, &facts, generation, 0));
    token_table_remove(table, &facts.key);
    token_table_free(table);
}

static void an_entry_takes_about_as_many_bytes_as_is_said(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    struct token_table *table = token_table_new(COUNT);
    for (int i = 0; i < COUNT; i++) {
        struct token_key key = new_key((uint8_t)i);
        put(table, &key, START, generation_of(table, &key));
    }
    size_t bytes = token_table_bytes(table) / token_table_count(table);
    printf("bytes a token: %zu\n", bytes);
    assert_in_range(bytes, 60, 96);
    token_table_free(table);
}

/* Many threads on few keys. A token that is removed once must never be seen again by who removed it. */

enum { SHARED_KEYS = 200, ROUNDS = 3000 };
struct shared {
    struct token_table *table;
    struct token_key keys[SHARED_KEYS];
    atomic_bool is_removed[SHARED_KEYS]; /* in the "store" */
    atomic_int next;
};

static void *use_shared(void *arg)
{
    struct shared *shared = arg;
    unsigned seed = (unsigned)atomic_fetch_add(&shared->next, 1);
    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245 + 12345;
        int which = (int)(seed >> 16) % SHARED_KEYS;
        const struct token_key *key = &shared->keys[which];
        uint64_t generation;
        if (i % 50 == 49) {
            atomic_store(&shared->is_removed[which], true);
            token_table_remove(shared->table, key);
            if (has(shared->table, key, NULL))
                return arg;
        } else if (!has(shared->table, key, &generation)) {
            if (!atomic_load(&shared->is_removed[which])) /* the read of the store */
                put(shared->table, key, START, generation);
        } else {
            token_table_touch(shared->table, key, START + i, 1);
        }
        if (i % 100 == 0) {
            struct token_use *uses = NULL;
            token_table_gather(shared->table, &all, &uses);
            free(uses);
        }
    }
    return NULL;
}

static void many_threads_may_use_it(void **state)
{
    (void)state;
    static struct shared shared;
    shared.table = token_table_new(SHARED_KEYS / 2);
    for (int i = 0; i < SHARED_KEYS; i++)
        shared.keys[i] = new_key((uint8_t)(i % 3));
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_shared, &shared), 0);
    for (int i = 0; i < 6; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    for (int i = 0; i < SHARED_KEYS; i++)
        assert_false(atomic_load(&shared.is_removed[i]) && has(shared.table, &shared.keys[i], NULL));
    token_table_free(shared.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_in_is_found_until_it_is_removed),
        cmocka_unit_test(what_was_read_before_a_removal_is_not_put_in_after_it),
        cmocka_unit_test(it_keeps_to_its_size_and_keeps_what_is_asked_for),
        cmocka_unit_test(a_use_that_is_not_stored_keeps_its_entry),
        cmocka_unit_test(a_later_use_is_never_replaced_by_an_earlier_one),
        cmocka_unit_test(a_removed_token_leaves_no_use_to_its_successor),
        cmocka_unit_test(a_use_is_stored_when_it_is_late_enough_or_the_end_is_near),
        cmocka_unit_test(all_are_looked_at_within_a_fortieth_of_the_idle_timeout),
        cmocka_unit_test(a_new_idle_timeout_is_obeyed_at_once_and_all_means_all),
        cmocka_unit_test(a_use_that_takes_a_wanted_place_is_stored),
        cmocka_unit_test(roles_of_its_own_are_kept_and_freed),
        cmocka_unit_test(an_entry_takes_about_as_many_bytes_as_is_said),
        cmocka_unit_test(many_threads_may_use_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

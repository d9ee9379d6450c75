/* SPDX-License-Identifier: Apache-2.0 */
/* What store.h promises about order, isolation, threads, and a process that is killed; on any store. */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { MANY = 200, KILLS = 12 };

static int set_up(void **state)
{
    *state = open_test_store();
    return 0;
}

static int tear_down(void **state)
{
    store_close(*state);
    return 0;
}

static void sleep_ms(long milliseconds)
{
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
}

/* Order */

struct link {
    struct pending pending;
    int64_t value; /* of the counter, as this function left it */
};

static enum status keep_value(struct store_tx *tx, void *arg)
{
    struct link *link = arg;
    return counter_get(tx, link->pending.name, &link->value);
}

static void writes_take_effect_and_are_told_in_the_order_they_were_queued(void **state)
{
    struct link *links = calloc(MANY, sizeof *links);
    char *name = new_name();
    for (int i = 0; i < MANY; i++) {
        pending_init(&links[i].pending, name, 1, STATUS_OK);
        links[i].pending.then = keep_value;
        links[i].pending.then_arg = &links[i];
        store_write(*state, pending_add, pending_done, &links[i].pending);
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(pending_wait(&links[i].pending), STATUS_OK);
        assert_int_equal(links[i].value, i + 1);
        if (i > 0)
            assert_true(links[i].pending.place > links[i - 1].pending.place);
    }
    free(links);
    free(name);
}

struct chain {
    struct store *store;
    struct pending last;
    int left;
    int wrong;
};

static void go_on(enum status status, void *arg);

static enum status expect_written(struct store_tx *tx, void *arg)
{
    struct chain *chain = arg;
    int64_t value;
    TRY(counter_get(tx, chain->last.name, &value));
    chain->wrong += value != MANY - chain->left;
    return STATUS_OK;
}

static enum status write_next(struct store_tx *tx, void *arg)
{
    struct chain *chain = arg;
    return counter_add(tx, chain->last.name, 1);
}

static void read_it(enum status status, void *arg)
{
    struct chain *chain = arg;
    chain->wrong += status != STATUS_OK;
    chain->left--;
    store_read(chain->store, expect_written, go_on, chain);
}

static void go_on(enum status status, void *arg)
{
    struct chain *chain = arg;
    chain->wrong += status != STATUS_OK;
    if (chain->left == 0)
        pending_done(STATUS_OK, &chain->last);
    else
        store_write(chain->store, write_next, read_it, chain);
}

static void a_read_sees_every_write_that_was_done_before(void **state)
{
    struct chain chain = {.store = *state, .left = MANY};
    char *name = new_name();
    pending_init(&chain.last, name, 0, STATUS_OK);
    go_on(STATUS_OK, &chain);
    assert_int_equal(pending_wait(&chain.last), STATUS_OK);
    assert_int_equal(chain.wrong, 0);
    free(name);
}

/* Isolation */

struct increment {
    struct store *store;
    const char *name;
    int wrong;
};

static enum status read_and_write_back(struct store_tx *tx, void *arg)
{
    const struct increment *increment = arg;
    int64_t value;
    TRY(counter_get(tx, increment->name, &value));
    return store_run(tx, "UPDATE counter SET value = $1 WHERE name = $2", NULL, NULL, store_int(value + 1),
                     store_text(increment->name));
}

static void *increment_ten_times(void *arg)
{
    struct increment *increment = arg;
    for (int i = 0; i < 10; i++)
        increment->wrong += store_write_wait(increment->store, read_and_write_back, increment) != STATUS_OK;
    return NULL;
}

static void a_hundred_parallel_increments_leave_a_hundred(void **state)
{
    struct increment increments[10];
    struct pending first;
    pthread_t threads[10];
    char *name = new_name();
    pending_init(&first, name, 0, STATUS_OK);
    assert_int_equal(store_write_wait(*state, pending_add, &first), STATUS_OK);
    for (int i = 0; i < 10; i++) {
        increments[i] = (struct increment){.store = *state, .name = name};
        assert_int_equal(pthread_create(&threads[i], NULL, increment_ten_times, &increments[i]), 0);
    }
    for (int i = 0; i < 10; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(increments[i].wrong, 0);
    }
    assert_int_equal(counter_read(*state, name), 100);
    free(name);
}

struct look {
    const char *name;
    struct store *store;
    struct pending *between;
    int64_t first, second;
};

static enum status look_twice(struct store_tx *tx, void *arg)
{
    struct look *look = arg;
    TRY(counter_get(tx, look->name, &look->first));
    store_write(look->store, pending_add, pending_done, look->between);
    if (pending_wait(look->between) != STATUS_OK) /* it commits while this one reads */
        return STATUS_INTERNAL;
    return counter_get(tx, look->name, &look->second);
}

static void a_read_sees_one_state_while_others_write(void **state)
{
    struct pending before, between;
    char *name = new_name();
    struct look look = {.name = name, .store = *state, .between = &between};
    pending_init(&before, name, 1, STATUS_OK);
    pending_init(&between, name, 1, STATUS_OK);
    assert_int_equal(store_write_wait(*state, pending_add, &before), STATUS_OK);
    assert_int_equal(store_read_wait(*state, look_twice, &look), STATUS_OK);
    assert_int_equal(look.first, 1);
    assert_int_equal(look.second, 1);
    assert_int_equal(counter_read(*state, name), 2);
    free(name);
}

static void a_read_cannot_write(void **state)
{
    struct pending pending;
    char *name = new_name();
    pending_init(&pending, name, 1, STATUS_OK);
    assert_int_equal(store_read_wait(*state, pending_add, &pending), STATUS_INTERNAL);
    assert_int_equal(counter_read(*state, name), -1);
    free(name);
}

static void reads_go_on_while_a_write_waits(void **state)
{
    struct door door;
    door_hold_writer(&door, *state);
    char *name = new_name();
    assert_int_equal(counter_read(*state, name), -1);
    free(name);
    door_open(&door);
}

/* Queues */

enum { QUEUE = 4 };

static void a_full_queue_refuses_writes_and_nothing_of_them_happens(void **state)
{
    (void)state;
    struct store *store = open_store(&(struct store_options){.queue_max = QUEUE});
    struct pending pending[QUEUE + 3];
    struct door door;
    char *name = new_name();
    door_hold_writer(&door, store);
    for (int i = 0; i < QUEUE + 3; i++) {
        pending_init(&pending[i], name, 1, STATUS_OK);
        store_write(store, pending_add, pending_done, &pending[i]);
    }
    for (int i = QUEUE; i < QUEUE + 3; i++)
        assert_int_equal(pending_wait(&pending[i]), STATUS_UNAVAILABLE); /* at once: the door is still closed */
    door_open(&door);
    for (int i = 0; i < QUEUE; i++)
        assert_int_equal(pending_wait(&pending[i]), STATUS_OK);
    assert_int_equal(counter_read(store, name), QUEUE);
    store_close(store);
    free(name);
}

static enum status read_nothing(struct store_tx *tx, void *arg)
{
    (void)tx;
    ((struct pending *)arg)->calls++;
    return STATUS_OK;
}

static void a_full_queue_refuses_reads(void **state)
{
    (void)state;
    struct store *store = open_store(&(struct store_options){.queue_max = QUEUE, .readers = 1});
    struct pending pending[QUEUE + 1];
    struct door door;
    door_hold_reader(&door, store);
    for (int i = 0; i <= QUEUE; i++) {
        pending_init(&pending[i], NULL, 0, STATUS_OK);
        store_read(store, read_nothing, pending_done, &pending[i]);
    }
    assert_int_equal(pending_wait(&pending[QUEUE]), STATUS_UNAVAILABLE);
    assert_int_equal(pending[QUEUE].calls, 0);
    door_open(&door);
    for (int i = 0; i < QUEUE; i++)
        assert_int_equal(pending_wait(&pending[i]), STATUS_OK);
    store_close(store);
}

static void closing_waits_for_everything_queued(void **state)
{
    (void)state;
    struct store *store = open_test_store();
    struct pending *pending = calloc(2 * MANY, sizeof *pending);
    char *name = new_name();
    for (int i = 0; i < MANY; i++) {
        pending_init(&pending[i], name, 1, STATUS_OK);
        pending_init(&pending[MANY + i], name, 0, STATUS_OK);
        store_write(store, pending_add, pending_done, &pending[i]);
        store_read(store, read_nothing, pending_done, &pending[MANY + i]);
    }
    store_close(store);
    for (int i = 0; i < 2 * MANY; i++) {
        assert_true(pending[i].is_done);
        assert_int_equal(pending[i].status, STATUS_OK);
    }
    store = open_test_store();
    assert_int_equal(counter_read(store, name), MANY);
    store_close(store);
    free(pending);
    free(name);
}

/* Durability: a child writes counters name-0, name-1, … and tells each number on a pipe when its write is done, until
 * it is killed in the midst of it. */

struct told {
    struct store *store;
    char name[64];
    int number;
    int pipe;
};

static enum status write_told(struct store_tx *tx, void *arg)
{
    const struct told *told = arg;
    return counter_insert(tx, told->name, told->number);
}

static void tell(enum status status, void *arg)
{
    struct told *told = arg;
    if (status == STATUS_OK && write(told->pipe, &told->number, sizeof told->number) != sizeof told->number)
        _exit(1);
    free(told);
}

static _Noreturn void write_until_killed(const char *name, int pipe)
{
    struct store *store = open_test_store();
    for (int number = 0;; number++) {
        struct told *told = calloc(1, sizeof *told);
        told->pipe = pipe;
        told->number = number;
        snprintf(told->name, sizeof told->name, "%s-%d", name, number);
        store_write(store, write_told, tell, told);
        if (number % 20 == 19)
            sleep_ms(1);
    }
}

static int kill_in_the_midst(const char *name, long milliseconds)
{
    int ends[2], number, last = -1;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        write_until_killed(name, ends[1]);
    }
    close(ends[1]);
    for (bool is_killed = false; read(ends[0], &number, sizeof number) == sizeof number; last = number) {
        assert_int_equal(number, last + 1);
        if (is_killed)
            continue;
        sleep_ms(milliseconds);
        kill(child, SIGKILL);
        is_killed = true;
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
    return last;
}

static void what_was_done_outlives_a_killed_process(void **state)
{
    (void)state;
    test_url(); /* the children's, too */
    for (int i = 0; i < KILLS; i++) {
        char *name = new_name(), one[64];
        int last = kill_in_the_midst(name, 3 + 5 * i);
        assert_true(last >= 0);
        struct store *store = open_test_store();
        for (int number = 0; number <= last; number++) {
            snprintf(one, sizeof one, "%s-%d", name, number);
            assert_int_equal(counter_read(store, one), number);
        }
        store_close(store);
        free(name);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_done_outlives_a_killed_process), /* first: it forks, and wants no other threads */
        TEST(writes_take_effect_and_are_told_in_the_order_they_were_queued),
        TEST(a_read_sees_every_write_that_was_done_before),
        TEST(a_hundred_parallel_increments_leave_a_hundred),
        TEST(a_read_sees_one_state_while_others_write),
        TEST(a_read_cannot_write),
        TEST(reads_go_on_while_a_write_waits),
        cmocka_unit_test(a_full_queue_refuses_writes_and_nothing_of_them_happens),
        cmocka_unit_test(a_full_queue_refuses_reads),
        cmocka_unit_test(closing_waits_for_everything_queued),
    };
    return cmocka_run_group_tests_name("the store's threads", tests, NULL, NULL);
}

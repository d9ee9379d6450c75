/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for whom, and what becomes of what nobody waits for. */
#include "support.h"

#include <stdatomic.h>

enum { READERS = 2 };

/* Whoever asked for a transaction, and may leave. */
struct asker {
    _Atomic int says;
    _Atomic bool has_begun;
};

static enum status does_wait(const void *waiter)
{
    return (enum status)((struct asker *)(uintptr_t)waiter)->says;
}

static void submit(struct store *store, enum store_kind kind, store_fn *fn, struct pending *pending,
                   struct asker *asker)
{
    store_submit(
        store, &(struct store_job){
                   .kind = kind, .fn = fn, .done = pending_done, .arg = pending, .waits = does_wait, .waiter = asker});
}

static enum status note_call(struct store_tx *tx, void *arg)
{
    (void)tx;
    ((struct pending *)arg)->calls++;
    return STATUS_OK;
}

static void a_read_waits_for_none_of_another_kind(void **state)
{
    struct store *store = *state;
    static const enum store_kind kinds[] = {STORE_READ, STORE_READ_ADMIN, STORE_READ_LONG};
    for (int one = 0; one < STORE_READ_KINDS; one++) {
        struct door doors[STORE_READ_KINDS][READERS];
        for (int kind = 0; kind < STORE_READ_KINDS; kind++)
            for (int i = 0; kind != one && i < READERS; i++)
                door_hold(&doors[kind][i], store, kinds[kind]);
        struct pending pending;
        pending_init(&pending, NULL, 0, STATUS_OK);
        store_submit(store, &(struct store_job){kinds[one], note_call, pending_done, &pending, NULL, NULL});
        assert_int_equal(pending_wait(&pending), STATUS_OK);
        for (int kind = 0; kind < STORE_READ_KINDS; kind++)
            for (int i = 0; kind != one && i < READERS; i++)
                door_open(&doors[kind][i]);
    }
}

static void what_nobody_waits_for_any_more_is_not_begun(void **state)
{
    struct store *store = *state;
    static const enum store_kind kinds[] = {STORE_WRITE, STORE_WRITE_BESIDE, STORE_READ, STORE_READ_ADMIN,
                                            STORE_READ_LONG};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct door doors[READERS];
        int held = kinds[i] < STORE_READ ? 1 : READERS;
        for (int d = 0; d < held; d++)
            door_hold(&doors[d], store, kinds[i]);
        struct pending left, late, kept;
        struct asker leaver = {.says = STATUS_OK}, latecomer = {.says = STATUS_OK}, keeper = {.says = STATUS_OK};
        pending_init(&left, NULL, 0, STATUS_OK);
        pending_init(&late, NULL, 0, STATUS_OK);
        pending_init(&kept, NULL, 0, STATUS_OK);
        submit(store, kinds[i], note_call, &left, &leaver);
        submit(store, kinds[i], note_call, &late, &latecomer);
        submit(store, kinds[i], note_call, &kept, &keeper);
        leaver.says = STATUS_CANCELLED;
        latecomer.says = STATUS_DEADLINE_EXCEEDED;
        for (int d = 0; d < held; d++)
            door_open(&doors[d]);
        assert_int_equal(pending_wait(&left), STATUS_CANCELLED);
        assert_int_equal(pending_wait(&late), STATUS_DEADLINE_EXCEEDED);
        assert_int_equal(pending_wait(&kept), STATUS_OK);
        assert_int_equal(left.calls + late.calls, 0);
        assert_int_equal(kept.calls, 1);
    }
}

static void nothing_is_written_for_whoever_has_left(void **state)
{
    struct store *store = *state;
    struct door door;
    struct pending pending;
    struct asker asker = {.says = STATUS_OK};
    char *name = new_name();
    door_hold(&door, store, STORE_WRITE);
    pending_init(&pending, name, 1, STATUS_OK);
    submit(store, STORE_WRITE, pending_add, &pending, &asker);
    asker.says = STATUS_DEADLINE_EXCEEDED;
    door_open(&door);
    assert_int_equal(pending_wait(&pending), STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(counter_read(store, name), -1);
    free(name);
}

struct leaving {
    struct pending pending; /* first */
    struct asker asker;
};

static enum status leave_and_write(struct store_tx *tx, void *arg)
{
    struct leaving *leaving = arg;
    leaving->asker.says = STATUS_CANCELLED;
    return pending_add(tx, &leaving->pending);
}

static void a_write_that_has_begun_is_carried_out(void **state)
{
    struct store *store = *state;
    struct leaving leaving = {.asker = {.says = STATUS_OK}};
    char *name = new_name();
    pending_init(&leaving.pending, name, 1, STATUS_OK);
    submit(store, STORE_WRITE, leave_and_write, &leaving.pending, &leaving.asker);
    assert_int_equal(pending_wait(&leaving.pending), STATUS_OK);
    assert_int_equal(counter_read(store, name), 1);
    free(name);
}

static enum status ignore(const struct store_row *row, void *arg)
{
    (void)row, (void)arg;
    return STATUS_OK;
}

/* By itself it never ends: on one backend, before the time that a statement may take. */
static enum status count_for_ever(struct store_tx *tx, void *arg)
{
    struct leaving *leaving = arg;
    leaving->asker.has_begun = true;
    return store_run_n(tx,
                       "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 - i % 2 FROM n)"
                       " SELECT count(*) FROM n",
                       NULL, 0, ignore, NULL);
}

/* And one that gives rows all the time. */
static enum status list_for_ever(struct store_tx *tx, void *arg)
{
    struct leaving *leaving = arg;
    leaving->asker.has_begun = true;
    return store_run_n(tx,
                       "SELECT a.value FROM counter a, counter b, counter c, counter d, counter e, counter f,"
                       " counter g, counter h, counter i, counter j",
                       NULL, 0, ignore, NULL);
}

static void add_counters(struct store *store)
{
    for (int i = 0; i < 50; i++) {
        struct pending pending;
        char *name = new_name();
        pending_init(&pending, name, 1, STATUS_OK);
        assert_int_equal(store_write_wait(store, pending_add, &pending), STATUS_OK);
        free(name);
    }
}

static void a_read_that_runs_is_broken_off_when_its_asker_leaves(void **state)
{
    struct store *store = *state;
    static store_fn *const fns[] = {count_for_ever, list_for_ever};
    static const enum status says[] = {STATUS_CANCELLED, STATUS_DEADLINE_EXCEEDED};
    add_counters(store);
    for (int i = 0; i < 2; i++) {
        struct leaving leaving[READERS] = {0};
        for (int r = 0; r < READERS; r++) {
            pending_init(&leaving[r].pending, NULL, 0, STATUS_OK);
            submit(store, STORE_READ_LONG, fns[i], &leaving[r].pending, &leaving[r].asker);
        }
        for (int r = 0; r < READERS; r++) {
            while (!leaving[r].asker.has_begun)
                usleep(1000);
            leaving[r].asker.says = (int)says[i];
        }
        for (int r = 0; r < READERS; r++)
            assert_int_equal(pending_wait(&leaving[r].pending), says[i]);
        /* And its connection serves the next. */
        struct pending next[READERS];
        for (int r = 0; r < READERS; r++) {
            pending_init(&next[r], NULL, 0, STATUS_OK);
            store_submit(store, &(struct store_job){STORE_READ_LONG, note_call, pending_done, &next[r], NULL, NULL});
        }
        for (int r = 0; r < READERS; r++)
            assert_int_equal(pending_wait(&next[r]), STATUS_OK);
    }
}

static int open_it(void **state)
{
    *state = open_store(&(struct store_options){.readers = READERS});
    return 0;
}

static int close_it(void **state)
{
    store_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_waits_for_none_of_another_kind),
        cmocka_unit_test(what_nobody_waits_for_any_more_is_not_begun),
        cmocka_unit_test(nothing_is_written_for_whoever_has_left),
        cmocka_unit_test(a_write_that_has_begun_is_carried_out),
        cmocka_unit_test(a_read_that_runs_is_broken_off_when_its_asker_leaves),
    };
    return cmocka_run_group_tests(tests, open_it, close_it);
}

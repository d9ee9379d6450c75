/* SPDX-License-Identifier: Apache-2.0 */
/* How long the writer waits for company. One that waits for ever is ended by CTest. */
#include "support.h"

#include "base/clock.h"
#include "store/queue.h"

#include <time.h>

enum { GROUP_MAX = 4 };

static int64_t far(void)
{
    return clock_monotonic() + 3600 * CLOCK_SECOND;
}

static void push(struct queue *queue, int count)
{
    for (int i = 0; i < count; i++) {
        struct job *job = calloc(1, sizeof *job);
        assert_non_null(job);
        assert_true(queue_push(queue, job));
    }
}

static void assert_takes(struct queue *queue, size_t count)
{
    struct job_list jobs = queue_take(queue, 1, GROUP_MAX);
    assert_int_equal(jobs.count, count);
    for (struct job *job = jobs.first, *next; job != NULL; job = next) {
        next = job->next;
        free(job);
    }
}

static int set_up(void **state)
{
    struct queue *queue = calloc(1, sizeof *queue);
    queue_init(queue, 100);
    *state = queue;
    return 0;
}

static int tear_down(void **state)
{
    queue_done(*state);
    free(*state);
    return 0;
}

static void *push_three_slowly(void *queue)
{
    for (int i = 0; i < 3; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        push(queue, 1);
    }
    return NULL;
}

static void gathering_goes_on_until_those_who_were_answered_have_come_again(void **state)
{
    pthread_t thread;
    push(*state, 1);
    assert_int_equal(pthread_create(&thread, NULL, push_three_slowly, *state), 0);
    queue_gather(*state, 3, GROUP_MAX, far());
    assert_takes(*state, 4);
    pthread_join(thread, NULL);
}

static void gathering_begins_with_the_first_however_late_it_comes(void **state)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, push_three_slowly, *state), 0);
    queue_gather(*state, 0, GROUP_MAX, 0);
    pthread_join(thread, NULL);
    assert_takes(*state, 3);
}

static void gathering_ends_at_its_time(void **state)
{
    push(*state, 1);
    queue_gather(*state, 3, GROUP_MAX, clock_monotonic() + 1000);
    assert_takes(*state, 1);
}

static void a_full_group_waits_for_nobody(void **state)
{
    push(*state, GROUP_MAX);
    queue_gather(*state, GROUP_MAX, GROUP_MAX, far());
    assert_takes(*state, GROUP_MAX);
}

static void a_closed_queue_waits_for_nobody(void **state)
{
    push(*state, 1);
    queue_close(*state);
    queue_gather(*state, 3, GROUP_MAX, far());
    assert_takes(*state, 1);
    queue_gather(*state, 3, GROUP_MAX, far());
    assert_takes(*state, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gathering_goes_on_until_those_who_were_answered_have_come_again),
        TEST(gathering_begins_with_the_first_however_late_it_comes),
        TEST(gathering_ends_at_its_time),
        TEST(a_full_group_waits_for_nobody),
        TEST(a_closed_queue_waits_for_nobody),
    };
    return cmocka_run_group_tests_name("the store's queues", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* services/rpc/h2/pool.c: blocks go round, are wiped, and are bounded. */
#include "rpc/h2/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

static struct h2_pool pool;
static nghttp2_mem mem;

static int set_up(void **state)
{
    (void)state;
    pool = (struct h2_pool){0};
    mem = h2_pool_mem(&pool);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    h2_pool_done(&pool);
    return 0;
}

static void *take(size_t size)
{
    void *memory = mem.malloc(size, &pool);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
    memset(memory, 'x', size);
    return memory;
}

static void a_block_goes_round_and_is_wiped(void **state)
{
    (void)state;
    if (!KEEPS)
        skip();
    char *first = take(100);
    mem.free(first, &pool);
    assert_true(pool.kept >= 100);
    char *second = mem.malloc(97, &pool); /* of the same list */
    assert_ptr_equal(second, first);
    for (int i = 0; i < 97; i++)
        assert_int_equal(second[i], 0);
    mem.free(second, &pool);
}

static void every_size_is_taken_and_given_back(void **state)
{
    (void)state;
    for (size_t size = 0; size < 3000; size += 7)
        mem.free(take(size), &pool);
    mem.free(NULL, &pool);
}

static void zeroed_memory_is_zeroed_and_too_much_is_refused(void **state)
{
    (void)state;
    mem.free(take(64), &pool);
    uint8_t *memory = mem.calloc(8, 8, &pool);
    for (int i = 0; i < 64; i++)
        assert_int_equal(memory[i], 0);
    mem.free(memory, &pool);
    assert_null(mem.calloc(SIZE_MAX / 2, 3, &pool));
    assert_null(mem.malloc(SIZE_MAX - 8, &pool));
}

static void what_was_written_stays_when_a_block_is_resized(void **state)
{
    (void)state;
    char *memory = mem.realloc(NULL, 10, &pool);
    memset(memory, 'a', 10);
    for (size_t size = 11; size < 4000; size += 13) {
        memory = mem.realloc(memory, size, &pool);
        for (int i = 0; i < 10; i++)
            assert_int_equal(memory[i], 'a');
        memset(memory + 10, 'b', size - 10);
    }
    memory = mem.realloc(memory, 10, &pool);
    assert_memory_equal(memory, "aaaaaaaaaa", 10);
    mem.free(memory, &pool);
}

static void what_is_kept_is_bounded(void **state)
{
    enum { COUNT = 4000, SIZE = 900 };
    void **blocks = calloc(COUNT, sizeof *blocks);
    (void)state;
    for (int i = 0; i < COUNT; i++)
        blocks[i] = take(SIZE);
    for (int i = 0; i < COUNT; i++)
        mem.free(blocks[i], &pool);
    assert_true(pool.kept <= H2_POOL_KEPT);
    assert_true(!KEEPS || pool.kept > H2_POOL_KEPT / 2);
    free(blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_block_goes_round_and_is_wiped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_size_is_taken_and_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zeroed_memory_is_zeroed_and_too_much_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_written_stays_when_a_block_is_resized, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept_is_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* services/rpc/h2/pool.c: blocks go round, are wiped, and are bounded. */
#include "rpc/h2/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { KEEPS = 0 };
#else
enum { KEEPS = 1 };
#endif

static struct h2_pool pool;
static struct h2_nest nest;
static nghttp2_mem mem;

static int set_up(void **state)
{
    (void)state;
    pool = (struct h2_pool){0};
    nest = (struct h2_nest){.pool = &pool}; /* that has no pages */
    mem = h2_nest_mem(&nest);
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
    void *memory = mem.malloc(size, &nest);
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
    mem.free(first, &nest);
    assert_true(pool.kept >= 100);
    char *second = mem.malloc(97, &nest); /* of the same list */
    assert_ptr_equal(second, first);
    for (int i = 0; i < 97; i++)
        assert_int_equal(second[i], 0);
    mem.free(second, &nest);
}

static void every_size_is_taken_and_given_back(void **state)
{
    (void)state;
    for (size_t size = 0; size < 3000; size += 7)
        mem.free(take(size), &nest);
    mem.free(NULL, &nest);
}

static void zeroed_memory_is_zeroed_and_too_much_is_refused(void **state)
{
    (void)state;
    mem.free(take(64), &nest);
    uint8_t *memory = mem.calloc(8, 8, &nest);
    for (int i = 0; i < 64; i++)
        assert_int_equal(memory[i], 0);
    mem.free(memory, &nest);
    assert_null(mem.calloc(SIZE_MAX / 2, 3, &nest));
    assert_null(mem.malloc(SIZE_MAX - 8, &nest));
}

static void what_was_written_stays_when_a_block_is_resized(void **state)
{
    (void)state;
    char *memory = mem.realloc(NULL, 10, &nest);
    memset(memory, 'a', 10);
    for (size_t size = 11; size < 4000; size += 13) {
        memory = mem.realloc(memory, size, &nest);
        for (int i = 0; i < 10; i++)
            assert_int_equal(memory[i], 'a');
        memset(memory + 10, 'b', size - 10);
    }
    memory = mem.realloc(memory, 10, &nest);
    assert_memory_equal(memory, "aaaaaaaaaa", 10);
    mem.free(memory, &nest);
}

static void what_is_kept_is_bounded(void **state)
{
    enum { COUNT = 4000, SIZE = 900 };
    void **blocks = calloc(COUNT, sizeof *blocks);
    (void)state;
    for (int i = 0; i < COUNT; i++)
        blocks[i] = take(SIZE);
    for (int i = 0; i < COUNT; i++)
        mem.free(blocks[i], &nest);
    assert_true(pool.kept <= H2_POOL_KEPT);
    assert_true(!KEEPS || pool.kept > H2_POOL_KEPT / 2);
    free(blocks);
}

/* A session as h2_session_begin makes one, that has said its first. */
static nghttp2_session *begin_session(struct h2_nest *room)
{
    nghttp2_session *session;
    nghttp2_session_callbacks *callbacks;
    const uint8_t *piece;
    nghttp2_settings_entry settings = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100};
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    h2_nest_init(room, &pool);
    nghttp2_mem memory = h2_nest_mem(room);
    assert_int_equal(nghttp2_session_server_new3(&session, callbacks, NULL, NULL, &memory), 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &settings, 1);
    assert_true(nghttp2_session_mem_send(session, &piece) > 0);
    return session;
}

static void of_the_pages_of_a_session_that_says_little_two_are_memory(void **state)
{
    enum { PAGE = H2_NEST_PAGE, PAGES = (H2_NEST_ROOM + H2_NEST_FRAME) / PAGE };
    unsigned char is_there[PAGES];
    struct h2_nest room;
    (void)state;
    if (!KEEPS || sysconf(_SC_PAGESIZE) != PAGE)
        skip();
    nghttp2_session *session = begin_session(&room);
    assert_true(room.has_frame);
    assert_int_equal(mincore(room.base, sizeof is_there * PAGE, is_there), 0);
    for (int i = 0; i < PAGES; i++)
        assert_int_equal(is_there[i] & 1, i < H2_NEST_ROOM / PAGE);
    nghttp2_session_del(session);
    h2_nest_done(&room);
}

static void pages_are_there_for_the_next_session_and_what_was_in_them_is_wiped(void **state)
{
    struct h2_nest first, second;
    (void)state;
    if (!KEEPS)
        skip();
    h2_nest_init(&first, &pool);
    mem = h2_nest_mem(&first);
    char *secret = mem.malloc(40, &first);
    memset(secret, 's', 40);
    mem.free(secret, &first);
    h2_nest_done(&first);
    h2_nest_init(&second, &pool);
    char *again = mem.malloc(40, &second);
    assert_ptr_equal(again, secret);
    for (int i = 0; i < 40; i++)
        assert_int_equal(again[i], 0);
    mem.free(again, &second);
    h2_nest_done(&second);
    assert_int_equal(pool.nest_count, 1);
}

static void a_nest_that_is_full_goes_on_in_the_pool_and_blocks_never_overlap(void **state)
{
    enum { COUNT = 400 };
    char *blocks[COUNT];
    struct h2_nest room;
    (void)state;
    h2_nest_init(&room, &pool);
    mem = h2_nest_mem(&room);
    for (int i = 0; i < COUNT; i++) { /* of every kind: lists, between, large, frames */
        size_t size = i % 40 == 39 ? H2_NEST_FRAME + (size_t)i / 4 : (size_t)i * 7 % 3000 + 1;
        blocks[i] = mem.malloc(size, &room);
        memset(blocks[i], i % 128, size);
    }
    for (int i = 0; i < COUNT; i++) {
        size_t size = i % 40 == 39 ? H2_NEST_FRAME + (size_t)i / 4 : (size_t)i * 7 % 3000 + 1;
        for (size_t j = 0; j < size; j++)
            assert_int_equal(blocks[i][j], i % 128);
        mem.free(blocks[i], &room);
    }
    h2_nest_done(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_block_goes_round_and_is_wiped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_size_is_taken_and_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(zeroed_memory_is_zeroed_and_too_much_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_written_stays_when_a_block_is_resized, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_kept_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_the_pages_of_a_session_that_says_little_two_are_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_are_there_for_the_next_session_and_what_was_in_them_is_wiped, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_nest_that_is_full_goes_on_in_the_pool_and_blocks_never_overlap, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

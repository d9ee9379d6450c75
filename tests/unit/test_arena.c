/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "base/arena.h"

enum { FIRST = 128, LIMIT = 10000 };

static bool is_zero(const void *memory, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((const char *)memory)[i] != 0)
            return false;
    return true;
}

static void the_callers_block_is_used_up_first_and_wiped_for_the_next(void **state)
{
    (void)state;
    _Alignas(max_align_t) char first[FIRST] = {0};
    struct arena arena;
    arena_init(&arena, first, sizeof first, 0);
    for (int round = 0; round < 3; round++) {
        char *small = arena_alloc(&arena, 100), *beyond = arena_alloc(&arena, 5000),
             *last = arena_text(&arena, "secret");
        assert_ptr_equal(small, first);
        assert_true(beyond < first || beyond >= first + FIRST);
        assert_true(is_zero(small, 100) && is_zero(beyond, 5000));
        assert_int_equal((uintptr_t)last % _Alignof(max_align_t), 0);
        memset(small, 1, 100);
        memset(beyond, 1, 5000);
        arena_done(&arena);
        assert_true(is_zero(first, sizeof first));
    }
}

static void at_the_limit_there_is_no_more_and_after_the_end_there_is_again(void **state)
{
    (void)state;
    _Alignas(max_align_t) char first[FIRST] = {0};
    struct arena arena;
    arena_init(&arena, first, sizeof first, LIMIT);
    for (int round = 0; round < 2; round++) {
        size_t taken = 0;
        assert_null(arena_try(&arena, LIMIT + 1));
        assert_null(arena_try(&arena, SIZE_MAX));
        while (arena_try(&arena, 1000) != NULL)
            taken += 1000;
        assert_in_range(taken, LIMIT / 2, LIMIT + FIRST);
        assert_null(arena_try_copy(&arena, first, 1000));
        arena_done(&arena);
    }
}

static void protobuf_c_is_refused_cleanly_at_the_limit(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, NULL, 0, LIMIT);
    ProtobufCAllocator allocator = arena_allocator(&arena);
    void *given = allocator.alloc(allocator.allocator_data, 100);
    assert_non_null(given);
    allocator.free(allocator.allocator_data, given);
    assert_null(allocator.alloc(allocator.allocator_data, LIMIT));
    arena_done(&arena);
}

/* Each time a little longer, so that some fit where they are printed, some not, and one nearly. */
static void what_is_printed_is_whole_wherever_the_block_ends(void **state)
{
    (void)state;
    struct arena arena = {0};
    char *texts[300];
    for (int i = 0; i < 300; i++) {
        texts[i] = arena_format(&arena, "%0*d", i + 1, i);
        assert_true(is_zero(arena.at, (size_t)(arena.end - arena.at)));
    }
    for (int i = 0; i < 300; i++) {
        assert_int_equal(strlen(texts[i]), i + 1);
        assert_int_equal(atoi(texts[i]), i < 1 ? 0 : i);
    }
    arena_done(&arena);
}

static void nothing_is_something_too(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_non_null(arena_alloc(&arena, 0));
    assert_string_equal(arena_text(&arena, NULL), "");
    assert_string_equal(arena_try_copy(&arena, "abc", 2), "ab");
    assert_string_equal(arena_format(&arena, "%s %d", "a", 1), "a 1");
    assert_string_equal(arena_format(&arena, "%s", ""), "");
    arena_done(&arena);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_callers_block_is_used_up_first_and_wiped_for_the_next),
        cmocka_unit_test(at_the_limit_there_is_no_more_and_after_the_end_there_is_again),
        cmocka_unit_test(protobuf_c_is_refused_cleanly_at_the_limit),
        cmocka_unit_test(what_is_printed_is_whole_wherever_the_block_ends),
        cmocka_unit_test(nothing_is_something_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

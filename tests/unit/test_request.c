/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of requests to CredentialAdmin: filters, times, page tokens. */
#include "fixture.h"

#include "api/admin.h"

static const char *const allowed[] = {"name:", "role=", "expires<", NULL};

static bool parses(const char *text, struct filter *filter)
{
    static struct arena arena;
    struct call call = {.method = "test"};
    enum status status = filter_parse(&call, &arena, text, allowed, filter);
    assert_true(status == STATUS_OK || status == STATUS_INVALID_ARGUMENT);
    assert_true(status == STATUS_OK || strcmp(call.error.field, "filter") == 0);
    return status == STATUS_OK;
}

static void a_filter_is_read_term_by_term(void **state)
{
    (void)state;
    struct filter filter;
    assert_true(parses("", &filter));
    assert_int_equal(filter.count, 0);
    assert_true(parses("  name:a  AND role=b AND expires<2026-01-01T00:00:00Z ", &filter));
    assert_int_equal(filter.count, 3);
    assert_string_equal(filter.terms[0].field, "name");
    assert_int_equal(filter.terms[0].op, ':');
    assert_string_equal(filter.terms[0].value, "a");
    assert_string_equal(filter.terms[2].value, "2026-01-01T00:00:00Z");
    assert_true(parses("name:\"a AND \\\"b\\\" \\\\ c\"", &filter));
    assert_int_equal(filter.count, 1);
    assert_string_equal(filter.terms[0].value, "a AND \"b\" \\ c");
    assert_true(parses("name:\"\"", &filter));
    assert_string_equal(filter.terms[0].value, "");
    assert_true(parses("name:a=b", &filter));
    assert_string_equal(filter.terms[0].value, "a=b");
}

static void a_filter_that_is_none_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"name",
                                      "name a",
                                      "AND",
                                      "name:a AND",
                                      "name:a AND ",
                                      "AND name:a",
                                      "name:a name:b",
                                      "name=a",
                                      "role:a",
                                      "other:a",
                                      "name:\"a",
                                      "name:\"a\"b",
                                      "=a",
                                      "name:a OR x",
                                      "NAME:a",
                                      "name>a",
                                      "name:a and role=b",
                                      "name:a ANDname:b"};
    struct filter filter;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (parses(bad[i], &filter))
            fail_msg("%s", bad[i]);
}

static void times_are_of_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t time; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-24T13:40:00Z", INT64_C(1795527600000000)},
        {"2026-11-24t13:40:00z", -1}, /* strptime wants the capital T */
        {"2026-11-24T15:40:00+02:00", INT64_C(1795527600000000)},
        {"2026-11-24T11:10:00-02:30", INT64_C(1795527600000000)},
        {"2026-11-24T13:40:00.5Z", INT64_C(1795527600500000)},
        {"2026-11-24T13:40:00.123456789Z", INT64_C(1795527600123456)},
        {"2026-11-24T13:40:00", -1},
        {"2026-11-24", -1},
        {"2026-11-24T13:40:00+2", -1},
        {"2026-11-24T13:40:00+24:00", -1},
        {"2026-11-24T13:40:00+02:60", -1},
        {"2026-11-24T13:40:00Zx", -1},
        {"2026-13-24T13:40:00Z", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"yesterday", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t time = -1;
        bool is_valid = filter_time(cases[i].text, &time);
        if (is_valid != (cases[i].time >= 0) || (is_valid && time != cases[i].time))
            fail_msg("%s: %lld", cases[i].text, (long long)time);
    }
}

static const char *read_page(struct admin_call *admin, const char *token, const char *query)
{
    const char *cursor = NULL;
    memset(&admin->calling.call->error, 0, sizeof admin->calling.call->error);
    enum status status = page_read(admin, token, query, &cursor);
    if (status == STATUS_OK)
        return cursor;
    assert_int_equal(status, STATUS_INVALID_ARGUMENT);
    return NULL;
}

static void a_page_token_is_good_for_one_method_query_and_instance(void **state)
{
    (void)state;
    struct domain domain = {.instance_key = {1, 2, 3}}, other = {.instance_key = {1, 2, 4}};
    struct admin_method list = {.name = "ListCredentials"}, users = {.name = "ListUsers"};
    struct call call = {.method = "test"};
    struct api api = {.domain = &domain};
    struct admin_call admin = {.method = &list, .calling = {.call = &call, .api = &api}};
    char *token = page_make(&admin, "filter\norder", "17:5:name \xc3\xa4");
    assert_string_equal(read_page(&admin, token, "filter\norder"), "17:5:name \xc3\xa4");
    assert_string_equal(read_page(&admin, "", "filter\norder"), "");
    assert_null(read_page(&admin, token, "filter\norder desc"));
    assert_null(read_page(&admin, token, "filte\nrorder"));
    admin.method = &users;
    assert_null(read_page(&admin, token, "filter\norder"));
    assert_string_equal(call.error.reason, "INVALID_PAGE_TOKEN");
    admin.method = &list;
    api.domain = &other;
    assert_null(read_page(&admin, token, "filter\norder"));
    api.domain = &domain;
    for (size_t i = 0; token[i] != '\0'; i++) {
        char right = token[i];
        token[i] = right == '0' ? '1' : '0';
        assert_null(read_page(&admin, token, "filter\norder"));
        token[i] = 'G';
        assert_null(read_page(&admin, token, "filter\norder"));
        token[i] = right;
    }
    token[strlen(token) - 1] = '\0';
    assert_null(read_page(&admin, token, "filter\norder"));
    assert_null(read_page(&admin, "00", "filter\norder"));
    arena_done(&admin.arena);
}

static void the_longest_cursor_makes_a_token_that_is_taken(void **state)
{
    (void)state;
    struct domain domain = {.instance_key = {1}};
    struct admin_method list = {.name = "ListCredentials"};
    struct call call = {.method = "test"};
    struct api api = {.domain = &domain};
    struct admin_call admin = {.method = &list, .calling = {.call = &call, .api = &api}};
    char cursor[PAGE_CURSOR_MAX + 1];
    memset(cursor, 'x', PAGE_CURSOR_MAX);
    cursor[PAGE_CURSOR_MAX] = '\0';
    char *token = page_make(&admin, "", cursor);
    assert_true(strlen(token) <= 2048);
    assert_string_equal(read_page(&admin, token, ""), cursor);
    arena_done(&admin.arena);
}

static void a_page_has_a_size(void **state)
{
    (void)state;
    static const int32_t cases[][2] = {{0, 50}, {1, 1}, {1000, 1000}, {1001, 1000}, {INT32_MAX, 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(page_size(cases[i][0]), cases[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_filter_is_read_term_by_term),
        cmocka_unit_test(a_filter_that_is_none_is_refused),
        cmocka_unit_test(times_are_of_rfc_3339),
        cmocka_unit_test(a_page_token_is_good_for_one_method_query_and_instance),
        cmocka_unit_test(the_longest_cursor_makes_a_token_that_is_taken),
        cmocka_unit_test(a_page_has_a_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

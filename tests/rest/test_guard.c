/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct guard_limits limits = {.max_header_bytes = 200, .max_headers = 6, .max_body_bytes = 100};

static const struct {
    int code; /* 0: passes, and ends between two requests; -1: passes, and waits for more */
    const char *text;
} cases[] = {
    {0, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {0, "GET / HTTP/1.0\r\n\r\n"},
    {0, "GET http://x/ HTTP/1.1\r\nHost:x\r\nA:\t b\t \r\n\r\n"},
    {0, "OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nEmpty:\r\n\r\n"},
    {0, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3 \r\n\r\n\0\r\n"},
    {0, "POST / HTTP/1.1\r\nHost: x\r\ncontent-length: 0\r\n\r\n"},
    {0, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n00A\r\n0123456789\r\n0\r\n\r\n"},
    {0, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {-1, "G"},
    {-1, "GET / HTTP/1.1\r\nHost: x\r\n"},
    {-1, "GET / HTTP/1.1\r\nHost: x\r\n\r"},
    {-1, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab"},
    {-1, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r"},
    {0, "\r\n"},
    {0, "\r"},
    {0, "\r\nGET / HTTP/1.0\r\n\r\n\r\n"},
    {0, "GET / HTTP/1.0\r\n\r\n\r\nGET / HTTP/1.0\r\n\r\n"},
    {0, "GET http://x HTTP/1.1\r\nHost: x\r\n\r\n"},
    {0, "GET HTTPS://x-y.example:8443?a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {0, "GET http://[2001:db8::1]:80/a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {0, "GET http://[::1] HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET * HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "OPTIONS *a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET ?a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http:/x HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http:///x HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://:80/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://x:/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://x:65536/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://x:8a/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://me@x/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://[::1/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://[::g]/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://[::1]x/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://[127.0.0.1]/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "\r\n\r\n"},
    {400, "\r\r"},
    {400, "\n"},
    {0, "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"},
    {0, "POST / HTTP/1.1\r\nHost: x\r\nConnection: a\r\nConnection: b\r\nContent-Length: 0\r\n\r\n"},
    {411, "POST / HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\r\n"},
    {411, "PUT / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
    {400, " GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, "GET / HTTP/1.1\nHost: x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\n\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nA: \177\r\n\r\n"},
    {400, "GET /\t HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET / HTTP/1.1 \r\nHost: x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1,1\r\n\r\na"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\na\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n"},
    {413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n"},
    {413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\n"},
    {413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
          "0000000000000000000000000000000000000000000000000000000001\r\n\r\n"},
    {413, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n64\r\n"},
    {417, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n"},
    {431, "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n"},
    {501, "GETS / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {501, "get / HTTP/1.1\r\nHost: x\r\n\r\n"},
    {505, "GET / HTTP/3.0\r\nHost: x\r\n\r\n"},
};

/* The one text with a NUL in its body has its length here. */
static size_t length_of(size_t i)
{
    size_t len = strlen(cases[i].text);
    return strstr(cases[i].text, "Length: 3 ") != NULL ? len + 3 : len;
}

static void check(const struct guard *guard, size_t i, const char *how)
{
    int code = cases[i].code < 0 ? 0 : cases[i].code;
    if (guard->code != code)
        fail_msg("%s, fed %s: %d, not %d", cases[i].text, how, guard->code, code);
    if (code == 0 && guard_is_between(guard) != (cases[i].code == 0))
        fail_msg("%s, fed %s: ends in the wrong state", cases[i].text, how);
    assert_true(code == 0 || guard->why != NULL);
}

static void each_request_has_its_verdict_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = length_of(i);
        struct guard guard;
        guard_init(&guard, &limits);
        guard_feed(&guard, cases[i].text, len);
        check(&guard, i, "at once");
        for (size_t cut = 1; cut < len; cut++) {
            guard_init(&guard, &limits);
            guard_feed(&guard, cases[i].text, cut);
            guard_feed(&guard, cases[i].text + cut, len - cut);
            check(&guard, i, "in two");
        }
    }
}

static void a_head_too_large_is_414_in_its_first_line_and_431_after(void **state)
{
    (void)state;
    struct guard guard;
    char many[300];
    memset(many, 'a', sizeof many);
    guard_init(&guard, &limits);
    guard_feed(&guard, "GET /", 5);
    assert_int_equal(guard_feed(&guard, many, sizeof many), 414);
    guard_init(&guard, &limits);
    guard_feed(&guard, "GET / HTTP/1.1\r\nA: ", 19);
    assert_int_equal(guard_feed(&guard, many, sizeof many), 431);
}

static void what_was_refused_stays_refused(void **state)
{
    (void)state;
    struct guard guard;
    guard_init(&guard, &limits);
    assert_int_equal(guard_feed(&guard, "\n", 1), 400);
    assert_int_equal(guard_feed(&guard, "GET / HTTP/1.0\r\n\r\n", 18), 400);
}

static void requests_are_counted_one_by_one(void **state)
{
    (void)state;
    static const char text[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.0\r\n\r\n"
                               "GET / HTTP/1.0\r\n\r\n";
    struct guard guard;
    guard_init(&guard, &limits);
    assert_int_equal(guard_feed(&guard, text, sizeof text - 1), 0);
    assert_int_equal(guard.requests, 2); /* the one in the body is none */
    assert_true(guard_is_between(&guard));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_has_its_verdict_however_it_is_cut),
        cmocka_unit_test(a_head_too_large_is_414_in_its_first_line_and_431_after),
        cmocka_unit_test(what_was_refused_stays_refused),
        cmocka_unit_test(requests_are_counted_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

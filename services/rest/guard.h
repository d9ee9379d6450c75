/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches the bytes of a connection before the HTTP library sees them, and lets only requests through that every parser
 * must read alike. What is ambiguous, and so could be smuggled past a proxy (two lengths, "+3", "0x1f", `gzip,
 * chunked`, folded or bare-LF lines, NUL, two hosts, two Authorization headers, trailers), is refused, and the
 * connection with it.
 *
 * It stores nothing of a request but a header's name and a few bytes of its value, and allocates nothing.
 */
#ifndef REST_GUARD_H
#define REST_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct guard_limits {
    size_t max_header_bytes;
    size_t max_headers;
    size_t max_body_bytes;
};

struct guard {
    const struct guard_limits *limits;
    int state;         /* enum state of guard.c; 0: between two requests */
    unsigned requests; /* begun so far */
    int code;          /* refused with this HTTP status; 0: not refused */
    const char *why;   /* in words, a constant */
    size_t head_bytes; /* of this request */
    size_t headers;    /* of this request */
    size_t body_left;  /* of the body, or of this chunk */
    size_t body_bytes; /* of all chunks so far */
    size_t content_length;
    unsigned seen; /* which of the headers that matter */
    int which;     /* the header that is being read */
    bool may_have_body, may_have_star, is_http_1_1, is_chunked, is_kept;
    bool has_blank; /* an empty line has come since the last request */
    char word[48];  /* the method, an IPv6 address, a header's name, the value of one that matters, a chunk's size */
    size_t word_len;
    char target[40]; /* how the path begins that is asked for; "" before */
    size_t target_len;
};

/* For a connection's first byte. The limits must outlive it. */
void guard_init(struct guard *guard, const struct guard_limits *limits);

/* The next bytes as they came in. 0, or the HTTP status to refuse with (guard->why says why); then it stays so. */
int guard_feed(struct guard *guard, const char *data, size_t len);

/* Between two requests: no byte of a request has come whose end has not. An empty line before a request belongs to
 * neither; whoever reads behind this must not be shown it. */
bool guard_is_between(const struct guard *guard);

#endif

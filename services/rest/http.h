/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/1.1 server on libevent's evhttp, with what evhttp does not do: limits, deadlines, the guard on the raw bytes,
 * and requests that are answered later from another thread. It knows nothing of what is served.
 */
#ifndef REST_HTTP_H
#define REST_HTTP_H

#include "base/arena.h"
#include "base/status.h"
#include "forwarded.h"
#include "guard.h"
#include "tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_MAX_ANSWER_HEADERS = 24 };

struct http_server;
struct http_parked; /* what the server keeps with a request */

struct http_answer {
    int code;
    const char *content_type; /* a constant; NULL: no body */
    const char *body;         /* lives as long as the request */
    size_t body_len;
    struct {
        const char *name, *value;
    } headers[HTTP_MAX_ANSWER_HEADERS];
    size_t header_count;
};

/* Lives from handle() until http_reply(), whatever becomes of the client. */
struct http_request {
    const char *method; /* "POST" */
    char *path;         /* as sent, without the query; ends with NUL */
    char *query;        /* as sent, without the '?'; "" for none */
    char *body;         /* whole; body[body_len] is NUL */
    size_t body_len;
    const char *peer; /* IP address */
    bool is_trusted;  /* the connection is a trusted proxy's; whoever `peer` is */
    bool is_tls;
    uint64_t number;  /* no other request of this server has it */
    int64_t start;    /* CLOCK_MONOTONIC, microseconds: when it was read whole */
    int64_t deadline; /* by when to answer */
    struct arena arena;
    struct http_answer answer;
    const char *route; /* set by the handler, a constant: for the log and metrics */
    void *data;        /* the handler's own */
    /* Set within handle(), or NULL. Called once, on the loop or where the server is freed: the client has hung up (or
     * sent its FIN, a second ago), or had an answer in the handler's place. http_reply must be
     * called all the same, and may have been by then. */
    void (*on_gone)(struct http_request *request);
    struct http_parked *parked;
};

struct http_options {
    const char *address;
    int listen_fd;   /* a listening socket in its place, borrowed; 0: none */
    struct tls *tls; /* borrowed; NULL: none */
    int threads, max_connections, max_connections_per_address;
    struct guard_limits limits;
    int64_t request_timeout_us, answer_timeout_us, write_timeout_us, keep_alive_us;
    struct forwarded forwarded; /* whose word is taken for who the client is */

    /* The body of a refusal that was made before there was a request, in the arena. target: how the path begins, as
     * far as it came. NULL: out of memory. */
    char *(*refusal)(void *arg, struct arena *arena, const char *target, int code, const char *why);
    /* On a loop; must not block. Must see to it that http_reply is called once, now or later. */
    void (*handle)(void *arg, struct http_request *request);
    /* On a loop: an answer with `code` goes out. request: NULL where none was read (a refusal, a timeout). code: 0
     * where a connection was turned away because there are too many; why: NULL where there is no need to tell of it
     * again. */
    void (*observe)(void *arg, const struct http_request *request, const char *peer, int code, const char *why);
    void *arg;
};

/* `options` is copied, what it points to borrowed. NULL: out of memory. */
struct http_server *http_server_new(const struct http_options *options);
enum status http_server_start(struct http_server *server);
int http_server_port(const struct http_server *server);

/* Has each loop turned within the last `limit_us`? From any thread. */
bool http_server_is_turning(const struct http_server *server, int64_t limit_us);

/* Takes no new connection; those that are open may finish their request within grace_ms. Then the loops have ended. */
void http_server_stop(struct http_server *server, int64_t grace_ms);
/* After http_server_stop. NULL is fine. */
void http_server_free(struct http_server *server);

/* A request's header; only within handle(), for its memory goes with the client. NULL: absent. */
const char *http_header(const struct http_request *request, const char *name);

/* The same from the beginning, as a copy that lives as long as the request. */
const char *http_header_copy(struct http_request *request, const char *name);

/* All lines of one header, in their order, at most `most`. Returns how many. */
size_t http_header_lines(const struct http_request *request, const char *name, const char **lines, size_t most);

/* Adds a header to the answer. value is copied; a control character in it leaves the header out. */
void http_answer_header(struct http_request *request, const char *name, const char *value);

/* Sends request->answer. From any thread, once; the request is gone with it. */
void http_reply(struct http_request *request);

/* Has the client hung up, or had an answer in the handler's place? From any thread. */
bool http_is_gone(const struct http_request *request);

/* "Not Found"; for a code that it does not know "Error". */
const char *http_reason(int code);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "http_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* A handler that knows its deadline answers by itself; this is for one that does not. */
enum { ABANDON_AFTER_US = 500000, LINES_MAX = 256, SPARE_MAX = 64 };
enum { HEAD_BYTES = 256 }; /* of an answer's head: what every one has */

const char *http_reason(int code)
{
    static const struct {
        int code;
        const char *reason;
    } reasons[] = {{200, "OK"},
                   {201, "Created"},
                   {204, "No Content"},
                   {304, "Not Modified"},
                   {308, "Permanent Redirect"},
                   {400, "Bad Request"},
                   {401, "Unauthorized"},
                   {403, "Forbidden"},
                   {404, "Not Found"},
                   {405, "Method Not Allowed"},
                   {408, "Request Timeout"},
                   {409, "Conflict"},
                   {411, "Length Required"},
                   {412, "Precondition Failed"},
                   {413, "Content Too Large"},
                   {414, "URI Too Long"},
                   {415, "Unsupported Media Type"},
                   {417, "Expectation Failed"},
                   {429, "Too Many Requests"},
                   {431, "Request Header Fields Too Large"},
                   {500, "Internal Server Error"},
                   {501, "Not Implemented"},
                   {503, "Service Unavailable"},
                   {504, "Gateway Timeout"},
                   {505, "HTTP Version Not Supported"}};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].code == code)
            return reasons[i].reason;
    return "Error";
}

/* By the first letter, mostly. */
static bool is_named(const struct evkeyval *header, const char *name)
{
    return (header->key[0] | 0x20) == (name[0] | 0x20) && strcasecmp(header->key, name) == 0;
}

/* libevent has a function for this, which takes its time over each letter. */
static const char *find_header(struct evhttp_request *req, const char *name)
{
    const struct evkeyval *header;
    TAILQ_FOREACH(header, evhttp_request_get_input_headers(req), next)
    {
        if (is_named(header, name))
            return header->value;
    }
    return NULL;
}

const char *http_header(const struct http_request *request, const char *name)
{
    struct evhttp_request *req = request->parked->req;
    return req == NULL ? NULL : find_header(req, name);
}

const char *http_header_copy(struct http_request *request, const char *name)
{
    const char *value = http_header(request, name);
    return value == NULL ? NULL : arena_copy(&request->arena, value, strlen(value));
}

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
    struct http_answer *answer = &request->answer;
    if (answer->header_count == HTTP_MAX_ANSWER_HEADERS || value == NULL)
        return;
    for (const char *c = value; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return;
    answer->headers[answer->header_count].name = name;
    answer->headers[answer->header_count++].value = arena_copy(&request->arena, value, strlen(value));
}

bool http_is_gone(const struct http_request *request)
{
    return atomic_load(&request->parked->is_gone);
}

/* Of the loop's thread, and of whoever stops the server once that is gone. */
static struct http_parked *parked_new(struct loop *loop)
{
    struct http_parked *parked = SLIST_FIRST(&loop->spare);
    if (parked == NULL)
        parked = calloc(1, sizeof *parked);
    else {
        SLIST_REMOVE_HEAD(&loop->spare, answered_link);
        loop->spare_count--;
        memset(parked, 0, offsetof(struct http_parked, first));
    }
    if (parked == NULL)
        return NULL;
    parked->loop = loop;
    loop->outstanding++;
    parked->request.number = loop->next_number++;
    arena_init(&parked->request.arena, parked->first, sizeof parked->first, 0);
    return parked;
}

void request_free_spare(struct loop *loop)
{
    struct http_parked *parked;
    while ((parked = SLIST_FIRST(&loop->spare)) != NULL) {
        SLIST_REMOVE_HEAD(&loop->spare, answered_link);
        free(parked);
    }
}

static void parked_free(struct http_parked *parked)
{
    struct loop *loop = parked->loop;
    arena_done(&parked->request.arena);
    if (loop->spare_count < SPARE_MAX) {
        SLIST_INSERT_HEAD(&loop->spare, parked, answered_link);
        loop->spare_count++;
    } else {
        free(parked);
    }
    loop->outstanding--;
}

void http_reply(struct http_request *request)
{
    struct http_parked *parked = request->parked;
    struct loop *loop = parked->loop;
    if (pthread_equal(pthread_self(), loop->self) && parked->is_handling) {
        parked->is_answered = true; /* request_handle sends it when it gets it back */
        return;
    }
    /* Still under the lock: once the loop has the request, the whole server may be gone before the next line. */
    pthread_mutex_lock(&loop->lock);
    bool is_awake = !SLIST_EMPTY(&loop->answered); /* whoever was first has woken it */
    SLIST_INSERT_HEAD(&loop->answered, parked, answered_link);
    if (!is_awake)
        (void)!write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_mutex_unlock(&loop->lock);
}

/* evhttp's, on the loop: the answer is sent, and the request is freed next. The conn may get another one. */
static void written(struct evhttp_request *req, void *arg)
{
    struct conn *conn = arg;
    (void)req;
    const struct http_options *options = &conn->loop->server->options;
    conn_drop_blank_line(conn);
    if (conn->guard.code != 0) /* refused in the next sweep: here evhttp still has it in its hands */
        conn_set_phase(conn, PHASE_SPOILT, 0);
    else if (guard_is_between(&conn->guard))
        conn_set_phase(conn, PHASE_IDLE, options->keep_alive_us);
    else
        conn_set_phase(conn, PHASE_READING, options->request_timeout_us);
}

/* RFC 9110, section 6.6.1. Written once a second, and not by evhttp for each answer. */
static const char *date_now(struct loop *loop)
{
    time_t now = time(NULL);
    struct tm utc;
    if (now != loop->date_of && gmtime_r(&now, &utc) != NULL) {
        evutil_date_rfc1123(loop->date, sizeof loop->date, &utc);
        loop->date_of = now;
    }
    return loop->date;
}

/* What the answer says of the connection, as evhttp will go about it. NULL: nothing. */
static const char *connection_of(struct http_parked *parked)
{
    struct evhttp_request *req = parked->req;
    const char *asked = find_header(req, "Connection");
    if (parked->conn->guard.code != 0 || atomic_load(&parked->loop->server->is_draining)) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Connection", "close");
        return "close";
    }
    if (asked != NULL && strcasecmp(asked, "close") == 0)
        return "close";
    return req->minor == 0 && asked != NULL && strncasecmp(asked, "keep-alive", 10) == 0 ? "keep-alive" : NULL;
}

/* A 204 and a 304 have no body, and an answer to HEAD has the length of what GET would get. */
static bool has_length(const struct http_answer *answer, bool is_head)
{
    return answer->code != 204 && answer->code != 304 && (!is_head || answer->content_type != NULL);
}

static char *put_header(char *to, const char *name, const char *value)
{
    return stpcpy(stpcpy(stpcpy(stpcpy(to, name), ": "), value), "\r\n");
}

/* Puts the head at `to` and gives its end. */
static char *put_head(struct http_parked *parked, const struct http_answer *answer, const char *connection,
                      bool is_head, char *to)
{
    to = stpcpy(stpcpy(to, parked->req->minor == 0 ? "HTTP/1.0 " : "HTTP/1.1 "), log_number(answer->code).text);
    to = stpcpy(stpcpy(stpcpy(to, " "), http_reason(answer->code)), "\r\n");
    to = put_header(to, "Date", date_now(parked->loop));
    for (size_t i = 0; i < answer->header_count; i++)
        to = put_header(to, answer->headers[i].name, answer->headers[i].value);
    if (answer->content_type != NULL)
        to = put_header(to, "Content-Type", answer->content_type);
    if (has_length(answer, is_head))
        to = put_header(to, "Content-Length", log_number((long long)answer->body_len).text);
    if (connection != NULL)
        to = put_header(to, "Connection", connection);
    return stpcpy(to, "\r\n");
}

/* No less than the head has. */
static size_t head_size(const struct http_answer *answer)
{
    size_t size = HEAD_BYTES + (answer->content_type == NULL ? 0 : strlen(answer->content_type));
    for (size_t i = 0; i < answer->header_count; i++)
        size += strlen(answer->headers[i].name) + strlen(answer->headers[i].value) + sizeof ": \r\n";
    return size;
}

/* Head and body, in one piece, behind what is still to be sent. */
static void put_answer(struct http_parked *parked, const struct http_answer *answer)
{
    bool is_head = evhttp_request_get_command(parked->req) == EVHTTP_REQ_HEAD;
    size_t body_len = is_head || !has_length(answer, is_head) ? 0 : answer->body_len;
    struct evbuffer *output = bufferevent_get_output(parked->conn->bev);
    struct evbuffer_iovec piece;
    size_t size = head_size(answer) + body_len;
    char *first = must(evbuffer_reserve_space(output, (ev_ssize_t)size, &piece, 1) == 1 ? piece.iov_base : NULL);
    char *end = put_head(parked, answer, connection_of(parked), is_head, first);
    if (body_len > 0)
        end = mempcpy(end, answer->body, body_len);
    piece.iov_len = (size_t)(end - first);
    evbuffer_commit_space(output, &piece, 1);
}

/* As far as the socket takes it: without that, epoll would be asked first whether it does, for each answer. The rest,
 * and an error, is for the event loop. */
static void write_out(struct bufferevent *bev, bool is_plain)
{
    struct evbuffer *output = bufferevent_get_output(bev);
    if (is_plain) {
        evbuffer_unfreeze(output, 1);
        evbuffer_write(output, bufferevent_getfd(bev));
        evbuffer_freeze(output, 1);
    }
    if (evbuffer_get_length(output) > 0) {
        bufferevent_enable(bev, EV_WRITE);
        return;
    }
    bufferevent_disable(bev, EV_WRITE); /* a "100 Continue" may have enabled it, and evhttp must be told once only */
    bufferevent_trigger(bev, EV_WRITE, BEV_TRIG_DEFER_CALLBACKS);
}

/* Sends the answer. The request is no more the connection's afterwards. evhttp_send_reply would allocate each header
 * three times and print it; so the answer stands in the buffer when evhttp is told that it is whole. */
static void send_answer(struct http_parked *parked, const struct http_answer *answer, const char *why)
{
    struct conn *conn = parked->conn;
    struct evhttp_request *req = parked->req;
    struct http_server *server = parked->loop->server;
    put_answer(parked, answer);
    conn->current = NULL;
    parked->conn = NULL;
    parked->req = NULL;
    conn_set_phase(conn, PHASE_WRITING, server->options.write_timeout_us);
    evhttp_request_set_on_complete_cb(req, written, conn);
    server->options.observe(server->options.arg, &parked->request, parked->peer, answer->code, why);
    req->chunked = 0;           /* the request may have been */
    evhttp_send_reply_end(req); /* and not before there is something to send: it would be over at once */
    write_out(conn->bev, conn->ssl == NULL);
}

void request_gone(struct http_parked *parked)
{
    if (!atomic_exchange(&parked->is_gone, true) && parked->request.on_gone != NULL)
        parked->request.on_gone(&parked->request);
}

void request_abandon(struct http_parked *parked, int code)
{
    static const char body[] = "{\"error\":\"server_error\",\"error_description\":\"no answer in time\"}";
    struct http_answer answer = {
        .code = code, .content_type = "application/json", .body = body, .body_len = sizeof body - 1};
    request_gone(parked);
    send_answer(parked, &answer, "handler late");
}

void request_lose(struct http_parked *parked)
{
    request_gone(parked);
    /* Where evhttp has let go of the request it is ours to free, else the connection takes it with it. */
    if (evhttp_request_get_connection(parked->req) == NULL)
        evhttp_request_free(parked->req);
    parked->req = NULL;
    parked->conn->current = NULL;
    parked->conn = NULL;
}

void request_send_answered(struct loop *loop)
{
    uint64_t count;
    (void)!read(loop->wake_fd, &count, sizeof count);
    pthread_mutex_lock(&loop->lock);
    struct http_parked *first = SLIST_FIRST(&loop->answered), *next;
    SLIST_INIT(&loop->answered);
    pthread_mutex_unlock(&loop->lock);
    for (struct http_parked *parked = first; parked != NULL; parked = next) {
        next = SLIST_NEXT(parked, answered_link);
        if (parked->req != NULL)
            send_answer(parked, &parked->request.answer, NULL);
        parked_free(parked);
    }
}

size_t http_header_lines(const struct http_request *request, const char *name, const char **lines, size_t most)
{
    size_t count = 0;
    const struct evkeyval *header;
    TAILQ_FOREACH(header, evhttp_request_get_input_headers(request->parked->req), next)
    {
        if (count < most && is_named(header, name))
            lines[count++] = header->value;
    }
    return count;
}

static void find_peer(struct http_parked *parked)
{
    const char *lines[LINES_MAX];
    const struct forwarded *forwarded = &parked->loop->server->options.forwarded;
    memcpy(parked->peer, parked->conn->peer, sizeof parked->peer);
    if (!parked->conn->is_trusted)
        return;
    size_t count =
        http_header_lines(&parked->request, forwarded->is_rfc7239 ? "Forwarded" : "X-Forwarded-For", lines, LINES_MAX);
    if (count < LINES_MAX) /* else the last ones, which alone are to be believed, may not be among them */
        forwarded_find(forwarded, lines, count, parked->peer);
}

static void split_target(struct http_request *request, const char *target)
{
    if (strncasecmp(target, "http://", 7) == 0 || strncasecmp(target, "https://", 8) == 0) {
        const char *host = strchr(target, ':') + 3;
        target = host + strcspn(host, "/?");
    }
    size_t len = strcspn(target, "?");
    request->path = arena_copy(&request->arena, len == 0 ? "/" : target, len == 0 ? 1 : len);
    const char *query = target[len] == '?' ? target + len + 1 : "";
    request->query = arena_copy(&request->arena, query, strlen(query));
}

static const char *method_name(struct evhttp_request *req)
{
    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
        return "GET";
    case EVHTTP_REQ_HEAD:
        return "HEAD";
    case EVHTTP_REQ_POST:
        return "POST";
    case EVHTTP_REQ_PUT:
        return "PUT";
    case EVHTTP_REQ_PATCH:
        return "PATCH";
    case EVHTTP_REQ_DELETE:
        return "DELETE";
    case EVHTTP_REQ_OPTIONS:
        return "OPTIONS";
    case EVHTTP_REQ_TRACE:
    case EVHTTP_REQ_CONNECT:
        break;
    }
    return "OTHER"; /* the guard lets none of these through */
}

static void fill(struct http_parked *parked)
{
    struct http_request *request = &parked->request;
    struct evbuffer *body = evhttp_request_get_input_buffer(parked->req);
    const struct http_options *options = &parked->loop->server->options;
    request->parked = parked;
    request->method = method_name(parked->req);
    request->body_len = evbuffer_get_length(body);
    request->body = arena_alloc(&request->arena, request->body_len + 1);
    split_target(request, evhttp_request_get_uri(parked->req));
    evbuffer_remove(body, request->body, request->body_len);
    find_peer(parked);
    request->peer = parked->peer;
    request->is_trusted = parked->conn->is_trusted;
    request->is_tls = options->tls != NULL;
    request->start = clock_monotonic();
    request->deadline = request->start + options->answer_timeout_us;
    request->route = "other";
    request->answer.code = 500;
}

static void handle(struct http_parked *parked)
{
    const struct http_options *options = &parked->loop->server->options;
    struct conn *conn = parked->conn;
    conn_set_phase(conn, PHASE_HANDLING, options->answer_timeout_us + ABANDON_AFTER_US);
    parked->is_handling = true;
    options->handle(options->arg, &parked->request);
    /* A handler that parked the request may have been answered by another thread by now; it is still ours, for only
     * this thread takes it from the queue. */
    parked->is_handling = false;
    if (!parked->is_answered)
        return;
    send_answer(parked, &parked->request.answer, NULL);
    parked_free(parked);
}

void request_handle(struct evhttp_request *req, void *arg)
{
    struct loop *loop = arg;
    struct conn *conn;
    struct evhttp_connection *evcon = evhttp_request_get_connection(req);
    HASH_FIND_PTR(loop->by_evcon, &evcon, conn);
    struct http_parked *parked = conn == NULL ? NULL : parked_new(loop);
    if (parked == NULL) {
        evhttp_connection_free(evcon);
        return;
    }
    req->flags &= ~EVHTTP_PROXY_REQUEST; /* a URL as the target: its connection is kept or closed like any other */
    parked->conn = conn;
    parked->req = req;
    conn->current = parked;
    if (conn->guard.code == 0) {
        fill(parked);
        handle(parked);
        return;
    }
    /* Bytes behind this request were refused, and who sent them may have meant them to be part of it. */
    int code = conn->guard.code;
    const char *why = conn->guard.why;
    const struct http_options *options = &loop->server->options;
    char *body = options->refusal(options->arg, &parked->request.arena, conn->guard.target, code, why);
    struct http_answer answer = {
        .code = code, .content_type = "application/json", .body = body, .body_len = body == NULL ? 0 : strlen(body)};
    parked->request.route = "other";
    parked->request.method = "OTHER";
    parked->request.start = clock_monotonic();
    send_answer(parked, &answer, why);
    parked_free(parked);
}

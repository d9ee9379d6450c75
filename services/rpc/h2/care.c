/* SPDX-License-Identifier: Apache-2.0 */
/* What takes too long: handshakes, greetings, silence, peers that take nothing, old age. */
#include "base/clock.h"
#include "rpc/h2/stream.h"

#include <stdlib.h>

enum {
    KEEPALIVE_MS = 60000, /* of silence, then a PING */
    REFUSED_MS = 1000,
    CHECKS = 4,    /* of the streams, within their shortest limit */
    AGE_PART = 10, /* of a connection's age: by so much it varies, and so long its streams have to end */
};

static int64_t ms(int64_t milliseconds)
{
    return milliseconds * (CLOCK_SECOND / 1000);
}

void h2_conn_set_age(struct h2_conn *conn)
{
    int64_t age = ms(conn->loop->server->limits->connection_age_ms);
    conn->ages_at = conn->dies_at = INT64_MAX;
    if (age < 0)
        return;
    int64_t part = age / AGE_PART; /* so that those that were opened together do not come back together */
    conn->dies_at = conn->accepted_at + age - (part > 0 ? random() % part : 0);
    conn->ages_at = conn->dies_at - part;
}

static int64_t check_interval(const struct rpc_limits *limits)
{
    int64_t shortest = limits->answer_timeout_ms < limits->progress_timeout_ms ? limits->answer_timeout_ms
                                                                               : limits->progress_timeout_ms;
    return ms(shortest) / CHECKS;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t silent_until(const struct h2_conn *conn)
{
    const struct rpc_limits *limits = conn->loop->server->limits;
    return conn->pinged_at != 0 ? conn->pinged_at + ms(limits->progress_timeout_ms) : conn->read_at + ms(KEEPALIVE_MS);
}

/* How long it may take nothing; one that is on its way out, not so long. */
static int64_t patience(const struct h2_conn *conn)
{
    return ms(conn->is_refused ? REFUSED_MS : conn->loop->server->limits->progress_timeout_ms);
}

void h2_conn_schedule(struct h2_conn *conn)
{
    const struct rpc_limits *limits = conn->loop->server->limits;
    int64_t due = INT64_MAX;
    switch (conn->state) {
    case H2_HANDSHAKE:
        due = conn->accepted_at + ms(limits->handshake_timeout_ms);
        break;
    case H2_LINGER:
        due = conn->lingers_until;
        break;
    case H2_OPEN:
        due = earlier(silent_until(conn), conn->drains_at == 0 ? conn->ages_at : conn->drains_at);
        due = earlier(due, conn->dies_at);
        if (!conn->is_greeted)
            due = earlier(due, conn->accepted_at + ms(limits->settings_timeout_ms));
        if (conn->blocked_at != 0)
            due = earlier(due, conn->blocked_at + patience(conn));
        if (conn->open > 0)
            due = earlier(due, conn->loop->now + check_interval(limits));
        break;
    case H2_CLOSED:
        break;
    }
    if (due <= conn->loop->now) /* what was begun for it ends later in this turn */
        due = conn->loop->now + ms(1);
    if (due == INT64_MAX)
        h2_timer_clear(&conn->loop->timers, &conn->timer);
    else
        h2_timer_set(&conn->loop->timers, &conn->timer, due);
}

void h2_conn_watch(struct h2_conn *conn)
{
    if (conn->timer.due > conn->loop->now + check_interval(conn->loop->server->limits))
        h2_conn_schedule(conn);
}

static void give_up(struct h2_conn *conn, enum rpc_limit limit, const char *why)
{
    h2_limits_met(&conn->loop->server->met, limit, conn->peer, why, conn->loop->now);
    h2_conn_close(conn);
}

/* Returns whether it is still there. */
static bool check_silence(struct h2_conn *conn)
{
    if (conn->loop->now < silent_until(conn) || !h2_conn_may_read(conn)) /* it may have said something, unread */
        return true;
    if (conn->pinged_at != 0) {
        give_up(conn, RPC_LIMIT_PROGRESS, "a PING was not answered");
        return false;
    }
    conn->pinged_at = conn->loop->now;
    nghttp2_submit_ping(conn->session, NGHTTP2_FLAG_NONE, NULL);
    h2_conn_mark(conn);
    return true;
}

static void check_open(struct h2_conn *conn)
{
    const struct rpc_limits *limits = conn->loop->server->limits;
    int64_t now = conn->loop->now;
    if (conn->blocked_at != 0 && now >= conn->blocked_at + patience(conn)) {
        give_up(conn, RPC_LIMIT_PROGRESS, "it takes nothing");
        return;
    }
    if (!conn->is_greeted && now >= conn->accepted_at + ms(limits->settings_timeout_ms)) {
        h2_conn_refuse(conn, RPC_LIMIT_SETTINGS, NGHTTP2_SETTINGS_TIMEOUT, "no SETTINGS came");
        return;
    }
    if (!check_silence(conn))
        return;
    if (now >= conn->dies_at) {
        h2_conn_kill(conn, &h2_is_aged);
        return;
    }
    if (conn->drains_at == 0 && now >= conn->ages_at)
        h2_conn_drain(conn);
    else if (conn->drains_at != 0 && now >= conn->drains_at)
        h2_conn_say_last(conn);
    for (struct h2_stream *stream = conn->streams, *next; stream != NULL; stream = next) {
        next = stream->next;
        h2_stream_check(stream);
    }
}

void h2_conn_on_timer(struct h2_timer *timer)
{
    struct h2_conn *conn = RPC_CONTAINER(timer, struct h2_conn, timer);
    if (conn->state == H2_HANDSHAKE)
        give_up(conn, RPC_LIMIT_HANDSHAKE, "the handshake took too long");
    else if (conn->state == H2_LINGER)
        h2_conn_close(conn);
    else if (conn->state == H2_OPEN)
        check_open(conn);
    if (conn->state != H2_CLOSED)
        h2_conn_schedule(conn);
}

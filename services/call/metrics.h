/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon counts, in Prometheus' text format: calls and durations by method and outcome, named by the
 * OpenTelemetry conventions 1.40 (rpc.server.call.duration, http.server.request.duration) and translated by its rules
 * for Prometheus, and what the composition adds. No label ever holds what a client sent: methods and routes come from
 * tables.
 *
 * Every function may be called from any thread.
 */
#ifndef METRICS_H
#define METRICS_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

struct metrics;
struct metrics_text; /* text under construction */

/* NULL: out of memory. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* An RPC has ended. system: "grpc" or "rest", a constant; method: "/gatehouse.v1.AuthService/Introspect". Methods
 * beyond the 128th are counted as "other", so that nobody makes the table grow. */
void metrics_rpc(struct metrics *metrics, const char *system, const char *method, enum status status,
                 int64_t duration_us);

/* An HTTP request has been answered. Constants all: method: "_OTHER" for what is no request; route:
 * "/v1/credentials/{client_id}". */
struct metrics_request {
    const char *scheme, *method, *route;
    int code;
};
/* An HTTP request has been answered. */
void metrics_http(struct metrics *metrics, const struct metrics_request *request, int64_t duration_us);

/* A connection was closed because there were too many. */
void metrics_turned_away(struct metrics *metrics);

/* A request named a user of the console, and came from no trusted proxy. */
void metrics_user_refused(struct metrics *metrics);

/* `source` is asked at each scrape and adds its own with metrics_put; at most 8, before the server starts. */
void metrics_add_source(struct metrics *metrics, void (*source)(void *arg, struct metrics_text *text), void *arg);

/* One sample. type: "counter", "gauge". help is written once a name: put samples of one name one after another. labels:
 * "" or `store="sqlite"`. */
void metrics_put(struct metrics_text *text, const char *name, const char *type, const char *help, const char *labels,
                 double value);

/* All of it; the caller frees it. NULL: out of memory. */
char *metrics_format(struct metrics *metrics, size_t *ret_len);

#endif

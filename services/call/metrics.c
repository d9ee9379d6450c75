/* SPDX-License-Identifier: Apache-2.0 */
#include "call/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_MAX = 512, SOURCES_MAX = 8, BUCKETS = 10, LABELS_MAX = 320, FIRST_MAX = 32, SECOND_MAX = 128 };

/* Upper bounds in seconds; one more bucket is +Inf. */
static const double bounds[BUCKETS] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1};

/* What is counted apart: by system and method of an RPC, by method and route of an HTTP request, and how it ended. */
struct name {
    const char *first, *second;
    int code;
    const char *scheme; /* of HTTP: a constant */
};

/* One labelled histogram. What is counted is counted without a lock. */
struct series {
    uint64_t hash;
    char first[FIRST_MAX], second[SECOND_MAX];
    int code;
    const char *scheme;
    char labels[LABELS_MAX]; /* of the three; made once, because formatting costs more than counting */
    atomic_uint_least64_t buckets[BUCKETS + 1];
    atomic_uint_least64_t sum; /* microseconds */
};

struct family {
    pthread_mutex_t lock;                  /* of whoever adds one */
    void (*format)(struct series *series); /* makes the labels */
    struct series *series[SERIES_MAX];     /* those below count are there to stay */
    atomic_size_t count;
};

struct metrics {
    struct family rpc, http;
    _Atomic uint64_t turned_away, users_refused;
    struct {
        void (*source)(void *arg, struct metrics_text *text);
        void *arg;
    } sources[SOURCES_MAX];
    size_t source_count;
};

struct metrics_text {
    FILE *stream;
    char last_name[96]; /* whose help has been written */
};

/* What the conventions for gRPC call an error of the server; the others are the caller's. */
static bool is_server_error(enum status status)
{
    return status == STATUS_UNKNOWN || status == STATUS_DEADLINE_EXCEEDED || status == STATUS_UNIMPLEMENTED ||
           status == STATUS_INTERNAL || status == STATUS_UNAVAILABLE;
}

/* Once a series, on the thread that counts first in it. */
static void format_rpc(struct series *series)
{
    const char *status = status_name((enum status)series->code);
    bool is_error = is_server_error((enum status)series->code);
    snprintf(series->labels, sizeof series->labels,
             "rpc_system_name=\"%s\",rpc_method=\"%s\",rpc_response_status_code=\"%s\"%s%s%s", series->first,
             series->second[0] == '/' ? series->second + 1 : series->second, status, is_error ? ",error_type=\"" : "",
             is_error ? status : "", is_error ? "\"" : "");
}

/* The same. */
static void format_http(struct series *series)
{
    int len =
        snprintf(series->labels, sizeof series->labels,
                 "http_request_method=\"%s\",url_scheme=\"%s\",http_route=\"%s\",http_response_status_code=\"%d\"",
                 series->first, series->scheme, series->second, series->code);
    if (series->code >= 500 && len > 0 && (size_t)len < sizeof series->labels)
        snprintf(series->labels + len, sizeof series->labels - (size_t)len, ",error_type=\"%d\"", series->code);
}

struct metrics *metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL)
        return NULL;
    metrics->rpc.format = format_rpc;
    metrics->http.format = format_http;
    pthread_mutex_init(&metrics->rpc.lock, NULL);
    pthread_mutex_init(&metrics->http.lock, NULL);
    return metrics;
}

static void family_done(struct family *family)
{
    for (size_t i = 0; i < family->count; i++)
        free(family->series[i]);
    pthread_mutex_destroy(&family->lock);
}

void metrics_free(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    family_done(&metrics->rpc);
    family_done(&metrics->http);
    free(metrics);
}

/* By the end of the second, in which methods differ. */
static uint64_t hash_of(const struct name *name)
{
    size_t len = strnlen(name->second, SECOND_MAX - 1);
    uint64_t end = 0;
    memcpy(&end, name->second + (len > sizeof end ? len - sizeof end : 0), len > sizeof end ? sizeof end : len);
    return end ^ (uint64_t)len << 8 ^ (uint64_t)name->code;
}

static bool is_of(const struct series *series, const struct name *name, uint64_t hash)
{
    return series->hash == hash && series->code == name->code && series->scheme == name->scheme &&
           strncmp(series->second, name->second, SECOND_MAX - 1) == 0 &&
           strncmp(series->first, name->first, FIRST_MAX - 1) == 0;
}

static struct series *look(struct family *family, const struct name *name, uint64_t hash)
{
    size_t count = atomic_load_explicit(&family->count, memory_order_acquire);
    for (size_t i = 0; i < count; i++)
        if (is_of(family->series[i], name, hash))
            return family->series[i];
    return count == SERIES_MAX ? family->series[SERIES_MAX - 1] : NULL;
}

/* Under the lock. The last series takes what does not fit any more, so that nobody makes the table grow. */
static struct series *add(struct family *family, const struct name *name, const struct name *other)
{
    size_t count = atomic_load(&family->count);
    struct series *series = calloc(1, sizeof *series);
    if (series == NULL)
        return NULL;
    if (count == SERIES_MAX - 1)
        name = other;
    snprintf(series->first, sizeof series->first, "%s", name->first);
    snprintf(series->second, sizeof series->second, "%s", name->second);
    series->code = name->code;
    series->scheme = name->scheme;
    series->hash = hash_of(name);
    family->format(series);
    family->series[count] = series;
    atomic_store_explicit(&family->count, count + 1, memory_order_release);
    return series;
}

static struct series *find(struct family *family, const struct name *name, const struct name *other)
{
    uint64_t hash = hash_of(name);
    struct series *series = look(family, name, hash);
    if (series != NULL)
        return series;
    pthread_mutex_lock(&family->lock);
    series = look(family, name, hash); /* somebody else may have been faster */
    if (series == NULL)
        series = add(family, name, other);
    pthread_mutex_unlock(&family->lock);
    return series;
}

static void observe(struct family *family, const struct name *name, const struct name *other, int64_t duration_us)
{
    double seconds = (double)duration_us / 1e6;
    struct series *series = find(family, name, other);
    if (series == NULL)
        return;
    int bucket = 0;
    while (bucket < BUCKETS && seconds > bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&series->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&series->sum, (uint64_t)duration_us, memory_order_relaxed);
}

void metrics_rpc(struct metrics *metrics, const char *system, const char *method, enum status status,
                 int64_t duration_us)
{
    static const struct name other = {"grpc", "_OTHER", STATUS_UNKNOWN, NULL};
    /* A method that is not there was named by a stranger. */
    const struct name name = {system, status == STATUS_UNIMPLEMENTED ? "_OTHER" : method, (int)status, NULL};
    observe(&metrics->rpc, &name, &other, duration_us);
}

void metrics_http(struct metrics *metrics, const struct metrics_request *request, int64_t duration_us)
{
    const struct name other = {"_OTHER", "other", 0, request->scheme};
    const struct name name = {request->method, request->route, request->code, request->scheme};
    observe(&metrics->http, &name, &other, duration_us);
}

void metrics_turned_away(struct metrics *metrics)
{
    metrics->turned_away++;
}

void metrics_user_refused(struct metrics *metrics)
{
    metrics->users_refused++;
}

void metrics_add_source(struct metrics *metrics, void (*source)(void *arg, struct metrics_text *text), void *arg)
{
    if (metrics->source_count == SOURCES_MAX)
        return;
    metrics->sources[metrics->source_count].source = source;
    metrics->sources[metrics->source_count++].arg = arg;
}

static void put_help(struct metrics_text *text, const char *name, const char *type, const char *help)
{
    if (strcmp(text->last_name, name) == 0)
        return;
    snprintf(text->last_name, sizeof text->last_name, "%s", name);
    fprintf(text->stream, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_put(struct metrics_text *text, const char *name, const char *type, const char *help, const char *labels,
                 double value)
{
    bool has_labels = labels[0] != '\0';
    put_help(text, name, type, help);
    fprintf(text->stream, "%s%s%s%s %.17g\n", name, has_labels ? "{" : "", labels, has_labels ? "}" : "", value);
}

static void put_series(FILE *stream, const char *name, struct series *series)
{
    unsigned long long below = 0;
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        below += atomic_load(&series->buckets[bucket]);
        fprintf(stream, "%s_bucket{%s,le=\"%g\"} %llu\n", name, series->labels, bounds[bucket], below);
    }
    below += atomic_load(&series->buckets[BUCKETS]);
    fprintf(stream, "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.9g\n%s_count{%s} %llu\n", name, series->labels, below,
            name, series->labels, (double)atomic_load(&series->sum) / 1e6, name, series->labels, below);
}

static void put_family(struct metrics_text *text, struct family *family, const char *name, const char *help)
{
    size_t count = atomic_load_explicit(&family->count, memory_order_acquire);
    if (count > 0)
        put_help(text, name, "histogram", help);
    for (size_t i = 0; i < count; i++)
        put_series(text->stream, name, family->series[i]);
}

char *metrics_format(struct metrics *metrics, size_t *ret_len)
{
    char *result = NULL;
    struct metrics_text text = {.stream = open_memstream(&result, ret_len)};
    if (text.stream == NULL)
        return NULL;
    put_family(&text, &metrics->rpc, "rpc_server_call_duration_seconds", "Duration of calls, by method and status.");
    put_family(&text, &metrics->http, "http_server_request_duration_seconds",
               "Duration of HTTP requests, by route and code.");
    metrics_put(&text, "gatehouse_http_turned_away_total", "counter",
                "HTTP connections closed because there were too many.", "", (double)metrics->turned_away);
    metrics_put(&text, "gatehouse_http_users_refused_total", "counter",
                "HTTP requests that named a user of the console, and came from no trusted proxy.", "",
                (double)metrics->users_refused);
    for (size_t i = 0; i < metrics->source_count; i++)
        metrics->sources[i].source(metrics->sources[i].arg, &text);
    fclose(text.stream);
    return result;
}

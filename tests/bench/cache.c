/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Introspections that libgatehouse answers, one after the other on each thread, at random over the tokens of a file.
 *
 *     cache ADDRESS ACCESS_TOKEN TOKENS COUNT THREADS SECONDS ENTRIES
 *
 * With ENTRIES it warms the cache before each round, and each answer must come from memory: a round in which one did
 * not (the machine stood still for longer than the lease) is done again, some times. A round for each line of
 * the standard input: "check", "stub", "introspect", "look" (a stub, without a use), or "limit", which is what no cache
 * can be faster than: one keyed hash, and one cache line that may be anywhere. Answers: calls, the threads' seconds of
 * CPU, seconds.
 */
#include "base/siphash.h"
#include "gatehouse.h"
#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_SIZE = 64, LINE_SIZE = 64, THREADS_MAX = 64, UNDER_WAY = 512, BETWEEN_CLOCKS = 64, TRIES = 10 };

struct bench {
    struct gatehouse *gatehouse;
    char (*tokens)[TEXT_SIZE];
    size_t count;
    bool has_cache;
    atomic_bool was_server_asked; /* in this round */
    char (*lines)[LINE_SIZE];     /* a power of two of them */
    size_t line_count;
    double seconds;
    char kind[16];
    char said[96];
};

struct worker {
    struct bench *bench;
    pthread_t thread;
    size_t at;
    long calls;
    double cpu;
};

static double clock_of(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(bool is_right, const char *what, const struct gatehouse_call *call)
{
    if (is_right)
        return;
    fprintf(stderr, "cache: %s: %s\n", what, call->message);
    exit(1);
}

static void read_tokens(struct bench *bench, const char *path)
{
    FILE *file = fopen(path, "r");
    bench->tokens = calloc(bench->count, sizeof *bench->tokens);
    for (size_t i = 0; i < bench->count; i++)
        if (file == NULL || fscanf(file, "%63s", bench->tokens[i]) != 1)
            exit(1);
    fclose(file);
    for (size_t i = bench->count - 1; i > 0; i--) { /* so that the next token is near, and its answer is not */
        char text[TEXT_SIZE];
        size_t other = (size_t)random() % (i + 1);
        memcpy(text, bench->tokens[i], TEXT_SIZE);
        memcpy(bench->tokens[i], bench->tokens[other], TEXT_SIZE);
        memcpy(bench->tokens[other], text, TEXT_SIZE);
    }
}

/* Warming: many under way, until all are hits. */

struct warming {
    struct gatehouse_call call; /* first */
    sem_t *free;
    atomic_long *misses;
    bool is_busy;
};

static void on_warm(const Gatehouse__V1__IntrospectResponse *answer, void *data)
{
    struct warming *warming = data;
    must(answer != NULL && answer->active, "a token", &warming->call);
    if (!warming->call.is_from_memory)
        atomic_fetch_add(warming->misses, 1);
    __atomic_store_n(&warming->is_busy, false, __ATOMIC_RELEASE);
    sem_post(warming->free);
}

static long warm_once(struct bench *bench)
{
    static struct warming warming[UNDER_WAY];
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    sem_t free;
    atomic_long misses = 0;
    sem_init(&free, 0, UNDER_WAY);
    request.no_touch = 1;
    for (size_t i = 0, at = 0; i < bench->count; i++) {
        sem_wait(&free);
        while (__atomic_load_n(&warming[at % UNDER_WAY].is_busy, __ATOMIC_ACQUIRE))
            at++;
        struct warming *one = &warming[at % UNDER_WAY];
        *one = (struct warming){.call = {.timeout_ms = 60000}, .free = &free, .misses = &misses, .is_busy = true};
        request.token = bench->tokens[i];
        gatehouse__v1__auth_service__introspect(gatehouse_auth_service(bench->gatehouse), &request, on_warm, one);
    }
    for (int i = 0; i < UNDER_WAY; i++)
        sem_wait(&free);
    sem_destroy(&free);
    return misses;
}

/* Until all answers come from memory: a cache that nobody has asked for ten seconds begins anew. */
static void warm(struct bench *bench)
{
    while (bench->has_cache && warm_once(bench) > 0)
        ;
}

/* Rounds */

struct asking {
    struct gatehouse_call call;
    atomic_bool is_answered;
};

static void on_stub(const Gatehouse__V1__IntrospectResponse *answer, void *data)
{
    struct asking *asking = data;
    must(answer != NULL && answer->allowed, "a token", &asking->call);
    atomic_store_explicit(&asking->is_answered, true, memory_order_release);
}

static const char *const no_roles[1];

static void ask(struct bench *bench, const char *token)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    static _Thread_local struct asking asking;
    struct gatehouse_call *call = &asking.call;
    request.token = (char *)(uintptr_t)token;
    request.api = (char *)(uintptr_t)"POST /api/cases";
    if (bench->kind[0] == 'c') {
        struct gatehouse_check check = {.token = token, .api = request.api, .required_roles = no_roles};
        must(gatehouse_check(bench->gatehouse, &check, call) == GATEHOUSE_OK && check.is_allowed, "a token", call);
    } else if (bench->kind[0] == 'i') {
        Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(bench->gatehouse, &request, call);
        on_stub(answer, &asking);
        gatehouse__v1__introspect_response__free_unpacked(answer, NULL);
    } else {
        request.no_touch = bench->kind[0] == 'l';
        atomic_store_explicit(&asking.is_answered, false, memory_order_relaxed);
        gatehouse__v1__auth_service__introspect(gatehouse_auth_service(bench->gatehouse), &request, on_stub, &asking);
        while (!atomic_load_explicit(&asking.is_answered, memory_order_acquire)) /* the server was asked after all */
            sched_yield();
    }
    if (bench->has_cache && !call->is_from_memory)
        atomic_store_explicit(&bench->was_server_asked, true, memory_order_relaxed);
}

static void reach_the_limit(struct bench *bench, const char *token)
{
    static const struct siphash_key key = {1, 2};
    size_t line = siphash_of(&key, token, strlen(token)).a & (bench->line_count - 1);
    __atomic_fetch_add((int *)(void *)bench->lines[line], 1, __ATOMIC_RELAXED);
}

static void *work(void *data)
{
    struct worker *worker = data;
    struct bench *bench = worker->bench;
    double end = clock_of(CLOCK_MONOTONIC) + bench->seconds, cpu = clock_of(CLOCK_THREAD_CPUTIME_ID);
    worker->calls = 0;
    while (clock_of(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < BETWEEN_CLOCKS; i++, worker->at = worker->at + 1 < bench->count ? worker->at + 1 : 0)
            (bench->kind[1] == 'i' ? reach_the_limit : ask)(bench, bench->tokens[worker->at]);
        worker->calls += BETWEEN_CLOCKS;
    }
    worker->cpu = clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
    return NULL;
}

static void run_round(struct bench *bench, struct worker *workers, int threads)
{
    atomic_store(&bench->was_server_asked, false);
    double begin = clock_of(CLOCK_MONOTONIC), cpu = 0;
    long calls = 0;
    for (int i = 0; i < threads; i++) {
        workers[i].bench = bench;
        workers[i].at = bench->count * (size_t)i / (size_t)threads;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        calls += workers[i].calls;
        cpu += workers[i].cpu;
    }
    snprintf(bench->said, sizeof bench->said, "%ld %.6f %.6f", calls, cpu, clock_of(CLOCK_MONOTONIC) - begin);
}

static void answer_a_line(struct bench *bench, struct worker *workers, int threads)
{
    for (int i = 0; i < TRIES; i++) {
        warm(bench);
        run_round(bench, workers, threads);
        if (!bench->was_server_asked) {
            puts(bench->said);
            fflush(stdout);
            return;
        }
    }
    fputs("cache: the server was asked\n", stderr);
    exit(1);
}

int main(int argc, char **argv)
{
    static struct worker workers[THREADS_MAX];
    if (argc != 8)
        return 2;
    struct gatehouse_options options = {.address = argv[1], .access_token = argv[2], .cache_lease_ms = 10000};
    struct bench bench = {.count = strtoul(argv[4], NULL, 10), .seconds = atof(argv[6])};
    char error[256];
    options.cache_entries = strtoul(argv[7], NULL, 10);
    bench.has_cache = options.cache_entries > 0;
    bench.gatehouse = gatehouse_open(&options, error);
    read_tokens(&bench, argv[3]);
    for (bench.line_count = 1; bench.line_count < bench.count; bench.line_count *= 2)
        ;
    bench.lines = gatehouse_pool_map(bench.line_count * LINE_SIZE);
    double begin = clock_of(CLOCK_MONOTONIC);
    warm(&bench);
    printf("warm %.3f\n", clock_of(CLOCK_MONOTONIC) - begin);
    fflush(stdout);
    while (scanf("%15s", bench.kind) == 1)
        answer_a_line(&bench, workers, atoi(argv[5]));
    gatehouse_close(bench.gatehouse);
    free(bench.tokens);
    return 0;
}

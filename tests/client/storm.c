/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { THREADS_MAX = 16, MESSAGE_MAX = 400 };

struct weather {
    struct gatehouse *gatehouse;
    const char *token;
    atomic_bool is_over;
    pthread_mutex_t lock;
    char wrong[MESSAGE_MAX]; /* the first answer that was not right; "": none */
};

struct worker {
    struct weather *weather;
    pthread_t thread;
    atomic_int done;
};

static void expect(struct weather *weather, bool is_right, const struct gatehouse_call *call)
{
    if (is_right)
        return;
    pthread_mutex_lock(&weather->lock);
    if (weather->wrong[0] == '\0')
        snprintf(weather->wrong, sizeof weather->wrong, "wrong: status %d %s %.200s", (int)call->status, call->reason,
                 call->message);
    pthread_mutex_unlock(&weather->lock);
}

static void ask_and_wait(struct weather *weather, const Gatehouse__V1__IntrospectRequest *request)
{
    struct gatehouse_call call = {0};
    Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(weather->gatehouse, request, &call);
    expect(weather, answer != NULL && answer->active, &call);
    gatehouse__v1__introspect_response__free_unpacked(answer, NULL);
}

static void check(struct weather *weather)
{
    struct gatehouse_call call = {0};
    struct gatehouse_check check = {.token = weather->token};
    expect(weather, gatehouse_check(weather->gatehouse, &check, &call) == GATEHOUSE_OK && check.is_active, &call);
}

/* A call of a generated stub */
struct pending {
    struct gatehouse_call call; /* first */
    sem_t done;
    bool is_active;
};

static void on_answer(const Gatehouse__V1__IntrospectResponse *answer, void *data)
{
    struct pending *pending = data;
    pending->is_active = answer != NULL && answer->active;
    sem_post(&pending->done);
}

static void ask_by_stub(struct weather *weather, const Gatehouse__V1__IntrospectRequest *request, bool is_cancelled)
{
    struct pending pending = {.is_active = false};
    sem_init(&pending.done, 0, 0);
    gatehouse__v1__auth_service__introspect(gatehouse_auth_service(weather->gatehouse), request, on_answer, &pending);
    if (is_cancelled)
        gatehouse_call_cancel(&pending.call);
    while (sem_wait(&pending.done) != 0)
        ;
    sem_destroy(&pending.done);
    bool is_right = pending.is_active || (is_cancelled && pending.call.status == GATEHOUSE_CANCELLED);
    expect(weather, is_right, &pending.call);
}

static void *work(void *data)
{
    struct worker *worker = data;
    struct weather *weather = worker->weather;
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = (char *)(uintptr_t)weather->token;
    while (!weather->is_over) {
        ask_and_wait(weather, &request);
        check(weather);
        ask_by_stub(weather, &request, true);
        ask_by_stub(weather, &request, false);
        worker->done++;
    }
    return NULL;
}

/* A call may meet one death of its token, not two: so each thread has ended what it began before this one, and one
 * more. */
static void wait_for_all(struct worker *workers, int count)
{
    const struct timespec pause = {0, 1000000};
    for (int i = 0; i < count; i++)
        for (int enough = workers[i].done + 2; workers[i].done < enough;)
            nanosleep(&pause, NULL);
}

void storm(struct gatehouse *gatehouse, int threads, int rounds, const char *token)
{
    static struct worker workers[THREADS_MAX];
    struct weather weather = {.gatehouse = gatehouse, .token = token, .lock = PTHREAD_MUTEX_INITIALIZER};
    char line[16];
    long total = 0;
    threads = threads < THREADS_MAX ? threads : THREADS_MAX;
    for (int i = 0; i < threads; i++) {
        workers[i].weather = &weather;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (int round = 0; round < rounds; round++) {
        wait_for_all(workers, threads);
        printf("ready\n");
        if (fgets(line, sizeof line, stdin) == NULL)
            break;
    }
    wait_for_all(workers, threads);
    weather.is_over = true;
    for (int i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
        total += workers[i].done;
    }
    printf("%s\n", weather.wrong[0] != '\0' ? weather.wrong : total >= threads * rounds ? "all right" : "too few");
    pthread_mutex_destroy(&weather.lock);
}

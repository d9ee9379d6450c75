/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUARRY_MAX = 16384, THREADS = 2, SURE = 3 };

struct quarry {
    char token[64];
    _Atomic int64_t active; /* when the last call began that was told so, in microseconds; 0: none was */
    _Atomic bool is_hit;    /* at least once that came from memory */
    atomic_int gone;        /* so often in a row it was said to be inactive */
};

struct chase {
    struct gatehouse *gatehouse;
    struct quarry quarry[QUARRY_MAX];
    atomic_int first, count; /* those before `first` are gone */
    atomic_bool is_over;
};

struct hunter {
    struct chase *chase;
    pthread_t thread;
    bool checks; /* by gatehouse_check: without a lock where it is a hit */
};

/* The clock of leases. */
static int64_t boot_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec * INT64_C(1000000) + time.tv_nsec / 1000;
}

/* 1 active, 0 inactive, -1 not told. */
static int ask(struct hunter *hunter, char *token, struct gatehouse_call *call)
{
    struct gatehouse *gatehouse = hunter->chase->gatehouse;
    if (hunter->checks) {
        struct gatehouse_check check = {.token = token};
        return gatehouse_check(gatehouse, &check, call) != GATEHOUSE_OK ? -1 : check.is_active;
    }
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = token;
    Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(gatehouse, &request, call);
    int said = answer == NULL ? -1 : answer->active != 0;
    gatehouse__v1__introspect_response__free_unpacked(answer, NULL);
    return said;
}

static void follow(struct hunter *hunter, struct quarry *quarry)
{
    struct gatehouse_call call = {0};
    int64_t begun = boot_time();
    int said = ask(hunter, quarry->token, &call);
    if (said > 0) {
        int64_t latest = quarry->active;
        while (begun > latest && !atomic_compare_exchange_weak(&quarry->active, &latest, begun))
            ;
        quarry->gone = 0;
        if (call.is_from_memory)
            quarry->is_hit = true;
    } else if (said == 0) {
        quarry->gone++;
    }
}

static void *hunt(void *data)
{
    struct hunter *hunter = data;
    struct chase *chase = hunter->chase;
    const struct timespec pause = {0, 1000000};
    while (!chase->is_over) {
        int first = chase->first, count = chase->count;
        while (first < count && chase->quarry[first].gone >= SURE)
            chase->first = ++first;
        for (int i = first; i < count; i++)
            if (chase->quarry[i].gone < SURE)
                follow(hunter, &chase->quarry[i]);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static bool take_order(struct chase *chase, const char *line)
{
    int count = chase->count;
    if (sscanf(line, "token %63s", chase->quarry[count % QUARRY_MAX].token) == 1 && count < QUARRY_MAX) {
        chase->count = count + 1;
    } else if (strncmp(line, "hits", 4) == 0) { /* of so many something came from memory */
        int hits = 0;
        for (int i = 0; i < count; i++)
            hits += chase->quarry[i].is_hit;
        printf("%d\n", hits);
    } else if (strncmp(line, "left", 4) == 0) { /* of so many nobody is sure yet that they have ended */
        int left = 0;
        for (int i = 0; i < count; i++)
            left += chase->quarry[i].gone < SURE;
        printf("%d\n", left);
    } else {
        return false;
    }
    return true;
}

void chase(struct gatehouse *gatehouse)
{
    struct chase *chase = calloc(1, sizeof *chase);
    struct hunter hunters[THREADS];
    char line[100];
    if (chase == NULL)
        abort();
    chase->gatehouse = gatehouse;
    for (int i = 0; i < THREADS; i++) {
        hunters[i] = (struct hunter){.chase = chase, .checks = i % 2 == 0};
        pthread_create(&hunters[i].thread, NULL, hunt, &hunters[i]);
    }
    while (fgets(line, sizeof line, stdin) != NULL && take_order(chase, line))
        fflush(stdout);
    chase->is_over = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(hunters[i].thread, NULL);
    for (int i = 0; i < chase->count; i++)
        printf("%lld ", (long long)chase->quarry[i].active);
    printf("\n");
    free(chase);
}

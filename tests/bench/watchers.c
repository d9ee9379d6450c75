/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caches of libgatehouse that all watch one server, in one process.
 *
 *     watchers ADDRESS ACCESS_TOKEN COUNT
 *
 * Says "trusted" when all have a lease. Then each line of the standard input is a token: it is revoked, and the answer
 * is how many microseconds after the revocation was acknowledged, and after it was asked for, the last cache had obeyed
 * it.
 */
#include "gatehouse.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct gatehouse **caches, *plain;
static size_t count;

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

static struct gatehouse *open_one(char **argv, size_t entries)
{
    struct gatehouse_options options = {.address = argv[1], .access_token = argv[2], .cache_entries = entries};
    char error[256];
    struct gatehouse *one = gatehouse_open(&options, error);
    if (one == NULL) {
        fprintf(stderr, "watchers: %s\n", error);
        exit(1);
    }
    return one;
}

static uint64_t events_of(struct gatehouse *one)
{
    struct gatehouse_cache_stats stats;
    gatehouse_cache_stats(one, &stats);
    return stats.is_trusted ? stats.events : UINT64_MAX;
}

static void pause_shortly(void)
{
    nanosleep(&(struct timespec){0, 100000}, NULL);
}

static void await_trust(void)
{
    for (size_t i = 0; i < count; i++)
        while (events_of(caches[i]) == UINT64_MAX)
            pause_shortly();
}

static void revoke(char *token)
{
    static uint64_t *before;
    Gatehouse__V1__RevokeRequest request = GATEHOUSE__V1__REVOKE_REQUEST__INIT;
    struct gatehouse_cache_stats stats;
    if (before == NULL)
        before = calloc(count, sizeof *before);
    for (size_t i = 0; i < count; i++) {
        gatehouse_cache_stats(caches[i], &stats);
        before[i] = stats.events;
    }
    request.token = token;
    int64_t begun = now();
    if (gatehouse_revoke(plain, &request, NULL) != GATEHOUSE_OK)
        exit(1);
    int64_t acknowledged = now();
    for (size_t i = 0; i < count; i++) {
        do
            gatehouse_cache_stats(caches[i], &stats);
        while (stats.events == before[i]);
    }
    int64_t end = now();
    printf("%lld %lld\n", (long long)(end - acknowledged), (long long)(end - begun));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char token[128];
    if (argc != 4)
        return 2;
    count = strtoul(argv[3], NULL, 10);
    caches = calloc(count + 1, sizeof *caches);
    plain = open_one(argv, 0);
    for (size_t i = 0; i < count; i++)
        caches[i] = open_one(argv, 1000);
    await_trust();
    printf("trusted\n");
    fflush(stdout);
    while (scanf("%127s", token) == 1)
        revoke(token);
    for (size_t i = 0; i < count; i++)
        gatehouse_close(caches[i]);
    gatehouse_close(plain);
    free(caches);
    return 0;
}

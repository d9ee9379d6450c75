/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caches of libgatehouse that all watch one server, in one process, and that nobody asks.
 *
 *     idle_caches ADDRESS ACCESS_TOKEN COUNT
 *
 * Says "trusted" when all have had a lease; ends with the standard input.
 */
#include "gatehouse.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct gatehouse *open_one(char **argv)
{
    struct gatehouse_options options = {.address = argv[1], .access_token = argv[2], .cache_entries = 1000};
    char error[256];
    struct gatehouse *one = gatehouse_open(&options, error);
    if (one != NULL)
        return one;
    fprintf(stderr, "idle_caches: %s\n", error);
    exit(1);
}

static void await_trust(struct gatehouse *one)
{
    struct gatehouse_cache_stats stats = {.is_trusted = 0};
    for (; !stats.is_trusted; nanosleep(&(struct timespec){0, 1000000}, NULL))
        gatehouse_cache_stats(one, &stats);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    size_t count = strtoul(argv[3], NULL, 10);
    struct gatehouse **caches = calloc(count, sizeof *caches);
    for (size_t i = 0; i < count; i++)
        caches[i] = open_one(argv);
    for (size_t i = 0; i < count; i++)
        await_trust(caches[i]);
    printf("trusted\n");
    fflush(stdout);
    while (getchar() != EOF)
        ;
    for (size_t i = 0; i < count; i++)
        gatehouse_close(caches[i]);
    free(caches);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * simulate: the domain and the api, searched for a wrong answer.
 *
 *     simulate --seed N [--steps M] --verbose     one run, told step by step: how a violation is replayed
 *     simulate --seeds FROM..TO [--steps M]       many; says of each violation its seed and what it is
 *     simulate … --twice                          each run twice: both must be the same bit for bit
 *     simulate --seeds FROM..TO --first             stops at the first violation
 *     simulate … --without ahead,settings         leaves steps out (steps.c has their names): to look behind a known
 * fault
 *
 * One seed is one run: what happens next, every random byte and the time come from it (random.h, world.h). The rules
 * are in model.h. Exit status 1: there was a violation. With DESCRIBE in the environment, --verbose also says after
 * each answer what the database has of the token.
 *
 * mutants.py takes the repairs of known faults out of the domain, one after the other, and has each found: its table
 * names a seed for each.
 */

#include "steps.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    uint64_t from, to;
    int steps;
    bool is_verbose, is_twice, is_first;
    const char *without;
};

static bool read_options(int count, char **words, struct options *options)
{
    *options = (struct options){.from = 1, .to = 1, .steps = 200};
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        char *end = NULL;
        if (strcmp(words[i], "--verbose") == 0) {
            options->is_verbose = true;
            continue;
        }
        if (strcmp(words[i], "--twice") == 0) {
            options->is_twice = true;
            continue;
        }
        if (strcmp(words[i], "--first") == 0) {
            options->is_first = true;
            continue;
        }
        if (strcmp(words[i], "--without") == 0) {
            options->without = value;
            i++;
            continue;
        }
        uint64_t number = strtoull(value, &end, 10);
        if (end == value)
            return false;
        i++;
        if (strcmp(words[i - 1], "--steps") == 0) {
            options->steps = (int)number;
        } else if (strcmp(words[i - 1], "--seed") == 0 || strcmp(words[i - 1], "--seeds") == 0) {
            options->from = options->to = number;
            if (strncmp(end, "..", 2) == 0)
                options->to = strtoull(end + 2, NULL, 10);
        } else {
            return false;
        }
    }
    return true;
}

/* True: it went well. */
static bool run(struct cluster *clusters[2], const struct options *options, uint64_t seed, uint64_t *ret_digest)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        abort();
    world->is_verbose = options->is_verbose;
    world->without = options->without;
    steps_run(world, clusters[0], clusters[1], seed, options->steps);
    if (world->has_failed)
        printf("seed %" PRIu64 ": %s\n", seed, world->failure);
    bool is_well = !world->has_failed;
    *ret_digest = world->digest;
    free(world);
    return is_well;
}

static void yield(void)
{
    world_yield_current();
}

int main(int argc, char **argv)
{
    struct options options;
    if (!read_options(argc, argv, &options)) {
        fprintf(
            stderr,
            "simulate [--seed N | --seeds FROM..TO] [--steps M] [--without STEPS] [--first] [--twice] [--verbose]\n");
        return 2;
    }
    /* An error that is no answer (another history) is what was to be provoked. */
    log_configure(options.is_verbose ? LOG_LEVEL_INFO : (enum log_level)(LOG_LEVEL_ERROR + 1), false);
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct cluster *clusters[2] = {cluster_new(yield), cluster_new(yield)};
    uint64_t failures = 0, digest = 0;
    for (uint64_t seed = options.from; seed <= options.to && !(options.is_first && failures > 0); seed++) {
        uint64_t first = 0, second = 0;
        failures += !run(clusters, &options, seed, &first);
        if (options.is_twice) {
            (void)run(clusters, &options, seed, &second);
            if (first != second) {
                printf("seed %" PRIu64 ": two runs differ\n", seed);
                failures++;
            }
        }
        digest = (digest ^ first) * UINT64_C(0x100000001b3);
    }
    cluster_free(clusters[0]);
    cluster_free(clusters[1]);
    printf("seeds %" PRIu64 "..%" PRIu64 ": %" PRIu64 " violations, digest %016" PRIx64 "\n", options.from, options.to,
           failures, digest);
    return failures == 0 ? 0 : 1;
}

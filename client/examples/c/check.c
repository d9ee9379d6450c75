/* SPDX-License-Identifier: Apache-2.0 */
/* May the bearers of these tokens create cases? A token a line on standard input, "yes" or "no" a line on standard
 * output, from this process's own memory where it can be. The line "metrics" prints what Prometheus scrapes. */
#include <gatehouse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(const char *name, const char *type, double value)
{
    printf("# TYPE gatehouse_client_%s %s\ngatehouse_client_%s %.15g\n", name, type, name, value);
}

static void put_reset(const char *cause, uint64_t value)
{
    printf("gatehouse_client_resets_total{cause=\"%s\"} %.15g\n", cause, (double)value);
}

static void print_metrics(struct gatehouse *gatehouse)
{
    struct gatehouse_cache_stats stats;
    gatehouse_cache_stats(gatehouse, &stats);
    put("trusted", "gauge", stats.is_trusted); /* alert: 0 for a minute */
    put("entries", "gauge", (double)stats.entries);
    put("hits_total", "counter", (double)stats.hits);
    put("misses_total", "counter", (double)stats.misses);
    put("evicted_total", "counter", (double)stats.evicted); /* rises: more cache_entries */
    put("streams_total", "counter", (double)stats.streams); /* several a minute: a proxy cuts or holds them */
    put("pings_unanswered", "gauge", (double)stats.pings_unanswered);
    put("uses_unreported", "gauge", (double)stats.uses_unreported); /* rises for long: the server is away */
    put("uses_lost_total", "counter", (double)stats.uses_lost);
    printf("# TYPE gatehouse_client_resets_total counter\n");
    put_reset("unknown_position", stats.resets_unknown_position);
    put_reset("behind", stats.resets_behind);   /* this process is too slow, or was away */
    put_reset("history", stats.resets_history); /* the server's database has lost commits */
}

static void answer(struct gatehouse *gatehouse, const char *token)
{
    const char *role = "work_creator";
    struct gatehouse_call call = {.timeout_ms = 5000};
    struct gatehouse_check check = {
        .token = token, .api = "POST /api/cases", .required_roles = &role, .required_count = 1};
    if (gatehouse_check(gatehouse, &check, &call) == GATEHOUSE_OK)
        printf("%s\n", check.is_allowed ? "yes" : "no");
    else
        printf("cannot say: %s\n", call.message); /* neither yes nor no: a service answers 503 */
}

int main(void)
{
    struct gatehouse_options options = {.address = getenv("GATEHOUSE_GRPC"),
                                        .client_id = getenv("GATEHOUSE_CLIENT_ID"),
                                        .client_secret = getenv("GATEHOUSE_CLIENT_SECRET"),
                                        .cache_entries = 10000};
    char error[256], line[256];
    struct gatehouse *gatehouse = gatehouse_open(&options, error);
    if (gatehouse == NULL)
        return fprintf(stderr, "%s\n", error), 2;
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "metrics") == 0)
            print_metrics(gatehouse);
        else
            answer(gatehouse, line);
        fflush(stdout);
    }
    gatehouse_close(gatehouse); /* which reports the last uses */
    return 0;
}

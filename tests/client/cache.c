/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "active allowed NAME from memory", "inactive from the server" */
static void print_source(const Gatehouse__V1__IntrospectResponse *answer, const struct gatehouse_call *call)
{
    if (answer == NULL) {
        print_error(call);
        return;
    }
    print_answer(answer);
    for (size_t i = 0; i < answer->n_missing_roles; i++)
        printf(" lacks %s", answer->missing_roles[i]);
    printf(" from %s\n", call->is_from_memory ? "memory" : "the server");
}

static void ask(struct gatehouse *gatehouse, Gatehouse__V1__IntrospectRequest *request, struct gatehouse_call *call)
{
    Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(gatehouse, request, call);
    print_source(answer, call);
    if (answer != NULL)
        gatehouse__v1__introspect_response__free_unpacked(answer, NULL);
}

/* As `cached`, with the client ID. */
static void check(struct gatehouse *gatehouse, char **words, size_t count)
{
    struct gatehouse_call call = {0};
    struct gatehouse_check check = {.token = strcmp(words[1], "NULL") == 0 ? NULL : words[1],
                                    .api = count > 2 ? words[2] : NULL,
                                    .required_roles = (const char *const *)words + 3,
                                    .required_count = count > 3 ? count - 3 : 0,
                                    .client_id = "of before"};
    if (gatehouse_check(gatehouse, &check, &call) != GATEHOUSE_OK)
        print_error(&call);
    else
        printf("%s %s %s from %s\n", check.is_active ? "active" : "inactive", check.is_allowed ? "allowed" : "denied",
               check.client_id, call.is_from_memory ? "memory" : "the server");
    if (gatehouse_check(gatehouse, &check, NULL) != call.status)
        printf("another answer without a call\n");
}

static void check_from(struct gatehouse *gatehouse, const char *peer, const char *token)
{
    struct gatehouse_call call = {0};
    struct gatehouse_check check = {.token = token, .peer = peer};
    if (gatehouse_check(gatehouse, &check, &call) != GATEHOUSE_OK)
        print_error(&call);
    else
        printf("%s from %s\n", check.is_active ? "active" : "inactive", call.is_from_memory ? "memory" : "the server");
}

struct stubbed {
    struct gatehouse_call call; /* first */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
};

static void on_stub(const Gatehouse__V1__IntrospectResponse *answer, void *data)
{
    struct stubbed *stubbed = data;
    print_source(answer, &stubbed->call);
    pthread_mutex_lock(&stubbed->lock);
    stubbed->is_done = true;
    pthread_cond_signal(&stubbed->changed);
    pthread_mutex_unlock(&stubbed->lock);
}

static void ask_by_stub(struct gatehouse *gatehouse, const Gatehouse__V1__IntrospectRequest *request)
{
    struct stubbed stubbed = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    gatehouse__v1__auth_service__introspect(gatehouse_auth_service(gatehouse), request, on_stub, &stubbed);
    pthread_mutex_lock(&stubbed.lock);
    while (!stubbed.is_done)
        pthread_cond_wait(&stubbed.changed, &stubbed.lock);
    pthread_mutex_unlock(&stubbed.lock);
}

/* Many at once */

struct one_of_many {
    struct gatehouse_call call; /* first */
    sem_t *done;
    char said; /* '+': active, '-': inactive, 'd': DEADLINE_EXCEEDED, '!': any other error */
};

static void on_one_of_many(const Gatehouse__V1__IntrospectResponse *answer, void *data)
{
    struct one_of_many *one = data;
    if (answer != NULL)
        one->said = answer->active ? '+' : '-';
    else
        one->said = one->call.status == GATEHOUSE_DEADLINE_EXCEEDED ? 'd' : '!';
    sem_post(one->done);
}

/* Each token so many times, all at once: "asked", then one character for each. Every third has less time than the
 * others. */
static void burst(struct gatehouse *gatehouse, int times, char **tokens, size_t count)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    size_t total = (size_t)times * count;
    struct one_of_many *all = calloc(total, sizeof *all);
    sem_t done;
    sem_init(&done, 0, 0);
    request.api = (char *)(uintptr_t)"/burst";
    request.peer = getenv("BURST_PEER") != NULL ? getenv("BURST_PEER") : request.peer;
    for (size_t i = 0; i < total; i++) {
        all[i].done = &done;
        all[i].call.timeout_ms = i % 3 == 0 && getenv("TIMEOUT_MS") != NULL ? atoi(getenv("TIMEOUT_MS")) / 2 : 0;
        request.token = tokens[i % count];
        gatehouse__v1__auth_service__introspect(gatehouse_auth_service(gatehouse), &request, on_one_of_many, &all[i]);
    }
    printf("asked\n");
    fflush(stdout);
    for (size_t i = 0; i < total; i++)
        while (sem_wait(&done) != 0)
            ;
    for (size_t i = 0; i < total; i++)
        putchar(all[i].said);
    putchar('\n');
    sem_destroy(&done);
    free(all);
}

/* By BatchIntrospect: "active, inactive from the server". WRONG is an entry with too long an API; TOKEN/ROLE requires
 * it. */
static void ask_together(struct gatehouse *gatehouse, char **tokens, size_t count)
{
    enum { MOST = 101 };
    Gatehouse__V1__BatchIntrospectRequest request = GATEHOUSE__V1__BATCH_INTROSPECT_REQUEST__INIT;
    Gatehouse__V1__BatchIntrospectEntry entries[MOST], *pointers[MOST];
    char *roles[MOST], long_api[300] = "";
    struct gatehouse_call call = {0};
    memset(long_api, 'x', sizeof long_api - 1);
    for (size_t i = 0; i < count && i < MOST; i++) {
        gatehouse__v1__batch_introspect_entry__init(&entries[i]);
        pointers[i] = &entries[i];
        entries[i].token = strtok_r(tokens[i], "/", &roles[i]);
        entries[i].api = strcmp(tokens[i], "WRONG") == 0 ? long_api : (char *)(uintptr_t)"/together";
        entries[i].peer = getenv("BURST_PEER") != NULL ? getenv("BURST_PEER") : entries[i].peer;
        entries[i].required_roles = &roles[i];
        entries[i].n_required_roles = *roles[i] != '\0';
        request.n_requests++;
    }
    request.requests = pointers;
    Gatehouse__V1__BatchIntrospectResponse *answer = (Gatehouse__V1__BatchIntrospectResponse *)gatehouse_invoke(
        gatehouse_auth_service(gatehouse), "BatchIntrospect", &request.base, &call);
    if (answer == NULL) {
        print_error(&call);
        return;
    }
    for (size_t i = 0; i < answer->n_responses; i++) {
        const Gatehouse__V1__IntrospectResponse *one = answer->responses[i];
        printf("%s%s%s", i == 0 ? "" : ", ",
               one->error != NULL ? one->error->reason
               : one->active      ? "active"
                                  : "inactive",
               one->active && !one->allowed ? " denied" : "");
    }
    printf(" from %s\n", call.is_from_memory ? "memory" : "the server");
    gatehouse__v1__batch_introspect_response__free_unpacked(answer, NULL);
}

static void print_stats(struct gatehouse *gatehouse)
{
    struct gatehouse_cache_stats stats;
    gatehouse_cache_stats(gatehouse, &stats);
    printf(
        "entries=%llu hits=%llu misses=%llu passed=%llu kept=%llu removed=%llu evicted=%llu events=%llu streams=%llu "
        "unknown=%llu behind=%llu history=%llu unreported=%llu lost=%llu unanswered=%llu batched=%llu pong_age=%lld "
        "lease=%lld trusted=%d\n",
        (unsigned long long)stats.entries, (unsigned long long)stats.hits, (unsigned long long)stats.misses,
        (unsigned long long)stats.passed, (unsigned long long)stats.kept, (unsigned long long)stats.removed,
        (unsigned long long)stats.evicted, (unsigned long long)stats.events, (unsigned long long)stats.streams,
        (unsigned long long)stats.resets_unknown_position, (unsigned long long)stats.resets_behind,
        (unsigned long long)stats.resets_history, (unsigned long long)stats.uses_unreported,
        (unsigned long long)stats.uses_lost, (unsigned long long)stats.pings_unanswered,
        (unsigned long long)stats.batched, (long long)stats.pong_age_ms, (long long)stats.lease_ms, stats.is_trusted);
}

/* cached TOKEN [API [ROLE…]] | from PEER TOKEN [API] | checkfrom PEER TOKEN | look TOKEN | stub TOKEN | after REVISION
 * CHANGE_ID TOKEN | as AUTHORIZATION TOKEN | together TOKEN[/ROLE]… | check TOKEN [API [ROLE…]] | counted N TOKEN |
 * many N TOKEN API | burst N TOKEN… | nothing | stats */
bool obey_cache(struct gatehouse *gatehouse, char **words, size_t count)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    Gatehouse__V1__Position position = GATEHOUSE__V1__POSITION__INIT;
    struct gatehouse_call call = {0};
    const char *command = words[0];
    request.token = words[count - 1];
    if (strcmp(command, "cached") == 0 && count > 1) {
        request.token = words[1];
        request.api = count > 2 ? words[2] : request.api;
        request.required_roles = words + 3;
        request.n_required_roles = count > 3 ? count - 3 : 0;
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "check") == 0 && count > 1) {
        check(gatehouse, words, count);
    } else if (strcmp(command, "from") == 0 && count > 2) {
        request.peer = words[1];
        request.token = words[2];
        request.api = count > 3 ? words[3] : request.api;
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "checkfrom") == 0 && count == 3) {
        check_from(gatehouse, words[1], words[2]);
    } else if (strcmp(command, "look") == 0 && count == 2) {
        request.no_touch = 1;
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "stub") == 0 && count == 2) {
        ask_by_stub(gatehouse, &request);
    } else if (strcmp(command, "after") == 0 && count == 4) {
        position.revision = strtoll(words[1], NULL, 10);
        position.change_id = strtoll(words[2], NULL, 10);
        request.min_position = &position;
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "as") == 0 && count == 3) {
        char header[200];
        snprintf(header, sizeof header, "Bearer %s", words[1]);
        call.authorization = header;
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "counted") == 0 && count == 3) {
        request.use_count = atoi(words[1]);
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "many") == 0 && count == 4) {
        request.token = words[2];
        request.api = words[3];
        for (int left = atoi(words[1]); left > 1; left--)
            gatehouse__v1__introspect_response__free_unpacked(gatehouse_introspect(gatehouse, &request, &call), NULL);
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "burst") == 0 && count > 2) {
        burst(gatehouse, atoi(words[1]), words + 2, count - 2);
    } else if (strcmp(command, "together") == 0) {
        ask_together(gatehouse, words + 1, count - 1);
    } else if (strcmp(command, "nothing") == 0) {
        request.token = request.api = NULL;
        ask(gatehouse, &request, &call);
    } else if (strcmp(command, "stats") == 0) {
        print_stats(gatehouse);
    } else {
        return false;
    }
    return true;
}

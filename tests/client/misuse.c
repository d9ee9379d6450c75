/* SPDX-License-Identifier: Apache-2.0 */
/* What the header forbids, and what the library then says. */
#include "driver.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void in_child(struct gatehouse *gatehouse, const char *token)
{
    char error[256] = "none";
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    struct gatehouse_options options = {.address = getenv("ADDRESS")};
    struct gatehouse_call call = {0};
    request.token = (char *)(uintptr_t)token;
    if (gatehouse_introspect(gatehouse, &request, &call) != NULL || gatehouse_open(&options, error) != NULL)
        _exit(2);
    printf("status %d, %s\n", call.status, error);
    gatehouse_close(gatehouse);
#ifdef __SANITIZE_ADDRESS__
    fflush(stdout);
    _exit(0); /* its search for leaks would find the parent's memory */
#endif
    exit(0);
}

static void print_child(pid_t child)
{
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child)
        printf("no child\n");
    else
        printf("child %s %d\n", WIFEXITED(status) ? "exit" : "signal",
               WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

void fork_and_use(struct gatehouse *gatehouse, const char *token)
{
    pid_t child = fork();
    if (child == 0)
        in_child(gatehouse, token);
    print_child(child);
}

void fork_and_open(const char *address)
{
    pid_t child = fork();
    if (child == 0) {
        struct gatehouse_options options = {.address = address};
        struct gatehouse *gatehouse = gatehouse_open(&options, NULL);
        bool is_good = gatehouse != NULL;
        gatehouse_close(gatehouse);
        _exit(is_good ? 0 : 1);
    }
    print_child(child);
}

struct nested {
    struct gatehouse_call call; /* first */
    struct gatehouse *gatehouse, *other;
    const Gatehouse__V1__IntrospectRequest *request;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
};

static void wait_in_closure(const Gatehouse__V1__IntrospectResponse *, void *data)
{
    struct nested *nested = data;
    struct gatehouse_call own = {0}, others = {0};
    bool is_refused = gatehouse_introspect(nested->gatehouse, nested->request, &own) == NULL &&
                      gatehouse_introspect(nested->other, nested->request, &others) == NULL;
    printf("in the closure: %s %d %d, ", is_refused ? "refused" : "answered", own.status, others.status);
    pthread_mutex_lock(&nested->lock);
    nested->is_done = true;
    pthread_cond_signal(&nested->changed);
    pthread_mutex_unlock(&nested->lock);
}

void wait_in_a_closure(struct gatehouse *gatehouse, struct gatehouse *other, const char *token)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = (char *)(uintptr_t)token;
    struct nested nested = {.gatehouse = gatehouse,
                            .other = other,
                            .request = &request,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    gatehouse__v1__auth_service__introspect(gatehouse_auth_service(gatehouse), &request, wait_in_closure, &nested);
    pthread_mutex_lock(&nested.lock);
    while (!nested.is_done)
        pthread_cond_wait(&nested.changed, &nested.lock);
    pthread_mutex_unlock(&nested.lock);
    printf("outside: %d\n", nested.call.status);
}

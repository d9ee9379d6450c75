/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC core stops accepting for good after one accept that failed for want of descriptors (CVE-2023-4785), and says
 * nothing. So the server dials itself, and ends the process where nobody answers: its supervisor starts it again.
 * That the kernel takes the connection proves nothing; the server must be seen to act on it. */
#include "rpc/core/watchdog.h"
#include "base/log.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { INTERVAL_S = 1, TIMEOUT_MS = 5000, FAILURES = 3 };

struct core_watchdog {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_stopping; /* under the lock */
    const char *name; /* for the log; borrowed */
    struct sockaddr_storage address;
    socklen_t address_len;
};

static bool dial(const struct core_watchdog *watchdog)
{
    int fd = socket(watchdog->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    bool is_open = connect(fd, (const struct sockaddr *)&watchdog->address, watchdog->address_len) == 0 ||
                   (errno == EINPROGRESS && poll(&poller, 1, TIMEOUT_MS) == 1 &&
                    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
    /* Without TLS the server speaks first (its SETTINGS). With TLS it waits for us, and hangs up when we do. */
    if (is_open)
        shutdown(fd, SHUT_WR);
    poller.events = POLLIN;
    bool has_answered = is_open && poll(&poller, 1, TIMEOUT_MS) == 1;
    close(fd);
    return has_answered;
}

/* False: it is time to stop. */
static bool rest(struct core_watchdog *watchdog)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += INTERVAL_S;
    pthread_mutex_lock(&watchdog->lock);
    int waited = 0;
    while (!watchdog->is_stopping && waited == 0)
        waited = pthread_cond_timedwait(&watchdog->changed, &watchdog->lock, &until);
    bool goes_on = !watchdog->is_stopping;
    pthread_mutex_unlock(&watchdog->lock);
    return goes_on;
}

/* The watchdog's thread, until it is stopped. */
static void *run(void *data)
{
    struct core_watchdog *watchdog = data;
    int failures = 0;
    while (rest(watchdog)) {
        if (dial(watchdog)) {
            failures = 0;
        } else if (++failures == FAILURES) {
            log_write(LOG_LEVEL_ERROR, "grpc_not_accepting", "address", watchdog->name, "message",
                      "the gRPC port does not answer any more; the process ends so that it is started again", NULL);
            _exit(1);
        }
    }
    return NULL;
}

static bool resolve_unix(struct core_watchdog *watchdog, const char *path)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&watchdog->address;
    path += strncmp(path, "//", 2) == 0 ? 2 : 0;
    address->sun_family = AF_UNIX;
    watchdog->address_len = sizeof *address;
    return snprintf(address->sun_path, sizeof address->sun_path, "%s", path) < (int)sizeof address->sun_path;
}

static bool resolve(struct core_watchdog *watchdog, const char *address, int port)
{
    if (strncmp(address, "unix:", 5) == 0)
        return resolve_unix(watchdog, address + 5);
    const char *colon = strrchr(address, ':');
    char host[256], service[16];
    size_t len = colon != NULL ? (size_t)(colon - address) : strlen(address);
    bool is_bracketed = address[0] == '[' && len > 1 && address[len - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(is_bracketed ? len - 2 : len), address + is_bracketed);
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    if (getaddrinfo(host, service, &hints, &found) != 0)
        return false;
    memcpy(&watchdog->address, found->ai_addr, found->ai_addrlen);
    watchdog->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static void watchdog_free(struct core_watchdog *watchdog)
{
    pthread_mutex_destroy(&watchdog->lock);
    pthread_cond_destroy(&watchdog->changed);
    free(watchdog);
}

struct core_watchdog *core_watchdog_start(const char *address, int port)
{
    struct core_watchdog *watchdog = calloc(1, sizeof *watchdog);
    if (watchdog == NULL)
        abort();
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watchdog->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&watchdog->lock, NULL);
    watchdog->name = address;
    if (!resolve(watchdog, address, port) || pthread_create(&watchdog->thread, NULL, run, watchdog) != 0) {
        log_write(LOG_LEVEL_WARN, "gcore_watchdog_off", "address", address, NULL);
        watchdog_free(watchdog);
        return NULL;
    }
    return watchdog;
}

void core_watchdog_stop(struct core_watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->is_stopping = true;
    pthread_cond_broadcast(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    watchdog_free(watchdog);
}

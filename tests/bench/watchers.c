/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that watch, as light as can be, so that what is measured is the server.
 *
 *     watchers PORT OPENING COUNT
 *
 * Each of COUNT connections says what is in the file OPENING, and reads whatever comes. Says "open" when each has been
 * answered and nothing comes any more. Then for each line of the standard input: "armed", and, when something has come
 * on each, the microseconds of CLOCK_MONOTONIC at which the last had it.
 */
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPENING_MAX = 4096, EVENTS_MAX = 64, QUIET_MS = 500, READ_MAX = 65536 };

static void must(bool is_right, const char *what)
{
    if (is_right)
        return;
    perror(what);
    exit(1);
}

static int open_one(uint16_t port, const char *opening, size_t len)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(connect(connection, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    must(write(connection, opening, len) == (ssize_t)len, "write");
    return connection;
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Who has got something since; their connections are numbered. */
struct hearing {
    bool *has_heard;
    size_t left;
};

static void hear(struct hearing *hearing, size_t number)
{
    if (hearing->has_heard[number])
        return;
    hearing->has_heard[number] = true;
    if (--hearing->left == 0) {
        printf("%lld\n", (long long)now());
        fflush(stdout);
    }
}

static void arm(struct hearing *hearing, size_t count)
{
    char line[16];
    if (read(STDIN_FILENO, line, sizeof line) <= 0)
        exit(0);
    memset(hearing->has_heard, 0, count * sizeof *hearing->has_heard);
    hearing->left = count;
    printf("armed\n");
    fflush(stdout);
}

static int read_once(int poll, const int *connections, size_t count, struct hearing *hearing, int timeout_ms)
{
    static char bytes[READ_MAX];
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(poll, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < ready; i++) {
        size_t number = events[i].data.u64;
        if (number == count) {
            arm(hearing, count);
            continue;
        }
        must(read(connections[number], bytes, sizeof bytes) > 0, "a stream has ended");
        if (hearing->left > 0)
            hear(hearing, number);
    }
    return ready;
}

static void listen_to(int poll, int file, size_t number)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
    must(epoll_ctl(poll, EPOLL_CTL_ADD, file, &event) == 0, "epoll_ctl");
}

int main(int argc, char **argv)
{
    static char opening[OPENING_MAX];
    if (argc != 4)
        return 2;
    FILE *file = fopen(argv[2], "rb");
    must(file != NULL, argv[2]);
    size_t len = fread(opening, 1, sizeof opening, file), count = strtoul(argv[3], NULL, 10);
    fclose(file);
    int poll = epoll_create1(EPOLL_CLOEXEC), *connections = calloc(count, sizeof *connections);
    struct hearing hearing = {calloc(count, sizeof *hearing.has_heard), 0};
    for (size_t i = 0; i < count; i++) {
        connections[i] = open_one((uint16_t)atoi(argv[1]), opening, len);
        listen_to(poll, connections[i], i);
    }
    while (read_once(poll, connections, count, &hearing, QUIET_MS) > 0)
        ;
    printf("open\n");
    fflush(stdout);
    listen_to(poll, STDIN_FILENO, count);
    for (;;)
        read_once(poll, connections, count, &hearing, -1);
}

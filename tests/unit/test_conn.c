/* SPDX-License-Identifier: Apache-2.0 */
/* services/rpc/h2/conn.c: a connection that is closed while a forked process still holds its socket. */
#include "base/log.h"
#include "rpc/server.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 60000, TURNS = 20 };

static struct rpc_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static int set_up(void **state)
{
    (void)state;
    char text[sizeof address.sun_path + sizeof "unix:"];
    const char *why;
    log_configure(LOG_LEVEL_ERROR, false);
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/gatehouse-conn-%d", (int)getpid());
    snprintf(text, sizeof text, "unix:%s", address.sun_path);
    struct rpc_server_options options = {.transport = "nghttp2", .address = text, .threads = 1};
    server = rpc_server_new(&options, &why);
    return server != NULL && rpc_server_start(server) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    rpc_server_stop(server, 0);
    rpc_server_free(server);
    unlink(address.sun_path);
    return 0;
}

static void wait_for(int fd, short events)
{
    struct pollfd poller = {.fd = fd, .events = events};
    assert_int_equal(poll(&poller, 1, WAIT_MS), 1);
}

/* Once the server has greeted, it has the connection. */
static int connect_greeted(void)
{
    uint8_t bytes[256];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0);
    wait_for(fd, POLLIN);
    assert_true(recv(fd, bytes, sizeof bytes, 0) > 0);
    return fd;
}

static void wait_until_closed(int fd)
{
    uint8_t bytes[256];
    do
        wait_for(fd, POLLIN);
    while (recv(fd, bytes, sizeof bytes, 0) > 0);
    close(fd);
}

/* A process that has all that this one has but `except`, until the pipe's other end is closed. */
static pid_t fork_holder(int hold_fd, int except)
{
    pid_t holder = fork();
    assert_true(holder >= 0);
    if (holder == 0) {
        char byte;
        close(except);
        (void)!read(hold_fd, &byte, 1);
        _exit(0);
    }
    return holder;
}

static void test_a_forked_process_holds_the_socket(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int fd = connect_greeted();
    pid_t holder = fork_holder(ends[0], fd);
    close(fd);
    /* Its end is known and its memory free; the socket would still be said to have hung up, at each turn. */
    for (int i = 0; i < TURNS; i++) {
        fd = connect_greeted();
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        wait_until_closed(fd);
    }
    kill(holder, SIGKILL);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_forked_process_holds_the_socket, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor.h"

#ifndef HAVE_SYSTEMD

void supervisor_take_sockets(struct supervisor_sockets *ret_sockets, struct config_mistakes *mistakes)
{
    (void)mistakes;
    *ret_sockets = (struct supervisor_sockets){};
}

void supervisor_tell_ready(int grpc_port, int http_port)
{
    (void)grpc_port;
    (void)http_port;
}

void supervisor_tell_reloading(void)
{
}

void supervisor_tell_stopping(int64_t at_most_ms)
{
    (void)at_most_ms;
}

void supervisor_tell_alive(void)
{
}

#else

#include "base/clock.h"

#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

/* Not metrics. */
static bool describe_unix(int fd, struct supervisor_socket *ret_socket)
{
    struct sockaddr_un address = {0};
    socklen_t len = sizeof address;
    if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return false;
    snprintf(ret_socket->address, sizeof ret_socket->address, "unix:%.*s", (int)sizeof address.sun_path,
             address.sun_path);
    ret_socket->fd = fd;
    return true;
}

static bool describe(int fd, struct supervisor_socket *ret_socket)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    char host[48], port[8];
    if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return false;
    if (address.ss_family != AF_INET && address.ss_family != AF_INET6)
        return false;
    if (getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return false;
    snprintf(ret_socket->address, sizeof ret_socket->address, address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
             port);
    ret_socket->fd = fd;
    return true;
}

static void take(int fd, const char *name, struct supervisor_sockets *sockets, struct config_mistakes *mistakes)
{
    struct supervisor_socket *found = strcmp(name, "grpc") == 0      ? &sockets->grpc
                                      : strcmp(name, "http") == 0    ? &sockets->http
                                      : strcmp(name, "metrics") == 0 ? &sockets->metrics
                                                                     : NULL;
    if (found == NULL)
        config_mistake(mistakes,
                       "a socket named \"%s\" was handed over; it can be grpc, http or metrics (FileDescriptorName=)",
                       name);
    else if (found->fd != 0)
        config_mistake(mistakes, "two sockets named \"%s\" were handed over", name);
    else if (!(found != &sockets->metrics && describe_unix(fd, found)) && !describe(fd, found))
        config_mistake(mistakes, "the socket named \"%s\" that was handed over is not a listening socket for it", name);
}

void supervisor_take_sockets(struct supervisor_sockets *ret_sockets, struct config_mistakes *mistakes)
{
    char **names = NULL;
    *ret_sockets = (struct supervisor_sockets){};
    int count = sd_listen_fds_with_names(1, &names);
    for (int i = 0; i < count; i++) {
        take(SD_LISTEN_FDS_START + i, names[i], ret_sockets, mistakes);
        free(names[i]);
    }
    free(names);
}

void supervisor_tell_ready(int grpc_port, int http_port)
{
    sd_notifyf(0, "READY=1\nSTATUS=Serving gRPC on port %d, HTTP on port %d", grpc_port, http_port);
}

void supervisor_tell_reloading(void)
{
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic());
}

/* The time asked for is what the drain may take; without it a long grace_ms would end at TimeoutStopSec. */
void supervisor_tell_stopping(int64_t at_most_ms)
{
    sd_notifyf(0, "STOPPING=1\nSTATUS=Answering the calls under way\nEXTEND_TIMEOUT_USEC=%" PRId64, at_most_ms * 1000);
}

void supervisor_tell_alive(void)
{
    sd_notify(0, "WATCHDOG=1");
}

#endif

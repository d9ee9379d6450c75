/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

struct parts {
    char host[256];
    char port[8];
};

static bool split(const char *address, struct parts *parts)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || strlen(colon + 1) >= sizeof parts->port || colon[1] == '\0')
        return false;
    size_t len = (size_t)(colon - address);
    if (address[0] == '[' && colon[-1] == ']') {
        address++;
        len -= 2;
    } else if (memchr(address, ':', len) != NULL) {
        return false; /* IPv6 stands in brackets */
    }
    if (len >= sizeof parts->host || colon[1 + strspn(colon + 1, "0123456789")] != '\0' || atoi(colon + 1) > 65535)
        return false;
    snprintf(parts->host, sizeof parts->host, "%.*s", (int)len, address);
    snprintf(parts->port, sizeof parts->port, "%s", colon + 1);
    return true;
}

static int bind_one(const struct addrinfo *info, bool is_shared)
{
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (is_shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

enum status listen_open(const char *address, int port, bool is_shared, int *ret_fd)
{
    struct parts parts;
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    if (!split(address, &parts))
        return STATUS_INVALID_ARGUMENT;
    if (port != 0)
        snprintf(parts.port, sizeof parts.port, "%d", port);
    if (getaddrinfo(parts.host, parts.port, &hints, &found) != 0)
        return STATUS_INVALID_ARGUMENT;
    int fd = -1;
    for (const struct addrinfo *info = found; info != NULL && fd < 0; info = info->ai_next)
        fd = bind_one(info, is_shared);
    int error = errno;
    freeaddrinfo(found);
    errno = error;
    if (fd < 0)
        return STATUS_UNAVAILABLE;
    *ret_fd = fd;
    return STATUS_OK;
}

enum status listen_take(int given_fd, int *ret_fd)
{
    int is_listening = 0;
    socklen_t len = sizeof is_listening;
    if (getsockopt(given_fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) != 0 || !is_listening)
        return STATUS_INVALID_ARGUMENT;
    int fd = fcntl(given_fd, F_DUPFD_CLOEXEC, 0);
    int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        if (fd >= 0)
            close(fd);
        return STATUS_UNAVAILABLE;
    }
    *ret_fd = fd;
    return STATUS_OK;
}

int listen_port(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return address.ss_family != AF_INET ? 0 : ntohs(((struct sockaddr_in *)&address)->sin_port);
}

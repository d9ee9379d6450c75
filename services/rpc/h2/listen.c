/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/listen.h"

#include "base/unix_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static int open_socket(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return address.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&address)->sin_port) : 0;
}

/* is_dual: an IPv6 socket that takes IPv4 as well. */
static bool add(struct h2_listeners *listeners, const struct sockaddr *address, socklen_t len, bool is_dual)
{
    int one = 1, only_v6 = !is_dual;
    int fd = listeners->count == H2_LISTENERS_MAX ? -1 : open_socket(address->sa_family);
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_v6, sizeof only_v6);
    if (bind(fd, address, len) != 0 || listen(fd, BACKLOG) != 0) {
        close(fd);
        return false;
    }
    listeners->fds[listeners->count++] = fd;
    listeners->port = port_of(fd);
    return true;
}

static enum status listen_unix(struct h2_listeners *listeners, const char *address)
{
    int fd = unix_socket_listen(address, listeners->unix_path);
    if (fd < 0)
        return STATUS_UNAVAILABLE;
    listeners->fds[listeners->count++] = fd;
    return STATUS_OK;
}

/* Where there is no IPv6, IPv4 alone. */
static enum status listen_any(struct h2_listeners *listeners, int port)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    errno = 0;
    if (add(listeners, (const struct sockaddr *)&v6, sizeof v6, true))
        return STATUS_OK;
    if (errno == EADDRINUSE || !add(listeners, (const struct sockaddr *)&v4, sizeof v4, false))
        return STATUS_UNAVAILABLE;
    return STATUS_OK;
}

/* All that a name stands for ("localhost": 127.0.0.1 and ::1), on one port. */
static enum status listen_name(struct h2_listeners *listeners, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    if (getaddrinfo(host, port, &hints, &found) != 0)
        return STATUS_UNAVAILABLE;
    bool is_in_use = false;
    for (struct addrinfo *info = found; info != NULL && !is_in_use; info = info->ai_next) {
        if (listeners->count > 0 && info->ai_family == AF_INET)
            ((struct sockaddr_in *)info->ai_addr)->sin_port = htons((uint16_t)listeners->port);
        else if (listeners->count > 0)
            ((struct sockaddr_in6 *)info->ai_addr)->sin6_port = htons((uint16_t)listeners->port);
        errno = 0;
        is_in_use = !add(listeners, info->ai_addr, info->ai_addrlen, false) && errno == EADDRINUSE;
    }
    freeaddrinfo(found);
    return listeners->count > 0 && !is_in_use ? STATUS_OK : STATUS_UNAVAILABLE;
}

enum status h2_listen(struct h2_listeners *listeners, const char *address)
{
    *listeners = (struct h2_listeners){};
    if (unix_socket_is_address(address))
        return listen_unix(listeners, address);
    const char *colon = strrchr(address, ':');
    char host[256], *end = NULL;
    long port = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    if (port < 0 || port > 65535 || end == colon + 1 || *end != '\0')
        return STATUS_UNAVAILABLE;
    size_t len = (size_t)(colon - address);
    bool is_bracketed = len > 1 && address[0] == '[' && address[len - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(is_bracketed ? len - 2 : len), address + is_bracketed);
    if (strcmp(host, "*") == 0 || strcmp(host, "::") == 0)
        return listen_any(listeners, (int)port);
    enum status status = listen_name(listeners, host, colon + 1);
    if (status != STATUS_OK)
        h2_listen_close(listeners);
    return status;
}

enum status h2_listen_given(struct h2_listeners *listeners, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    *listeners = (struct h2_listeners){.fds = {fd}, .count = 1, .port = port_of(fd), .is_given = true};
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? STATUS_OK : STATUS_UNAVAILABLE;
}

void h2_listen_close(struct h2_listeners *listeners)
{
    if (listeners->unix_path[0] != '\0')
        unlink(listeners->unix_path);
    for (int i = 0; i < listeners->count && !listeners->is_given; i++)
        close(listeners->fds[i]);
    *listeners = (struct h2_listeners){.port = listeners->port};
}

void h2_peer_name(const struct sockaddr_storage *address, char name[static H2_PEER_MAX],
                  char counted[static H2_PEER_MAX])
{
    name[0] = counted[0] = '\0';
    if (address->ss_family == AF_UNIX) {
        snprintf(name, H2_PEER_MAX, "unix");
    } else if (address->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, name, H2_PEER_MAX);
        snprintf(counted, H2_PEER_MAX, "%s", name);
    } else if (address->ss_family == AF_INET6) {
        struct in6_addr v6 = ((const struct sockaddr_in6 *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6)) {
            inet_ntop(AF_INET, &v6.s6_addr[12], name, H2_PEER_MAX);
            snprintf(counted, H2_PEER_MAX, "%s", name);
            return;
        }
        inet_ntop(AF_INET6, &v6, name, H2_PEER_MAX);
        memset(&v6.s6_addr[8], 0, 8);
        inet_ntop(AF_INET6, &v6, counted, H2_PEER_MAX);
    }
}

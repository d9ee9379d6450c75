/* SPDX-License-Identifier: Apache-2.0 */
#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/unix_socket.h"

enum { NAME_MAX_LEN = 64 }; /* an IPv6 address and its zone */

static bool has_form(const char *address, const char *form)
{
    return strncmp(address, form, strlen(form)) == 0;
}

bool dial_read(struct dial *dial, const char *address)
{
    *dial = (struct dial){.is_unix = unix_socket_is_address(address)};
    dial->is_other = has_form(address, "ipv4:") || has_form(address, "ipv6:") || has_form(address, "dns:") ||
                     has_form(address, "xds:") || has_form(address, "unix-abstract:");
    if (dial->is_unix || dial->is_other)
        return true;
    bool is_bracketed = address[0] == '[';
    const char *end = is_bracketed ? strchr(address, ']') : strrchr(address, ':');
    const char *colon = is_bracketed && end != NULL ? end + 1 : end;
    const char *begin = address + is_bracketed;
    size_t digits = colon == NULL || *colon != ':' ? 0 : strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || end == begin ||
        (size_t)(end - begin) >= sizeof dial->host) {
        snprintf(dial->why, sizeof dial->why, "it is not HOST:PORT");
        return false;
    }
    memcpy(dial->host, begin, (size_t)(end - begin));
    memcpy(dial->port, colon + 1, digits);
    return true;
}

static struct addrinfo *look_up(struct dial *dial)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(dial->host, dial->port, &hints, &list);
    if (error == 0)
        return list;
    snprintf(dial->why, sizeof dial->why, "%s", error == EAI_SYSTEM ? strerror(errno) : gai_strerror(error));
    return NULL;
}

static void name_of(const struct addrinfo *address, char name[static NAME_MAX_LEN])
{
    if (getnameinfo(address->ai_addr, address->ai_addrlen, name, NAME_MAX_LEN, NULL, 0, NI_NUMERICHOST) != 0)
        name[0] = '\0';
}

bool dial_resolve(struct dial *dial)
{
    struct addrinfo *list = look_up(dial);
    if (list == NULL)
        return false;
    for (const struct addrinfo *each = list; each != NULL; each = each->ai_next) {
        char name[NAME_MAX_LEN];
        size_t len = strlen(dial->found);
        name_of(each, name);
        if (len + strlen(name) + 3 < sizeof dial->found)
            snprintf(dial->found + len, sizeof dial->found - len, "%s%s", len == 0 ? "" : ", ", name);
    }
    freeaddrinfo(list);
    return true;
}

/* Waits for the connection's end. */
static bool is_connected(int fd, int timeout_ms)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof error;
    int ready = poll(&waiting, 1, timeout_ms);
    if (ready == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    errno = ready == 0 ? ETIMEDOUT : ready < 0 ? errno : error;
    return errno == 0;
}

static int connect_to(const struct addrinfo *address, int timeout_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0 ||
        (errno == EINPROGRESS && is_connected(fd, timeout_ms)))
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int connect_to_any(struct dial *dial, int timeout_ms)
{
    struct addrinfo *list = look_up(dial);
    int fd = -1;
    for (const struct addrinfo *each = list; each != NULL && fd < 0; each = each->ai_next) {
        char name[NAME_MAX_LEN];
        fd = connect_to(each, timeout_ms);
        name_of(each, name);
        if (fd < 0)
            snprintf(dial->why, sizeof dial->why, "%s: %m", name);
    }
    if (list != NULL)
        freeaddrinfo(list);
    return fd;
}

int dial_connect(struct dial *dial, const char *address, int timeout_ms)
{
    const struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    int fd = dial->is_unix ? unix_socket_connect(address) : connect_to_any(dial, timeout_ms);
    if (fd < 0 && dial->is_unix)
        snprintf(dial->why, sizeof dial->why, "%m");
    if (fd < 0)
        return -1;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    return fd;
}

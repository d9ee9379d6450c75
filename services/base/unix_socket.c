/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unix_socket.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

static const char scheme[] = "unix:";

bool unix_socket_is_address(const char *address)
{
    return strncmp(address, scheme, sizeof scheme - 1) == 0;
}

static int open_socket(int flags)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static bool read_address(const char *address, struct sockaddr_un *ret_address)
{
    static_assert(sizeof ret_address->sun_path == UNIX_SOCKET_PATH);
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    address += sizeof scheme - 1;
    address += strncmp(address, "//", 2) == 0 ? 2 : 0;
    int len = snprintf(ret_address->sun_path, UNIX_SOCKET_PATH, "%s", address);
    errno = len >= UNIX_SOCKET_PATH ? ENAMETOOLONG : 0;
    return len < UNIX_SOCKET_PATH;
}

/* -1, and errno as it was. */
static int give_up(int fd)
{
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* A socket file that nobody listens on is what a killed process has left. */
static bool is_left_over(const struct sockaddr_un *address)
{
    struct stat file;
    if (lstat(address->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return false;
    int fd = open_socket(SOCK_NONBLOCK);
    bool is_refused =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return is_refused;
}

int unix_socket_listen(const char *address, char path[static UNIX_SOCKET_PATH])
{
    struct sockaddr_un bound;
    if (!read_address(address, &bound))
        return -1;
    if (is_left_over(&bound))
        unlink(bound.sun_path);
    int fd = open_socket(SOCK_NONBLOCK);
    if (fd < 0)
        return -1;
    if (bind(fd, (const struct sockaddr *)&bound, sizeof bound) != 0 || listen(fd, BACKLOG) != 0)
        return give_up(fd);
    memcpy(path, bound.sun_path, UNIX_SOCKET_PATH);
    return fd;
}

int unix_socket_connect(const char *address)
{
    struct sockaddr_un there;
    int fd = read_address(address, &there) ? open_socket(0) : -1;
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&there, sizeof there) != 0)
        return give_up(fd);
    return fd;
}

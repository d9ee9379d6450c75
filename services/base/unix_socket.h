/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that are files. */
#ifndef UNIX_SOCKET_H
#define UNIX_SOCKET_H

#include <stdbool.h>

enum { UNIX_SOCKET_PATH = 108 }; /* with its NUL */

/* "unix:/run/x", or "unix:///run/x". */
bool unix_socket_is_address(const char *address);

/* A non-blocking socket that listens there; a file that a killed process has left is replaced. *path is to be unlinked
 * before the socket is closed. -1: it cannot be, errno says why. */
int unix_socket_listen(const char *address, char path[static UNIX_SOCKET_PATH]);

/* A connection to it. -1: errno says why. */
int unix_socket_connect(const char *address);

#endif

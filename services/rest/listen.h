/* SPDX-License-Identifier: Apache-2.0 */
/* Opens a listening TCP socket, or takes one over. */
#ifndef REST_LISTEN_H
#define REST_LISTEN_H

#include "base/status.h"

#include <stdbool.h>

/* address: "127.0.0.1:8080", "[::1]:0", "localhost:8080". port: in its place if not 0. is_shared: others may listen on
 * it as well, by the same call. On success *ret_fd is yours, non-blocking. STATUS_INVALID_ARGUMENT: no address;
 * STATUS_UNAVAILABLE: cannot be bound, errno says why. */
enum status listen_open(const char *address, int port, bool is_shared, int *ret_fd);

/* A descriptor of the listening socket that somebody else has opened, to be accepted from as well. On success *ret_fd
 * is yours. STATUS_INVALID_ARGUMENT: it is none. */
enum status listen_take(int given_fd, int *ret_fd);

/* The port that the socket is bound to; 0: it is a Unix socket. */
int listen_port(int fd);

#endif

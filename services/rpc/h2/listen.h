/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets, and who it is that comes through them. */
#ifndef RPC_H2_LISTEN_H
#define RPC_H2_LISTEN_H

#include "base/status.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { H2_LISTENERS_MAX = 8, H2_PEER_MAX = 64 };

struct h2_listeners {
    int fds[H2_LISTENERS_MAX];
    int count;
    int port;            /* 0: a unix socket */
    bool is_given;       /* the socket is somebody else's */
    char unix_path[108]; /* "" for none */
};

/* STATUS_UNAVAILABLE: no, or in use. */
enum status h2_listen(struct h2_listeners *listeners, const char *address);
/* The same for a socket that listens already. */
enum status h2_listen_given(struct h2_listeners *listeners, int fd);
void h2_listen_close(struct h2_listeners *listeners);

/* The address as call.h has it ("192.0.2.1", "unix"), and by which connections are counted ("2001:db8::/64"; "" for a
 * unix socket). */
void h2_peer_name(const struct sockaddr_storage *address, char name[static H2_PEER_MAX],
                  char counted[static H2_PEER_MAX]);

#endif

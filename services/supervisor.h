/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd, or whoever else starts the daemon by its protocol, is told and hands over: sd_notify(3),
 * sd_listen_fds(3). Without such a supervisor, or built without libsystemd: nothing. */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "config.h"

#include <stdint.h>

struct supervisor_socket {
    int fd;            /* 0: none */
    char address[128]; /* where it listens, such as "0.0.0.0:443", "unix:/run/…"; "": no socket */
};

struct supervisor_sockets {
    struct supervisor_socket grpc, http, metrics; /* by FileDescriptorName= */
};

/* The listening sockets that were handed over; they stay open until the process ends. Call it once. What cannot be
 * used is a mistake. */
void supervisor_take_sockets(struct supervisor_sockets *ret_sockets, struct config_mistakes *mistakes);

/* To systemd, where it started us (sd_notify). The ports are for the status line; 0: not served. */
void supervisor_tell_ready(int grpc_port, int http_port);
void supervisor_tell_reloading(void); /* supervisor_tell_ready says that it is over */
/* It may take so long; systemd waits. */
void supervisor_tell_stopping(int64_t at_most_ms);
/* The watchdog's beat. */
void supervisor_tell_alive(void);

#endif

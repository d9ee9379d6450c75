/* SPDX-License-Identifier: Apache-2.0 */
/* Asks a shim whether it is ready, from the same machine: what a container's health check runs. */
#ifndef REST_PROBE_H
#define REST_PROBE_H

#include <stdbool.h>

/* GET path at address ("127.0.0.1:8080"; "0.0.0.0:8080" reaches this machine as well). True: 200. Otherwise why says
 * what came instead. Whose certificate it is does not matter: nothing is sent that is secret or believed. */
bool probe_is_ready(const char *address, const char *path, bool is_tls, int timeout_ms, char why[static 160]);

#endif

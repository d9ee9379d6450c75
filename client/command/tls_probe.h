/* SPDX-License-Identifier: Apache-2.0 */
/* What `gatehouse doctor` finds out about TLS, and gRPC does not tell: whose certificate that is, and what is wrong
 * with it. Nothing is sent that is secret, and nothing that comes is believed. */
#ifndef TLS_PROBE_H
#define TLS_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum { TLS_TEXT_MAX = 256 };

/* A PEM file's first certificate. False: it cannot be read, or holds none. */
bool tls_file_expiry(const char *path, int64_t *ret_seconds);

/* Do certificate and key belong together? Both are PEM files; false also where one cannot be read. */
bool tls_files_fit(const char *cert_path, const char *key_path);

enum tls_fault {
    TLS_FINE,
    TLS_NONE,          /* the other side speaks no TLS */
    TLS_UNREADABLE_CA, /* `ca_file` holds no certificate */
    TLS_UNTRUSTED,     /* no authority of `ca_file` has signed it */
    TLS_EXPIRED,
    TLS_NOT_YET,
    TLS_OTHER_NAME,
    TLS_NO_GRPC, /* it agrees on no HTTP/2 */
};

struct tls_probe {
    const char *ca_file;   /* NULL: whoever it is */
    const char *cert_file; /* NULL: none is shown; with key_file */
    const char *key_file;
    const char *name; /* what the certificate must name: a host or an IP address; NULL: whatever it says */

    enum tls_fault fault;
    char names[TLS_TEXT_MAX];  /* that the certificate has */
    char issuer[TLS_TEXT_MAX]; /* who signed it */
    int64_t expires;           /* seconds since 1970 */
    bool wants_certificate;    /* the server asks for one */
};

/* Begins TLS on a connected, blocking socket, which stays the caller's, and looks. */
void tls_probe_run(struct tls_probe *probe, int fd);

#endif

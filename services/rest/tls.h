/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's certificate, which may change while it runs. The only file of rest/ that knows OpenSSL beside conn.c. */
#ifndef REST_TLS_H
#define REST_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct tls;
struct ssl_st; /* SSL */

/* Reads a PEM chain and its key. NULL: error says why. */
struct tls *tls_new(const char *cert_file, const char *key_file, char *error, size_t error_size);
void tls_free(struct tls *tls);

/* A server's side of a new connection, with the certificate of now. NULL: out of memory. From any thread. */
struct ssl_st *tls_open(struct tls *tls);

/* Reads the files again. Where they cannot be used the old ones stay, and the log says so. */
void tls_reload(struct tls *tls);

/* The same, if a file has changed since it was read. */
void tls_reload_if_changed(struct tls *tls);

/* Says goodbye (close_notify) as far as that is possible without waiting. */
void tls_close(struct ssl_st *ssl);

#endif

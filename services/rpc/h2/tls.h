/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for the server: its certificate, its clients' authority and who of them is revoked, read again while it runs. */
#ifndef RPC_H2_TLS_H
#define RPC_H2_TLS_H

#include "rpc/server.h"

#include <openssl/ssl.h>

struct h2_tls;

/* No files are read yet. */
struct h2_tls *h2_tls_new(const struct rpc_server_options *options);

/* Reads and checks the files; the next handshake takes them. FAILED_PRECONDITION: the old ones stay. */
enum status h2_tls_load(struct h2_tls *tls);
bool h2_tls_is_stale(const struct h2_tls *tls);

/* For an accepted socket; from any thread. NULL: out of memory. */
SSL *h2_tls_accept(struct h2_tls *tls, int fd);

/* Would its client still get in, by the files as they are now? From any thread. */
bool h2_tls_still_trusts(struct h2_tls *tls, SSL *ssl);

/* Why a handshake failed, for a person. */
void h2_tls_why(SSL *ssl, char why[static 160]);

/* No connection may use it any more. NULL is fine. */
void h2_tls_free(struct h2_tls *tls);

#endif

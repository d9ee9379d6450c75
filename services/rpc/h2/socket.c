/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "rpc/h2/conn.h"
#include "rpc/h2/identity.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

/* What another connection left would be taken for this one's. Nearly always there is nothing, and clearing that takes
 * as long. */
static void forget_errors(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static ssize_t tls_result(struct h2_conn *conn, int result)
{
    if (result > 0)
        return result;
    int error = SSL_get_error(conn->ssl, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? H2_AGAIN : H2_LOST;
}

/* An empty buffer is given back here, for OpenSSL would wipe all of its 17 KiB each time: SSL_read has wiped what it
 * gave, and nothing else in there was ever readable. */
static int read_tls(SSL *ssl, uint8_t *bytes, size_t room)
{
    SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    int result = SSL_read(ssl, bytes, (int)room);
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    if (result > 0 && !SSL_has_pending(ssl)) { /* never within a record, which might still be read into it */
        SSL_clear_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
        SSL_free_buffers(ssl);
        SSL_set_options(ssl, SSL_OP_CLEANSE_PLAINTEXT);
    }
    return result;
}

ssize_t h2_socket_read(struct h2_conn *conn, uint8_t *bytes, size_t room)
{
    if (conn->ssl != NULL) {
        forget_errors();
        return tls_result(conn, read_tls(conn->ssl, bytes, room));
    }
    ssize_t len = recv(conn->fd, bytes, room, 0);
    if (len > 0)
        return len;
    return len < 0 && (errno == EAGAIN || errno == EINTR) ? H2_AGAIN : H2_LOST;
}

ssize_t h2_socket_write(struct h2_conn *conn, const uint8_t *bytes, size_t len)
{
    if (conn->ssl != NULL) {
        forget_errors();
        return tls_result(conn, SSL_write(conn->ssl, bytes, (int)len));
    }
    ssize_t sent = send(conn->fd, bytes, len, MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EINTR ? H2_AGAIN : H2_LOST;
}

bool h2_socket_has_input(const struct h2_conn *conn)
{
    /* Of a part of a record, the rest comes by the socket. */
    return conn->ssl != NULL && SSL_has_pending(conn->ssl) && !SSL_want_read(conn->ssl);
}

static void tell_refused(struct h2_conn *conn, bool has_hung_up, const char *why)
{
    struct h2_loop *loop = conn->loop;
    atomic_fetch_add_explicit(&loop->server->met.met[RPC_LIMIT_HANDSHAKE], 1, memory_order_relaxed);
    /* A probe that only looks whether the port is open hangs up as well: that is no news. */
    enum log_level level = has_hung_up ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;
    if (log_is_written(level) && h2_rate_take(&loop->handshake_lines, H2_HANDSHAKE_LINES, loop->now))
        log_write(level, "grpc_handshake_refused", "peer", conn->peer, "why", why, NULL);
}

static bool is_http2(SSL *ssl)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &len);
    return len == 2 && memcmp(protocol, "h2", 2) == 0;
}

static int finish_handshake(struct h2_conn *conn)
{
    struct h2_server *server = conn->loop->server;
    const struct rpc_server_options *options = &server->shared->options;
    bool is_mutual = options->tls_client_ca_file != NULL;
    if (is_mutual && conn->tls_generation != atomic_load(&server->tls_generation) &&
        !h2_tls_still_trusts(server->tls, conn->ssl)) {
        tell_refused(conn, false, "the certificate has just ceased to count");
        return H2_LOST;
    }
    if (!is_http2(conn->ssl)) {
        tell_refused(conn, false, "the client did not ask for HTTP/2 (ALPN h2)");
        return H2_LOST;
    }
    X509 *certificate = is_mutual ? SSL_get0_peer_certificate(conn->ssl) : NULL;
    if (certificate != NULL)
        conn->identities = h2_identities(certificate, options->identity_from_cn);
    return 1;
}

int h2_socket_handshake(struct h2_conn *conn, uint32_t *ret_events)
{
    char why[160];
    forget_errors();
    int result = SSL_do_handshake(conn->ssl);
    if (result == 1)
        return finish_handshake(conn);
    int error = SSL_get_error(conn->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        *ret_events = error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT;
        return H2_AGAIN;
    }
    bool has_hung_up = error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN ||
                       ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    h2_tls_why(conn->ssl, why);
    tell_refused(conn, has_hung_up, why);
    return H2_LOST;
}

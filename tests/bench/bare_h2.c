/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libnghttp2 and epoll cost alone: answers every request with the frames that services/rpc answers an empty RPC
 * with (header, five bytes, trailer), and knows no limit.
 *
 *     bare_h2 [CERT KEY]       prints port=N, and serves, on one thread, by TLS with both, until it is killed
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT = 65536, OUTPUT = 131072, PIECE_MAX = 32768, EVENTS = 128, EMPTY = 5 };

struct connection {
    nghttp2_session *session;
    SSL *tls; /* NULL: none */
    int fd;
};

#define HEADER(header_name, header_value) \
    {(uint8_t *)(uintptr_t)(header_name), (uint8_t *)(uintptr_t)(header_value), sizeof(header_name) - 1, \
     sizeof(header_value) - 1, NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE}
static const nghttp2_nv header[] = {HEADER(":status", "200"), HEADER("content-type", "application/grpc")};
static const nghttp2_nv trailer[] = {HEADER("grpc-status", "0")};

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *data, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user_data)
{
    (void)room, (void)source, (void)user_data;
    memset(data, 0, EMPTY);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(session, id, trailer, 1);
    return EMPTY;
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
    (void)user_data;
    bool is_request = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (is_request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
        nghttp2_data_provider provider = {.read_callback = read_body};
        nghttp2_submit_response(session, frame->hd.stream_id, header, 2, &provider);
    }
    return 0;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        exit(1);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    return callbacks;
}

static ssize_t receive(struct connection *connection, uint8_t *input, size_t size)
{
    return connection->tls != NULL ? SSL_read(connection->tls, input, (int)size) : recv(connection->fd, input, size, 0);
}

static ssize_t transmit(struct connection *connection, const uint8_t *output, size_t len)
{
    return connection->tls != NULL ? SSL_write(connection->tls, output, (int)len)
                                   : send(connection->fd, output, len, MSG_NOSIGNAL);
}

static void flush(struct connection *connection)
{
    static uint8_t output[OUTPUT];
    const uint8_t *piece;
    size_t len;
    do {
        ssize_t piece_len;
        len = 0;
        while (len + PIECE_MAX <= OUTPUT && (piece_len = nghttp2_session_mem_send(connection->session, &piece)) > 0) {
            memcpy(output + len, piece, (size_t)piece_len);
            len += (size_t)piece_len;
        }
        for (size_t sent = 0; sent < len;) { /* the socket blocks: the load reads */
            ssize_t part = transmit(connection, output + sent, len - sent);
            if (part <= 0)
                return;
            sent += (size_t)part;
        }
    } while (len > 0);
}

static void serve(int epoll_fd, struct connection *connection)
{
    static uint8_t input[INPUT];
    ssize_t len;
    do {
        len = receive(connection, input, sizeof input);
        if (len > 0 && nghttp2_session_mem_recv(connection->session, input, (size_t)len) != len)
            len = 0;
    } while (len > 0 && connection->tls != NULL && SSL_has_pending(connection->tls));
    if (len > 0) {
        flush(connection);
        return;
    }
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
    close(connection->fd);
    nghttp2_session_del(connection->session);
    SSL_free(connection->tls);
    free(connection);
}

static int choose_h2(SSL *tls, const uint8_t **chosen, uint8_t *len, const uint8_t *offered, unsigned offered_len,
                     void *arg)
{
    static const uint8_t h2[] = {2, 'h', '2'};
    (void)tls, (void)arg;
    return SSL_select_next_proto((uint8_t **)(uintptr_t)chosen, len, h2, sizeof h2, offered, offered_len) ==
                   OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_tls(const char *cert, const char *key)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        exit(1);
    SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL);
    SSL_CTX_set_read_ahead(context, 1); /* as services/rpc/h2 does */
    return context;
}

static void take(int epoll_fd, int listener, SSL_CTX *tls, const nghttp2_session_callbacks *callbacks)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 256},
                                               {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    int one = 1;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || nghttp2_session_server_new(&connection->session, callbacks, connection) != 0)
        exit(1);
    connection->fd = accept(listener, NULL, NULL);
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->tls = tls != NULL ? SSL_new(tls) : NULL;
    if (connection->tls != NULL &&
        (SSL_set_fd(connection->tls, connection->fd) != 1 || SSL_accept(connection->tls) != 1))
        exit(1);
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, settings, 2);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
    flush(connection);
}

static int listen_somewhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        exit(1);
    printf("port=%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    SSL_CTX *tls = argc > 2 ? make_tls(argv[1], argv[2]) : NULL;
    nghttp2_session_callbacks *callbacks = make_callbacks();
    int listener = listen_somewhere(), epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN}, events[EVENTS];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL)
                take(epoll_fd, listener, tls, callbacks);
            else
                serve(epoll_fd, events[i].data.ptr);
        }
    }
}

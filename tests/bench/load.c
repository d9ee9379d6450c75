/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for a gRPC port: keeps so many calls of one method in flight for so long and counts their answers. What h2load
 * does, with many bodies instead of one.
 *
 *     load PORT PATH BODIES [-c connections] [-s streams] [-t seconds] [-a authorization] [-e HEX] [-o] [-T]
 *
 * BODIES is a file of gRPC frames (0, four bytes of length, message) one after the other; each call takes one of them
 * at random, or with -o each of them once, in order. -T: by TLS, of which nothing is checked. -e: how every answer's
 * message must begin. Prints
 *
 *     requests=N failed=N seconds=S
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FRAME_PREFIX = 5, CONNECTIONS_MAX = 256, EXPECTED_MAX = 16, HEADERS_MAX = 8 };

struct body {
    const uint8_t *bytes;
    size_t len;
};

struct load {
    struct body *bodies;
    size_t body_count, next_body;
    bool in_order;
    SSL_CTX *tls; /* NULL: plain */
    uint8_t expected[EXPECTED_MAX];
    size_t expected_len;
    nghttp2_nv headers[HEADERS_MAX];
    size_t header_count;
    uint64_t random;
    double seconds;
    int64_t start, until; /* CLOCK_MONOTONIC, nanoseconds */
    uint64_t requests, failed, in_flight;
};

struct connection {
    struct load *load;
    nghttp2_session *session;
    int fd;
    SSL *ssl; /* NULL: plain */
};

struct call {
    struct body body;
    size_t sent, received;
    bool is_ok, is_wrong;
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static void read_bodies(struct load *load, const char *path)
{
    struct stat file;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &file) != 0 || file.st_size == 0)
        fail(path);
    size_t size = (size_t)file.st_size;
    const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (bytes == MAP_FAILED)
        fail(path);
    for (size_t at = 0; at + FRAME_PREFIX <= size;) {
        uint32_t len;
        memcpy(&len, bytes + at + 1, sizeof len);
        if ((load->body_count & (load->body_count + 1)) == 0) /* a power of two, less one: twice the room */
            load->bodies = realloc(load->bodies, 2 * (load->body_count + 1) * sizeof *load->bodies);
        if (load->bodies == NULL)
            fail(path);
        load->bodies[load->body_count++] = (struct body){bytes + at, FRAME_PREFIX + ntohl(len)};
        at += FRAME_PREFIX + ntohl(len);
    }
}

static bool is_over(const struct load *load)
{
    return load->in_order ? load->next_body >= load->body_count : now() >= load->until;
}

static struct body take_body(struct load *load)
{
    if (load->in_order)
        return load->bodies[load->next_body++];
    load->random ^= load->random << 13; /* xorshift64 */
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->bodies[load->random % load->body_count];
}

static ssize_t send_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *data)
{
    (void)session, (void)stream, (void)data;
    struct call *call = source->ptr;
    size_t len = call->body.len - call->sent < room ? call->body.len - call->sent : room;
    memcpy(to, call->body.bytes + call->sent, len);
    call->sent += len;
    if (call->sent == call->body.len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static void begin_call(struct connection *connection, struct call *call)
{
    struct load *load = connection->load;
    *call = (struct call){.body = take_body(load)};
    nghttp2_data_provider provider = {.source.ptr = call, .read_callback = send_body};
    if (nghttp2_submit_request(connection->session, NULL, load->headers, load->header_count, &provider, call) < 0)
        fail("a request cannot be made");
    load->in_flight++;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t value_len, uint8_t flags, void *data)
{
    (void)flags, (void)data;
    struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (name_len == strlen("grpc-status") && memcmp(name, "grpc-status", name_len) == 0)
        call->is_ok = value_len == 1 && *value == '0';
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t len,
                   void *data)
{
    (void)flags;
    const struct load *load = ((struct connection *)data)->load;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    for (size_t i = 0; i < len; i++, call->received++) {
        size_t at = call->received - FRAME_PREFIX;
        if (call->received >= FRAME_PREFIX && at < load->expected_len && bytes[i] != load->expected[at])
            call->is_wrong = true;
    }
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error, void *data)
{
    struct connection *connection = data;
    struct load *load = connection->load;
    struct call *call = nghttp2_session_get_stream_user_data(session, stream);
    bool is_good = error == 0 && call->is_ok && !call->is_wrong && call->received >= FRAME_PREFIX + load->expected_len;
    load->requests++;
    load->failed += !is_good;
    load->in_flight--;
    if (!is_over(load))
        begin_call(connection, call);
    return 0;
}

static void flush(struct connection *connection)
{
    char buffer[65536];
    size_t filled = 0;
    for (;;) {
        const uint8_t *bytes = NULL;
        ssize_t len = nghttp2_session_mem_send(connection->session, &bytes);
        if (len < 0)
            fail("nghttp2");
        if (filled > 0 && (len == 0 || filled + (size_t)len > sizeof buffer)) {
            ssize_t sent = connection->ssl != NULL ? SSL_write(connection->ssl, buffer, (int)filled)
                                                   : write(connection->fd, buffer, filled);
            if (sent != (ssize_t)filled) /* blocking: all of it */
                fail("the connection");
            filled = 0;
        }
        if (len == 0)
            return;
        memcpy(buffer + filled, bytes, (size_t)len); /* a frame is at most 16 KiB and its header */
        filled += (size_t)len;
    }
}

static void receive(struct connection *connection)
{
    uint8_t buffer[65536];
    do { /* the server sends whole records, so that waiting for the rest of one is short */
        ssize_t len = connection->ssl != NULL ? SSL_read(connection->ssl, buffer, sizeof buffer)
                                              : recv(connection->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (len == 0 || (len < 0 && (connection->ssl != NULL || errno != EAGAIN)))
            fail("the server has closed the connection");
        if (len > 0 && nghttp2_session_mem_recv(connection->session, buffer, (size_t)len) < 0)
            fail("nghttp2");
    } while (connection->ssl != NULL && SSL_pending(connection->ssl) > 0);
    flush(connection);
}

static void begin_tls(struct connection *connection)
{
    connection->ssl = SSL_new(connection->load->tls);
    if (connection->ssl == NULL || SSL_set_fd(connection->ssl, connection->fd) != 1 ||
        SSL_set_alpn_protos(connection->ssl, (const unsigned char *)"\2h2", 3) != 0 ||
        SSL_connect(connection->ssl) != 1)
        fail("TLS");
}

static void open_connection(struct connection *connection, struct load *load, int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->load = load;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (load->tls != NULL)
        begin_tls(connection);
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&connection->session, callbacks, connection);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0, 1 << 24);
}

static void add_header(struct load *load, const char *name, const char *value)
{
    load->headers[load->header_count++] = (nghttp2_nv){
        .name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value),
        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE,
    };
}

static void make_headers(struct load *load, const char *path, const char *authorization)
{
    add_header(load, ":method", "POST");
    add_header(load, ":scheme", "http");
    add_header(load, ":path", path);
    add_header(load, ":authority", "localhost");
    add_header(load, "content-type", "application/grpc");
    add_header(load, "te", "trailers");
    if (authorization != NULL)
        add_header(load, "authorization", authorization);
}

static void read_expected(struct load *load, const char *hex)
{
    for (; load->expected_len < EXPECTED_MAX && hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        const char digits[3] = {hex[0], hex[1], '\0'};
        load->expected[load->expected_len++] = (uint8_t)strtoul(digits, NULL, 16);
    }
}

static void run(struct load *load, int port, int connection_count, int streams)
{
    static struct connection connections[CONNECTIONS_MAX];
    struct call *calls = calloc((size_t)connection_count * (size_t)streams, sizeof *calls);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (calls == NULL || poll < 0)
        fail("epoll");
    for (int i = 0; i < connection_count; i++) {
        struct connection *connection = &connections[i];
        open_connection(connection, load, port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(poll, EPOLL_CTL_ADD, connection->fd, &event);
    }
    load->start = now(); /* handshakes are not what is measured */
    load->until = load->start + (int64_t)(load->seconds * 1e9);
    for (int i = 0; i < connection_count; i++) {
        struct connection *connection = &connections[i];
        for (int j = 0; j < streams && !is_over(load); j++)
            begin_call(connection, &calls[i * streams + j]);
        flush(connection);
    }
    while (load->in_flight > 0) {
        struct epoll_event events[CONNECTIONS_MAX];
        int count = epoll_wait(poll, events, CONNECTIONS_MAX, 10000);
        if (count == 0)
            fail("no answer in ten seconds");
        for (int i = 0; i < count; i++)
            receive(events[i].data.ptr);
    }
}

int main(int argc, char **argv)
{
    int connections = 8, streams = 32, option;
    const char *authorization = NULL;
    struct load load = {.random = (uint64_t)now() | 1, .seconds = 1};
    while ((option = getopt(argc, argv, "c:s:t:a:e:oT")) != -1) {
        if (option == 'c')
            connections = atoi(optarg);
        else if (option == 's')
            streams = atoi(optarg);
        else if (option == 't')
            load.seconds = atof(optarg);
        else if (option == 'a')
            authorization = optarg;
        else if (option == 'e')
            read_expected(&load, optarg);
        else if (option == 'o')
            load.in_order = true;
        else if (option == 'T')
            load.tls = SSL_CTX_new(TLS_client_method());
    }
    if (argc - optind != 3 || connections < 1 || connections > CONNECTIONS_MAX || streams < 1) {
        fprintf(stderr,
                "usage: load [-c N] [-s N] [-t SECONDS] [-a AUTHORIZATION] [-e HEX] [-o] [-T] PORT PATH BODIES\n");
        return 2;
    }
    make_headers(&load, argv[optind + 1], authorization);
    read_bodies(&load, argv[optind + 2]);
    run(&load, atoi(argv[optind]), connections, streams);
    printf("requests=%llu failed=%llu seconds=%.6f\n", (unsigned long long)load.requests,
           (unsigned long long)load.failed, (double)(now() - load.start) / 1e9);
    return 0;
}

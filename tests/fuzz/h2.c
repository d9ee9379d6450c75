/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer of the gRPC port sends, to a server in this process that has health and reflection: a unary method, one
 * that streams answers and one that streams both ways. The input is a row of frames, each of them
 *
 *   type flags stream length(2) payload
 *
 * which are made into HTTP/2's own, so that the fuzzer need not guess a length; type 0xff: the payload as it is. After
 * the preface, if the first byte of the input is even. The server must end each connection by itself when the peer has
 * said all, and serve the next one. */
#include "base/log.h"
#include "rpc/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEAD = 5, FRAME_HEAD = 9, RAW = 0xff, OUTPUT = 1 << 16, PATIENCE_MS = 4000 };

static const uint8_t preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"; /* and empty SETTINGS */

extern const unsigned char documented_protoset[], documented_protoset_end[];

static struct rpc_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void check(bool is_well, const char *what)
{
    if (is_well)
        return;
    perror(what);
    abort();
}

static void stop(void)
{
    rpc_server_free(server);
    unlink(address.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    char text[sizeof address.sun_path + sizeof "unix:"];
    const char *why;
    log_configure(LOG_LEVEL_ERROR, false);
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/gatehouse-fuzz-%d", (int)getpid());
    snprintf(text, sizeof text, "unix:%s", address.sun_path);
    struct rpc_server_options options = {
        .transport = "nghttp2",
        .address = text,
        .threads = 1,
        .limits = {.progress_timeout_ms = 100, .answer_timeout_ms = 100, .settings_timeout_ms = 100},
        .descriptor_set = documented_protoset,
        .descriptor_set_len = (size_t)(documented_protoset_end - documented_protoset),
    };
    server = rpc_server_new(&options, &why);
    check(server != NULL && rpc_server_start(server) == STATUS_OK, "the server does not start");
    atexit(stop);
    return 0;
}

/* One frame of the input; its length there. */
static size_t put_frame(const uint8_t *input, size_t size, uint8_t *output, size_t *len)
{
    size_t payload = (size_t)input[3] << 8 | input[4];
    if (payload > size - HEAD)
        payload = size - HEAD;
    if (*len + FRAME_HEAD + payload > OUTPUT)
        return size;
    if (input[0] != RAW) {
        const uint8_t head[FRAME_HEAD] = {
            0, (uint8_t)(payload >> 8), (uint8_t)payload, input[0], input[1], 0, 0, 0, input[2]};
        memcpy(output + *len, head, sizeof head);
        *len += sizeof head;
    }
    memcpy(output + *len, input + HEAD, payload);
    *len += payload;
    return HEAD + payload;
}

static size_t put_frames(const uint8_t *input, size_t size, uint8_t *output)
{
    size_t len = 0;
    if (size > 0 && (input[0] & 1) == 0) {
        memcpy(output, preface, sizeof preface - 1);
        len = sizeof preface - 1;
    }
    for (size_t at = 1; at + HEAD <= size;)
        at += put_frame(input + at, size - at, output, &len);
    return len;
}

/* Sends it all, and reads until the server has closed. */
static void talk(int fd, const uint8_t *bytes, size_t len)
{
    static uint8_t answer[OUTPUT];
    bool is_sent = false;
    for (;;) {
        ssize_t count = is_sent ? 0 : send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0) {
            bytes += count;
            len -= (size_t)count;
        }
        if (!is_sent && (len == 0 || (count < 0 && errno != EAGAIN))) { /* it may be closed already */
            is_sent = true;
            shutdown(fd, SHUT_WR);
        }
        struct pollfd poller = {.fd = fd, .events = (short)(POLLIN | (is_sent ? 0 : POLLOUT))};
        int ready = poll(&poller, 1, PATIENCE_MS);
        check(ready > 0 || (ready < 0 && errno == EINTR), "the server does not close"); /* libFuzzer has a timer */
        if ((poller.revents & (POLLIN | POLLHUP | POLLERR)) != 0 && recv(fd, answer, sizeof answer, MSG_DONTWAIT) <= 0)
            return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t output[OUTPUT];
    size_t len = put_frames(data, size, output);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0,
          "the server takes no connection");
    talk(fd, output, len);
    close(fd);
    return 0;
}

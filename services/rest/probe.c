/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include "base/unix_socket.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

/* A connection whose reads and writes end after timeout_ms, TLS on it where it is wanted. */
static BIO *dial(const char *address, SSL_CTX *tls, int timeout_ms)
{
    struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    bool is_unix = unix_socket_is_address(address);
    int fd = is_unix ? unix_socket_connect(address) : -1;
    BIO *bio = !is_unix ? BIO_new_connect(address) : fd >= 0 ? BIO_new_socket(fd, BIO_CLOSE) : NULL;
    if (bio == NULL || (!is_unix && BIO_do_connect(bio) != 1) || BIO_get_fd(bio, &fd) < 0) {
        BIO_free_all(bio);
        return NULL;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    return tls == NULL ? bio : BIO_push(BIO_new_ssl(tls, 1), bio);
}

static bool ask(BIO *bio, const char *path, char why[static 160])
{
    char answer[160] = "";
    int len = 0, got = 0;
    errno = 0;
    if (BIO_printf(bio, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path) > 0 &&
        BIO_flush(bio) == 1)
        while (strchr(answer, '\n') == NULL && (got = BIO_read(bio, answer + len, (int)sizeof answer - 1 - len)) > 0)
            len += got;
    answer[len] = '\0';
    answer[strcspn(answer, "\r\n")] = '\0';
    snprintf(why, 160, "%s", len > 0 ? answer : errno != 0 ? strerror(errno) : "it hung up");
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
}

bool probe_is_ready(const char *address, const char *path, bool is_tls, int timeout_ms, char why[static 160])
{
    SSL_CTX *tls = is_tls ? SSL_CTX_new(TLS_client_method()) : NULL;
    errno = 0;
    BIO *bio = is_tls && tls == NULL ? NULL : dial(address, tls, timeout_ms);
    bool is_ready = false;
    if (bio == NULL)
        snprintf(why, 160, "%s", errno != 0 ? strerror(errno) : "no connection");
    else
        is_ready = ask(bio, path, why);
    BIO_free_all(bio);
    SSL_CTX_free(tls);
    return is_ready;
}

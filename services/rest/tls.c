/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include "base/certificate.h"
#include "base/log.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls {
    pthread_mutex_t lock; /* of ctx and stamp */
    SSL_CTX *ctx;
    struct certificate_stamp stamp;
    struct certificate_files files;
    char *cert_file, *key_file; /* of `files`, and ours */
};

/* OpenSSL's, within a handshake on a loop: what ALPN offers. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    static const unsigned char http_1_1[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, http_1_1, sizeof http_1_1 - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static void last_error(const char *file, char *error, size_t error_size)
{
    char text[160];
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
    ERR_clear_error();
    snprintf(error, error_size, "%s: %s", file, text);
}

static SSL_CTX *read_files(const struct tls *tls, char *error, size_t error_size)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    const char *failed = NULL;
    if (SSL_CTX_use_certificate_chain_file(ctx, tls->cert_file) != 1)
        failed = tls->cert_file;
    else if (SSL_CTX_use_PrivateKey_file(ctx, tls->key_file, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(ctx) != 1)
        failed = tls->key_file;
    if (failed == NULL)
        return ctx;
    last_error(failed, error, error_size);
    SSL_CTX_free(ctx);
    return NULL;
}

struct tls *tls_new(const char *cert_file, const char *key_file, char *error, size_t error_size)
{
    struct tls *tls = calloc(1, sizeof *tls);
    char why[256] = "out of memory";
    if (tls == NULL) {
        snprintf(error, error_size, "%s", why);
        return NULL;
    }
    pthread_mutex_init(&tls->lock, NULL);
    tls->cert_file = strdup(cert_file);
    tls->key_file = strdup(key_file);
    if (tls->cert_file != NULL && tls->key_file != NULL) {
        tls->files = (struct certificate_files){.cert = tls->cert_file, .key = tls->key_file};
        tls->stamp = certificate_stamp(&tls->files);
        tls->ctx = read_files(tls, why, sizeof why);
    }
    if (tls->ctx != NULL)
        return tls;
    snprintf(error, error_size, "%s", why);
    tls_free(tls);
    return NULL;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->ctx);
    pthread_mutex_destroy(&tls->lock);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls);
}

struct ssl_st *tls_open(struct tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->ctx); /* it holds the context by itself from here on */
    pthread_mutex_unlock(&tls->lock);
    return ssl;
}

void tls_reload(struct tls *tls)
{
    char error[256] = "out of memory";
    struct certificate_stamp stamp = certificate_stamp(&tls->files);
    SSL_CTX *ctx = read_files(tls, error, sizeof error);
    pthread_mutex_lock(&tls->lock);
    tls->stamp = stamp; /* also of files that failed: they are tried again once they change */
    SSL_CTX *old = ctx != NULL ? tls->ctx : NULL;
    if (ctx != NULL)
        tls->ctx = ctx;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old);
    if (ctx == NULL)
        log_write(LOG_LEVEL_ERROR, "certificate_not_reloaded", "reason", error, NULL);
    else
        log_write(LOG_LEVEL_INFO, "certificate_reloaded", "file", tls->cert_file, NULL);
}

void tls_reload_if_changed(struct tls *tls)
{
    pthread_mutex_lock(&tls->lock);
    struct certificate_stamp stamp = tls->stamp;
    pthread_mutex_unlock(&tls->lock);
    if (certificate_has_changed(&tls->files, &stamp))
        tls_reload(tls);
}

void tls_close(struct ssl_st *ssl)
{
    if (SSL_is_init_finished(ssl))
        (void)SSL_shutdown(ssl);
    ERR_clear_error();
}

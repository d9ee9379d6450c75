/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/tls.h"

#include "rpc/transport.h"

#include <openssl/err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct h2_tls {
    const struct rpc_server_options *options;
    struct certificate_stamp
        stamp; /* of the files that were read last, whether they could be used or not; the reloader's thread */
    pthread_mutex_t lock;
    SSL_CTX *context; /* under the lock */
};

/* OpenSSL's, within a handshake on a loop: what ALPN offers. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    static const unsigned char h2[] = "\2h2";
    (void)ssl, (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, h2, sizeof h2 - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static bool set_clients(SSL_CTX *context, const struct rpc_server_options *options)
{
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(options->tls_client_ca_file);
    if (names == NULL || SSL_CTX_load_verify_file(context, options->tls_client_ca_file) != 1)
        return false;
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (options->tls_client_crl_file == NULL)
        return true;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return lookup != NULL && X509_load_crl_file(lookup, options->tls_client_crl_file, X509_FILETYPE_PEM) > 0;
}

static SSL_CTX *make_context(const struct rpc_server_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        abort();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20"); /* what HTTP/2 allows of TLS 1.2's */
    /* Its connections last: a session that is resumed would save little, and bring a certificate back unlooked at. */
    SSL_CTX_set_options(context,
                        SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1); /* a record by one read instead of two */
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(context, options->tls_cert_file) == 1 &&
        SSL_CTX_use_PrivateKey_file(context, options->tls_key_file, SSL_FILETYPE_PEM) == 1 &&
        SSL_CTX_check_private_key(context) == 1 &&
        (options->tls_client_ca_file == NULL || set_clients(context, options)))
        return context;
    ERR_clear_error();
    SSL_CTX_free(context);
    return NULL;
}

struct h2_tls *h2_tls_new(const struct rpc_server_options *options)
{
    struct h2_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        abort();
    tls->options = options;
    pthread_mutex_init(&tls->lock, NULL);
    return tls;
}

bool h2_tls_is_stale(const struct h2_tls *tls)
{
    const struct certificate_files files = rpc_server_files(tls->options);
    return certificate_has_changed(&files, &tls->stamp);
}

enum status h2_tls_load(struct h2_tls *tls)
{
    const struct certificate_files files = rpc_server_files(tls->options);
    tls->stamp = certificate_stamp(&files);
    SSL_CTX *context = make_context(tls->options);
    if (context == NULL)
        return STATUS_FAILED_PRECONDITION;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *before = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(before);
    return STATUS_OK;
}

SSL *h2_tls_accept(struct h2_tls *tls, int fd)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

bool h2_tls_still_trusts(struct h2_tls *tls, SSL *ssl)
{
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    X509_STORE_CTX *verification = X509_STORE_CTX_new();
    if (verification == NULL)
        abort();
    pthread_mutex_lock(&tls->lock);
    X509_STORE *store = SSL_CTX_get_cert_store(tls->context);
    X509_STORE_up_ref(store);
    pthread_mutex_unlock(&tls->lock);
    bool is_trusted = certificate != NULL &&
                      X509_STORE_CTX_init(verification, store, certificate, SSL_get_peer_cert_chain(ssl)) == 1 &&
                      X509_STORE_CTX_set_default(verification, "ssl_client") == 1 &&
                      X509_verify_cert(verification) == 1;
    X509_STORE_CTX_free(verification);
    X509_STORE_free(store);
    ERR_clear_error();
    return is_trusted;
}

void h2_tls_why(SSL *ssl, char why[static 160])
{
    long verified = SSL_get_verify_result(ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    if (verified != X509_V_OK)
        snprintf(why, 160, "%s", X509_verify_cert_error_string(verified));
    else
        snprintf(why, 160, "%s", reason != NULL ? reason : "the client hung up");
}

void h2_tls_free(struct h2_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

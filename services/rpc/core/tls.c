/* SPDX-License-Identifier: Apache-2.0 */
/* The server's certificate, and how it is exchanged while the server runs: gRPC core asks at each handshake whether
 * there is a new one. It is read and tried beforehand, so that a bad one never takes the place of a good one and no
 * polling thread reads files. */
#include "rpc/core/tls.h"

#include "rpc/transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEM_MAX = 1 << 20 };

struct pem {
    char *cert, *key, *client_ca; /* client_ca: NULL without mutual TLS */
};

struct core_tls {
    const struct rpc_server_options *options;
    struct certificate_stamp
        stamp; /* of the files that were read last, whether they could be used or not; the reloader's thread */
    pthread_mutex_t lock;
    struct pem next; /* for the next handshake; cert is NULL where there is nothing new */
};

static void wipe_free(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void pem_done(struct pem *pem)
{
    wipe_free(pem->cert);
    wipe_free(pem->key);
    wipe_free(pem->client_ca);
    *pem = (struct pem){};
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return NULL;
    setvbuf(file, NULL, _IONBF, 0); /* no second copy of a key in stdio's buffer */
    char *text = calloc(1, PEM_MAX + 1);
    size_t len = text != NULL ? fread(text, 1, PEM_MAX, file) : 0;
    bool failed = ferror(file) != 0;
    fclose(file);
    if (failed || len == 0 || len == PEM_MAX) {
        wipe_free(text);
        return NULL;
    }
    return text;
}

static bool pem_read(const struct rpc_server_options *options, struct pem *pem)
{
    pem->cert = read_file(options->tls_cert_file);
    pem->key = options->tls_key_file != NULL ? read_file(options->tls_key_file) : NULL;
    bool has_ca = options->tls_client_ca_file != NULL;
    pem->client_ca = has_ca ? read_file(options->tls_client_ca_file) : NULL;
    return pem->cert != NULL && pem->key != NULL && (!has_ca || pem->client_ca != NULL);
}

static grpc_ssl_client_certificate_request_type request_type(bool is_mutual)
{
    return is_mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
}

/* gRPC core tells of a key that does not fit only when a port is added: so one is, on a server that never starts. */
static bool pem_is_usable(const struct pem *pem)
{
    grpc_ssl_pem_key_cert_pair pair = {.private_key = pem->key, .cert_chain = pem->cert};
    grpc_server_credentials *credentials =
        grpc_ssl_server_credentials_create_ex(pem->client_ca, &pair, 1, request_type(pem->client_ca != NULL), NULL);
    grpc_completion_queue *queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_server *server = grpc_server_create(NULL, NULL);
    grpc_server_register_completion_queue(server, queue, NULL);
    bool is_usable = credentials != NULL && grpc_server_add_http2_port(server, "127.0.0.1:0", credentials) != 0;
    grpc_server_shutdown_and_notify(server, queue, queue);
    grpc_completion_queue_pluck(queue, queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);
    grpc_server_destroy(server);
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
    if (credentials != NULL)
        grpc_server_credentials_release(credentials);
    return is_usable;
}

struct core_tls *core_tls_new(const struct rpc_server_options *options)
{
    struct core_tls *tls = calloc(1, sizeof *tls);
    if (tls == NULL)
        abort();
    tls->options = options;
    pthread_mutex_init(&tls->lock, NULL);
    return tls;
}

bool core_tls_is_stale(const struct core_tls *tls)
{
    const struct certificate_files files = rpc_server_files(tls->options);
    return certificate_has_changed(&files, &tls->stamp);
}

enum status core_tls_load(struct core_tls *tls)
{
    struct pem pem = {};
    const struct certificate_files files = rpc_server_files(tls->options);
    tls->stamp = certificate_stamp(&files);
    if (!pem_read(tls->options, &pem) || !pem_is_usable(&pem)) {
        pem_done(&pem);
        return STATUS_FAILED_PRECONDITION;
    }
    pthread_mutex_lock(&tls->lock);
    pem_done(&tls->next);
    tls->next = pem;
    pthread_mutex_unlock(&tls->lock);
    return STATUS_OK;
}

/* gRPC core's, before each handshake, on any thread: are there new files? */
static grpc_ssl_certificate_config_reload_status fetch(void *data, grpc_ssl_server_certificate_config **config)
{
    struct core_tls *tls = data;
    pthread_mutex_lock(&tls->lock);
    struct pem pem = tls->next;
    tls->next = (struct pem){};
    pthread_mutex_unlock(&tls->lock);
    if (pem.cert == NULL)
        return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    grpc_ssl_pem_key_cert_pair pair = {.private_key = pem.key, .cert_chain = pem.cert};
    /* Without mutual TLS the roots are not looked at, but gRPC core (1.51) aborts where there are none. */
    *config = grpc_ssl_server_certificate_config_create(pem.client_ca != NULL ? pem.client_ca : pem.cert, &pair, 1);
    pem_done(&pem);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

grpc_server_credentials *core_tls_credentials(struct core_tls *tls)
{
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            request_type(tls->options->tls_client_ca_file != NULL), fetch, tls));
}

void core_tls_free(struct core_tls *tls)
{
    if (tls == NULL)
        return;
    pem_done(&tls->next);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

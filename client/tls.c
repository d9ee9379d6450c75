/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <grpc/grpc_security.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PEM_MAX = 1 << 20 };

/* The file's text, to be freed with gatehouse_token_wipe; NULL: `error` says why. */
static char *read_pem(const char *path, char error[256])
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(error, 256, "%s: %m", path);
        return NULL;
    }
    setvbuf(file, NULL, _IONBF, 0); /* no second copy of a key in stdio's buffer */
    char *text = calloc(1, PEM_MAX);
    size_t len = text != NULL ? fread(text, 1, PEM_MAX - 1, file) : 0;
    fclose(file);
    if (len == 0 || strstr(text, "-----BEGIN ") == NULL) {
        snprintf(error, 256, "%s: not a PEM file", path);
        gatehouse_token_wipe(text);
        return NULL;
    }
    return text;
}

grpc_channel_credentials *gatehouse_credentials_new(const struct gatehouse_options *options, char error[256])
{
    bool has_cert = options->tls_cert_file != NULL, has_key = options->tls_key_file != NULL;
    if (options->tls_ca_file == NULL && !has_cert && !has_key)
        return grpc_insecure_credentials_create();
    if (options->tls_ca_file == NULL || has_cert != has_key) {
        snprintf(error, 256, "TLS needs a CA file; a client certificate needs its key, and a key its certificate");
        return NULL;
    }
    grpc_channel_credentials *credentials = NULL;
    char *ca = read_pem(options->tls_ca_file, error);
    char *cert = ca != NULL && has_cert ? read_pem(options->tls_cert_file, error) : NULL;
    char *key = cert != NULL ? read_pem(options->tls_key_file, error) : NULL;
    if (ca != NULL && (!has_cert || key != NULL)) {
        grpc_ssl_pem_key_cert_pair pair = {.private_key = key, .cert_chain = cert};
        credentials = grpc_ssl_credentials_create_ex(ca, has_cert ? &pair : NULL, NULL, NULL);
        if (credentials == NULL)
            snprintf(error, 256, "the certificates cannot be used");
    }
    gatehouse_token_wipe(ca);
    gatehouse_token_wipe(cert);
    gatehouse_token_wipe(key);
    return credentials;
}

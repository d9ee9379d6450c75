/* SPDX-License-Identifier: Apache-2.0 */
#include "tls_probe.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

static X509 *read_certificate(const char *path)
{
    FILE *file = fopen(path, "re");
    X509 *certificate = file == NULL ? NULL : PEM_read_X509(file, NULL, NULL, NULL);
    if (file != NULL)
        fclose(file);
    return certificate;
}

static int64_t expiry_of(const X509 *certificate)
{
    struct tm tm;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

bool tls_file_expiry(const char *path, int64_t *ret_seconds)
{
    X509 *certificate = read_certificate(path);
    if (certificate == NULL)
        return false;
    *ret_seconds = expiry_of(certificate);
    X509_free(certificate);
    return true;
}

bool tls_files_fit(const char *cert_path, const char *key_path)
{
    X509 *certificate = read_certificate(cert_path);
    FILE *file = fopen(key_path, "re");
    EVP_PKEY *key = file == NULL ? NULL : PEM_read_PrivateKey(file, NULL, NULL, NULL);
    bool fit = certificate != NULL && key != NULL && X509_check_private_key(certificate, key) == 1;
    if (file != NULL)
        fclose(file);
    EVP_PKEY_free(key);
    X509_free(certificate);
    ERR_clear_error();
    return fit;
}

/* OpenSSL asks whether to go on in spite of an error: yes, the first one is looked at afterwards. */
static int go_on(int is_fine, X509_STORE_CTX *verifying)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(verifying, SSL_get_ex_data_X509_STORE_CTX_idx());
    int *first = SSL_get_app_data(ssl);
    if (!is_fine && *first == X509_V_OK)
        *first = X509_STORE_CTX_get_error(verifying);
    return 1;
}

/* OpenSSL calls it where the server asks for a certificate and none was given. */
static int note_wish(SSL *ssl, void *arg)
{
    struct tls_probe *probe = arg;
    (void)ssl;
    probe->wants_certificate = true;
    return 1;
}

static void add_name(struct tls_probe *probe, const char *name)
{
    size_t len = strlen(probe->names);
    snprintf(probe->names + len, sizeof probe->names - len, "%s%s", len == 0 ? "" : ", ", name);
}

static void read_names(struct tls_probe *probe, const X509 *certificate)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char address[INET6_ADDRSTRLEN] = "";
        if (name->type == GEN_DNS) {
            add_name(probe, (const char *)ASN1_STRING_get0_data(name->d.dNSName));
        } else if (name->type == GEN_IPADD) {
            int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
            inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), address, sizeof address);
            add_name(probe, address);
        }
    }
    GENERAL_NAMES_free(names);
    X509_NAME_oneline(X509_get_issuer_name(certificate), probe->issuer, sizeof probe->issuer);
    probe->expires = expiry_of(certificate);
}

static bool has_name(X509 *certificate, const char *name)
{
    return name == NULL || X509_check_host(certificate, name, 0, 0, NULL) == 1 ||
           X509_check_ip_asc(certificate, name, 0) == 1;
}

static enum tls_fault judge(const struct tls_probe *probe, SSL *ssl, X509 *certificate, int error)
{
    const unsigned char *protocol = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(ssl, &protocol, &len);
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        return TLS_EXPIRED;
    if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        return TLS_NOT_YET;
    if (probe->ca_file != NULL && error != X509_V_OK)
        return TLS_UNTRUSTED;
    if (probe->ca_file != NULL && !has_name(certificate, probe->name))
        return TLS_OTHER_NAME;
    return len == 2 && memcmp(protocol, "h2", 2) == 0 ? TLS_FINE : TLS_NO_GRPC;
}

static SSL_CTX *make_context(struct tls_probe *probe)
{
    static const unsigned char protocols[] = {2, 'h', '2'};
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL)
        return NULL;
    SSL_CTX_set_alpn_protos(tls, protocols, sizeof protocols);
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, go_on);
    if (probe->ca_file != NULL && SSL_CTX_load_verify_file(tls, probe->ca_file) != 1)
        probe->fault = TLS_UNREADABLE_CA;
    if (probe->cert_file != NULL && probe->key_file != NULL) {
        if (SSL_CTX_use_certificate_chain_file(tls, probe->cert_file) == 1)
            SSL_CTX_use_PrivateKey_file(tls, probe->key_file, SSL_FILETYPE_PEM);
    } else {
        SSL_CTX_set_cert_cb(tls, note_wish, probe);
    }
    return tls;
}

static void shake_hands(struct tls_probe *probe, SSL *ssl, int fd)
{
    int error = X509_V_OK;
    SSL_set_app_data(ssl, &error);
    SSL_set_fd(ssl, fd);
    if (probe->name != NULL && strspn(probe->name, "0123456789.:abcdefABCDEF") != strlen(probe->name))
        SSL_set_tlsext_host_name(ssl, probe->name);
    if (SSL_connect(ssl) != 1)
        return;
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    if (certificate == NULL)
        return;
    read_names(probe, certificate);
    probe->fault = judge(probe, ssl, certificate, error);
    X509_free(certificate);
}

void tls_probe_run(struct tls_probe *probe, int fd)
{
    probe->fault = TLS_NONE;
    SSL_CTX *tls = make_context(probe);
    SSL *ssl = tls == NULL || probe->fault == TLS_UNREADABLE_CA ? NULL : SSL_new(tls);
    if (ssl != NULL)
        shake_hands(probe, ssl, fd);
    SSL_free(ssl);
    SSL_CTX_free(tls);
    ERR_clear_error();
}

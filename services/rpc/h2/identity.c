/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/h2/identity.h"

#include "rpc/transport.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct names {
    char *text[RPC_IDENTITIES_MAX];
    size_t count, bytes;
};

/* "admin\0.evil.example" is nobody. */
static void add(struct names *names, const void *text, size_t len)
{
    if (names->count == RPC_IDENTITIES_MAX || len == 0 || memchr(text, '\0', len) != NULL)
        return;
    char *copy = strndup(text, len);
    if (copy == NULL)
        abort();
    names->text[names->count++] = copy;
    names->bytes += len + 1;
}

static void add_address(struct names *names, const ASN1_OCTET_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(address);
    int family = len == 4 ? AF_INET : AF_INET6;
    if ((len == 4 || len == 16) && inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text) != NULL)
        add(names, text, strlen(text));
}

static void add_alternative(struct names *names, const GENERAL_NAME *name)
{
    if (name->type == GEN_DNS || name->type == GEN_URI || name->type == GEN_EMAIL)
        add(names, ASN1_STRING_get0_data(name->d.ia5), (size_t)ASN1_STRING_length(name->d.ia5));
    else if (name->type == GEN_IPADD)
        add_address(names, name->d.iPAddress);
}

static void add_common_names(struct names *names, X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;) {
        unsigned char *text = NULL;
        int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
        if (len > 0)
            add(names, text, (size_t)len);
        OPENSSL_free(text);
    }
}

static const char **join(struct names *names)
{
    if (names->count == 0)
        return NULL;
    const char **list = malloc((names->count + 1) * sizeof *list + names->bytes);
    if (list == NULL)
        abort();
    char *at = (char *)(list + names->count + 1);
    for (size_t i = 0; i < names->count; i++) {
        list[i] = at;
        at = stpcpy(at, names->text[i]) + 1;
        free(names->text[i]);
    }
    list[names->count] = NULL;
    return list;
}

const char **h2_identities(X509 *certificate, bool from_cn)
{
    struct names names = {.count = 0};
    int critical;
    GENERAL_NAMES *alternatives = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    for (int i = 0; alternatives != NULL && i < sk_GENERAL_NAME_num(alternatives); i++)
        add_alternative(&names, sk_GENERAL_NAME_value(alternatives, i));
    GENERAL_NAMES_free(alternatives);
    /* -1: there is no such extension. One that is there but cannot be read is no reason to believe the CN. */
    if (alternatives == NULL && critical == -1 && from_cn)
        add_common_names(&names, certificate);
    return join(&names);
}

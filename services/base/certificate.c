/* SPDX-License-Identifier: Apache-2.0 */
#include "base/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static struct timespec written(const char *path)
{
    struct stat file = {0};
    if (path != NULL)
        (void)!stat(path, &file);
    return file.st_mtim;
}

struct certificate_stamp certificate_stamp(const struct certificate_files *files)
{
    return (struct certificate_stamp){written(files->cert), written(files->key), written(files->client_ca),
                                      written(files->client_crl)};
}

bool certificate_has_changed(const struct certificate_files *files, const struct certificate_stamp *since)
{
    struct certificate_stamp now = certificate_stamp(files);
    return memcmp(&now, since, sizeof now) != 0;
}

bool certificate_expiry(const char *file, int64_t *ret_seconds)
{
    FILE *stream = fopen(file, "re");
    X509 *certificate = stream == NULL ? NULL : PEM_read_X509(stream, NULL, NULL, NULL);
    struct tm tm;
    bool is_known = certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1;
    if (is_known)
        *ret_seconds = timegm(&tm);
    X509_free(certificate);
    if (stream != NULL)
        fclose(stream);
    ERR_clear_error();
    return is_known;
}

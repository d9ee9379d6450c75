/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a TLS server: whether they have changed since they were read, and until when a certificate counts. */
#ifndef BASE_CERTIFICATE_H
#define BASE_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* Certificate, key, and, where clients show one, its authority and what that has revoked. NULL: none. */
struct certificate_files {
    const char *cert, *key, *client_ca, *client_crl;
};

/* When each was written last; zeros: it is not there. */
struct certificate_stamp {
    struct timespec cert, key, client_ca, client_crl;
};

/* To be taken before the files are read: what changes meanwhile is then seen the next time. */
struct certificate_stamp certificate_stamp(const struct certificate_files *files);
bool certificate_has_changed(const struct certificate_files *files, const struct certificate_stamp *since);

/* When the first certificate of a PEM file expires, in seconds since 1970. False: it cannot be read. */
bool certificate_expiry(const char *file, int64_t *ret_seconds);

#endif

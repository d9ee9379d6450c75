/* SPDX-License-Identifier: Apache-2.0 */
/* The names that a client's certificate carries. */
#ifndef RPC_H2_IDENTITY_H
#define RPC_H2_IDENTITY_H

#include <openssl/x509.h>
#include <stdbool.h>

/* NULL-ended, in one piece of memory for free(); NULL: none. The names of the subjectAltName (DNS, URI, e-mail, IP),
 * for which the authority vouched. A CN counts only where there is no subjectAltName, and only if from_cn. */
const char **h2_identities(X509 *certificate, bool from_cn);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The networks from which a credential may be used: --from-network and --observe-networks. */
#ifndef COMMAND_NETWORKS_H
#define COMMAND_NETWORKS_H

#include "command.h"

#include <gatehouse/v1/credential_admin.pb-c.h>
#include <jansson.h>

/* What one `networks_take` needs for as long as the credential borrows it. */
struct networks {
    Gatehouse__V1__SourceAddresses message;
    struct words words;
};
#define NETWORKS_DONE __attribute__((cleanup(networks_done)))

/* Gives the words back. The credential must not be used any more. */
void networks_done(struct networks *networks);

/* What the options say, into the credential, which borrows it. False: reported. */
bool networks_take(struct context *context, struct networks *networks, Gatehouse__V1__Credential *credential);

/* For a column: "10.0.0.0/8, 192.0.2.1 (observed)". */
char *networks_format(const json_t *row, const json_t *value, int64_t now);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of credentials' own, and the networks from which they may be used: in worlds beyond SIM_DENSE. */
#ifndef SIMULATE_OWN_H
#define SIMULATE_OWN_H

#include "calls.h"

/* From where a use is said to come; NULL: it is not said. */
const char *own_peer(const struct world *world);

/* What is asked for, in calls of these kinds. */
Gatehouse__V1__CredentialLimits *own_limits_message(struct sim_call *call);
Gatehouse__V1__SourceAddresses *own_networks_message(struct sim_call *call);

/* A credential gets other limits or networks; or it does while everybody remembers a token of it, which is then looked
 * at everywhere. */
void own_step(struct world *world);

#endif

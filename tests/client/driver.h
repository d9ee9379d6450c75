/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DRIVER_H
#define DRIVER_H

#include <gatehouse.h>

/* "error UNAUTHENTICATED INVALID_CLIENT", as a line. */
void print_error(const struct gatehouse_call *call);

/* "active allowed NAME", "active denied NAME" or "inactive". */
void print_answer(const Gatehouse__V1__IntrospectResponse *answer);

/* Threads call without a pause while their token is ended `rounds` times: at each "ready" the other side ends it, and
 * says so by a line. Then "all right", or the first answer that was not. */
void storm(struct gatehouse *gatehouse, int threads, int rounds, const char *token);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DRIVER_H
#define DRIVER_H

#include <gatehouse.h>
#include <stdbool.h>

/* "error UNAUTHENTICATED INVALID_CLIENT", as a line. */
void print_error(const struct gatehouse_call *call);

/* "active allowed NAME", "active denied NAME" or "inactive". */
void print_answer(const Gatehouse__V1__IntrospectResponse *answer);

/* Threads call without a pause while their token is ended `rounds` times: at each "ready" the other side ends it, and
 * says so by a line. Then "all right", or the first answer that was not. */
void storm(struct gatehouse *gatehouse, int threads, int rounds, const char *token);

/* Threads ask for every token again and again until it has ended, as they are told by lines: "token TOKEN"; "hits" and
 * "left" are answered by how many were answered from memory, and are not known to have ended; anything else ends it,
 * and a line says of each token when the last call began that was told active (CLOCK_BOOTTIME, microseconds; 0: none).
 */
void chase(struct gatehouse *gatehouse);

/* misuse.c. A child that uses this connection, wants one of its own, closes this one and ends: it prints what it was
 * told (GATEHOUSE_* as a number), and this one how it ended. */
void fork_and_use(struct gatehouse *gatehouse, const char *token);

/* A child that opens a connection, closes it and ends, while its parent has none. */
void fork_and_open(const char *address);

/* A call whose closure calls a function that waits, on this connection and on another one. */
void wait_in_a_closure(struct gatehouse *gatehouse, struct gatehouse *other, const char *token);

/* cache.c: the commands that want to know where an answer came from; false: it is none of them. */
bool obey_cache(struct gatehouse *gatehouse, char **words, size_t count);

#endif

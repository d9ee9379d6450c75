/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, handed in so that tests can move it. It never runs backwards and never slower than CLOCK_MONOTONIC: where the
 * wall clock is set back, it goes on from where it was, so that nothing idle lives longer for it.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

struct clock;

#define CLOCK_SECOND INT64_C(1000000) /* all times here are microseconds since 1970 */

/* `floor`: a time that has certainly passed already (the last one that the store saw); 0 for none. */
struct clock *clock_new(int64_t floor);
void clock_free(struct clock *clock);

int64_t clock_now(struct clock *clock);

/* Microseconds by which this clock is ahead of the wall clock; 0 in ordinary life. */
int64_t clock_ahead(struct clock *clock);

/* A test's clock: it stands still at `start` until it is moved. Moving back does nothing, as with the real one. */
struct clock *clock_new_manual(int64_t start);
void clock_advance(struct clock *clock, int64_t microseconds);

/* CLOCK_MONOTONIC in microseconds, for deadlines and durations. */
int64_t clock_monotonic(void);

#endif

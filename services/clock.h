/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time, handed in so that tests can move it. All times are microseconds since 1970.
 *
 * Two questions, two answers:
 *
 * clock_now      decides: is this expired, is this idle? It is the wall clock, and never less than the settled time.
 *                When the wall clock jumps ahead, so does clock_now, at once: what might have ended counts as ended.
 * clock_settled  a time that has certainly passed. It runs by CLOCK_BOOTTIME, which nobody sets, from the floor, and
 *                follows the wall clock ahead only when that has stayed there for CLOCK_SETTLES. The store keeps it as
 *                the floor of the next start, and what is removed for good is removed by it.
 *
 * So a wall clock that was ahead for some minutes leaves nothing behind: clock_now comes back with it. A wall clock
 * that was set back makes nothing live longer: clock_now goes on from the settled time.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

struct clock;

#define CLOCK_SECOND INT64_C(1000000)
#define CLOCK_SETTLES (600 * CLOCK_SECOND)
/* By so much may the clocks of one group differ in ordinary life. What is dated further ahead was dated by a clock that
 * was wrong. */
#define CLOCK_TOLERANCE (60 * CLOCK_SECOND)

/* `floor`: a time that has certainly passed already (the last settled one that the store saw); 0 for none. */
struct clock *clock_new(int64_t floor);
void clock_free(struct clock *clock); /* NULL is fine */

int64_t clock_now(struct clock *clock);
int64_t clock_settled(struct clock *clock);

/* CLOCK_BOOTTIME: for leases. Nobody sets it, and it runs while the machine sleeps. */
int64_t clock_steady(struct clock *clock);

/* Microseconds by which clock_now is ahead of the wall clock; 0 in ordinary life. */
int64_t clock_ahead(struct clock *clock);

/* A test's clock: it stands still at `start`, settled, until it is moved. clock_advance is time that passes; clock_step
 * sets the wall clock only, ahead or back. */
struct clock *clock_new_manual(int64_t start);
void clock_advance(struct clock *clock, int64_t microseconds);
void clock_step(struct clock *clock, int64_t microseconds);

/* CLOCK_MONOTONIC in microseconds, for deadlines and durations. */
int64_t clock_monotonic(void);

#endif

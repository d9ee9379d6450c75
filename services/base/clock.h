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
 *                the floor of the next start, and what is removed for good is removed by it. 0 while nothing is
 * certain: on a new database, until its first CLOCK_SETTLES are over.
 *
 * So a wall clock that was ahead for some minutes leaves nothing behind: clock_now comes back with it. A wall clock
 * that was set back makes nothing live longer: clock_now continues from the settled time.
 *
 * When the wall clock moves against CLOCK_BOOTTIME by more than CLOCK_JUMP, it has jumped. Whoever asks for the time
 * first after that logs it: clock_jumped, then clock_right when it is put right, or clock_stays when it has stayed for
 * CLOCK_SETTLES. A daemon that rested has not jumped.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct clock;

#define CLOCK_SECOND INT64_C(1000000)
#define CLOCK_SETTLES (600 * CLOCK_SECOND)
#define CLOCK_JUMP (5 * CLOCK_SECOND)
/* The last time that google.protobuf.Timestamp can say: the end of the year 9999. */
#define CLOCK_END (INT64_C(253402300799) * CLOCK_SECOND + 999999)
/* By so much may the clocks of one group differ in ordinary life. What is dated further ahead was dated by a clock that
 * was wrong. */
#define CLOCK_TOLERANCE (60 * CLOCK_SECOND)

/* `floor`: a time that has certainly passed already (the last settled one that the store saw); 0 for none. What is no
 * time at all is none, too, and what is beyond CLOCK_END is that. */
struct clock *clock_new(int64_t floor);
void clock_free(struct clock *clock); /* NULL is fine */

/* Microseconds since 1970: what decides. */
int64_t clock_now(struct clock *clock);
/* What has certainly passed: never ahead of a clock that was right. */
int64_t clock_settled(struct clock *clock);

/* What is written down to be compared later: clock_now, but without a jump ahead that has not settled yet. */
int64_t clock_sober(struct clock *clock);

/* Has this clock settled: is what is dated later than clock_now + CLOCK_TOLERANCE certainly dated wrongly? */
bool clock_has_settled(struct clock *clock);

/* CLOCK_BOOTTIME: for leases. Nobody sets it, and it runs while the machine sleeps. */
int64_t clock_steady(struct clock *clock);

/* Microseconds by which clock_now is ahead of the wall clock; 0 in ordinary life. */
int64_t clock_ahead(struct clock *clock);

struct clock_state {
    int64_t wall;
    int64_t ahead;     /* clock_ahead */
    int64_t unsettled; /* the wall clock is ahead of clock_settled by so much: after a start as long as the daemon
                          rested, and 0 without a floor */
    int64_t jumped;    /* by so much the wall clock has jumped, until it is put right or has stayed; negative: back */
    uint64_t jumps;    /* all of them */
};
/* For metrics, `gatehouse admin clock` and /readyz. */
void clock_describe(struct clock *clock, struct clock_state *ret_state);

/* A test's clock: it stands still at `start`, settled, until it is moved. clock_advance is time that passes; clock_step
 * sets the wall clock only, ahead or back. */
struct clock *clock_new_manual(int64_t start);
void clock_advance(struct clock *clock, int64_t microseconds);
void clock_step(struct clock *clock, int64_t microseconds);

/* CLOCK_MONOTONIC in microseconds, for deadlines and durations. */
int64_t clock_monotonic(void);

#endif

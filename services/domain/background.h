/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of the domain: one carries every few seconds what is noted in memory into the store and removes what is
 * dead from it, the other follows what other processes do. They alone decide when; what is done stands in flush.h,
 * reap.h and follow.h.
 */
#ifndef DOMAIN_BACKGROUND_H
#define DOMAIN_BACKGROUND_H

#include "domain/archive.h"
#include "domain/flush.h"
#include "domain/follow.h"
#include "domain/reap.h"

struct background;

struct background_parts {
    struct memory *memory;
    struct flush *flush;
    struct reap *reap;
    struct archive *archive;
    struct follow *follow;  /* NULL: nobody else writes to the store */
    int64_t flush_interval; /* microseconds */
};

/* Starts nothing yet. The parts are borrowed. */
struct background *background_new(const struct background_parts *parts);
void background_free(struct background *background); /* after background_stop; NULL is fine */

/* Without it, background_round and follow_once do what the threads do (tests). */
void background_start(struct background *background);

/* Joins the threads; NULL is fine. */
void background_stop(struct background *background);

/* What the thread does every few seconds: flushes, waiting for the end, and if all is stored and the others were heard
 * of lately, removes. Of several processes one removes. */
void background_round(struct background *background, struct reaped *ret_reaped);

#endif

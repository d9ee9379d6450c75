/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log's retention. Events whose day is older than it leave the log, the oldest first and a few at a time:
 * they are written into a file, if there is a folder for that, then removed in one transaction with the event that says
 * so, from which the chain is verified from then on (records/audit.h). A file is there, on stable storage, before
 * anything is removed: who is ended between the two writes it again, and the second file may repeat what the first has.
 *
 * Where the chain does not fit, nothing more is removed: whoever looks into that wants to see it.
 */
#ifndef DOMAIN_ARCHIVE_H
#define DOMAIN_ARCHIVE_H

#include "base/clock.h"

struct archive;
struct memory;
struct store;

/* All is borrowed. folder NULL or "": what leaves the log is gone. */
struct archive *archive_new(struct memory *memory, struct store *store, struct clock *clock, const char *folder);
void archive_free(struct archive *archive); /* NULL is fine */

/* Looks now and then; for one thread, of one process at a time. True: there may be more to do. */
bool archive_round(struct archive *archive);

struct archive_state {
    uint64_t removed, failures;
};
/* From any thread. */
struct archive_state archive_state(struct archive *archive);

#endif

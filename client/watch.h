/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream on which the server says what must be forgotten: rules C2, C6 and C7 as far as they speak of messages. It
 * has a channel of its own, a new one for each stream, so that a connection that is half open is left behind. All of it
 * runs on the connection's thread, but for what says otherwise.
 */
#ifndef WATCH_H
#define WATCH_H

#include "internal.h"
#include "memory.h"

struct watch;

/* What it needs beside the connection; copied, but for the credentials, of which it takes a reference. */
struct watch *gatehouse_watch_new(struct gatehouse *gatehouse, struct memory *memory, int64_t lease);
void gatehouse_watch_free(struct watch *watch);

/* Does what is due; returns when to look again. While it rests, because nobody asks the cache, it says only now and
 * then that it is there. */
int64_t gatehouse_watch_run(struct watch *watch, int64_t now, bool is_resting);

/* Any thread. The connection has a token now, or could get none. */
void gatehouse_watch_token(struct watch *watch, bool has_token);
/* Another thread: ends the stream and waits until it is over. No other is begun. */
void gatehouse_watch_stop(struct watch *watch);
void gatehouse_watch_stats(struct watch *watch, struct gatehouse_cache_stats *stats);

#endif

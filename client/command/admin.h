/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands have in common that work on a store itself, without a server. */
#ifndef ADMIN_H
#define ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "command.h"

/* How far it is, on standard error where that is a terminal. */
struct progress {
    const char *doing; /* "copying" */
    bool is_terminal, is_shown;
    int64_t shown_at; /* microseconds; CLOCK_MONOTONIC */
};

/* From here on the signals that end a process are only noted, so that it can tidy up. Before threads are started. */
void progress_begin(struct progress *progress, const char *doing);

/* False: the user wants to end. `what` may be NULL. */
bool progress_show(struct progress *progress, const char *what, const char *done, const char *total, int percent);
void progress_end(struct progress *progress);

/* Says why on standard error. */
enum exit_code admin_fail(struct context *context, enum status status, const char *why);

/* Does a store's address hold a password? Then ADMIN_NO_PASSWORD is what to say. */
bool admin_has_password(const char *url);
#define ADMIN_NO_PASSWORD \
    "a password must not stand on the command line, where everyone on this machine can read it; put it in " \
    "~/.pgpass"

#endif

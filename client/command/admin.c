/* SPDX-License-Identifier: Apache-2.0 */
#include "admin.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

enum { SHOW_EVERY = 200000 }; /* microseconds */

static void ending_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGHUP);
}

static int64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
}

void progress_begin(struct progress *progress, const char *doing)
{
    sigset_t set;
    ending_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *progress = (struct progress){.doing = doing, .is_terminal = isatty(STDERR_FILENO) == 1};
}

bool progress_show(struct progress *progress, const char *what, const char *done, const char *total, int percent)
{
    const struct timespec none = {0, 0};
    sigset_t set;
    ending_signals(&set);
    if (sigtimedwait(&set, NULL, &none) > 0)
        return false;
    if (!progress->is_terminal || monotonic() - progress->shown_at < SHOW_EVERY)
        return true;
    progress->shown_at = monotonic();
    progress->is_shown = true;
    fprintf(stderr, "\r\033[K%s%s%s: %s of %s, %d %%", progress->doing, what == NULL ? "" : " ",
            what == NULL ? "" : what, done, total, percent);
    fflush(stderr);
    return true;
}

void progress_end(struct progress *progress)
{
    if (progress->is_shown)
        fputs("\r\033[K", stderr);
    progress->is_shown = false;
}

enum exit_code admin_fail(struct context *context, enum status status, const char *why)
{
    TEXT_FREE char *text = text_printable(why[0] == '\0' ? status_name(status) : why);
    fprintf(stderr, "gatehouse %s: %s\n", context->command->name, text);
    bool is_no = status == STATUS_NOT_FOUND || status == STATUS_ALREADY_EXISTS ||
                 status == STATUS_FAILED_PRECONDITION || status == STATUS_CANCELLED;
    context->exit_code = status == STATUS_INVALID_ARGUMENT ? EXIT_USAGE : is_no ? EXIT_REFUSED : EXIT_UNREACHABLE;
    return context->exit_code;
}

/* "postgresql://user:password@host/…" or "…?password=…" */
bool admin_has_password(const char *url)
{
    const char *user = strstr(url, "://");
    size_t len = user == NULL ? 0 : strcspn(user + 3, "/?@");
    bool is_with_user = user != NULL && user[3 + len] == '@';
    return (is_with_user && memchr(user + 3, ':', len) != NULL) || strstr(url, "password=") != NULL;
}

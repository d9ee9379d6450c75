/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_MAX = 64, STACK_BYTES = 64 * 1024 };

static void write_all(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, text, len);
        if (written <= 0)
            return;
        text += written;
        len -= (size_t)written;
    }
}

/* A handler: on the thread that has failed, on a stack of its own where the main thread has one. */
static void tell(int number)
{
    static const char begin[] = "level=error event=crashed signal=";
    const char digits[] = {(char)('0' + number / 10), (char)('0' + number % 10), '\n'};
    void *frames[FRAMES_MAX];
    write_all(begin, sizeof begin - 1);
    write_all(number < 10 ? digits + 1 : digits, number < 10 ? 2 : 3);
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
    raise(number); /* SA_RESETHAND: what the signal does by default */
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { IS_SANITIZED = 1 };
#else
enum { IS_SANITIZED = 0 };
#endif

void crash_install(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    static char memory[STACK_BYTES];
    const stack_t stack = {.ss_sp = memory, .ss_size = sizeof memory};
    struct sigaction action = {.sa_handler = tell, .sa_flags = (int)(SA_RESETHAND | SA_ONSTACK | SA_NODEFER)};
    void *frame;
    if (IS_SANITIZED)
        return;
    sigaltstack(&stack, NULL);
    backtrace(&frame, 1); /* the first call loads a library, which a handler must not */
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
}

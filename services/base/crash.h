/* SPDX-License-Identifier: Apache-2.0 */
/* What a process says when it crashes by a fault of its own: one line, and where it was. */
#ifndef CRASH_H
#define CRASH_H

/* From now on SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT write to stderr "event=crashed signal=N" and a line for each
 * frame, FILE(+OFFSET), as `addr2line -e FILE` reads it; then the process ends by that signal. Addresses only: no
 * memory, and so no secret, is shown. Under a sanitizer, which says more, it does nothing. */
void crash_install(void);

#endif

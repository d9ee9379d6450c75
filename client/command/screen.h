/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal as a screen that is drawn anew again and again. */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct screen {
    struct termios before;
    int signals; /* a signalfd */
};

/* Before any thread is started: blocks the signals that screen_wait hears, in all threads to come. */
void screen_prepare(void);

/* Takes the terminal on standard input and output. */
[[nodiscard]] bool screen_open(struct screen *screen);
void screen_close(struct screen *screen);

/* Draws text, cut to the screen's height and width. It must not have colors. */
void screen_draw(const char *text);

/* Waits. False: the user wants to end (q, Ctrl-C, a signal to end, no more input). Returns early when the size changes.
 */
bool screen_wait(const struct screen *screen, int64_t wait_ms);

#endif

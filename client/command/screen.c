/* SPDX-License-Identifier: Apache-2.0 */
#include "screen.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "text.h"

static void screen_size(size_t *ret_rows, size_t *ret_columns)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
    *ret_rows = is_known ? size.ws_row : 24;
    *ret_columns = is_known ? size.ws_col : 80;
}

static void own_signals(sigset_t *ret_set)
{
    sigemptyset(ret_set);
    sigaddset(ret_set, SIGINT);
    sigaddset(ret_set, SIGTERM);
    sigaddset(ret_set, SIGHUP);
    sigaddset(ret_set, SIGWINCH);
}

void screen_prepare(void)
{
    sigset_t set;
    own_signals(&set);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

bool screen_open(struct screen *screen)
{
    sigset_t set;
    own_signals(&set);
    if (tcgetattr(STDIN_FILENO, &screen->before) != 0)
        return false;
    screen->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (screen->signals < 0)
        return false;
    struct termios raw = screen->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* stopped, it would leave the terminal as it is now */
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
    fputs("\033[?1049h\033[?25l", stdout); /* the other screen, no cursor */
    fflush(stdout);
    return true;
}

void screen_close(struct screen *screen)
{
    fputs("\033[?25h\033[?1049l", stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &screen->before);
    close(screen->signals);
}

void screen_draw(const char *text)
{
    size_t rows, columns;
    screen_size(&rows, &columns);
    fputs("\033[H", stdout);
    for (size_t row = 0; row < rows && *text != '\0'; row++) {
        size_t len = strcspn(text, "\n"), fitting;
        TEXT_FREE char *line = text_must(strndup(text, len));
        text_width(line, columns, &fitting);
        printf("%.*s\033[K%s", (int)fitting, line, row + 1 < rows ? "\n" : "");
        text += len + (text[len] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

bool screen_wait(const struct screen *screen, int64_t wait_ms)
{
    struct pollfd fds[] = {{STDIN_FILENO, POLLIN, 0}, {screen->signals, POLLIN, 0}};
    if (poll(fds, 2, (int)wait_ms) <= 0)
        return true;
    struct signalfd_siginfo info;
    if (read(screen->signals, &info, sizeof info) == (ssize_t)sizeof info && info.ssi_signo != SIGWINCH)
        return false;
    if (fds[0].revents == 0)
        return true;
    char key;
    return read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 }; /* one write(2), so that lines of many threads do not mix */

static struct {
    enum log_level least;
    bool as_json;
} log_settings = {LOG_LEVEL_INFO, false};

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
    bool is_full; /* something did not fit; nothing more is put in */
};

enum { END_BYTES = 2 }; /* a line's end: "}" and the line feed */

/* Where lines go, and what did not get there. */
static struct {
    pthread_mutex_t lock;
    bool is_open;
    int fd;
    enum { BLOCKS_NOT, IS_SOCKET, MAY_BLOCK } kind;
    char rest[LINE_MAX_BYTES]; /* of a line that was written in part */
    size_t rest_len;
    uint64_t untold;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic uint64_t dropped;

void log_configure(enum log_level least, bool as_json)
{
    log_settings.least = least;
    log_settings.as_json = as_json;
}

bool log_is_written(enum log_level level)
{
    return level >= log_settings.least;
}

uint64_t log_dropped(void)
{
    return atomic_load(&dropped);
}

/* Puts all of it in, and leaves room for `reserve` bytes more, or nothing. */
static bool put(struct line *line, const char *text, size_t len, size_t reserve)
{
    if (line->is_full || len + reserve > sizeof line->text - END_BYTES - line->len) {
        line->is_full = true;
        return false;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
    return true;
}

/* The character at `text` as it stands between quotes; *ret_step: how many bytes it has. */
static const char *escape(const char *text, size_t len, char escaped[static 8], size_t *ret_step)
{
    const unsigned char c = (unsigned char)*text;
    size_t step = utf8_character(text, len);
    *ret_step = step == 0 ? 1 : step;
    if (step == 0)
        snprintf(escaped, 8, "\\ufffd");
    else if (c == '"' || c == '\\')
        snprintf(escaped, 8, "\\%c", c);
    else if (c < 0x20 || c == 0x7f)
        snprintf(escaped, 8, "\\u%04x", c);
    else
        snprintf(escaped, 8, "%.*s", (int)step, text);
    return escaped;
}

static bool is_clear(char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Cut where the line ends, between two characters. */
static void put_quoted(struct line *line, const char *text)
{
    size_t left = strlen(text), step;
    char escaped[8];
    if (!put(line, "\"", 1, 1))
        return;
    for (; left > 0; text += step, left -= step) {
        const char *piece = is_clear(*text) ? text : escape(text, left, escaped, &step);
        step = piece == text ? 1 : step;
        if (!put(line, piece, piece == text ? 1 : strlen(piece), 1))
            break;
    }
    line->text[line->len++] = '"'; /* it has been left room for */
}

/* Needs a value no quotes? (strspn would make a table of its second argument at every call.) */
static bool is_plain(const char *text)
{
    static const char plain[UCHAR_MAX + 1] = {
        ['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['A' ... 'Z'] = 1, ['-'] = 1, ['_'] = 1, ['.'] = 1, [':'] = 1,
        ['/'] = 1,         ['@'] = 1,         ['+'] = 1,         [','] = 1, ['['] = 1, [']'] = 1};
    const unsigned char *c = (const unsigned char *)text;
    while (plain[*c])
        c++;
    return *text != '\0' && *c == '\0';
}

/* A pair of which not even the beginning fits is left out. */
static void put_pair(struct line *line, const char *key, const char *value)
{
    char name[80];
    bool is_json = log_settings.as_json, is_first = line->len <= (is_json ? 1 : 0);
    if (strlen(key) > sizeof name - 5)
        return;
    char *to = stpcpy(name, is_first ? "" : is_json ? "," : " "); /* by hand: each line has a dozen */
    to = stpcpy(to, is_json ? "\"" : "");
    to = stpcpy(to, key);
    to = stpcpy(to, is_json ? "\":" : "=");
    bool is_bare = !log_settings.as_json && is_plain(value);
    size_t value_len = is_bare ? strlen(value) : 2;
    if (!put(line, name, (size_t)(to - name), value_len))
        return;
    if (is_bare)
        (void)put(line, value, value_len, 0);
    else
        put_quoted(line, value);
}

/* The second is made once a thread, however many lines it has. */
static void put_time(struct line *line)
{
    static _Thread_local struct {
        time_t second;
        char text[32]; /* "": there was none yet */
    } last;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != last.second || last.text[0] == '\0') {
        struct tm parts;
        gmtime_r(&now.tv_sec, &parts);
        strftime(last.text, sizeof last.text, "%Y-%m-%dT%H:%M:%S", &parts);
        last.second = now.tv_sec;
    }
    int ms = (int)(now.tv_nsec / 1000000);
    char text[sizeof last.text + sizeof ".000Z"], *to = stpcpy(text, last.text);
    const char rest[] = {'.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z', '\0'};
    stpcpy(to, rest);
    put_pair(line, "time", text);
}

static void begin_line(struct line *line, enum log_level level, const char *event)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    line->len = 0;
    line->is_full = false;
    if (log_settings.as_json)
        (void)put(line, "{", 1, 0);
    put_time(line);
    put_pair(line, "level", levels[level]);
    put_pair(line, "event", event);
}

static void end_line(struct line *line)
{
    if (log_settings.as_json)
        line->text[line->len++] = '}';
    line->text[line->len++] = '\n';
}

/* Standard error's file is shared with others, who would be surprised if it did not block any more: so a pipe or a
 * terminal is opened anew. Under the lock. */
static void open_sink(void)
{
    struct stat stat;
    sink.is_open = true;
    sink.fd = STDERR_FILENO;
    sink.kind = BLOCKS_NOT; /* a file on a disk */
    if (fstat(STDERR_FILENO, &stat) != 0 || S_ISREG(stat.st_mode))
        return;
    sink.kind = S_ISSOCK(stat.st_mode) ? IS_SOCKET : MAY_BLOCK;
    int fd = S_ISSOCK(stat.st_mode) ? -1 : open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0) {
        sink.fd = fd;
        sink.kind = BLOCKS_NOT;
    }
}

static ssize_t try_to_write(const char *text, size_t len)
{
    ssize_t written;
    struct pollfd room = {.fd = sink.fd, .events = POLLOUT};
    if (sink.kind == MAY_BLOCK && poll(&room, 1, 0) <= 0)
        return -1; /* with room for anything a pipe has room for a line */
    do {
        written =
            sink.kind == IS_SOCKET ? send(sink.fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) : write(sink.fd, text, len);
    } while (written < 0 && errno == EINTR);
    return written;
}

/* All of it, or a part of which the rest is kept, or nothing: false. */
static bool write_line(const char *text, size_t len)
{
    while (sink.rest_len > 0) {
        ssize_t written = try_to_write(sink.rest, sink.rest_len);
        if (written <= 0)
            return false;
        sink.rest_len -= (size_t)written;
        memmove(sink.rest, sink.rest + written, sink.rest_len);
    }
    ssize_t written = try_to_write(text, len);
    if (written <= 0)
        return false;
    sink.rest_len = len - (size_t)written;
    memcpy(sink.rest, text + written, sink.rest_len);
    return true;
}

static void tell_dropped(void)
{
    struct line line;
    if (sink.untold == 0)
        return;
    begin_line(&line, LOG_LEVEL_WARN, "log_lines_dropped");
    put_pair(&line, "count", log_number((long long)sink.untold).text);
    end_line(&line);
    if (write_line(line.text, line.len))
        sink.untold = 0;
}

static void give_out(const struct line *line)
{
    pthread_mutex_lock(&sink.lock);
    if (!sink.is_open)
        open_sink();
    tell_dropped();
    if (sink.untold > 0 || !write_line(line->text, line->len)) {
        sink.untold++;
        atomic_fetch_add(&dropped, 1);
    }
    pthread_mutex_unlock(&sink.lock);
}

void log_write(enum log_level level, const char *event, ...)
{
    struct line line;
    if (!log_is_written(level))
        return;
    begin_line(&line, level, event);
    va_list args;
    va_start(args, event);
    const char *key;
    while ((key = va_arg(args, const char *)) != NULL) {
        const char *value = va_arg(args, const char *);
        if (value != NULL)
            put_pair(&line, key, value);
    }
    va_end(args);
    end_line(&line);
    give_out(&line);
}

struct log_number log_number(long long number)
{
    struct log_number result;
    char digits[sizeof result.text] = "", *first = digits + sizeof digits - 1;
    unsigned long long rest = number < 0 ? -(unsigned long long)number : (unsigned long long)number;
    do
        *--first = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (number < 0)
        *--first = '-';
    stpcpy(result.text, first);
    return result;
}

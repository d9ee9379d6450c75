/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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
};

void log_configure(enum log_level least, bool as_json)
{
    log_settings.least = least;
    log_settings.as_json = as_json;
}

bool log_is_written(enum log_level level)
{
    return level >= log_settings.least;
}

static void put(struct line *line, const char *text, size_t len)
{
    size_t room = sizeof line->text - 4 - line->len; /* always room for the end of the line */
    if (len > room)
        len = room;
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_string(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void put_quoted(struct line *line, const char *text)
{
    put(line, "\"", 1);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        char escaped[8];
        if (*c == '"' || *c == '\\')
            put(line, (char[]){'\\', (char)*c}, 2);
        else if (*c < 0x20 || *c == 0x7f)
            put(line, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", *c));
        else
            put(line, (const char *)c, 1);
    }
    put(line, "\"", 1);
}

/* Needs a value no quotes? (strspn would make a table of its second argument at every call.) */
static bool is_plain(const char *text)
{
    static const char others[UCHAR_MAX + 1] = {
        ['-'] = 1, ['_'] = 1, ['.'] = 1, [':'] = 1, ['/'] = 1, ['@'] = 1, ['+'] = 1, [','] = 1, ['['] = 1, [']'] = 1};
    const unsigned char *c = (const unsigned char *)text;
    while (others[*c] || (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z'))
        c++;
    return *text != '\0' && *c == '\0';
}

static void put_pair(struct line *line, const char *key, const char *value)
{
    if (log_settings.as_json) {
        put_string(line, line->len > 1 ? ",\"" : "\"");
        put_string(line, key);
        put_string(line, "\":");
        put_quoted(line, value);
        return;
    }
    if (line->len > 0)
        put(line, " ", 1);
    put_string(line, key);
    put(line, "=", 1);
    if (is_plain(value))
        put_string(line, value);
    else
        put_quoted(line, value);
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    char seconds[32], text[48];
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    put_pair(line, "time", text);
}

void log_write(enum log_level level, const char *event, ...)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    if (!log_is_written(level))
        return;
    struct line line = {.len = 0};
    if (log_settings.as_json)
        put(&line, "{", 1);
    put_time(&line);
    put_pair(&line, "level", levels[level]);
    put_pair(&line, "event", event);
    va_list args;
    va_start(args, event);
    const char *key;
    while ((key = va_arg(args, const char *)) != NULL) {
        const char *value = va_arg(args, const char *);
        if (value != NULL)
            put_pair(&line, key, value);
    }
    va_end(args);
    memcpy(line.text + line.len, log_settings.as_json ? "}\n" : "\n", log_settings.as_json ? 2 : 1);
    line.len += log_settings.as_json ? 2 : 1;
    while (write(STDERR_FILENO, line.text, line.len) < 0 && errno == EINTR)
        ;
}

struct log_number log_number(long long number)
{
    struct log_number result;
    snprintf(result.text, sizeof result.text, "%lld", number);
    return result;
}

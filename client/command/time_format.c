/* SPDX-License-Identifier: Apache-2.0 */
#include "time_format.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, WEEK = 7 * DAY };

static const int64_t longest_duration = INT64_C(36525) * DAY;

bool duration_parse(const char *text, int64_t *ret_seconds)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'w', WEEK}, {'d', DAY}, {'h', HOUR}, {'m', MINUTE}, {'s', 1}};
    enum { UNITS = sizeof units / sizeof units[0] };

    if (strcmp(text, "0") == 0) {
        *ret_seconds = 0;
        return true;
    }
    int64_t total = 0;
    size_t next = 0;
    do {
        int64_t number = 0;
        if (!isdigit((unsigned char)*text))
            return false;
        for (; isdigit((unsigned char)*text); text++) {
            number = number * 10 + (*text - '0');
            if (number > longest_duration)
                return false;
        }
        while (next < UNITS && units[next].letter != *text)
            next++;
        if (next == UNITS || number > longest_duration / units[next].seconds)
            return false;
        total += number * units[next++].seconds;
        text++;
    } while (*text != '\0');
    if (total > longest_duration)
        return false;
    *ret_seconds = total;
    return true;
}

void duration_format(int64_t seconds, char text[static TIME_TEXT_MAX])
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'d', DAY}, {'h', HOUR}, {'m', MINUTE}, {'s', 1}};
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        int64_t number = seconds / units[i].seconds;
        seconds %= units[i].seconds;
        if (number != 0)
            len += (size_t)snprintf(text + len, TIME_TEXT_MAX - len, "%" PRId64 "%c", number, units[i].letter);
    }
    if (len == 0)
        snprintf(text, TIME_TEXT_MAX, "0s");
}

/* Takes exactly `digits` digits and the character after them, '\0' for none. */
static bool take_number(const char **text, int digits, char after, int *ret_number)
{
    int number = 0;
    for (int i = 0; i < digits; i++) {
        char c = (*text)[i];
        if (!isdigit((unsigned char)c))
            return false;
        number = number * 10 + (c - '0');
    }
    *text += digits;
    if (after != '\0' && *(*text)++ != after)
        return false;
    *ret_number = number;
    return true;
}

static bool take_date(const char **text, struct tm *ret_tm)
{
    struct tm tm = {.tm_isdst = -1};
    if (!take_number(text, 4, '-', &tm.tm_year) || !take_number(text, 2, '-', &tm.tm_mon) ||
        !take_number(text, 2, '\0', &tm.tm_mday))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm normal = tm;
    timegm(&normal); /* the 30th of February becomes a day of March */
    if (normal.tm_mday != tm.tm_mday || normal.tm_mon != tm.tm_mon)
        return false;
    *ret_tm = tm;
    return true;
}

static bool take_offset(const char **text, int *ret_seconds)
{
    char sign = *(*text)++;
    if (sign == 'Z' || sign == 'z') {
        *ret_seconds = 0;
        return true;
    }
    int hours, minutes;
    if ((sign != '+' && sign != '-') || !take_number(text, 2, ':', &hours) || !take_number(text, 2, '\0', &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *ret_seconds = (hours * HOUR + minutes * MINUTE) * (sign == '-' ? -1 : 1);
    return true;
}

static bool parse_rfc3339(const char *text, int64_t *ret_seconds)
{
    struct tm tm;
    int offset;
    if (!take_date(&text, &tm) || *text == '\0' || strchr("Tt ", *text) == NULL)
        return false;
    text++;
    if (!take_number(&text, 2, ':', &tm.tm_hour) || !take_number(&text, 2, ':', &tm.tm_min) ||
        !take_number(&text, 2, '\0', &tm.tm_sec) || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return false;
    if (*text == '.') {
        size_t digits = strspn(++text, "0123456789");
        if (digits == 0)
            return false;
        text += digits;
    }
    if (!take_offset(&text, &offset) || *text != '\0')
        return false;
    *ret_seconds = (int64_t)timegm(&tm) - offset;
    return true;
}

static bool parse_date(const char *text, enum direction direction, int64_t *ret_seconds)
{
    struct tm tm;
    if (!take_date(&text, &tm) || *text != '\0')
        return false;
    if (direction == TIME_AHEAD) {
        tm.tm_hour = 23;
        tm.tm_min = 59;
        tm.tm_sec = 59;
    }
    time_t seconds = mktime(&tm);
    if (seconds == (time_t)-1)
        return false;
    *ret_seconds = seconds;
    return true;
}

bool instant_parse(const char *text, int64_t now, enum direction direction, int64_t *ret_seconds)
{
    int64_t duration;
    if (duration_parse(text, &duration)) {
        *ret_seconds = direction == TIME_AHEAD ? now + duration : now - duration;
        return true;
    }
    return parse_date(text, direction, ret_seconds) || parse_rfc3339(text, ret_seconds);
}

void instant_format(int64_t seconds, int32_t nanos, char text[static TIME_TEXT_MAX])
{
    struct tm tm;
    time_t time = (time_t)seconds;
    text[0] = '\0';
    if (gmtime_r(&time, &tm) == NULL || tm.tm_year < 1 - 1900 || tm.tm_year > 9999 - 1900)
        return;
    size_t len = strftime(text, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    if (tm.tm_year < 1000 - 1900) /* glibc's %Y does not pad */
        len = (size_t)snprintf(text, TIME_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
                               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (nanos > 0 && nanos < 1000000000) {
        int digits = nanos % 1000000 == 0 ? 3 : nanos % 1000 == 0 ? 6 : 9;
        int fraction = digits == 3 ? nanos / 1000000 : digits == 6 ? nanos / 1000 : nanos;
        len += (size_t)snprintf(text + len, TIME_TEXT_MAX - len, ".%0*d", digits, fraction);
    }
    snprintf(text + len, TIME_TEXT_MAX - len, "Z");
}

void instant_format_relative(int64_t seconds, int64_t now, char text[static TIME_TEXT_MAX])
{
    bool is_past = seconds <= now;
    int64_t distance = is_past ? now - seconds : seconds - now;
    const char *unit;
    int64_t number;
    if (is_past ? distance < 5 : distance <= 1) { /* the server's clock and this one's seconds differ a little */
        snprintf(text, TIME_TEXT_MAX, "just now");
        return;
    }
    if (distance > 90 * DAY) {
        struct tm tm;
        time_t time = (time_t)seconds;
        if (localtime_r(&time, &tm) == NULL || strftime(text, TIME_TEXT_MAX, "%Y-%m-%d", &tm) == 0)
            snprintf(text, TIME_TEXT_MAX, "?");
        return;
    }
    if (distance < 100)
        number = distance, unit = "s";
    else if (distance < 100 * MINUTE)
        number = (distance + MINUTE / 2) / MINUTE, unit = "min";
    else if (distance < 48 * HOUR)
        number = (distance + HOUR / 2) / HOUR, unit = "h";
    else
        number = (distance + DAY / 2) / DAY, unit = "days";
    snprintf(text, TIME_TEXT_MAX, is_past ? "%" PRId64 " %s ago" : "in %" PRId64 " %s", number, unit);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/json_special.h"

#include <ctype.h>
#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/field_mask.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { NANOS_PER_SECOND = 1000000000, PATHS_MAX = 64 };

bool json_is_special(const ProtobufCMessageDescriptor *descriptor)
{
    return descriptor == &google__protobuf__timestamp__descriptor ||
           descriptor == &google__protobuf__duration__descriptor ||
           descriptor == &google__protobuf__field_mask__descriptor;
}

char *json_camel(struct arena *arena, const char *snake)
{
    char *camel = arena_copy(arena, snake, strlen(snake));
    char *to = camel;
    for (const char *from = snake; *from != '\0'; from++)
        *to++ = (char)(*from == '_' && from[1] != '\0' ? toupper((unsigned char)*++from) : *from);
    *to = '\0';
    return camel;
}

char *json_snake(struct arena *arena, const char *camel)
{
    char *snake = arena_alloc(arena, 2 * strlen(camel) + 1);
    char *to = snake;
    for (; *camel != '\0'; camel++) {
        if (isupper((unsigned char)*camel))
            *to++ = '_';
        *to++ = (char)tolower((unsigned char)*camel);
    }
    return snake;
}

/* "", or a fraction of 3, 6 or 9 digits, as many as it needs. */
static void format_fraction(int nanos, char text[static 12])
{
    text[0] = '\0';
    if (nanos % 1000 != 0)
        snprintf(text, 12, ".%09d", nanos);
    else if (nanos % 1000000 != 0)
        snprintf(text, 12, ".%06d", nanos / 1000);
    else if (nanos != 0)
        snprintf(text, 12, ".%03d", nanos / 1000000);
}

static char *format_timestamp(struct arena *arena, const Google__Protobuf__Timestamp *timestamp)
{
    char seconds[40], fraction[12];
    struct tm parts;
    time_t time = timestamp->seconds;
    if (gmtime_r(&time, &parts) == NULL)
        return NULL; /* a year that no int holds */
    strftime(seconds, sizeof seconds, "-%m-%dT%H:%M:%S", &parts);
    format_fraction(timestamp->nanos, fraction);
    return arena_format(arena, "%04d%s%sZ", parts.tm_year + 1900, seconds, fraction); /* %Y would write 1, not 0001 */
}

static char *format_mask(struct arena *arena, const Google__Protobuf__FieldMask *mask)
{
    char *text = arena_copy(arena, "", 0);
    for (size_t i = 0; i < mask->n_paths; i++)
        text = arena_format(arena, "%s%s%s", text, i == 0 ? "" : ",", json_camel(arena, mask->paths[i]));
    return text;
}

char *json_special_format(struct arena *arena, const ProtobufCMessage *message)
{
    if (message->descriptor == &google__protobuf__timestamp__descriptor)
        return format_timestamp(arena, (const Google__Protobuf__Timestamp *)message);
    if (message->descriptor == &google__protobuf__field_mask__descriptor)
        return format_mask(arena, (const Google__Protobuf__FieldMask *)message);
    const Google__Protobuf__Duration *duration = (const Google__Protobuf__Duration *)message;
    char fraction[12];
    format_fraction(abs(duration->nanos), fraction);
    bool is_small_negative = duration->seconds == 0 && duration->nanos < 0;
    return arena_format(arena, "%s%" PRId64 "%ss", is_small_negative ? "-" : "", duration->seconds, fraction);
}

/* "." and one to nine digits, or nothing; *text moves past them. */
static bool parse_fraction(const char **text, int *ret_nanos)
{
    int scale = NANOS_PER_SECOND;
    *ret_nanos = 0;
    if (**text != '.')
        return true;
    const char *digits = ++*text;
    for (; isdigit((unsigned char)**text) && scale > 1; ++*text)
        *ret_nanos += (**text - '0') * (scale /= 10);
    return *text > digits && !isdigit((unsigned char)**text);
}

/* Exactly two digits. */
static bool parse_two(const char **text, int *ret_number)
{
    const char *at = *text;
    if (!isdigit((unsigned char)at[0]) || !isdigit((unsigned char)at[1]))
        return false;
    *ret_number = (at[0] - '0') * 10 + at[1] - '0';
    *text += 2;
    return true;
}

static bool parse_offset(const char **text, int64_t *ret_seconds)
{
    int hours = 0, minutes = 0, sign = **text == '-' ? -1 : 1;
    char first = *(*text)++;
    *ret_seconds = 0;
    if (first == 'Z' || first == 'z')
        return true;
    if ((first != '+' && first != '-') || !parse_two(text, &hours) || *(*text)++ != ':' || !parse_two(text, &minutes))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return hours < 24 && minutes < 60;
}

/* YYYY-MM-DDTHH:MM:SS of a day that there is. */
static bool parse_seconds(const char **text, int64_t *ret_seconds)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    for (size_t i = 0; i < sizeof form - 1; i++) {
        char c = (*text)[i];
        if (form[i] == 'd' ? !isdigit((unsigned char)c) : c != form[i] && !(form[i] == 'T' && c == 't'))
            return false;
    }
    const char *at = *text;
    int century = 0, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    parse_two(&at, &century), parse_two(&at, &year), at++, parse_two(&at, &month), at++, parse_two(&at, &day), at++;
    parse_two(&at, &hour), at++, parse_two(&at, &minute), at++, parse_two(&at, &second);
    struct tm parts = {.tm_year = century * 100 + year - 1900, .tm_mon = month - 1, .tm_mday = day};
    parts.tm_hour = hour, parts.tm_min = minute, parts.tm_sec = second;
    *ret_seconds = timegm(&parts); /* which puts the 31st of February into March: so look at what became of it */
    *text = at;
    return century + year > 0 && month >= 1 && month <= 12 && parts.tm_mon == month - 1 && parts.tm_mday == day &&
           hour < 24 && minute < 60 && second < 60;
}

static bool parse_timestamp(const char *text, Google__Protobuf__Timestamp *timestamp)
{
    int64_t seconds = 0, offset = 0;
    if (!parse_seconds(&text, &seconds) || !parse_fraction(&text, &timestamp->nanos) || !parse_offset(&text, &offset))
        return false;
    timestamp->seconds = seconds - offset;
    return *text == '\0';
}

static bool parse_duration(const char *text, Google__Protobuf__Duration *duration)
{
    int sign = *text == '-' ? -1 : 1;
    text += *text == '-';
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 12)
        return false;
    duration->seconds = sign * strtoll(text, NULL, 10);
    text += digits;
    bool is_good = parse_fraction(&text, &duration->nanos);
    duration->nanos *= sign;
    return is_good && strcmp(text, "s") == 0;
}

static bool parse_mask(struct arena *arena, const char *text, Google__Protobuf__FieldMask *mask)
{
    mask->n_paths = 0;
    mask->paths = arena_alloc(arena, PATHS_MAX * sizeof *mask->paths);
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, ",");
        char *snake = json_snake(arena, arena_copy(arena, at, len));
        char *again = json_snake(arena, json_camel(arena, snake));
        /* "a__b" and the like would not come back as they went: no name of a field is so. */
        if (len == 0 || strcmp(again, snake) != 0 || mask->n_paths == PATHS_MAX)
            return false;
        mask->paths[mask->n_paths++] = snake;
        at += len + (at[len] == ',');
    }
    return true;
}

bool json_special_parse(struct arena *arena, const char *text, ProtobufCMessage *message)
{
    if (message->descriptor == &google__protobuf__timestamp__descriptor)
        return parse_timestamp(text, (Google__Protobuf__Timestamp *)message);
    if (message->descriptor == &google__protobuf__field_mask__descriptor)
        return parse_mask(arena, text, (Google__Protobuf__FieldMask *)message);
    return parse_duration(text, (Google__Protobuf__Duration *)message);
}

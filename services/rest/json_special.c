/* SPDX-License-Identifier: Apache-2.0 */
#include "json_special.h"

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

char *json_camel(struct scratch *scratch, const char *snake)
{
    char *camel = scratch_copy(scratch, snake, strlen(snake));
    char *to = camel;
    for (const char *from = snake; camel != NULL && *from != '\0'; from++)
        *to++ = (char)(*from == '_' && from[1] != '\0' ? toupper((unsigned char)*++from) : *from);
    if (camel != NULL)
        *to = '\0';
    return camel;
}

char *json_snake(struct scratch *scratch, const char *camel)
{
    char *snake = scratch_alloc(scratch, 2 * strlen(camel) + 1);
    char *to = snake;
    for (; snake != NULL && *camel != '\0'; camel++) {
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

static char *format_timestamp(struct scratch *scratch, const Google__Protobuf__Timestamp *timestamp)
{
    char seconds[40], fraction[12];
    struct tm parts;
    time_t time = timestamp->seconds;
    gmtime_r(&time, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    format_fraction(timestamp->nanos, fraction);
    return scratch_print(scratch, "%s%sZ", seconds, fraction);
}

static char *format_mask(struct scratch *scratch, const Google__Protobuf__FieldMask *mask)
{
    char *text = scratch_copy(scratch, "", 0);
    for (size_t i = 0; text != NULL && i < mask->n_paths; i++) {
        char *path = json_camel(scratch, mask->paths[i]);
        text = path == NULL ? NULL : scratch_print(scratch, "%s%s%s", text, i == 0 ? "" : ",", path);
    }
    return text;
}

char *json_special_format(struct scratch *scratch, const ProtobufCMessage *message)
{
    if (message->descriptor == &google__protobuf__timestamp__descriptor)
        return format_timestamp(scratch, (const Google__Protobuf__Timestamp *)message);
    if (message->descriptor == &google__protobuf__field_mask__descriptor)
        return format_mask(scratch, (const Google__Protobuf__FieldMask *)message);
    const Google__Protobuf__Duration *duration = (const Google__Protobuf__Duration *)message;
    char fraction[12];
    format_fraction(abs(duration->nanos), fraction);
    bool is_small_negative = duration->seconds == 0 && duration->nanos < 0;
    return scratch_print(scratch, "%s%" PRId64 "%ss", is_small_negative ? "-" : "", duration->seconds, fraction);
}

/* "." and digits, at most nine; *text moves past them. */
static int parse_fraction(const char **text)
{
    int nanos = 0, scale = NANOS_PER_SECOND;
    if (**text != '.')
        return 0;
    for (++*text; isdigit((unsigned char)**text); ++*text)
        if (scale > 1)
            nanos += (**text - '0') * (scale /= 10);
    return nanos;
}

static bool parse_offset(const char **text, int64_t *ret_seconds)
{
    int hours = 0, minutes = 0, used = 0;
    *ret_seconds = 0;
    if (**text == 'Z' || **text == 'z') {
        ++*text;
        return true;
    }
    int sign = **text == '+' ? 1 : -1;
    if ((**text != '+' && **text != '-') || sscanf(*text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5)
        return false;
    *text += 6;
    *ret_seconds = sign * (hours * 3600 + minutes * 60);
    return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60;
}

static bool parse_timestamp(const char *text, Google__Protobuf__Timestamp *timestamp)
{
    struct tm parts = {0};
    int64_t offset = 0;
    const char *at = strlen(text) > 40 ? NULL : strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (at == NULL)
        return false;
    timestamp->nanos = parse_fraction(&at);
    if (!parse_offset(&at, &offset) || *at != '\0')
        return false;
    timestamp->seconds = timegm(&parts) - offset;
    return true;
}

static bool parse_duration(const char *text, Google__Protobuf__Duration *duration)
{
    size_t digits = strspn(text + (*text == '-'), "0123456789");
    if (digits == 0 || digits > 12)
        return false;
    char *end = NULL;
    duration->seconds = strtoll(text, &end, 10);
    const char *at = end;
    duration->nanos = parse_fraction(&at) * (*text == '-' ? -1 : 1);
    return strcmp(at, "s") == 0;
}

static bool parse_mask(struct scratch *scratch, const char *text, Google__Protobuf__FieldMask *mask)
{
    mask->paths = scratch_alloc(scratch, PATHS_MAX * sizeof *mask->paths);
    for (const char *at = text; *at != '\0' && mask->paths != NULL;) {
        size_t len = strcspn(at, ",");
        char *path = scratch_copy(scratch, at, len);
        if (path == NULL || len == 0 || mask->n_paths == PATHS_MAX)
            return false;
        mask->paths[mask->n_paths++] = json_snake(scratch, path);
        at += len + (at[len] == ',');
    }
    return mask->paths != NULL;
}

bool json_special_parse(struct scratch *scratch, const char *text, ProtobufCMessage *message)
{
    if (message->descriptor == &google__protobuf__timestamp__descriptor)
        return parse_timestamp(text, (Google__Protobuf__Timestamp *)message);
    if (message->descriptor == &google__protobuf__field_mask__descriptor)
        return parse_mask(scratch, text, (Google__Protobuf__FieldMask *)message);
    return parse_duration(text, (Google__Protobuf__Duration *)message);
}

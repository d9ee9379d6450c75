/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"
#include "base/utf8.h"

#include <string.h>

enum status check_length(struct call *call, const char *field, const char *text, size_t max)
{
    if (strnlen(text, max + 1) > max)
        return call_fail_field(call, field, "INVALID_FIELD", "%s is longer than %zu bytes", field, max);
    return STATUS_OK;
}

enum status check_text(struct call *call, const char *field, const char *text, size_t max)
{
    TRY(check_length(call, field, text, max));
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)) /* C0, DEL, C1 */
            return call_fail_field(call, field, "INVALID_FIELD", "%s has a control character", field);
    return STATUS_OK;
}

enum status check_readable(struct call *call, const char *field, const char *text)
{
    if (text[0] != '\0' && utf8_is_blank(text))
        return call_fail_field(call, field, "INVALID_FIELD", "%s is blank", field);
    if (utf8_has_bidi(text))
        return call_fail_field(call, field, "INVALID_FIELD", "%s has a control of bidirectional text", field);
    return STATUS_OK;
}

enum status check_duration(struct call *call, const char *field, const Google__Protobuf__Duration *duration,
                           int64_t least, int64_t most, int64_t otherwise, int64_t *ret_microseconds)
{
    *ret_microseconds = otherwise;
    if (duration == NULL)
        return STATUS_OK;
    bool is_valid = duration->seconds >= 0 && duration->seconds <= INT64_C(315576000000) && duration->nanos >= 0 &&
                    duration->nanos < 1000000000;
    int64_t microseconds = is_valid ? duration->seconds * CLOCK_SECOND + duration->nanos / 1000 : -1;
    if (microseconds < least || microseconds > most)
        return call_fail_field(call, field, "INVALID_FIELD", "%s must be from %lld to %lld seconds", field,
                               (long long)(least / CLOCK_SECOND), (long long)(most / CLOCK_SECOND));
    *ret_microseconds = microseconds;
    return STATUS_OK;
}

enum status check_time(struct call *call, const char *field, const Google__Protobuf__Timestamp *time, int64_t otherwise,
                       int64_t *ret_time)
{
    *ret_time = otherwise;
    if (time == NULL)
        return STATUS_OK;
    if (time->seconds < 0 || time->seconds > CLOCK_END / CLOCK_SECOND || time->nanos < 0 || time->nanos >= 1000000000)
        return call_fail_field(call, field, "INVALID_FIELD", "%s must be a time from 1970 to 9999", field);
    *ret_time = time->seconds * CLOCK_SECOND + time->nanos / 1000;
    return STATUS_OK;
}

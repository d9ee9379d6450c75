/* SPDX-License-Identifier: Apache-2.0 */
#include "api/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static enum status bad_filter(struct call *call, const char *why)
{
    return call_fail_field(call, "filter", "INVALID_FIELD", "filter: %s", why);
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " ");
}

/* A word up to a space, or what stands between double quotes (with \" and \\ in it). */
static const char *read_value(struct arena *arena, const char *at, const char **ret_value)
{
    char *value = arena_alloc(arena, strlen(at) + 1);
    char *to = value;
    bool is_quoted = *at == '"';
    if (is_quoted)
        at++;
    while (*at != '\0' && *at != (is_quoted ? '"' : ' ')) {
        if (is_quoted && *at == '\\' && at[1] != '\0')
            at++;
        *to++ = *at++;
    }
    *to = '\0';
    *ret_value = value;
    if (!is_quoted)
        return at;
    return *at == '"' ? at + 1 : NULL;
}

static bool is_allowed(const char *const *allowed, const struct filter_term *term)
{
    size_t named = strlen(term->field);
    for (; *allowed != NULL; allowed++) {
        size_t len = strlen(*allowed) - 1;
        bool has_key = len > 0 && (*allowed)[len - 1] == '.';
        if ((*allowed)[len] == term->op && (has_key ? named > len : named == len) &&
            strncmp(*allowed, term->field, len) == 0)
            return true;
    }
    return false;
}

static const char *read_term(struct arena *arena, const char *at, struct filter_term *term)
{
    size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz_");
    if (at[len] == '.') /* and the key of a map */
        len += strspn(at + len, "abcdefghijklmnopqrstuvwxyz0123456789._/-");
    term->field = arena_format(arena, "%.*s", (int)len, at);
    term->op = at[len];
    if (len == 0 || term->op == '\0' || strchr(":=<>", term->op) == NULL)
        return NULL;
    return read_value(arena, at + len + 1, &term->value);
}

enum status filter_parse(struct call *call, struct arena *arena, const char *text, const char *const *allowed,
                         struct filter *ret_filter)
{
    ret_filter->count = 0;
    for (const char *at = skip_spaces(text); *at != '\0'; at = skip_spaces(at)) {
        if (ret_filter->count > 0) {
            if (strncmp(at, "AND ", 4) != 0)
                return bad_filter(call, "terms are joined by AND");
            at = skip_spaces(at + 4);
        }
        if (ret_filter->count == FILTER_TERMS)
            return bad_filter(call, "too many terms");
        struct filter_term *term = &ret_filter->terms[ret_filter->count++];
        at = read_term(arena, at, term);
        if (at == NULL)
            return bad_filter(call, "a term is field, one of : = < >, and a value");
        if (!is_allowed(allowed, term))
            return bad_filter(call, "there is no such field, or not with this operator");
    }
    return STATUS_OK;
}

/* RFC 3339: 2026-11-24T13:40:00Z, with a fraction and an offset if wanted. */
bool filter_time(const char *text, int64_t *ret_time)
{
    struct tm parts = {0};
    const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (at == NULL)
        return false;
    int64_t microseconds = 0, scale = CLOCK_SECOND;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++)
            if (scale > 1)
                microseconds += (*at - '0') * (scale /= 10);
    int64_t offset = 0;
    if (*at == '+' || *at == '-') {
        int hours, minutes, used = 0;
        if (sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5 || hours > 23 || minutes > 59)
            return false;
        offset = (hours * 60 + minutes) * (*at == '+' ? 60 : -60);
        at += 6;
    } else if (*at == 'Z' || *at == 'z') {
        at++;
    } else {
        return false;
    }
    int64_t seconds = timegm(&parts);
    if (*at != '\0' || seconds < 0)
        return false;
    *ret_time = (seconds - offset) * CLOCK_SECOND + microseconds;
    return true;
}

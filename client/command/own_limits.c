/* SPDX-License-Identifier: Apache-2.0 */
#include "own_limits.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "text.h"
#include "time_format.h"

/* As the contract and JSON name each. */
static const struct {
    const char *name, *json, *limit;
    bool is_time;
} rows[OWN_LIMITS] = {
    {"idle_timeout", "idleTimeout", "LIMIT_IDLE_TIMEOUT", true},
    {"max_token_life", "maxTokenLife", "LIMIT_MAX_TOKEN_LIFE", true},
    {"max_tokens", "maxTokens", "LIMIT_MAX_TOKENS", false},
    {"max_tokens_per_hour", "maxTokensPerHour", "LIMIT_MAX_TOKENS_PER_HOUR", false},
};

static void *member_of(Gatehouse__V1__CredentialLimits *message, int row)
{
    const ProtobufCMessageDescriptor *descriptor = message->base.descriptor;
    return (char *)message + protobuf_c_message_descriptor_get_field_by_name(descriptor, rows[row].name)->offset;
}

static bool take_value(struct own_limits_words *words, int row, const char *value)
{
    char *end;
    if (rows[row].is_time) {
        Google__Protobuf__Duration *duration = &words->durations[row];
        google__protobuf__duration__init(duration);
        *(Google__Protobuf__Duration **)member_of(&words->message, row) = duration;
        return duration_parse(value, &duration->seconds);
    }
    long number = strtol(value, &end, 10);
    *(int32_t *)member_of(&words->message, row) = (int32_t)number;
    return end != value && *end == '\0' && number >= 1 && number <= INT32_MAX;
}

/* "idle_timeout=5m:observe". False: it is none. */
static bool take_word(struct own_limits_words *words, char *word)
{
    char *value = strchr(word, '='), *way = strchr(word, ':');
    if (value == NULL || (way != NULL && strcmp(way + 1, "observe") != 0))
        return false;
    *value++ = '\0';
    if (way != NULL)
        *way = '\0';
    for (int i = 0; i < OWN_LIMITS; i++) {
        if (strcmp(word, rows[i].name) != 0)
            continue;
        const ProtobufCEnumValue *limit =
            protobuf_c_enum_descriptor_get_value_by_name(&gatehouse__v1__limit__descriptor, rows[i].limit);
        if (way != NULL && words->message.n_observe_only < OWN_LIMITS)
            words->observed[words->message.n_observe_only++] = (Gatehouse__V1__Limit)limit->value;
        return take_value(words, i, value);
    }
    return false;
}

bool own_limits_take(struct context *context, struct own_limits_words *words,
                     Gatehouse__V1__CredentialLimits **ret_field)
{
    const char *given = option_value(&context->arguments, OPTION_LIMITS);
    gatehouse__v1__credential_limits__init(&words->message);
    words->message.observe_only = words->observed;
    if (given == NULL || strcmp(given, "none") == 0)
        return true;
    TEXT_FREE char *text = text_copy(given);
    for (char *rest, *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        TEXT_FREE char *whole = text_copy(word);
        if (take_word(words, word))
            continue;
        report_usage(context,
                     "--limits: \"%s\" is not a limit; write idle_timeout=5m, max_token_life=8h, max_tokens=10 or "
                     "max_tokens_per_hour=60, with :observe to count only, or none",
                     whole);
        return false;
    }
    *ret_field = &words->message;
    return true;
}

static bool is_observed(const json_t *limits, int row)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(limits, "observeOnly"), i, name)
    {
        if (strcmp(json_string_value(name), rows[row].limit) == 0)
            return true;
    }
    return false;
}

static const char *count_of(const json_t *limits, int row)
{
    size_t i;
    json_t *seen;
    json_array_foreach(json_object_get(limits, "observed"), i, seen)
    {
        if (strcmp(json_string_value(json_object_get(seen, "limit")), rows[row].limit) == 0)
            return json_string_value(json_object_get(seen, "count"));
    }
    return "0";
}

char *column_own_limits(const json_t *, const json_t *limits, int64_t now)
{
    char *out = NULL;
    size_t size;
    FILE *stream = text_must(open_memstream(&out, &size));
    const char *between = "";
    for (int i = 0; i < OWN_LIMITS; i++) {
        const json_t *value = json_object_get(limits, rows[i].json);
        if (value == NULL || json_is_null(value) || (!rows[i].is_time && json_integer_value(value) == 0))
            continue;
        TEXT_FREE char *time = rows[i].is_time ? column_duration(NULL, value, now) : NULL;
        fprintf(stream, "%s%s=", between, rows[i].name);
        if (time != NULL)
            fputs(time, stream);
        else
            fprintf(stream, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        if (is_observed(limits, i))
            fprintf(stream, " (observed only: %s so far)", count_of(limits, i));
        between = ", ";
    }
    fclose(stream);
    return text_must(out);
}

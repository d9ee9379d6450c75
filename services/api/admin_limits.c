/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a credential's own, in requests, answers and the audit log. */
#include "api/admin.h"
#include "base/must.h"
#include "records/process.h"

#include <inttypes.h>
#include <string.h>

/* In the order of enum limit: the name of the field, and of the limit in observe_only. */
static const struct {
    const char *field;
    Gatehouse__V1__Limit number;
} rows[LIMITS] = {
    [LIMIT_IDLE_TIMEOUT] = {"idle_timeout", GATEHOUSE__V1__LIMIT__LIMIT_IDLE_TIMEOUT},
    [LIMIT_TOKEN_LIFE] = {"max_token_life", GATEHOUSE__V1__LIMIT__LIMIT_MAX_TOKEN_LIFE},
    [LIMIT_TOKENS] = {"max_tokens", GATEHOUSE__V1__LIMIT__LIMIT_MAX_TOKENS},
    [LIMIT_TOKENS_PER_HOUR] = {"max_tokens_per_hour", GATEHOUSE__V1__LIMIT__LIMIT_MAX_TOKENS_PER_HOUR},
};

static enum limit limit_of(Gatehouse__V1__Limit number)
{
    enum limit i = 0;
    while (i < LIMITS && rows[i].number != number)
        i++;
    return i;
}

static const ProtobufCFieldDescriptor *field_of(enum limit limit)
{
    const ProtobufCMessageDescriptor *descriptor = &gatehouse__v1__credential_limits__descriptor;
    return must((void *)(uintptr_t)protobuf_c_message_descriptor_get_field_by_name(descriptor, rows[limit].field));
}

static void *value_of(const Gatehouse__V1__CredentialLimits *message, enum limit limit)
{
    return (char *)(uintptr_t)message + field_of(limit)->offset;
}

static bool is_number(enum limit limit)
{
    return field_of(limit)->type == PROTOBUF_C_TYPE_INT32;
}

static int64_t read_value(const Gatehouse__V1__CredentialLimits *message, enum limit limit)
{
    const void *value = value_of(message, limit);
    return is_number(limit) ? *(const int32_t *)value : read_duration(*(Google__Protobuf__Duration *const *)value, 0);
}

enum status admin_read_limits(struct admin_call *admin, const Gatehouse__V1__CredentialLimits *message,
                              struct own_limits *ret_limits)
{
    struct call *call = admin_fails(admin);
    *ret_limits = (struct own_limits){0};
    for (enum limit i = 0; i < LIMITS && message != NULL; i++)
        ret_limits->of[i].value = read_value(message, i);
    if (ret_limits->of[LIMIT_IDLE_TIMEOUT].value % CLOCK_SECOND != 0)
        return call_fail_field(call, "credential.limits.idle_timeout", "INVALID_FIELD",
                               "credential.limits.idle_timeout must be whole seconds");
    for (size_t i = 0; message != NULL && i < message->n_observe_only; i++) {
        enum limit limit = limit_of(message->observe_only[i]);
        if (limit < LIMITS && ret_limits->of[limit].value != 0)
            ret_limits->of[limit].is_observed = true;
    }
    return STATUS_OK;
}

enum status admin_check_limits(struct admin_call *admin, const struct own_limits *limits)
{
    int64_t program = 0;
    if (own_limits_are_none(limits))
        return STATUS_OK;
    TRY(process_row_oldest(admin->work.tx, &program));
    if (program < PROCESS_KNOWS_LIMITS)
        return call_fail(admin_fails(admin), STATUS_FAILED_PRECONDITION, "OLDER_SERVER",
                         "a server of an older version uses the database, which would not go by these limits");
    return STATUS_OK;
}

static void add_observed(struct admin_call *admin, const struct own_limits *limits,
                         Gatehouse__V1__CredentialLimits *message)
{
    message->observe_only = arena_array(&admin->arena, Gatehouse__V1__Limit, LIMITS);
    for (enum limit i = 0; i < LIMITS; i++)
        if (limits->of[i].is_observed)
            message->observe_only[message->n_observe_only++] = rows[i].number;
}

static void add_seen(struct admin_call *admin, const struct credential *credential,
                     Gatehouse__V1__CredentialLimits *message)
{
    message->observed = arena_array(&admin->arena, Gatehouse__V1__ObservedLimit *, LIMITS);
    for (enum limit i = 0; i < LIMITS; i++) {
        const struct limit_seen *seen = &credential->limits_seen[i];
        if (!credential->limits_stored.of[i].is_observed || seen->count == 0)
            continue;
        Gatehouse__V1__ObservedLimit *observed = arena_new(&admin->arena, Gatehouse__V1__ObservedLimit);
        gatehouse__v1__observed_limit__init(observed);
        observed->limit = rows[i].number;
        observed->count = seen->count;
        observed->first_time = admin_time(admin, seen->first);
        observed->last_time = admin_time(admin, seen->last);
        message->observed[message->n_observed++] = observed;
    }
}

Gatehouse__V1__CredentialLimits *admin_limits(struct admin_call *admin, const struct credential *credential)
{
    const struct own_limits *limits = &credential->limits;
    Gatehouse__V1__CredentialLimits *message = arena_new(&admin->arena, Gatehouse__V1__CredentialLimits);
    gatehouse__v1__credential_limits__init(message);
    bool has_any = false;
    for (enum limit i = 0; i < LIMITS; i++) {
        int64_t value = limits->of[i].value;
        has_any = has_any || value != 0;
        if (value != 0 && is_number(i))
            *(int32_t *)value_of(message, i) = (int32_t)value;
        else if (value != 0)
            *(Google__Protobuf__Duration **)value_of(message, i) = admin_duration(admin, value);
    }
    if (!has_any)
        return NULL;
    add_observed(admin, limits, message);
    add_seen(admin, credential, message);
    return message;
}

static const char *describe(struct admin_call *admin, const struct own_limits *limits, enum limit limit)
{
    int64_t value = limits->of[limit].value;
    const char *observed = limits->of[limit].is_observed ? ", observed only" : "";
    if (value == 0)
        return "none";
    if (is_number(limit))
        return arena_format(&admin->arena, "%" PRId64 "%s", value, observed);
    return arena_format(&admin->arena, "%g s%s", (double)value / (double)CLOCK_SECOND, observed);
}

void admin_tell_limits(struct admin_call *admin, const struct own_limits *before, const struct own_limits *after)
{
    for (enum limit i = 0; i < LIMITS; i++)
        admin_tell(admin, arena_format(&admin->arena, "limits.%s", rows[i].field), describe(admin, before, i),
                   describe(admin, after, i));
}

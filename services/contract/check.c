/* SPDX-License-Identifier: Apache-2.0 */
/* A message against its rules. Introspect is checked so each time: what is empty costs next to nothing. */
#include "base/utf8.h"
#include "contract/contract.h"

#include <google/protobuf/duration.pb-c.h>
#include <google/protobuf/field_mask.pb-c.h>
#include <google/protobuf/timestamp.pb-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_OF_10000_YEARS INT64_C(315576000000) /* what a Duration may hold */
#define YEAR_10000 INT64_C(253402300800)
enum { NANOSECONDS = 1000000000 };

/* Where we are. */
struct checking {
    const struct checking *above; /* NULL: this is the request itself */
    const struct contract_field *field;
    struct contract_violation *violation;
    bool is_partial; /* the field is of a thing that is changed in part */
};

static void name_field(const struct checking *at, char name[static CONTRACT_FIELD_MAX])
{
    if (at->above != NULL && at->above->field != NULL) {
        name_field(at->above, name);
        size_t len = strlen(name);
        snprintf(name + len, CONTRACT_FIELD_MAX - len, ".%s", at->field->field->name);
    } else {
        snprintf(name, CONTRACT_FIELD_MAX, "%s", at->field->field->name);
    }
}

__attribute__((format(printf, 2, 3))) static bool fail(const struct checking *at, const char *format, ...)
{
    struct contract_violation *violation = at->violation;
    name_field(at, violation->field);
    int len = snprintf(violation->why, sizeof violation->why, "%s ", violation->field);
    va_list args;
    va_start(args, format);
    vsnprintf(violation->why + len, sizeof violation->why - (size_t)len, format, args);
    va_end(args);
    return false;
}

static const void *member(const ProtobufCMessage *message, unsigned offset)
{
    return (const char *)message + offset;
}

static bool has_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)) /* C0, DEL, C1 */
            return true;
    return false;
}

static bool check_characters(const struct checking *at, const char *text, bool is_whole)
{
    const struct contract_field *rules = at->field;
    size_t count = utf8_count(text);
    if (rules->max_len != 0 && count > rules->max_len)
        return fail(at, "is longer than %u characters", rules->max_len);
    if (is_whole && count < rules->min_len)
        return fail(at, "has fewer than %u character%s", rules->min_len, rules->min_len == 1 ? "" : "s");
    return true;
}

static bool may_be_empty(const struct checking *at, bool is_whole)
{
    if (at->field->is_identifier && at->is_partial)
        return false; /* which one is to be changed? */
    return !is_whole || (!at->field->is_required && at->field->min_len == 0);
}

static bool check_text(const struct checking *at, const char *text, bool is_whole)
{
    const struct contract_field *rules = at->field;
    if (text[0] == '\0' && rules->field->label != PROTOBUF_C_LABEL_REPEATED)
        return may_be_empty(at, is_whole) || fail(at, "is empty");
    if (rules->max_bytes != 0 && strnlen(text, (size_t)rules->max_bytes + 1) > rules->max_bytes)
        return fail(at, "is longer than %u bytes", rules->max_bytes);
    if (rules->is_one_line && has_control(text))
        return fail(at, "has a control character");
    if ((rules->max_len != 0 || rules->min_len != 0) && !check_characters(at, text, is_whole))
        return false;
    if (rules->is_readable && utf8_is_blank(text))
        return fail(at, "is blank");
    if (rules->is_readable && utf8_has_bidi(text))
        return fail(at, "has a control of bidirectional text");
    if (rules->regex != NULL && regexec(rules->regex, text, 0, NULL, 0) != 0)
        return fail(at, "must be of the form %s", rules->pattern);
    return true;
}

static bool check_number(const struct checking *at, int64_t number)
{
    const struct contract_field *rules = at->field;
    if (!rules->has_range || (number >= rules->least && number <= rules->most))
        return true;
    if (rules->most == INT32_MAX)
        return fail(at, "must be at least %lld", (long long)rules->least);
    return fail(at, "must be from %lld to %lld", (long long)rules->least, (long long)rules->most);
}

/* Of one that is not less than its seconds say. */
static int compare_duration(const Google__Protobuf__Duration *duration, int64_t nanoseconds)
{
    int64_t seconds = nanoseconds / NANOSECONDS, nanos = nanoseconds % NANOSECONDS;
    if (duration->seconds != seconds)
        return duration->seconds < seconds ? -1 : 1;
    return (duration->nanos > nanos) - (duration->nanos < nanos);
}

static bool check_duration(const struct checking *at, const Google__Protobuf__Duration *duration)
{
    const struct contract_field *rules = at->field;
    bool is_one = duration->seconds >= -SECONDS_OF_10000_YEARS && duration->seconds <= SECONDS_OF_10000_YEARS &&
                  duration->nanos > -NANOSECONDS && duration->nanos < NANOSECONDS &&
                  (duration->seconds == 0 || duration->nanos == 0 || (duration->seconds < 0) == (duration->nanos < 0));
    if (!rules->has_range)
        return is_one || fail(at, "is not a duration");
    bool is_within = is_one && duration->nanos >= 0 && compare_duration(duration, rules->least) >= 0 &&
                     compare_duration(duration, rules->most) <= 0;
    return is_within || fail(at, "must be from %g to %lld seconds", (double)rules->least / (double)NANOSECONDS,
                             (long long)(rules->most / NANOSECONDS));
}

static bool check_time(const struct checking *at, const Google__Protobuf__Timestamp *time)
{
    bool is_one = time->seconds >= 0 && time->seconds < YEAR_10000 && time->nanos >= 0 && time->nanos < NANOSECONDS;
    return is_one || fail(at, "must be a time from 1970 to 9999");
}

/* May a change name this field? Only of the thing that it changes, and not what tells which or whether. */
static bool is_changeable(const struct contract_message *resource, const char *path)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(resource->descriptor, path);
    if (field == NULL || strcmp(path, "etag") == 0)
        return false;
    const struct contract_field *rules = &resource->fields[field - resource->descriptor->fields];
    return !rules->is_output && !rules->is_identifier;
}

static bool check_mask(const struct checking *at, const struct contract_message *resource,
                       const Google__Protobuf__FieldMask *mask)
{
    if (mask->n_paths == 0)
        return fail(at, "is empty");
    for (size_t i = 0; i < mask->n_paths; i++)
        if (!is_changeable(resource, mask->paths[i]))
            return fail(at, "names a field that cannot be changed");
    return true;
}

static bool is_named(const Google__Protobuf__FieldMask *mask, const char *name)
{
    for (size_t i = 0; mask != NULL && i < mask->n_paths; i++)
        if (strcmp(mask->paths[i], name) == 0)
            return true;
    return false;
}

static bool check_message(const struct checking *at, const struct contract_message *rules,
                          const ProtobufCMessage *message, const Google__Protobuf__FieldMask *mask, bool is_partial);

static bool check_submessage(const struct checking *at, const struct contract_message *around,
                             const ProtobufCMessage *request, const ProtobufCMessage *message, bool is_whole)
{
    if (message == NULL)
        return !is_whole || !at->field->is_required || fail(at, "is missing");
    const void *descriptor = at->field->field->descriptor;
    if (descriptor == &google__protobuf__timestamp__descriptor)
        return check_time(at, (const Google__Protobuf__Timestamp *)message);
    if (descriptor == &google__protobuf__duration__descriptor)
        return check_duration(at, (const Google__Protobuf__Duration *)message);
    if (descriptor == &google__protobuf__field_mask__descriptor)
        return check_mask(at, around->resource->message, (const Google__Protobuf__FieldMask *)message);
    if (at->field == around->resource)
        return check_message(at, at->field->message, message,
                             *(Google__Protobuf__FieldMask *const *)member(request, around->mask->field->offset), true);
    return check_message(at, at->field->message, message, NULL, false);
}

static bool check_enum(const struct checking *at, int number)
{
    bool is_unset = number == 0 && at->field->field->label != PROTOBUF_C_LABEL_REPEATED;
    if (!at->field->is_named || is_unset)
        return true;
    if (number != 0 && protobuf_c_enum_descriptor_get_value(at->field->field->descriptor, number) != NULL)
        return true;
    return fail(at, "is not one of its names");
}

static size_t size_of(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_MESSAGE ? sizeof(void *) : sizeof(int32_t);
}

static bool check_value(const struct checking *at, const struct contract_message *around,
                        const ProtobufCMessage *request, const void *value, bool is_whole)
{
    switch ((int)at->field->field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return check_text(at, *(char *const *)value, is_whole);
    case PROTOBUF_C_TYPE_INT32:
        return check_number(at, *(const int32_t *)value);
    case PROTOBUF_C_TYPE_ENUM:
        return check_enum(at, *(const int *)value);
    case PROTOBUF_C_TYPE_MESSAGE:
        return check_submessage(at, around, request, *(ProtobufCMessage *const *)value, is_whole);
    default:
        return true; /* a bool is one; an int64 has no rule */
    }
}

static bool check_repeated(const struct checking *at, const struct contract_message *around,
                           const ProtobufCMessage *request, bool is_whole)
{
    const struct contract_field *rules = at->field;
    size_t count = *(const size_t *)member(request, rules->field->quantifier_offset);
    const char *values = *(char *const *)member(request, rules->field->offset);
    if (rules->max_items != 0 && count > rules->max_items)
        return fail(at, "has more than %u entries", rules->max_items);
    if (is_whole && count < rules->min_items)
        return fail(at, "has fewer than %u %s", rules->min_items, rules->min_items == 1 ? "entry" : "entries");
    for (size_t i = 0; i < count && !rules->is_apart; i++)
        if (!check_value(at, around, request, values + i * size_of(rules->field->type), is_whole))
            return false;
    return true;
}

/* The members of a oneof share their place: is it another's now? */
static bool is_elsewhere(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
           *(const uint32_t *)member(message, field->quantifier_offset) != field->id;
}

static bool check_message(const struct checking *at, const struct contract_message *rules,
                          const ProtobufCMessage *message, const Google__Protobuf__FieldMask *mask, bool is_partial)
{
    for (size_t i = 0; i < rules->count; i++) {
        const ProtobufCFieldDescriptor *field = rules->fields[i].field;
        if (rules->fields[i].is_free || is_elsewhere(field, message))
            continue;
        struct checking inner = {at, &rules->fields[i], at->violation, is_partial};
        bool is_whole = !is_partial || inner.field->is_identifier || is_named(mask, field->name);
        if (field->label == PROTOBUF_C_LABEL_REPEATED
                ? !check_repeated(&inner, rules, message, is_whole)
                : !check_value(&inner, rules, message, member(message, field->offset), is_whole))
            return false;
    }
    return true;
}

bool contract_check(const struct contract_message *message, const ProtobufCMessage *request,
                    struct contract_violation *ret_violation)
{
    return check_message(&(struct checking){.violation = ret_violation}, message, request, NULL, false);
}

static const Google__Protobuf__FieldMask *mask_of(const struct contract_message *message,
                                                  const ProtobufCMessage *request)
{
    return message->mask == NULL ? NULL
                                 : *(Google__Protobuf__FieldMask *const *)member(request, message->mask->field->offset);
}

size_t contract_mask_count(const struct contract_message *message, const ProtobufCMessage *request)
{
    const Google__Protobuf__FieldMask *mask = mask_of(message, request);
    return mask == NULL ? 0 : mask->n_paths;
}

const struct contract_field *contract_masked(const struct contract_message *message, const ProtobufCMessage *request,
                                             size_t i)
{
    const Google__Protobuf__FieldMask *mask = mask_of(message, request);
    const struct contract_message *thing = message->resource == NULL ? NULL : message->resource->message;
    for (size_t j = 0; thing != NULL && mask != NULL && i < mask->n_paths && j < thing->count; j++)
        if (strcmp(thing->fields[j].field->name, mask->paths[i]) == 0)
            return &thing->fields[j];
    return NULL;
}

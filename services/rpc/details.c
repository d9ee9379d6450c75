/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/details.h"
#include "base/utf8.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <string.h>

enum { DETAIL_MAX = CALL_MESSAGE_MAX + CALL_FIELD_MAX + CALL_REASON_MAX + 64 };

struct details {
    Google__Protobuf__Any any[3];
    Google__Protobuf__Any *list[3];
    uint8_t packed[3][DETAIL_MAX]; /* each message is bounded by struct call_error's own limits */
    size_t count;
};

static void add(struct details *details, const ProtobufCMessage *message, const char *type_url)
{
    Google__Protobuf__Any *any = &details->any[details->count];
    google__protobuf__any__init(any);
    any->type_url = (char *)(uintptr_t)type_url;
    any->value.data = details->packed[details->count];
    any->value.len = protobuf_c_message_pack(message, any->value.data);
    details->list[details->count++] = any;
}

static void add_error_info(struct details *details, const struct call_error *error)
{
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    const char *reason = error->reason[0] != '\0' ? error->reason : status_name(error->status);
    info.reason = (char *)(uintptr_t)reason;
    info.domain = (char[]){"gatehouse"};
    add(details, &info.base, "type.googleapis.com/google.rpc.ErrorInfo");
}

static void add_bad_request(struct details *details, const struct call_error *error)
{
    Google__Rpc__BadRequest__FieldViolation violation = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation *violations[] = {&violation};
    Google__Rpc__BadRequest bad_request = GOOGLE__RPC__BAD_REQUEST__INIT;
    violation.field = (char *)(uintptr_t)error->field;
    violation.description = (char *)(uintptr_t)error->message;
    bad_request.field_violations = violations;
    bad_request.n_field_violations = 1;
    add(details, &bad_request.base, "type.googleapis.com/google.rpc.BadRequest");
}

static void add_retry_info(struct details *details, const struct call_error *error)
{
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
    delay.seconds = error->retry_after_ms / 1000;
    delay.nanos = (int32_t)(error->retry_after_ms % 1000) * 1000000;
    retry.retry_delay = &delay;
    add(details, &retry.base, "type.googleapis.com/google.rpc.RetryInfo");
}

/* A message may have been cut in the middle of a character, and a client may refuse the whole status for that. */
static void make_utf8(char *text)
{
    while (*text != '\0') {
        size_t len = utf8_character(text, strlen(text));
        if (len == 0)
            *text = '?';
        text += len > 0 ? len : 1;
    }
}

void rpc_error_clean(struct call_error *error)
{
    make_utf8(error->message);
    make_utf8(error->field);
}

size_t rpc_details_format(const struct call_error *error, uint8_t bytes[static RPC_DETAILS_MAX])
{
    struct details details = {.count = 0};
    add_error_info(&details, error);
    if (error->field[0] != '\0')
        add_bad_request(&details, error);
    if (error->retry_after_ms > 0)
        add_retry_info(&details, error);
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.code = (int32_t)error->status;
    status.message = (char *)(uintptr_t)error->message;
    status.details = details.list;
    status.n_details = details.count;
    return google__rpc__status__pack(&status, bytes);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "call/call.h"

#include "base/clock.h"
#include "base/must.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 5, 0))) static enum status set_error(struct call *call, enum status status,
                                                                   const char *field, const char *reason,
                                                                   const char *format, va_list args)
{
    struct call_error *error = &call->error;
    if (error->status != STATUS_OK)
        return error->status;
    error->status = status;
    utf8_copy(error->reason, sizeof error->reason, reason);
    utf8_copy(error->field, sizeof error->field, field);
    vsnprintf(error->message, sizeof error->message, format, args);
    utf8_trim(error->message);
    return status;
}

struct call_packed *call_pack(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    struct call_packed *packed = must(malloc(sizeof *packed + len));
    packed->references = 1;
    packed->len = len;
    protobuf_c_message_pack(message, packed->bytes);
    return packed;
}

void call_packed_hold(struct call_packed *packed)
{
    atomic_fetch_add(&packed->references, 1);
}

void call_packed_release(struct call_packed *packed)
{
    if (packed != NULL && atomic_fetch_sub(&packed->references, 1) == 1)
        free(packed);
}

enum status call_waits(const void *of)
{
    const struct call *call = of;
    if (call->deadline != INT64_MAX && clock_monotonic() >= call->deadline)
        return STATUS_DEADLINE_EXCEEDED;
    return call->is_cancelled != NULL && call->is_cancelled(call) ? STATUS_CANCELLED : STATUS_OK;
}

/* An on_cancel: who looks at is_cancelled by himself need not be told. */
static void nothing(struct call *call)
{
    (void)call;
}

void call_watch(struct call *call)
{
    call->on_cancel = nothing;
}

enum status call_fail(struct call *call, enum status status, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status result = set_error(call, status, "", reason, format, args);
    va_end(args);
    return result;
}

enum status call_fail_field(struct call *call, const char *field, const char *reason, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    enum status result = set_error(call, STATUS_INVALID_ARGUMENT, field, reason, format, args);
    va_end(args);
    return result;
}

enum status call_fail_retry(struct call *call, enum status status, const char *reason, int64_t retry_after_ms,
                            const char *message)
{
    if (call->error.status == STATUS_OK)
        call->error.retry_after_ms = retry_after_ms;
    return call_fail(call, status, reason, "%s", message);
}

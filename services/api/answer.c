/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"
#include "base/log.h"

#include <string.h>

Google__Protobuf__Timestamp *answer_time(Google__Protobuf__Timestamp *message, int64_t time)
{
    google__protobuf__timestamp__init(message);
    time = time < 0 ? 0 : time > CLOCK_END ? CLOCK_END : time; /* what a wrong clock stored must not spoil the answer */
    message->seconds = time / CLOCK_SECOND;
    message->nanos = (int32_t)(time % CLOCK_SECOND * 1000);
    return message;
}

Google__Protobuf__Duration *answer_duration(Google__Protobuf__Duration *message, int64_t microseconds)
{
    google__protobuf__duration__init(message);
    message->seconds = microseconds / CLOCK_SECOND;
    message->nanos = (int32_t)(microseconds % CLOCK_SECOND * 1000);
    return message;
}

Gatehouse__V1__Position *answer_position(Gatehouse__V1__Position *message, struct position position)
{
    gatehouse__v1__position__init(message);
    message->revision = position.revision;
    message->change_id = position.change_id;
    return message;
}

size_t answer_roles(struct directory *directory, const struct role_set *roles, char **ids)
{
    size_t count = 0;
    int known = directory_role_count(directory);
    for (int number = 0; number < known; number++) {
        if (!role_set_has(roles, number))
            continue;
        char *id = (char *)(uintptr_t)directory_role_id(directory, number); /* protobuf-c's strings are not const */
        size_t at = count++;
        while (at > 0 && strcmp(ids[at - 1], id) > 0) {
            ids[at] = ids[at - 1];
            at--;
        }
        ids[at] = id;
    }
    return count;
}

void answer_failure(struct call *call, enum status status)
{
    if (call->error.status != STATUS_OK)
        return;
    switch (status) {
    case STATUS_UNAVAILABLE:
    case STATUS_UNKNOWN: /* the database went away in the middle of a commit: it may have happened or not */
        (void)!call_fail_retry(call, STATUS_UNAVAILABLE, "STORE_UNAVAILABLE", 1000, "the store cannot be used now");
        return;
    case STATUS_DEADLINE_EXCEEDED:
        (void)!call_fail(call, status, "DEADLINE_EXCEEDED", "the deadline has passed");
        return;
    case STATUS_CANCELLED:
        (void)!call_fail(call, status, "CANCELLED", "the caller has left");
        return;
    case STATUS_OK:
    case STATUS_INVALID_ARGUMENT:
    case STATUS_NOT_FOUND:
    case STATUS_ALREADY_EXISTS:
    case STATUS_PERMISSION_DENIED:
    case STATUS_RESOURCE_EXHAUSTED:
    case STATUS_FAILED_PRECONDITION:
    case STATUS_ABORTED:
    case STATUS_UNIMPLEMENTED:
    case STATUS_INTERNAL:
    case STATUS_CONFLICT:
    case STATUS_UNAUTHENTICATED:
        break;
    }
    log_write(LOG_LEVEL_ERROR, "internal_error", "request_id", call->request_id, "method", call->method, "status",
              status_name(status), NULL);
    (void)!call_fail(call, STATUS_INTERNAL, "INTERNAL", "an internal error; the log has more under request id %s",
                     call->request_id);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"

enum status check_request(struct call *call, const struct contract_message *contract, const ProtobufCMessage *request)
{
    struct contract_violation violation;
    if (contract_check(contract, request, &violation))
        return STATUS_OK;
    return call_fail_field(call, violation.field, "INVALID_FIELD", "%s", violation.why);
}

int64_t read_duration(const Google__Protobuf__Duration *duration, int64_t otherwise)
{
    return duration == NULL ? otherwise : duration->seconds * CLOCK_SECOND + duration->nanos / 1000;
}

int64_t read_time(const Google__Protobuf__Timestamp *time, int64_t otherwise)
{
    return time == NULL ? otherwise : time->seconds * CLOCK_SECOND + time->nanos / 1000;
}

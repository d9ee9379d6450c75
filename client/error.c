/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include "base/utf8.h"

#include <google/rpc/error_details.pb-c.h>
#include <google/rpc/status.pb-c.h>
#include <stdio.h>
#include <string.h>

bool gatehouse_error_is_header(const char *value)
{
    for (; value != NULL && *value != '\0'; value++)
        if (*value < 0x20 || *value > 0x7e)
            return false;
    return true;
}

void gatehouse_error_clear(struct gatehouse_call *call)
{
    call->status = GATEHOUSE_OK;
    call->message[0] = call->reason[0] = call->field[0] = '\0';
    call->retry_after_ms = 0;
}

void gatehouse_error_set(struct gatehouse_call *call, enum gatehouse_status status, const char *message)
{
    call->status = status;
    call->reason[0] = call->field[0] = '\0';
    call->retry_after_ms = 0;
    snprintf(call->message, sizeof call->message, "%s", message);
    utf8_trim(call->message);
}

void gatehouse_error_copy(struct gatehouse_call *to, const struct gatehouse_call *from)
{
    to->status = from->status;
    to->retry_after_ms = from->retry_after_ms;
    memcpy(to->message, from->message, sizeof to->message);
    memcpy(to->reason, from->reason, sizeof to->reason);
    memcpy(to->field, from->field, sizeof to->field);
}

static void read_error_info(struct gatehouse_call *call, const ProtobufCBinaryData *value)
{
    Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(NULL, value->len, value->data);
    if (info == NULL)
        return;
    snprintf(call->reason, sizeof call->reason, "%s", info->reason);
    google__rpc__error_info__free_unpacked(info, NULL);
}

static void read_bad_request(struct gatehouse_call *call, const ProtobufCBinaryData *value)
{
    Google__Rpc__BadRequest *bad = google__rpc__bad_request__unpack(NULL, value->len, value->data);
    if (bad == NULL)
        return;
    if (bad->n_field_violations > 0)
        snprintf(call->field, sizeof call->field, "%s", bad->field_violations[0]->field);
    google__rpc__bad_request__free_unpacked(bad, NULL);
}

static void read_retry_info(struct gatehouse_call *call, const ProtobufCBinaryData *value)
{
    Google__Rpc__RetryInfo *retry = google__rpc__retry_info__unpack(NULL, value->len, value->data);
    if (retry == NULL)
        return;
    const Google__Protobuf__Duration *delay = retry->retry_delay;
    if (delay != NULL && delay->seconds >= 0 && delay->seconds <= INT32_MAX && delay->nanos >= 0)
        call->retry_after_ms = delay->seconds * 1000 + delay->nanos / 1000000;
    google__rpc__retry_info__free_unpacked(retry, NULL);
}

void gatehouse_error_read_details(struct gatehouse_call *call, const uint8_t *bytes, size_t len)
{
    Google__Rpc__Status *status = google__rpc__status__unpack(NULL, len, bytes);
    for (size_t i = 0; status != NULL && i < status->n_details; i++) {
        const Google__Protobuf__Any *any = status->details[i];
        const char *type = strrchr(any->type_url, '/');
        type = type != NULL ? type + 1 : any->type_url;
        if (strcmp(type, "google.rpc.ErrorInfo") == 0)
            read_error_info(call, &any->value);
        else if (strcmp(type, "google.rpc.BadRequest") == 0)
            read_bad_request(call, &any->value);
        else if (strcmp(type, "google.rpc.RetryInfo") == 0)
            read_retry_info(call, &any->value);
    }
    if (status != NULL)
        google__rpc__status__free_unpacked(status, NULL);
}

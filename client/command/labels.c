/* SPDX-License-Identifier: Apache-2.0 */
#include "labels.h"

#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "pages.h"
#include "text.h"

void labels_done(struct labels *labels)
{
    free(labels->entries);
    free(labels->list);
    message_free(&labels->response);
    *labels = (struct labels){0};
}

bool labels_are_given(const struct context *context)
{
    return context->arguments.labels.count > 0;
}

static void begin(struct labels *labels, size_t most)
{
    labels->entries = text_must(calloc(most + 1, sizeof *labels->entries));
    labels->list = text_must(calloc(most + 1, sizeof *labels->list));
    labels->count = labels->used = 0;
}

/* value: NULL takes it away. */
static void set(struct labels *labels, char *key, char *value)
{
    size_t at = 0;
    while (at < labels->count && strcmp(labels->list[at]->key, key) != 0)
        at++;
    if (value == NULL && at < labels->count) {
        labels->list[at] = labels->list[--labels->count];
    } else if (value != NULL) {
        Gatehouse__V1__Credential__LabelsEntry *entry = labels->list[at];
        if (at == labels->count)
            entry = labels->list[labels->count++] = &labels->entries[labels->used++];
        gatehouse__v1__credential__labels_entry__init(entry);
        entry->key = key;
        entry->value = value;
    }
}

/* "key=value" sets a label, "key" removes it: a key has no "=". */
static void apply(struct labels *labels, const struct words *given)
{
    for (size_t i = 0; i < given->count; i++) {
        char *middle = strchr(given->items[i], '=');
        if (middle != NULL)
            *middle = '\0';
        set(labels, given->items[i], middle == NULL ? NULL : middle + 1);
    }
}

static void put(const struct labels *labels, Gatehouse__V1__Credential *credential)
{
    credential->labels = labels->list;
    credential->n_labels = labels->count;
}

void labels_take(struct context *context, struct labels *labels, Gatehouse__V1__Credential *credential)
{
    begin(labels, context->arguments.labels.count);
    apply(labels, &context->arguments.labels);
    put(labels, credential);
}

bool labels_change(struct context *context, struct labels *labels, Gatehouse__V1__Credential *credential)
{
    Gatehouse__V1__GetCredentialRequest request = GATEHOUSE__V1__GET_CREDENTIAL_REQUEST__INIT;
    request.client_id = credential->client_id;
    context->is_looking = true; /* with --curl, too */
    labels->response = admin_invoke(context, "GetCredential", &request);
    context->is_looking = false;
    if (labels->response == NULL)
        return false;
    const Gatehouse__V1__Credential *now = labels->response->credential;
    begin(labels, now->n_labels + context->arguments.labels.count);
    for (size_t i = 0; i < now->n_labels; i++)
        set(labels, now->labels[i]->key, now->labels[i]->value);
    apply(labels, &context->arguments.labels);
    put(labels, credential);
    credential->etag = now->etag;
    return true;
}

bool labels_filter(struct context *context, char **filter)
{
    const struct words *given = &context->arguments.labels;
    for (size_t i = 0; i < given->count; i++) {
        const char *middle = strchr(given->items[i], '=');
        TEXT_FREE char *key = text_must(strndup(given->items[i], strcspn(given->items[i], "=")));
        TEXT_FREE char *field = text_format("labels.%s", key);
        if (!filter_add(context, filter, field, middle == NULL ? ':' : '=', middle == NULL ? "" : middle + 1))
            return false;
    }
    return true;
}

char *labels_format(const json_t *, const json_t *value, int64_t)
{
    char *out = text_copy("");
    const char *key;
    json_t *each;
    json_object_foreach((json_t *)(uintptr_t)value, key, each)
    {
        TEXT_FREE char *before = out;
        out = text_format("%s%s%s=%s", before, before[0] == '\0' ? "" : ", ", key, json_string_value(each));
    }
    return out;
}

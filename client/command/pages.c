/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "list.h"
#include "object.h"
#include "report.h"
#include "text.h"

enum { PAGE_SIZE = 100 };

bool pages_limit(struct context *context, enum option_id id, int64_t otherwise, int64_t *ret_limit)
{
    const char *text = option_value(&context->arguments, id);
    *ret_limit = otherwise;
    if (text == NULL)
        return true;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0') {
        report_usage(context, "--%s: \"%s\" is not a number", option_row(id)->name, text);
        return false;
    }
    *ret_limit = strtoll(text, NULL, 10);
    return true;
}

bool filter_add(struct context *context, char **filter, const char *field, char operator, const char * value)
{
    if (value == NULL)
        return true;
    if (strchr(value, '"') != NULL) {
        report_usage(context, "cannot look for a text with a quotation mark; look for a part of it");
        return false;
    }
    TEXT_FREE char *before = *filter;
    *filter = text_format("%s%s%s%c\"%s\"", before == NULL ? "" : before, before == NULL ? "" : " AND ",
                          field, operator, value);
    return true;
}

void filter_add_own(const struct context *context, char **filter)
{
    const char *own = option_value(&context->arguments, OPTION_FILTER);
    if (own == NULL || own[0] == '\0')
        return;
    TEXT_FREE char *before = *filter;
    *filter = text_format("%s%s%s", before == NULL ? "" : before, before == NULL ? "" : " AND ", own);
}

/* total: what the first page said; 0: nothing. */
static void show_progress(const struct list *list, int64_t total)
{
    if (!isatty(STDERR_FILENO) || (list->context->format != OUTPUT_TABLE && isatty(STDOUT_FILENO)))
        return;
    if (total > 0)
        fprintf(stderr, "\r%zu of %" PRId64 "\033[K", list->count, total);
    else
        fprintf(stderr, "\r%zu\033[K", list->count);
}

static void end_progress(const struct list *list)
{
    if (list->count > PAGE_SIZE && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

static void add_items(struct list *list, const struct pages *pages, const void *response)
{
    const ProtobufCMessage *base = response;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(base->descriptor, pages->items);
    const char *at = response;
    size_t count = *(const size_t *)(const void *)(at + field->quantifier_offset);
    ProtobufCMessage **items = *(ProtobufCMessage * *const *)(const void *)(at + field->offset);
    for (size_t i = 0; i < count && (pages->limit == 0 || list->count < (size_t)pages->limit); i++) {
        json_t *item = object_from(list->context, items[i]);
        list_add(list, item);
        json_decref(item);
    }
}

enum exit_code pages_print(struct context *context, const struct pages *pages)
{
    struct list list;
    TEXT_FREE char *token = text_copy("");
    bool is_more = true;
    int64_t total = 0;
    int32_t *page_size = message_member(pages->request, "page_size");
    char **page_token = message_member(pages->request, "page_token");
    if (!list_begin(&list, context, pages->view, pages->items))
        return EXIT_USAGE;
    while (is_more && (pages->limit == 0 || list.count < (size_t)pages->limit)) {
        int64_t wanted = pages->limit == 0 ? PAGE_SIZE : pages->limit - (int64_t)list.count;
        *page_size = wanted > PAGE_SIZE ? PAGE_SIZE : (int32_t)wanted;
        *page_token = token;
        MESSAGE_FREE ProtobufCMessage *response = admin_invoke(context, pages->method, pages->request);
        if (response == NULL) {
            end_progress(&list);
            list_break(&list);
            return context->exit_code;
        }
        add_items(&list, pages, response);
        const int64_t *told = message_member(response, "total_size");
        if (told != NULL && *told > 0)
            total = *told;
        text_free(&token);
        token = text_copy(*(char **)message_member(response, "next_page_token"));
        is_more = token[0] != '\0';
        if (is_more && (pages->limit == 0 || list.count < (size_t)pages->limit))
            show_progress(&list, total);
    }
    end_progress(&list);
    list.rest = text_must(json_object());
    if (is_more)
        json_object_set_new(list.rest, "nextPageToken", json_string(token));
    if (total > 0)
        json_object_set_new(list.rest, "totalSize", json_sprintf("%" PRId64, total));
    list_end(&list, pages->nothing);
    if (is_more && !pages->is_cut && context->format == OUTPUT_TABLE)
        fprintf(stderr, "There are more; --limit=0 shows all.\n");
    return EXIT_DONE;
}

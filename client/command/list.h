/* SPDX-License-Identifier: Apache-2.0 */
/* Objects one by one: JSON, CSV and values are printed as they come, a table or YAML at the end. */
#ifndef LIST_H
#define LIST_H

#include "output.h"

struct list {
    const struct context *context;
    const char *items; /* the name of the list in JSON */
    struct view view;  /* of what is printed; points to these: */
    struct column *columns;
    const char **keys;
    json_t *rows; /* for a table or YAML */
    json_t *rest; /* what JSON has beside the items; NULL: nothing */
    size_t count;
};

/* A list of the view's objects, printed as context->format and --columns say; list_end ends it. In JSON it is an
 * object, whose member `items` they are, as in the answers below /v1. False: there is no such column; reported. */
[[nodiscard]] bool list_begin(struct list *list, struct context *context, const struct view *view, const char *items);
/* Prints the object, or keeps it until list_end. */
void list_add(struct list *list, const json_t *object);
/* `nothing` is said, on standard error, where a table would be empty. */
void list_end(struct list *list, const char *nothing);
/* Instead, where the rest of the list could not be had: what came is printed, but JSON is left open and YAML out, so
 * that no reader takes a part for the whole. */
void list_break(struct list *list);

#endif

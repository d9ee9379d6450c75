/* SPDX-License-Identifier: Apache-2.0 */
/* Lists, page after page. */
#ifndef PAGES_H
#define PAGES_H

#include "output.h"

struct pages {
    const char *method;
    void *request;     /* has page_size and page_token */
    const char *items; /* the response's repeated field */
    const struct view *view;
    const char *nothing; /* said where there is none */
    int64_t limit;       /* 0: all */
    bool is_cut;         /* that there may be more need not be said */
};

/* Prints all items, at most limit; reads pages as needed. */
enum exit_code pages_print(struct context *context, const struct pages *pages);

/* --limit, or otherwise. False: it is no number; reported. */
[[nodiscard]] bool pages_limit(struct context *context, enum option_id id, int64_t otherwise, int64_t *ret_limit);

/* Adds a term such as name:"Acme" to a filter; *filter is NULL at first. A value that has a quotation mark cannot stand
 * in one: reported, false. */
[[nodiscard]] bool filter_add(struct context *context, char **filter, const char *field, char operator,
                              const char * value);

/* Adds --filter as it is. */
void filter_add_own(const struct context *context, char **filter);

#endif

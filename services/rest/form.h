/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/x-www-form-urlencoded by the letter: a body, or a query. Decodes in place: the pairs point into the text.
 * What is not right is an error, never a guess: a stray or broken percent sign, a byte that is not UTF-8, NUL and other
 * controls, more than FORM_MAX_FIELDS pairs.
 */
#ifndef REST_FORM_H
#define REST_FORM_H

#include <stdbool.h>
#include <stddef.h>

enum { FORM_MAX_FIELDS = 64 };

struct form_field {
    const char *name, *value; /* each ends with NUL */
    const char *fault; /* only of form_parse_any: what is wrong with the value, which is "" then; NULL: nothing */
};

struct form {
    struct form_field fields[FORM_MAX_FIELDS];
    size_t count;
};

/* `text` has len bytes and room for one more; it is overwritten. false: *ret_why (a constant) says what is wrong. */
bool form_parse(struct form *form, char *text, size_t len, const char **ret_why);

/* The same, but a value that is no text is no error: its field says so. For whoever can do without it. */
bool form_parse_any(struct form *form, char *text, size_t len, const char **ret_why);

/* The first parameter of this name, or NULL. */
const struct form_field *form_find(const struct form *form, const char *name);

/* The value, or NULL where the parameter is absent or empty (RFC 6749, section 3.2: a parameter without a value counts
 * as omitted). */
const char *form_get(const struct form *form, const char *name);

/* The name of a parameter that stands more than once, or NULL. Only these names (NULL-ended) count. */
const char *form_find_repeated(const struct form *form, const char *const *names);

/* Decodes one percent-encoded text in place; with_plus: + is a space. Its end, with a NUL there, or NULL: broken. */
char *form_decode(char *text, size_t len, bool with_plus);

#endif

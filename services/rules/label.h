/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of a credential, as one text: "key=value" and a line end for each, in the order of their keys. The contract
 * sees to it that no key has a "=" and no value a line end. */
#ifndef RULES_LABEL_H
#define RULES_LABEL_H

#include <stdbool.h>
#include <stddef.h>

enum { LABEL_VALUE_MAX = 252 }; /* bytes */

struct label {
    const char *key, *value; /* within the text; not ended by NUL */
    size_t key_len, value_len;
};

/* The first label of `labels`, or of what label_next gave for the one before; gives what is behind it. NULL: there is
 * none. */
const char *label_next(const char *labels, struct label *ret_label);

/* Is there one with this key? Then *ret_label is it. */
bool label_find(const char *labels, const char *key, size_t key_len, struct label *ret_label);

#endif

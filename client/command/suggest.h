/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUGGEST_H
#define SUGGEST_H

#include <stddef.h>

/* The nearest word so far, of those that are near enough to be what was meant; NULL: none. */
struct suggestion {
    const char *word;
    size_t distance;
};

/* Takes `candidate` where it is nearer to `typed` than what there was. */
void suggest(struct suggestion *best, const char *typed, const char *candidate);

#endif

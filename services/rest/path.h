/* SPDX-License-Identifier: Apache-2.0 */
/* Paths with places to fill in: "/v1/credentials/{client_id}:undelete". */
#ifndef REST_PATH_H
#define REST_PATH_H

#include "base/arena.h"

#include <stdbool.h>

enum { PATH_PLACES_MAX = 4, PATH_FIELD_MAX = 64 };

struct path_captured {
    char fields[PATH_PLACES_MAX][PATH_FIELD_MAX]; /* what stands in the braces */
    char *values[PATH_PLACES_MAX];                /* what stands there in the path, still percent-encoded */
    size_t count;
};

/* Does the path fit the pattern? A place takes one segment, not empty; before a verb (":end") it ends at the last
 * colon. The values are copies in the arena. False: no. */
bool path_fits(struct arena *arena, const char *pattern, const char *path, struct path_captured *captured);

/* Decodes one value in place. false: broken, or no UTF-8 text. */
bool path_decode(char *value);

#endif

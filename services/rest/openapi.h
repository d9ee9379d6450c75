/* SPDX-License-Identifier: Apache-2.0 */
/* The description of the API, as it is served. */
#ifndef REST_OPENAPI_H
#define REST_OPENAPI_H

#include "rest.h"

struct openapi {
    char *text;
    size_t len;
    char etag[24]; /* in its quotes */
};

/* Of what these options serve. NULL: out of memory. */
struct openapi *openapi_new(const struct rest_options *options);
void openapi_free(struct openapi *openapi);

#endif

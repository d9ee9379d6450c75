/* SPDX-License-Identifier: Apache-2.0 */
/* Raw bytes of a connection: the verdict does not depend on how they were cut into pieces. */
#include "rest/guard.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct guard_limits limits = {.max_header_bytes = 512, .max_headers = 8, .max_body_bytes = 256};
    struct guard whole, cut;
    guard_init(&whole, &limits);
    guard_feed(&whole, (const char *)data, size);
    guard_init(&cut, &limits);
    for (size_t i = 0; i < size; i++)
        guard_feed(&cut, (const char *)data + i, 1);
    if (whole.code != cut.code || whole.requests != cut.requests || guard_is_between(&whole) != guard_is_between(&cut))
        abort();
    if (whole.code != 0 && (whole.code < 400 || whole.code > 505 || whole.why == NULL))
        abort();
    return 0;
}

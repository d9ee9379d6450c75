/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

const char *status_name(enum status status)
{
    switch (status) {
#define STATUS_CASE(name, number) \
    case STATUS_##name: \
        return #name;
        STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "UNKNOWN";
}

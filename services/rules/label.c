/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/label.h"

#include <string.h>

const char *label_next(const char *labels, struct label *ret_label)
{
    const char *middle = strchr(labels, '='), *end = middle == NULL ? NULL : strchr(middle, '\n');
    if (end == NULL)
        return NULL;
    *ret_label = (struct label){labels, middle + 1, (size_t)(middle - labels), (size_t)(end - middle - 1)};
    return end + 1;
}

bool label_find(const char *labels, const char *key, size_t key_len, struct label *ret_label)
{
    while ((labels = label_next(labels, ret_label)) != NULL)
        if (ret_label->key_len == key_len && strncmp(ret_label->key, key, key_len) == 0)
            return true;
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "rules/source.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

struct source source_of(const char *peer)
{
    struct source source = {.kind = SOURCE_NO_ADDRESS};
    if (address_parse(peer, strlen(peer), &source.address))
        source.kind = SOURCE_ADDRESS;
    return source;
}

static bool is_within(const struct source_rule *rule, const struct address *address)
{
    for (int i = 0; i < rule->count; i++)
        if (network_is_v4(&rule->networks[i]) == address_is_v4(address) && network_has(&rule->networks[i], address))
            return true;
    return false;
}

enum source_verdict source_judge(const struct source_rule *rule, const struct source *source)
{
    if (rule->count == 0 || source->kind == SOURCE_NOT_TOLD)
        return SOURCE_WITHIN;
    if (source->kind == SOURCE_ADDRESS && is_within(rule, &source->address))
        return SOURCE_WITHIN;
    return rule->is_observed ? SOURCE_OBSERVED : SOURCE_REFUSED;
}

/* IPv4 first. */
static int compare(const void *a, const void *b)
{
    const struct network *left = a, *right = b;
    if (network_is_v4(left) != network_is_v4(right))
        return network_is_v4(left) ? -1 : 1;
    for (size_t i = 0; i < sizeof left->base.bytes; i++)
        if (left->base.bytes[i] != right->base.bytes[i])
            return left->base.bytes[i] < right->base.bytes[i] ? -1 : 1;
    return (left->bits > right->bits) - (left->bits < right->bits);
}

int source_tidy(struct network *networks, int count)
{
    int kept = 0;
    if (count > 0)
        qsort(networks, (size_t)count, sizeof *networks, compare);
    for (int i = 0; i < count; i++)
        if (kept == 0 || compare(&networks[kept - 1], &networks[i]) != 0)
            networks[kept++] = networks[i];
    return kept;
}

void source_format(const struct source_rule *rule, char text[static SOURCE_TEXT_MAX])
{
    char *to = text, one[NETWORK_TEXT_MAX];
    *to = '\0';
    for (int i = 0; i < rule->count; i++) {
        network_format(&rule->networks[i], one);
        to = stpcpy(i == 0 ? to : stpcpy(to, " "), one);
    }
}

bool source_parse(const char *text, struct network networks[static SOURCE_NETWORKS_MAX], int *ret_count)
{
    char copy[SOURCE_TEXT_MAX], *rest = copy;
    int count = 0;
    if (memccpy(copy, text, '\0', sizeof copy) == NULL)
        return false;
    while (*copy != '\0' && rest != NULL) {
        if (count == SOURCE_NETWORKS_MAX || !network_parse(strsep(&rest, " "), &networks[count]))
            return false;
        count++;
    }
    *ret_count = source_tidy(networks, count);
    return true;
}

struct network *source_copy(const struct network *networks, int count)
{
    if (count == 0)
        return NULL;
    struct network *copy = must(malloc((size_t)count * sizeof *copy));
    return memcpy(copy, networks, (size_t)count * sizeof *copy);
}

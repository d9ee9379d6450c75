/* SPDX-License-Identifier: Apache-2.0 */
#include "call/peer.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

void peer_trust_init(struct peer_trust *trust, const char *const *identities, const char *const *proxies)
{
    size_t count = 0;
    while (proxies != NULL && proxies[count] != NULL)
        count++;
    *trust =
        (struct peer_trust){.identities = identities, .networks = must(calloc(count + 1, sizeof *trust->networks))};
    for (size_t i = 0; i < count; i++)
        if (strcmp(proxies[i], "unix") == 0)
            trust->is_unix = true;
        else if (network_parse(proxies[i], &trust->networks[trust->network_count]))
            trust->network_count++;
}

void peer_trust_done(struct peer_trust *trust)
{
    free(trust->networks);
    *trust = (struct peer_trust){0};
}

static bool has_identity(const struct peer_trust *trust, const struct call *call)
{
    for (const char *const *name = call->identities; name != NULL && *name != NULL; name++)
        for (const char *const *believed = trust->identities; believed != NULL && *believed != NULL; believed++)
            if (strcmp(*name, *believed) == 0)
                return true;
    return false;
}

static bool has_address(const struct peer_trust *trust, const struct call *call)
{
    struct address address;
    if (strcmp(call->peer, "unix") == 0)
        return trust->is_unix;
    if (!address_parse(call->peer, strlen(call->peer), &address))
        return false;
    for (size_t i = 0; i < trust->network_count; i++)
        if (network_has(&trust->networks[i], &address))
            return true;
    return false;
}

void peer_resolve(const struct peer_trust *trust, struct call *call)
{
    struct address address;
    const char *told = call->told_peer;
    call->told_peer = NULL; /* once */
    if (told == NULL || strchr(told, '%') != NULL || !address_parse(told, strlen(told), &address))
        return;
    if (has_identity(trust, call) || has_address(trust, call))
        call->peer = told;
}

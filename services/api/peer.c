/* SPDX-License-Identifier: Apache-2.0 */
/* For whom a shim or a gateway calls: its own address says nothing to the throttle and the audit log. */
#include "api/internal.h"

#include <string.h>

static bool has_identity(const struct api *api, const struct call *call)
{
    for (const char *const *name = call->identities; name != NULL && *name != NULL; name++)
        for (const char *const *believed = api->peer_identities; believed != NULL && *believed != NULL; believed++)
            if (strcmp(*name, *believed) == 0)
                return true;
    return false;
}

static bool has_address(const struct api *api, const struct call *call)
{
    struct address address;
    if (!address_parse(call->peer, strlen(call->peer), &address))
        return false;
    for (size_t i = 0; i < api->trusted_proxy_count; i++)
        if (network_has(&api->trusted_proxies[i], &address))
            return true;
    return false;
}

void peer_resolve(const struct api *api, struct call *call)
{
    struct address address;
    const char *told = call->told_peer;
    call->told_peer = NULL; /* once */
    if (told == NULL || strchr(told, '%') != NULL || !address_parse(told, strlen(told), &address))
        return;
    if (has_identity(api, call) || has_address(api, call))
        call->peer = told;
}

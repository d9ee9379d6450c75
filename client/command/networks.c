/* SPDX-License-Identifier: Apache-2.0 */
#include "networks.h"

#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "text.h"

void networks_done(struct networks *networks)
{
    for (size_t i = 0; i < networks->words.count; i++)
        free(networks->words.items[i]);
    free(networks->words.items);
    *networks = (struct networks){0};
}

bool networks_take(struct context *context, struct networks *networks, Gatehouse__V1__Credential *credential)
{
    const char *text = option_value(&context->arguments, OPTION_FROM_NETWORK);
    bool is_observed = option_value(&context->arguments, OPTION_OBSERVE_NETWORKS) != NULL;
    bool is_anywhere = text != NULL && strcmp(text, "anywhere") == 0;
    if (text != NULL && !is_anywhere)
        words_add(&networks->words, text);
    if (networks->words.count > 0) {
        gatehouse__v1__source_addresses__init(&networks->message);
        networks->message.networks = networks->words.items;
        networks->message.n_networks = networks->words.count;
        networks->message.observe_only = is_observed;
        credential->addresses = &networks->message;
        return true;
    }
    if (text != NULL && !is_anywhere)
        report_usage(context, "--from-network: name at least one network, or write anywhere");
    else if (is_observed)
        report_usage(context, "--observe-networks: which? Give --from-network, too");
    else
        return true;
    return false;
}

char *networks_format(const json_t *, const json_t *value, int64_t)
{
    char *out = NULL;
    size_t size, i;
    json_t *network;
    FILE *stream = text_must(open_memstream(&out, &size));
    json_array_foreach(json_object_get(value, "networks"), i, network)
        fprintf(stream, "%s%s", i == 0 ? "" : ", ", json_string_value(network));
    if (json_is_true(json_object_get(value, "observeOnly")))
        fputs(" (observed)", stream);
    fclose(stream);
    return text_must(out);
}

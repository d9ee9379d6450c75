/* SPDX-License-Identifier: Apache-2.0 */
#include "memory/packed_facts.h"

#include "base/must.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { ROLE_WORDS = ROLES_MAX / 64 };

/* Behind it: the words of the roles that were granted, then of those that are effective, each up to the last one that
 * is not zero; its limits, if there are any; the secret keys; the networks; name, owner, contact and labels, each with
 * its NUL. */
struct packed_facts {
    int64_t expires, deleted, suspended, epoch, version;
    uint8_t granted_words, effective_words, secret_count, network_count;
    bool is_effective_granted; /* the same roles, which stand here once */
    bool is_observed;
    bool has_limits;
    uint16_t owner_size, contact_size; /* with their NUL: who calls pays for no look at what only a list wants */
    uint64_t words[];
};
static_assert(sizeof(((struct role_set *)NULL)->words) == ROLE_WORDS * sizeof(uint64_t));
static_assert(sizeof(struct secret_facts) % sizeof(uint64_t) == 0);
static_assert(SOURCE_NETWORKS_MAX <= UINT8_MAX);
static_assert(sizeof(struct own_limits) % sizeof(uint64_t) == 0);

static uint8_t count_words(const struct role_set *roles)
{
    uint8_t count = ROLE_WORDS;
    while (count > 0 && roles->words[count - 1] == 0)
        count--;
    return count;
}

struct packed_facts *packed_facts_new(const struct credential_facts *facts)
{
    bool is_same = role_set_equal(&facts->granted, &facts->effective);
    uint8_t granted = count_words(&facts->granted), effective = is_same ? 0 : count_words(&facts->effective);
    size_t name = strlen(facts->name) + 1, owner = strlen(facts->owner) + 1;
    size_t contact = strlen(facts->contact) + 1, labels = strlen(facts->labels) + 1;
    size_t roles = (size_t)(granted + effective) * sizeof(uint64_t);
    size_t limits = own_limits_are_none(&facts->limits) ? 0 : sizeof facts->limits;
    size_t secrets = (size_t)facts->secret_count * sizeof facts->secrets[0];
    size_t networks = (size_t)facts->sources.count * sizeof facts->sources.networks[0];
    size_t texts = name + owner + contact + labels;
    struct packed_facts *packed = must(malloc(sizeof *packed + roles + limits + secrets + networks + texts));
    *packed = (struct packed_facts){.expires = facts->expires,
                                    .deleted = facts->deleted,
                                    .suspended = facts->suspended,
                                    .epoch = facts->epoch,
                                    .version = facts->version,
                                    .granted_words = granted,
                                    .effective_words = effective,
                                    .secret_count = (uint8_t)facts->secret_count,
                                    .network_count = (uint8_t)facts->sources.count,
                                    .is_effective_granted = is_same,
                                    .is_observed = facts->sources.is_observed,
                                    .has_limits = limits != 0,
                                    .owner_size = (uint16_t)owner,
                                    .contact_size = (uint16_t)contact};
    char *end = (char *)packed->words;
    end = mempcpy(end, facts->granted.words, granted * sizeof(uint64_t));
    end = mempcpy(end, facts->effective.words, effective * sizeof(uint64_t));
    end = mempcpy(end, &facts->limits, limits);
    end = mempcpy(end, facts->secrets, secrets);
    if (networks > 0)
        end = mempcpy(end, facts->sources.networks, networks);
    end = mempcpy(end, facts->name, name);
    end = mempcpy(end, facts->owner, owner);
    end = mempcpy(end, facts->contact, contact);
    memcpy(end, facts->labels, labels);
    return packed;
}

/* Its word is its four texts, which are empty. */
static const struct packed_facts purged = {.deleted = 1,
                                           .epoch = INT64_MAX,
                                           .version = INT64_MAX,
                                           .is_effective_granted = true,
                                           .owner_size = 1,
                                           .contact_size = 1,
                                           .words = {0}};

const struct packed_facts *packed_facts_purged(void)
{
    return &purged;
}

void packed_facts_free(void *packed)
{
    if (packed != &purged)
        free(packed);
}

int64_t packed_facts_version(const struct packed_facts *packed)
{
    return packed->version;
}

bool packed_facts_are_deleted(const struct packed_facts *packed)
{
    return packed->deleted != 0;
}

void packed_facts_read(const struct packed_facts *packed, struct credential_facts *facts)
{
    const uint64_t *words = packed->words;
    facts->expires = packed->expires;
    facts->deleted = packed->deleted;
    facts->suspended = packed->suspended;
    facts->epoch = packed->epoch;
    facts->version = packed->version;
    facts->granted = facts->effective = (struct role_set){0};
    memcpy(facts->granted.words, words, packed->granted_words * sizeof(uint64_t));
    words += packed->granted_words;
    memcpy(facts->effective.words, words, packed->effective_words * sizeof(uint64_t));
    words += packed->effective_words;
    if (packed->is_effective_granted)
        facts->effective = facts->granted;
    if (packed->has_limits) {
        memcpy(&facts->limits, words, sizeof facts->limits);
        words += sizeof facts->limits / sizeof *words;
    } else {
        facts->limits = (struct own_limits){0};
    }
    facts->secret_count = packed->secret_count;
    memcpy(facts->secrets, words, packed->secret_count * sizeof facts->secrets[0]);
    struct network *networks = (void *)((char *)(uintptr_t)words + packed->secret_count * sizeof facts->secrets[0]);
    facts->sources = (struct source_rule){networks, packed->network_count, packed->is_observed};
    char *texts = (char *)(networks + packed->network_count);
    facts->name = texts;
    facts->owner = texts + strlen(texts) + 1;
    facts->contact = facts->owner + packed->owner_size;
    facts->labels = facts->contact + packed->contact_size;
}

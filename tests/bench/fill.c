/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills a database that `gatehoused init` made with credentials, owners and live tokens, by the domain's own functions,
 * many to a transaction.
 *
 *     fill STORE CREDENTIALS OWNERS TOKENS EVENTS > tokens       a token's text a line
 *
 * Each was last used five minutes ago: its next use is worth a write. Credential i is named "credential i", holds
 * work_creator, and acts for owner i % OWNERS ("owner i"), where there are owners; token i is of credential i %
 * CREDENTIALS.
 */
#include "domain/credential.h"
#include "domain/domain.h"
#include "domain/owner.h"
#include "records/audit.h"
#include "records/schema.h"
#include "records/token.h"
#include "records/user.h"

#include <stdio.h>
#include <stdlib.h>

enum { CREDENTIALS_AT_ONCE = 100, TOKENS_AT_ONCE = 20000, EVENTS_AT_ONCE = 2000 };

struct filling {
    struct domain *domain;
    struct arena arena;
    struct work work;
    long credential_count, owner_count, token_count, event_count;
    long from;
    int64_t inserted; /* the first one of this transaction */
    int64_t first_credential, now;
};

static void check(enum status status, const char *what)
{
    if (status == STATUS_OK)
        return;
    fprintf(stderr, "fill: %s: %s\n", what, status_name(status));
    exit(1);
}

static void begin(struct filling *filling, struct store_tx *tx)
{
    work_begin(&filling->work, tx);
}

static enum status add_owners(struct store_tx *tx, void *arg)
{
    struct filling *filling = arg;
    struct role_set roles = {0};
    role_set_add(&roles, directory_role_number(filling->domain->memory->directory, "work_creator"));
    begin(filling, tx);
    for (long i = filling->from; i < filling->from + CREDENTIALS_AT_ONCE && i < filling->owner_count; i++)
        TRY(user_set_roles(&filling->work, arena_format(&filling->arena, "owner %ld", i), &roles));
    return STATUS_OK;
}

static enum status add_credentials(struct store_tx *tx, void *arg)
{
    struct filling *filling = arg;
    struct role_set roles = {0};
    role_set_add(&roles, directory_role_number(filling->domain->memory->directory, "work_creator"));
    begin(filling, tx);
    for (long i = filling->from; i < filling->from + CREDENTIALS_AT_ONCE && i < filling->credential_count; i++) {
        char secret[SECRET_TEXT_LEN + 1];
        struct credential *credential = arena_new(&filling->arena, struct credential);
        credential->name = arena_format(&filling->arena, "credential %ld", i);
        credential->owner =
            filling->owner_count == 0 ? "" : arena_format(&filling->arena, "owner %ld", i % filling->owner_count);
        credential->contact = credential->labels = "";
        TRY(credential_create(&filling->work, credential, &roles, secret));
        if (i == 0)
            filling->first_credential = credential->id;
    }
    return STATUS_OK;
}

/* Issued one after the other, a millisecond apart. */
static enum status add_tokens(struct store_tx *tx, void *arg)
{
    struct filling *filling = arg;
    for (long i = filling->from; i < filling->from + TOKENS_AT_ONCE && i < filling->token_count; i++) {
        char text[TOKEN_TEXT_LEN + 1];
        struct token_row row = {
            .credential_id = filling->first_credential + i % filling->credential_count,
            .epoch = 1,
            .last_used = filling->now - 300 * CLOCK_SECOND,
        };
        if (!token_text_new(filling->now - 300 * CLOCK_SECOND - (filling->token_count - i) * 1000, crypto_random, text))
            abort();
        if (!token_text_parse(text, &row.key))
            abort();
        struct directory *directory = filling->domain->memory->directory;
        uint64_t turn = directory_begin(directory);
        const char *client_id = directory_client_id(directory_find_id(directory, row.credential_id));
        (void)!directory_end(directory, turn);
        TRY(token_row_insert(tx, &row, client_id, &filling->inserted));
        puts(text);
    }
    return STATUS_OK;
}

/* Of the audit log, whose chain is whole. */
static enum status add_events(struct store_tx *tx, void *arg)
{
    struct filling *filling = arg;
    struct audit_event event = {.at = filling->now,
                                .actor = "bench",
                                .action = "GrantRoles",
                                .subject = "somebody",
                                .peer = "127.0.0.1",
                                .request_id = "0123456789abcdef",
                                .outcome = "OK",
                                .detail = "work_creator"};
    for (long i = filling->from; i < filling->from + EVENTS_AT_ONCE && i < filling->event_count; i++)
        TRY(audit_row_append(tx, &event));
    return STATUS_OK;
}

static void fill(struct filling *filling, store_fn *fn, long count, long at_once)
{
    for (filling->from = 0; filling->from < count; filling->from += at_once) {
        check(store_write_wait(filling->domain->store, fn, filling), "a transaction");
        work_apply(&filling->work);
        arena_done(&filling->arena);
        filling->arena = (struct arena){0};
    }
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: fill STORE CREDENTIALS OWNERS TOKENS EVENTS\n");
        return 2;
    }
    char why[256];
    struct store *store;
    struct filling filling = {.credential_count = atol(argv[2]),
                              .owner_count = atol(argv[3]),
                              .token_count = atol(argv[4]),
                              .event_count = atol(argv[5])};
    check(store_open(&(struct store_options){.url = argv[1], .schema = &records_schema}, &store, why), why);
    check(domain_open(&(struct domain_options){.store = store, .flush_interval_ms = -1}, &filling.domain), argv[1]);
    filling.now = clock_now(filling.domain->clock);
    filling.work = domain_work(filling.domain, &filling.arena, "bench");
    fill(&filling, add_owners, filling.owner_count, CREDENTIALS_AT_ONCE);
    fill(&filling, add_credentials, filling.credential_count, CREDENTIALS_AT_ONCE);
    fill(&filling, add_tokens, filling.token_count, TOKENS_AT_ONCE);
    fill(&filling, add_events, filling.event_count, EVENTS_AT_ONCE);
    domain_close(filling.domain);
    store_close(store);
    return 0;
}

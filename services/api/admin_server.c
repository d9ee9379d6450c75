/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: the server itself, and who calls it. */
#include "api/admin.h"
#include "domain/group.h"
#include "records/process.h"
#include "records/schema.h"

#include <stdlib.h>

enum { REPLICAS_MAX = 1000 };

struct replicas {
    struct admin_call *admin;
    int64_t self, first; /* ids */
    Gatehouse__V1__ServerStatus *server;
};

/* A process_row_fn, in the transaction. */
static void add_replica(const struct process_row *row, void *arg)
{
    struct replicas *replicas = arg;
    struct admin_call *admin = replicas->admin;
    if (replicas->server->n_replicas == REPLICAS_MAX)
        return;
    Gatehouse__V1__Replica *replica = arena_new(&admin->arena, Gatehouse__V1__Replica);
    gatehouse__v1__replica__init(replica);
    replica->host = arena_text(&admin->arena, row->host);
    replica->version = arena_text(&admin->arena, row->version);
    replica->last_seen_time = admin_time(admin, row->seen);
    replica->revision = row->revision;
    replica->lag = admin_duration(admin, row->lag);
    replica->lease = admin_duration(admin, row->leases.own);
    replica->answers = row->id == replicas->self;
    replica->leads = row->id == replicas->first;
    replicas->server->replicas[replicas->server->n_replicas++] = replica;
}

static enum status add_replicas(struct admin_call *admin, Gatehouse__V1__ServerStatus *server)
{
    const struct domain *domain = admin->calling.api->domain;
    struct replicas replicas = {.admin = admin, .server = server};
    int64_t now = 0;
    server->replicas = arena_array(&admin->arena, Gatehouse__V1__Replica *, REPLICAS_MAX);
    if (domain->follow == NULL) { /* it is alone, and writes no row of itself */
        const struct process_row self = {.seen = admin->work.now,
                                         .host = domain->host,
                                         .version = GATEHOUSE_VERSION,
                                         .revision = server->position->revision};
        add_replica(&self, &replicas);
        return STATUS_OK;
    }
    const struct group *group = follow_group(domain->follow);
    replicas.self = group_id(group);
    TRY(group_time(group, admin->work.tx, &now));
    TRY(process_row_first(admin->work.tx, now, &replicas.first));
    return process_row_list(admin->work.tx, add_replica, &replicas);
}

enum status get_server_status(struct admin_call *admin)
{
    RESPOND(Gatehouse__V1__GetServerStatusResponse, gatehouse__v1__get_server_status_response__init);
    const struct domain *domain = admin->calling.api->domain;
    Gatehouse__V1__ServerStatus *server = arena_new(&admin->arena, Gatehouse__V1__ServerStatus);
    gatehouse__v1__server_status__init(server);
    struct clock_state clock;
    int64_t steps = 0;
    clock_describe(domain->clock, &clock);
    TRY(schema_row_count(admin->work.tx, &steps));
    server->version = arena_text(&admin->arena, GATEHOUSE_VERSION);
    server->store = arena_text(&admin->arena, store_dialect(admin->work.tx) == STORE_SQLITE ? "sqlite" : "postgresql");
    server->schema = (int32_t)steps;
    server->start_time = admin_time(admin, domain->started);
    server->time = admin_time(admin, admin->work.now);
    server->clock_ahead = admin_duration(admin, clock.ahead);
    server->clock_jump = admin_duration(admin, clock.jumped);
    server->writable = store_is_writable(domain->store);
    server->position = answer_position(arena_new(&admin->arena, Gatehouse__V1__Position),
                                       directory_position(domain->memory->directory));
    response->server_status = server;
    return add_replicas(admin, server);
}

static enum status show_own(struct admin_call *admin, const char *client_id, Gatehouse__V1__Credential **ret_own)
{
    struct credential *credential = NULL;
    TRY(admin_load(admin, client_id, &credential));
    *ret_own = admin_credential_own(admin, credential);
    return STATUS_OK;
}

static Gatehouse__V1__TokenInfo *show_token(struct admin_call *admin, const struct introspection *introspection)
{
    Gatehouse__V1__TokenInfo *token = arena_new(&admin->arena, Gatehouse__V1__TokenInfo);
    gatehouse__v1__token_info__init(token);
    token->accessor = arena_alloc(&admin->arena, TOKEN_ACCESSOR_LEN + 1);
    token_key_format(&introspection->key, token->accessor);
    token->client_id = arena_text(&admin->arena, introspection->client_id);
    token->issue_time = admin_time(admin, introspection->issued);
    token->expire_time = admin_time(admin, introspection->expires);
    token->roles = admin_role_ids(admin, &introspection->roles, &token->n_roles);
    return token;
}

enum status get_caller(struct admin_call *admin)
{
    RESPOND(Gatehouse__V1__GetCallerResponse, gatehouse__v1__get_caller_response__init);
    static char *const grades[] = {[GRADE_NONE] = (char *)(uintptr_t)"",
                                   [GRADE_AUDITOR] = (char *)(uintptr_t)ROLE_AUDITOR,
                                   [GRADE_KEY_MANAGER] = (char *)(uintptr_t)ROLE_KEY_MANAGER,
                                   [GRADE_USER_MANAGER] = (char *)(uintptr_t)ROLE_USER_MANAGER};
    const struct calling *calling = &admin->calling;
    if (calling->introspection.is_active) {
        TRY(show_own(admin, calling->introspection.client_id, &response->credential));
        response->token = show_token(admin, &calling->introspection);
    } else if (calling->call->user != NULL) {
        response->user = arena_text(&admin->arena, calling->call->user);
    } else {
        response->identity = arena_text(&admin->arena, calling->caller.name);
    }
    response->administers_as = grades[calling->caller.grade];
    response->may_introspect = calling->caller.may_introspect;
    response->address = arena_text(&admin->arena, calling->call->peer);
    response->time = admin_time(admin, admin->work.now);
    return STATUS_OK;
}

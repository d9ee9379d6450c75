/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: the role catalogue. */
#include "api/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Gatehouse__V1__Role *make_role(struct admin_call *admin, const struct role *role)
{
    Gatehouse__V1__Role *message = arena_new(&admin->arena, Gatehouse__V1__Role);
    gatehouse__v1__role__init(message);
    message->role_id = arena_text(&admin->arena, role->id);
    message->name = arena_text(&admin->arena, role->name);
    message->group = arena_text(&admin->arena, role->group);
    message->description = arena_text(&admin->arena, role->description);
    message->retired = role->is_retired;
    message->built_in = role->is_built_in;
    message->etag = admin_etag(admin, role->version);
    return message;
}

struct role_listing {
    struct admin_call *admin;
    bool shows_retired;
    int64_t after, last; /* numbers: of the last one of the page before, and of this one */
    size_t size;
    bool has_more;
    Gatehouse__V1__ListRolesResponse *response;
};

/* A role_each_fn, of list_roles. */
static enum status add_role(const struct role *role, void *arg)
{
    struct role_listing *listing = arg;
    if ((role->is_retired && !listing->shows_retired) || role->number <= listing->after)
        return STATUS_OK;
    listing->has_more = listing->response->n_roles == listing->size;
    if (listing->has_more)
        return STATUS_OK;
    listing->last = role->number;
    listing->response->roles[listing->response->n_roles++] = make_role(listing->admin, role);
    return STATUS_OK;
}

enum status list_roles(struct admin_call *admin)
{
    const Gatehouse__V1__ListRolesRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListRolesResponse, gatehouse__v1__list_roles_response__init);
    const char *query = request->show_retired ? "retired" : "", *cursor = NULL;
    struct role_listing listing = {admin, request->show_retired, -1, -1, ROLES_MAX, false, response};
    TRY(page_read(admin, request->page_token, query, &cursor));
    if (cursor[0] != '\0')
        listing.after = strtoll(cursor, NULL, 10);
    if (request->page_size > 0 && request->page_size < ROLES_MAX)
        listing.size = (size_t)request->page_size;
    response->roles = arena_array(&admin->arena, Gatehouse__V1__Role *, listing.size);
    TRY(role_row_list(admin->work.tx, add_role, &listing));
    if (listing.has_more)
        response->next_page_token = page_make(admin, query, arena_format(&admin->arena, "%" PRId64, listing.last));
    return STATUS_OK;
}

static void read_texts(const Gatehouse__V1__Role *wanted, struct role *role)
{
    snprintf(role->name, sizeof role->name, "%s", wanted->name);
    snprintf(role->group, sizeof role->group, "%s", wanted->group);
    snprintf(role->description, sizeof role->description, "%s", wanted->description);
}

struct role_search {
    const char *id;
    struct role *role;
    bool is_found;
};

/* A role_each_fn, of load_role: copies the one that it looks for. */
static enum status match_role(const struct role *role, void *arg)
{
    struct role_search *search = arg;
    if (strcmp(role->id, search->id) == 0) {
        *search->role = *role;
        search->is_found = true;
    }
    return STATUS_OK;
}

static enum status load_role(struct admin_call *admin, const char *id, struct role *role)
{
    struct role_search search = {id, role, false};
    TRY(role_row_list(admin->work.tx, match_role, &search));
    if (!search.is_found)
        return call_fail(admin_fails(admin), STATUS_NOT_FOUND, "NO_SUCH_ROLE", "there is no role %s", id);
    return STATUS_OK;
}

enum status create_role(struct admin_call *admin)
{
    const Gatehouse__V1__CreateRoleRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__CreateRoleResponse, gatehouse__v1__create_role_response__init);
    struct call *call = admin_fails(admin);
    struct role *role = arena_new(&admin->arena, struct role);
    admin->subject = request->role->role_id;
    if (admin->is_replay) {
        TRY(load_role(admin, request->role->role_id, role));
        response->role = make_role(admin, role);
        return STATUS_OK;
    }
    snprintf(role->id, sizeof role->id, "%s", request->role->role_id);
    read_texts(request->role, role);
    enum status status = role_row_insert(admin->work.tx, role, admin->work.now);
    if (status == STATUS_ALREADY_EXISTS)
        return call_fail(call, status, "ROLE_EXISTS", "there is a role %s", role->id);
    if (status == STATUS_RESOURCE_EXHAUSTED)
        return call_fail(call, status, "TOO_MANY_ROLES", "there are %d roles already", ROLES_MAX);
    TRY(status);
    response->role = make_role(admin, role);
    return work_change_role(&admin->work, role);
}

static enum status read_role_update(struct admin_call *admin, const Gatehouse__V1__UpdateRoleRequest *request,
                                    struct role *role)
{
    Gatehouse__V1__Role wanted = *request->role;
    const Google__Protobuf__FieldMask *mask = request->update_mask;
    struct call *call = admin_fails(admin);
    struct role before = *role;
    if (!admin_mask_has(mask, "name"))
        wanted.name = before.name;
    if (!admin_mask_has(mask, "group"))
        wanted.group = before.group;
    if (!admin_mask_has(mask, "description"))
        wanted.description = before.description;
    read_texts(&wanted, role);
    if (!admin_mask_has(mask, "retired"))
        return STATUS_OK;
    bool is_needed =
        role->is_built_in && (role_grade(role->id) != GRADE_NONE || strcmp(role->id, ROLE_RESOURCE_SERVER) == 0);
    if (wanted.retired && is_needed)
        return call_fail(call, STATUS_FAILED_PRECONDITION, "BUILT_IN_ROLE", "Gatehouse itself needs the role %s",
                         role->id);
    role->is_retired = wanted.retired;
    return STATUS_OK;
}

enum status update_role(struct admin_call *admin)
{
    const Gatehouse__V1__UpdateRoleRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__UpdateRoleResponse, gatehouse__v1__update_role_response__init);
    struct role *role = arena_new(&admin->arena, struct role);
    admin->subject = request->role->role_id;
    TRY(load_role(admin, request->role->role_id, role));
    TRY(admin_check_etag(admin, request->role->etag, role->version));
    if (admin->is_replay) {
        response->role = make_role(admin, role);
        return STATUS_OK;
    }
    struct role before = *role;
    TRY(read_role_update(admin, request, role));
    admin_tell_text(admin, "name", before.name, role->name);
    admin_tell_text(admin, "group", before.group, role->group);
    admin_tell_text(admin, "description", before.description, role->description);
    admin_tell(admin, "retired", before.is_retired ? "yes" : "no", role->is_retired ? "yes" : "no");
    admin_tell_ended(admin);
    if (!admin->is_unchanged)
        TRY(role_row_update(admin->work.tx, role));
    response->role = make_role(admin, role);
    return admin->is_unchanged ? STATUS_OK : work_change_role(&admin->work, role);
}

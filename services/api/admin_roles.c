/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: the role catalogue, and users with their roles. */
#include "api/admin.h"
#include "base/utf8.h"

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
    bool is_needed = strcmp(role->id, ROLE_USER_MANAGER) == 0 || strcmp(role->id, ROLE_RESOURCE_SERVER) == 0;
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

/* Users */

static Gatehouse__V1__User *make_user(struct admin_call *admin, const struct user *user)
{
    Gatehouse__V1__User *message = arena_new(&admin->arena, Gatehouse__V1__User);
    gatehouse__v1__user__init(message);
    message->user = arena_text(&admin->arena, user->id);
    message->roles = admin_role_ids(admin, &user->has, &message->n_roles);
    message->revoked_roles = admin_role_ids(admin, &user->had, &message->n_revoked_roles);
    message->update_time = admin_time(admin, user->updated);
    message->credential_count = user->credential_count;
    message->etag = admin_etag(admin, user->version);
    return message;
}

static enum status load_user(struct admin_call *admin, const char *id, struct user *user)
{
    enum status status = user_load(admin->work.tx, id, user);
    if (status == STATUS_NOT_FOUND)
        return call_fail(admin_fails(admin), status, "NO_SUCH_USER", "there is no such user");
    return status;
}

/* As he is now; one that is not there has no roles, and the version of none: an etag that is given is stale then. */
static enum status find_user(struct admin_call *admin, const char *id, struct user *ret_user, bool *ret_known)
{
    *ret_user = (struct user){.id = id};
    enum status status = user_load(admin->work.tx, id, ret_user);
    *ret_known = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status set_user_roles(struct admin_call *admin)
{
    const Gatehouse__V1__SetUserRolesRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__SetUserRolesResponse, gatehouse__v1__set_user_roles_response__init);
    struct role_set roles;
    struct user user;
    bool is_known = false;
    admin->subject = request->user;
    if (admin->is_replay) {
        TRY(load_user(admin, request->user, &user));
        response->user = make_user(admin, &user);
        return admin_impact(admin, 0, &response->impact);
    }
    TRY(admin_read_roles(admin, request->n_roles, request->roles, false, &roles));
    TRY(find_user(admin, request->user, &user, &is_known));
    if (request->etag[0] != '\0')
        TRY(admin_check_etag(admin, request->etag, user.version));
    if (!is_known || !role_set_equal(&user.has, &roles))
        TRY(user_set_roles(&admin->work, request->user, &roles));
    TRY(admin_keep_administrator(admin));
    struct role_set before = user.has;
    TRY(load_user(admin, request->user, &user));
    admin_tell_roles(admin, &before, &user.has);
    admin_tell_ended(admin);
    admin->is_unchanged &= is_known;
    response->user = make_user(admin, &user);
    return admin_impact(admin, 0, &response->impact);
}

enum status get_user(struct admin_call *admin)
{
    const Gatehouse__V1__GetUserRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__GetUserResponse, gatehouse__v1__get_user_response__init);
    struct user user;
    admin->subject = request->user;
    TRY(load_user(admin, request->user, &user));
    response->user = make_user(admin, &user);
    return STATUS_OK;
}

enum status delete_user(struct admin_call *admin)
{
    const Gatehouse__V1__DeleteUserRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__DeleteUserResponse, gatehouse__v1__delete_user_response__init);
    struct user user;
    admin->subject = request->user;
    if (admin->is_replay)
        return admin_impact(admin, 0, &response->impact);
    TRY(load_user(admin, request->user, &user));
    TRY(admin_check_etag(admin, request->etag, user.version));
    TRY(user_delete(&admin->work, request->user));
    TRY(admin_keep_administrator(admin));
    admin_tell_roles(admin, &user.has, &(struct role_set){0});
    admin_tell_ended(admin);
    admin->is_unchanged = false;
    return admin_impact(admin, 0, &response->impact);
}

struct user_listing {
    const char *ids[1001]; /* a page and one more */
    size_t count;
    struct arena *arena;
};

static enum status add_user(const struct user *user, void *arg)
{
    struct user_listing *listing = arg;
    listing->ids[listing->count++] = arena_text(listing->arena, user->id);
    return STATUS_OK;
}

static enum status read_user_filter(struct admin_call *admin, const char *text, const char **ret_text, int *ret_role)
{
    static const char *const allowed[] = {"user:", "role=", NULL};
    struct filter filter;
    TRY(filter_parse(admin_fails(admin), &admin->arena, text, allowed, &filter));
    *ret_text = "";
    *ret_role = -1;
    for (size_t i = 0; i < filter.count; i++) {
        if (filter.terms[i].op == ':') {
            *ret_text = filter.terms[i].value;
            continue;
        }
        *ret_role = directory_role_number(admin->calling.api->domain->memory->directory, filter.terms[i].value);
        if (*ret_role < 0)
            *ret_role = ROLES_MAX; /* no such role: nobody has it */
    }
    return STATUS_OK;
}

enum status list_users(struct admin_call *admin)
{
    const Gatehouse__V1__ListUsersRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListUsersResponse, gatehouse__v1__list_users_response__init);
    const char *cursor = NULL, *text = NULL;
    int size = 0, role = -1;
    struct user_listing *listing = arena_new(&admin->arena, struct user_listing);
    listing->arena = &admin->arena;
    size = page_size(request->page_size);
    TRY(read_user_filter(admin, request->filter, &text, &role));
    TRY(page_read(admin, request->page_token, request->filter, &cursor));
    TRY(user_list(admin->work.tx, cursor, text, role, size + 1, add_user, listing));
    if (cursor[0] == '\0')
        TRY(user_count(admin->work.tx, text, role, &response->total_size));
    response->users = arena_array(&admin->arena, Gatehouse__V1__User *, (size_t)size);
    for (size_t i = 0; i < listing->count && i < (size_t)size; i++) {
        struct user user;
        TRY(user_load(admin->work.tx, listing->ids[i], &user));
        response->users[response->n_users++] = make_user(admin, &user);
    }
    if (listing->count > (size_t)size)
        response->next_page_token = page_make(admin, request->filter, listing->ids[size - 1]);
    return STATUS_OK;
}

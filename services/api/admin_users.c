/* SPDX-License-Identifier: Apache-2.0 */
/* CredentialAdmin: users, who own credentials. */
#include "api/admin.h"

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
    enum status status = user_row_load(admin->work.tx, id, user);
    if (status == STATUS_NOT_FOUND)
        return call_fail(admin_fails(admin), status, "NO_SUCH_USER", "there is no such user");
    return status;
}

/* As he is now; one that is not there has no roles, and the version of none: an etag that is given is stale then. */
static enum status find_user(struct admin_call *admin, const char *id, struct user *ret_user, bool *ret_known)
{
    *ret_user = (struct user){.id = id};
    enum status status = user_row_load(admin->work.tx, id, ret_user);
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

static enum status read_user_filter(struct admin_call *admin, const char *text, struct user_query *ret_query)
{
    static const char *const allowed[] = {"user:", "role=", NULL};
    struct filter filter;
    TRY(filter_parse(admin_fails(admin), &admin->arena, text, allowed, &filter));
    ret_query->text = "";
    ret_query->role = -1;
    for (size_t i = 0; i < filter.count; i++) {
        if (filter.terms[i].op == ':') {
            ret_query->text = filter.terms[i].value;
            continue;
        }
        ret_query->role = directory_role_number(admin->calling.api->domain->memory->directory, filter.terms[i].value);
        if (ret_query->role < 0)
            ret_query->role = ROLES_MAX; /* no such role: nobody has it */
    }
    return STATUS_OK;
}

enum status list_users(struct admin_call *admin)
{
    const Gatehouse__V1__ListUsersRequest *request = (const void *)admin->request;
    RESPOND(Gatehouse__V1__ListUsersResponse, gatehouse__v1__list_users_response__init);
    struct user_query query;
    struct user *users = NULL;
    size_t size = (size_t)page_size(request->page_size), found = 0;
    TRY(read_user_filter(admin, request->filter, &query));
    TRY(page_read(admin, request->page_token, request->filter, &query.after));
    TRY(user_row_list(admin->work.tx, &admin->arena, &query, (int)size + 1, &users, &found));
    if (query.after[0] == '\0')
        TRY(user_row_count(admin->work.tx, &query, &response->total_size));
    response->users = arena_array(&admin->arena, Gatehouse__V1__User *, size);
    while (response->n_users < found && response->n_users < size) {
        size_t i = response->n_users++;
        response->users[i] = make_user(admin, &users[i]);
    }
    if (found > size)
        response->next_page_token = page_make(admin, request->filter, users[size - 1].id);
    return STATUS_OK;
}

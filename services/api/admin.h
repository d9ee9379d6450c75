/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CredentialAdmin. Every method is one function that runs inside one transaction: it checks the request, asks the
 * domain, and builds the response in the call's arena. What is the same for all is done around it (admin.c): who calls
 * and may they, the transaction, validate_only, the audit log, putting the change into memory before the answer.
 */
#ifndef API_ADMIN_H
#define API_ADMIN_H

#include "api/internal.h"
#include "domain/credential.h"
#include "domain/owner.h"
#include "domain/revoke.h"
#include "records/audit.h"
#include "records/role.h"
#include "records/setting.h"
#include "records/token.h"
#include "records/usage.h"
#include "records/user.h"

struct admin_call {
    struct calling calling; /* first: it is what caller_resolve gives back */
    const struct admin_method *method;
    const struct contract_method *contract;
    const ProtobufCMessage *request;
    ProtobufCClosure closure;
    struct arena arena;
    struct work work;

    bool is_own; /* the caller's token is of the credential that it wants to change, and it is no user_manager's */

    /* Set by the method. */
    ProtobufCMessage *response;
    bool is_dry; /* validate_only: nothing is to remain */
    /* Then: the credentials whose lately used APIs the impact names; and those that look_at_settings found. */
    struct credentials {
        int64_t *ids;
        size_t count;
    } recent, looked;
    Gatehouse__V1__Impact *impact;
    int64_t looked_tokens, looked_credentials; /* what look_at_settings has counted */
    bool is_replay;                            /* a repeated request_id: the method only answers with what there is */
    const char *made;                          /* then: what the first one made */
    bool is_unchanged;                         /* it is as it was: no event tells of it */
    const char *subject;                       /* for the audit log: what it was done to */
    const char *detail;                        /* and what, in words */
};

typedef enum status admin_fn(struct admin_call *admin);

struct admin_method {
    const char *name;
    admin_fn *fn;
    bool is_long; /* a read that may take minutes */
    enum {
        AS_STORED,
        FRESH, /* it counts uses or live tokens: what is noted in memory is stored first */
        EXACT, /* and uses that are not worth a write yet, too */
    } fresh;
    /* What a write looks at that goes by more than its own rows: in a read before it, so that no other write waits. */
    admin_fn *look;
};

/* admin_credentials.c, admin_suspend.c, admin_list.c, admin_secrets.c, admin_roles.c, admin_users.c, admin_tokens.c,
 * admin_settings.c, admin_usage.c, admin_audit.c, admin_server.c */
admin_fn create_credential, get_credential, list_credentials, update_credential, delete_credential, undelete_credential;
admin_fn suspend_credential, resume_credential;
admin_fn regenerate_secret, end_secret, grant_roles, revoke_roles;
admin_fn list_roles, create_role, update_role;
admin_fn set_user_roles, get_user, list_users, delete_user;
admin_fn list_tokens, end_token, end_tokens;
admin_fn get_settings, update_settings, look_at_settings;
admin_fn query_usage, list_audit_events, verify_audit_log;
admin_fn get_server_status, get_caller;

/* What several of them need (admin_check.c, admin_answer.c). */

/* The response of `type` in the arena, as the method's answer. */
#define RESPOND(type, init) \
    type *response = arena_new(&admin->arena, type); \
    init(response); \
    admin->response = &response->base

static inline struct call *admin_fails(struct admin_call *admin)
{
    return admin->calling.call;
}

/* May the caller change it, if this is a change? ADMINISTRATOR_CREDENTIAL. */
enum status admin_check_touch(struct admin_call *admin, const struct credential *credential);
/* Loads a credential for a method, and does that; NO_SUCH_CREDENTIAL. For a change: CREDENTIAL_DELETED if it is,
 * STALE_ETAG. */
enum status admin_load(struct admin_call *admin, const char *client_id, struct credential **ret_credential);
enum status admin_load_living(struct admin_call *admin, const char *client_id, const char *etag,
                              struct credential **ret_credential);
enum status admin_check_etag(struct admin_call *admin, const char *etag, int64_t version);
/* Has this been done (a repeated request_id)? Then *ret_message is the credential as it is now, and that is the answer.
 */
bool admin_is_answered(struct admin_call *admin, const struct credential *credential,
                       Gatehouse__V1__Credential **ret_message);
char *admin_etag(struct admin_call *admin, int64_t version);

/* Role ids to a set; NO_SUCH_ROLE, and ROLE_RETIRED if they are to be granted. */
enum status admin_read_roles(struct admin_call *admin, size_t count, char **ids, bool is_grant,
                             struct role_set *ret_roles);
/* Their ids, sorted, in the arena; *ret_count of them. */
char **admin_role_ids(struct admin_call *admin, const struct role_set *roles, size_t *ret_count);
char *admin_join(struct admin_call *admin, size_t count, char **words);

Google__Protobuf__Timestamp *admin_time(struct admin_call *admin, int64_t time); /* NULL for 0 */
/* In the answer's memory. */
Google__Protobuf__Duration *admin_duration(struct admin_call *admin, int64_t microseconds);
/* A credential as the API shows it, in the answer's memory. */
Gatehouse__V1__Credential *admin_credential(struct admin_call *admin, const struct credential *credential);
/* The same, but only what concerns its holder, and nothing of those who administer. */
Gatehouse__V1__Credential *admin_credential_own(struct admin_call *admin, const struct credential *credential);
/* Limits of a credential's own (admin_limits.c): from a request (INVALID_FIELD), into an answer (NULL: it has none),
 * into the audit log as admin_tell does; and may there be any (OLDER_SERVER)? */
enum status admin_read_limits(struct admin_call *admin, const Gatehouse__V1__CredentialLimits *message,
                              struct own_limits *ret_limits);
Gatehouse__V1__CredentialLimits *admin_limits(struct admin_call *admin, const struct credential *credential);
void admin_tell_limits(struct admin_call *admin, const struct own_limits *before, const struct own_limits *after);
enum status admin_check_limits(struct admin_call *admin, const struct own_limits *limits);
/* What the work ended; with is_dry admin_add_recent also says what the credential called lately (0: those that the work
 * changes, of which RECENT_CREDENTIALS at most). It is a read of its own: the writer has no time for it. */
enum { RECENT_CREDENTIALS = 1000 };
enum status admin_impact(struct admin_call *admin, int64_t credential_id, Gatehouse__V1__Impact **ret_impact);
enum status admin_add_recent(struct admin_call *admin);
Gatehouse__V1__UsageRow *admin_usage_row(struct admin_call *admin, const struct usage_total *total);

/* What a change was, for the audit log (admin_change.c): each adds to admin->detail "what: old -> new", unless it is
 * the same. Of secret keys only the hints. At the end, admin_tell_ended says what came of it, and is_unchanged. */
void admin_tell(struct admin_call *admin, const char *what, const char *before, const char *after);
void admin_tell_text(struct admin_call *admin, const char *what, const char *before, const char *after); /* quoted */
void admin_tell_time(struct admin_call *admin, const char *what, int64_t before, int64_t after);         /* 0: never */
/* In quotation marks, with a backslash before those that are in it, and before a backslash: so that none who names a
 * thing writes a second change into the log. */
char *admin_quoted(struct admin_call *admin, const char *text);
void admin_tell_duration(struct admin_call *admin, const char *what, int64_t before, int64_t after);
void admin_tell_number(struct admin_call *admin, const char *what, int64_t before, int64_t after);
void admin_tell_roles(struct admin_call *admin, const struct role_set *before, const struct role_set *after);
void admin_tell_secrets(struct admin_call *admin, const struct credential *before, const struct credential *after);
void admin_tell_ended(struct admin_call *admin);

/* Labels (admin_labels.c): the map of a request as rules/label.h has them, and back; each in the answer's memory. And
 * what became of each, for the audit log. */
const char *admin_read_labels(struct admin_call *admin, size_t count, Gatehouse__V1__Credential__LabelsEntry **entries);
Gatehouse__V1__Credential__LabelsEntry **admin_labels(struct admin_call *admin, const char *labels, size_t *ret_count);
void admin_tell_labels(struct admin_call *admin, const char *before, const char *after);

/* Fails with OLDER_SERVER where a program serves beside this one that knows neither suspension nor networks. */
enum status admin_check_programs(struct admin_call *admin);

/* LAST_ADMINISTRATOR, if the work leaves none. */
enum status admin_keep_administrator(struct admin_call *admin);

/* Is `field` in the mask? */
bool admin_mask_has(const Google__Protobuf__FieldMask *mask, const char *field);

/* request_id, by admin.c: has this been done? is_replay and made say so. REQUEST_ID_REUSED. After doing it: remember.
 */
enum status admin_find_request(struct admin_call *admin, const char *request_id);
enum status admin_remember_request(struct admin_call *admin, const char *request_id);

/* Pages (page.c). A page token holds a cursor, good for one method, filter and order, signed with the instance's key.
 */
enum { PAGE_CURSOR_MAX = 900 }; /* its token keeps to the contract then */
int page_size(int32_t wanted);
/* *ret_cursor: "" for the first page. */
enum status page_read(struct admin_call *admin, const char *token, const char *query, const char **ret_cursor);
char *page_make(struct admin_call *admin, const char *query, const char *cursor);

/* Filters (filter.c): terms joined by AND. */
enum { FILTER_TERMS = 16 };
struct filter_term {
    const char *field;
    char op; /* one of : = < > */
    const char *value;
};
struct filter {
    struct filter_term terms[FILTER_TERMS];
    size_t count;
};
/* Each term must be one of `allowed`, written field and operator ("name:", "role="), NULL-ended; "labels.=" stands for
 * those of every key. INVALID_FIELD. */
enum status filter_parse(struct call *call, struct arena *arena, const char *text, const char *const *allowed,
                         struct filter *ret_filter);
/* RFC 3339 to microseconds. */
bool filter_time(const char *text, int64_t *ret_time);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of api/ share. */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include "api/api.h"
#include "base/siphash.h"
#include "call/authorization.h"
#include "call/call.h"
#include "call/peer.h"
#include "contract/contract.h"
#include "domain/authenticate.h"
#include "domain/introspect.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>

struct introspecting;

struct api {
    ProtobufCService auth;
    ProtobufCService admin;
    struct authorization authorization;
    struct contract *auth_contract, *admin_contract;
    struct domain *domain;
    const char *const *introspect_identities;
    const char *const *admin_identities;
    struct peer_trust peer_trust;
    /* A struct introspecting to be used again: too large for malloc's quick lists, and one is wanted for each call. */
    _Atomic(struct introspecting *) spare;
    struct siphash_key bearer_secret; /* see caller.c */
    struct watch *watch;
};

/* caller.c */

struct caller {
    char name[CREDENTIAL_NAME_MAX + 1]; /* a client ID, the name that mutual TLS proved, or "user:" and a person's id */
    bool is_known;
    bool may_introspect;
    enum grade grade; /* in administration */
    bool reads_audit; /* all of it */
    bool is_outside;  /* its token lives, and may not be used from where it calls; then it is not known */
    bool has_token;   /* a bearer token of the right form came with the call, live or not */
    struct token_key token;
};

struct calling;
typedef void caller_done_fn(enum status status, struct calling *calling);

/* Finding out who calls: from memory at once, or through the store. */
struct calling {
    bool is_look; /* set by whoever asks: it is no use of the caller's token */
    bool is_read; /* likewise: an administrator's, which writes nothing, nor makes the next one write down this one */
    struct api *api;
    struct call *call;
    struct caller caller;
    int64_t now; /* when it was found out; what is done at once goes by it, for clocks are dear */
    struct introspection introspection;
    struct role_set user_roles; /* of call->user */
    caller_done_fn *done;
};

/* Calls done at once or later. STATUS_UNAVAILABLE: the store could not be asked. An unknown caller is no error here. */
void caller_resolve(struct calling *calling, struct api *api, struct call *call, caller_done_fn *done);

/* Somebody was refused, as call->error says: for the audit log. NULL: "". */
struct refusal {
    const char *actor, *action, *subject;
    int64_t count;
};
/* Leaves it in the audit log: counted, thinned out where a stranger could make many. */
void caller_note_refusal(struct api *api, const struct call *call, const struct refusal *refusal);

/* `requires`: the role that the contract asks for, or one above it; NULL: any caller that is known will do. Fails the
 * call with UNAUTHENTICATED or PERMISSION_DENIED where the caller may not, and leaves it in the audit log. */
enum status caller_check(struct api *api, struct call *call, const struct caller *caller, const char *requires);

/* May the caller change a credential that is granted these roles? A key_manager none that is, or can become, an
 * administrator's: its secret key, once known, would be a way to be one. Fails the call with ADMINISTRATOR_CREDENTIAL.
 */
enum status caller_check_touch(struct api *api, struct call *call, const struct caller *caller,
                               const struct role_set *granted);

/* A client ID in its one spelling: a UUID's letters are small (RFC 9562, section 4). What is no UUID stays what it is.
 */
void client_id_spell(const char *client_id, char spelled[static CLIENT_ID_TEXT_MAX + 1]);

/* Checks client ID and secret key in the same time whether they are right or not, and whether they may be used from the
 * call's peer. OK: *ret_client says which credential it is, and since when. Fails the call with INVALID_CLIENT,
 * CREDENTIAL_SUSPENDED, SOURCE_ADDRESS_REFUSED or TOO_MANY_FAILURES. */
enum status client_authenticate(struct api *api, struct call *call, const char *client_id, const char *secret,
                                struct client *ret_client);

/* Counts, in usage, a call from outside its networks where these are only observed. (A token that is issued counts by
 * itself: limits may be observed, too.) */
void client_count_observed(struct api *api, const struct call *call, const struct client *client);

/* Would they be right, as far as this replica knows? In the same time, too. */
bool client_is_known(struct api *api, const char *client_id, const char *secret);

/* The same of a caller that shows no token but its own client ID and secret key; what it may, its roles say. */
enum status caller_authenticate(struct calling *calling, struct api *api, struct call *call, const char *client_id,
                                const char *secret);

/* source.c */

/* Uses of a credential from outside its networks. */
struct outside {
    enum source_verdict verdict;
    int64_t credential_id;
    const char *client_id;
    const struct source *source;
    const char *api;
    int64_t count;
};
/* Counts them; once an hour for each credential they are told in the log and the audit log. */
void source_note_outside(struct api *api, const struct call *call, const struct outside *outside);
/* The same of an introspection that is answered, if it is such a use. */
void source_note_introspection(struct api *api, const struct call *call, const struct introspection *introspection);
/* Fails the call: SOURCE_ADDRESS_REFUSED. */
enum status source_fail(struct call *call);

/* answer.c: a time, or a duration, in microseconds, put into `message`, which is returned. */
Google__Protobuf__Timestamp *answer_time(Google__Protobuf__Timestamp *message, int64_t time);
Google__Protobuf__Duration *answer_duration(Google__Protobuf__Duration *message, int64_t microseconds);

/* Fills the message, and gives it back. */
Gatehouse__V1__Position *answer_position(Gatehouse__V1__Position *message, struct position position);

/* Role ids of a set, sorted; `ids` has room for ROLES_MAX. Returns how many. */
size_t answer_roles(struct directory *directory, const struct role_set *roles, char **ids);

/* A failure of the store or of the program, told to the caller. */
void answer_failure(struct call *call, enum status status);

/* check.c */

/* Does the request keep to its contract? INVALID_FIELD, with the first field that does not. */
enum status check_request(struct call *call, const struct contract_message *contract, const ProtobufCMessage *request);

/* In microseconds, of what was checked; NULL reads as `otherwise`. */
int64_t read_duration(const Google__Protobuf__Duration *duration, int64_t otherwise);
int64_t read_time(const Google__Protobuf__Timestamp *time, int64_t otherwise);

/* current.c: calls `invoke`, at once or when the replica has caught up with the others. */
typedef void invoke_fn(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                       ProtobufCClosure closure, void *closure_data);
/* True: it is current, or this server's alone. Otherwise, and always if `is_always` and others write to the store, done
 * is called later, with STATUS_OK or STATUS_UNAVAILABLE. */
bool current_wait(struct api *api, bool is_always, store_done_fn *done, void *arg);
void current_invoke(struct api *api, bool is_always, invoke_fn *invoke, ProtobufCService *service, unsigned method,
                    const ProtobufCMessage *request, ProtobufCClosure closure, void *closure_data);

/* AuthService's: which method is which follows from their order in the .proto. */
enum { METHOD_ISSUE_TOKEN, METHOD_INTROSPECT, METHOD_BATCH_INTROSPECT, METHOD_REVOKE, METHOD_WATCH };

/* What a method's request must be. */
const struct contract_message *auth_contract(const struct api *api, unsigned method);

/* auth_introspect.c, auth_issue.c, auth_revoke.c. Another status than OK: refused before anything was begun; the
 * closure was not called.
 */
enum status auth_introspect(struct api *api, struct call *call, const ProtobufCMessage *request, bool is_batch,
                            ProtobufCClosure closure);
enum status auth_issue_token(struct api *api, struct call *call, const Gatehouse__V1__IssueTokenRequest *request,
                             ProtobufCClosure closure);
enum status auth_revoke(struct api *api, struct call *call, const Gatehouse__V1__RevokeRequest *request,
                        ProtobufCClosure closure);

/* auth_service.c, admin.c: the `invoke` of their services. */
void api_auth_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                     ProtobufCClosure closure, void *closure_data);
void api_admin_invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                      ProtobufCClosure closure, void *closure_data);

#endif

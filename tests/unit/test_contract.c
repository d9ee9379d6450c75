/* SPDX-License-Identifier: Apache-2.0 */
/* What the .proto files say, read back: routes, retries, rights, and each kind of rule at both sides of its limit. */
#include "fixture.h"

#include "contract/contract.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <grpc/health/v1/health.pb-c.h>

static struct contract *admin, *auth;

static int begin(void **state)
{
    (void)state;
    admin = contract_new(&gatehouse__v1__credential_admin__descriptor);
    auth = contract_new(&gatehouse__v1__auth_service__descriptor);
    return 0;
}

static int end(void **state)
{
    (void)state;
    contract_free(admin);
    contract_free(auth);
    contract_free(NULL);
    return 0;
}

static const struct contract_method *method(const struct contract *contract, const char *name)
{
    for (size_t i = 0; i < contract->count; i++)
        if (strcmp(contract->methods[i].name, name) == 0)
            return &contract->methods[i];
    fail_msg("%s", name);
    return NULL;
}

/* NULL: it keeps to its contract; else "field: why". */
static const char *check(const struct contract *contract, const char *name, const void *request)
{
    static char text[300];
    struct contract_violation violation;
    if (contract_check(method(contract, name)->input, request, &violation))
        return NULL;
    snprintf(text, sizeof text, "%s: %s", violation.field, violation.why);
    return text;
}

#define OK(contract, name, request) assert_null(check(contract, name, request))
#define WRONG(contract, name, request, why) assert_string_equal(check(contract, name, request), why)

static void a_method_says_where_it_is_and_what_it_wants(void **state)
{
    (void)state;
    const struct contract_method *update = method(admin, "UpdateCredential"), *list = method(admin, "ListRoles");
    assert_string_equal(update->verb, "PATCH");
    assert_string_equal(update->path, "/v1/credentials/{credential.client_id}");
    assert_true(update->has_body && !update->is_read && !update->is_idempotent);
    assert_true(!list->has_body && list->is_read && list->is_idempotent);
    assert_string_equal(update->requires, "key_manager");
    assert_string_equal(method(auth, "Introspect")->requires, "resource_server");
    assert_null(method(auth, "Revoke")->requires);
    assert_true(method(auth, "Revoke")->is_idempotent && !method(auth, "IssueToken")->is_idempotent);
    assert_null(method(auth, "Revoke")->path);
}

static void every_administrators_method_is_served_over_http_and_guarded(void **state)
{
    (void)state;
    for (size_t i = 0; i < admin->count; i++) {
        const struct contract_method *each = &admin->methods[i];
        bool is_for_all = strcmp(each->name, "GetCaller") == 0; /* it tells of the caller alone */
        assert_non_null(each->path);
        assert_int_equal(each->requires == NULL, is_for_all);
        assert_true(is_for_all || role_grade(each->requires) != GRADE_NONE);
        assert_int_equal(each->is_read, is_for_all || role_grade(each->requires) == GRADE_AUDITOR);
        assert_int_equal(each->is_read, strcmp(each->verb, "GET") == 0);
    }
}

static void a_service_without_options_has_a_contract_that_asks_for_nothing(void **state)
{
    (void)state;
    ProtobufCServiceDescriptor unknown = grpc__health__v1__health__descriptor;
    unknown.name = "not.ours.Health";
    struct contract *contract = contract_new(&unknown);
    Grpc__Health__V1__HealthCheckRequest request = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    OK(contract, "Check", &request);
    assert_true(!method(contract, "Check")->is_idempotent && method(contract, "Check")->path == NULL);
    contract_free(contract);
}

static char *text_of(size_t count, const char *character)
{
    static char text[4][4096];
    static int next;
    char *at = text[next++ % 4];
    at[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strncat(at, character, 5);
    return at;
}

static const char *check_role(const char *id, const char *name, const char *description)
{
    Gatehouse__V1__Role role = GATEHOUSE__V1__ROLE__INIT;
    Gatehouse__V1__CreateRoleRequest request = GATEHOUSE__V1__CREATE_ROLE_REQUEST__INIT;
    request.role = &role;
    role.role_id = (char *)(uintptr_t)id;
    role.name = (char *)(uintptr_t)name;
    role.group = text_of(1, "g");
    role.description = (char *)(uintptr_t)description;
    return check(admin, "CreateRole", &request);
}

static void a_text_has_bytes_characters_and_a_form(void **state)
{
    (void)state;
    static const char *const bad[] = {"_a", "1a", "A", "a-b", "a b", "\xc3\xa4", "a\n"};
    assert_null(check_role("a", "n", ""));
    assert_null(check_role(text_of(64, "a"), text_of(100, "\xf0\x9f\x98\x80"), text_of(500, "d")));
    assert_string_equal(check_role(text_of(65, "a"), "n", ""), "role.role_id: role.role_id is longer than 64 bytes");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_equal(check_role(bad[i], "n", ""),
                            "role.role_id: role.role_id must be of the form ^[a-z][a-z0-9_]*$");
    assert_string_equal(check_role("a", text_of(101, "n"), ""), "role.name: role.name is longer than 100 characters");
    assert_string_equal(check_role("a", "", ""), "role.name: role.name is empty");
    assert_string_equal(check_role("a", "\xe3\x80\x80", ""), "role.name: role.name is blank");
    assert_string_equal(check_role("a", "x\xe2\x80\xaey", ""),
                        "role.name: role.name has a control of bidirectional text");
    assert_string_equal(check_role("a", "n", "x\x7f"), "role.description: role.description has a control character");
    assert_string_equal(check_role("a", "n", text_of(501, "d")),
                        "role.description: role.description is longer than 500 characters");
}

static const char *check_overlap(int64_t seconds, int32_t nanos)
{
    Google__Protobuf__Duration overlap = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__RegenerateSecretRequest request = GATEHOUSE__V1__REGENERATE_SECRET_REQUEST__INIT;
    request.client_id = text_of(1, "x");
    request.overlap = &overlap;
    overlap.seconds = seconds;
    overlap.nanos = nanos;
    return check(admin, "RegenerateSecret", &request);
}

static void a_duration_is_within_its_range(void **state)
{
    (void)state;
    enum { DAYS_30 = 30 * 86400 };
    static const struct {
        int64_t seconds;
        int32_t nanos;
    } bad[] = {{DAYS_30, 1},    {DAYS_30 + 1, 0}, {-1, 0},        {0, -1},        {1, -1},
               {0, 1000000000}, {INT64_MAX, 0},   {INT64_MIN, 0}, {5, INT32_MIN}, {INT64_C(315576000001), 0}};
    assert_null(check_overlap(0, 0));
    assert_null(check_overlap(DAYS_30, 0));
    assert_null(check_overlap(DAYS_30 - 1, 999999999));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_string_equal(check_overlap(bad[i].seconds, bad[i].nanos),
                            "overlap: overlap must be from 0 to 2592000 seconds");
}

static void a_list_has_so_many_entries_each_of_its_form(void **state)
{
    (void)state;
    char *roles[65], *wrong[] = {"work_creator", "No"};
    Gatehouse__V1__GrantRolesRequest request = GATEHOUSE__V1__GRANT_ROLES_REQUEST__INIT;
    request.client_id = text_of(1, "x");
    request.roles = roles;
    for (size_t i = 0; i < 65; i++)
        roles[i] = wrong[0];
    WRONG(admin, "GrantRoles", &request, "roles: roles has fewer than 1 entry");
    request.n_roles = 64;
    OK(admin, "GrantRoles", &request);
    request.n_roles = 65;
    WRONG(admin, "GrantRoles", &request, "roles: roles has more than 64 entries");
    request.roles = wrong;
    request.n_roles = 2;
    WRONG(admin, "GrantRoles", &request, "roles: roles must be of the form ^[a-z][a-z0-9_]*$");
    request.client_id = "";
    WRONG(admin, "GrantRoles", &request, "client_id: client_id is empty");
}

static void of_a_change_what_is_not_named_must_only_not_be_too_large(void **state)
{
    (void)state;
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Gatehouse__V1__UpdateCredentialRequest request = GATEHOUSE__V1__UPDATE_CREDENTIAL_REQUEST__INIT;
    char *owner[] = {"owner"}, *name[] = {"name"};
    static char *const fixed[] = {"etag", "client_id", "status", "roles", "nothing", "name.x", ""};
    WRONG(admin, "UpdateCredential", &request, "credential: credential is missing");
    request.credential = &credential;
    request.update_mask = &mask;
    mask.n_paths = 1;
    mask.paths = owner;
    WRONG(admin, "UpdateCredential", &request, "credential.client_id: credential.client_id is empty");
    credential.client_id = text_of(1, "x");
    OK(admin, "UpdateCredential", &request);
    credential.created_by = text_of(1000, "x"); /* is not read */
    OK(admin, "UpdateCredential", &request);
    credential.name = text_of(101, "x");
    WRONG(admin, "UpdateCredential", &request, "credential.name: credential.name is longer than 100 characters");
    credential.name = "";
    mask.paths = name;
    WRONG(admin, "UpdateCredential", &request, "credential.name: credential.name is empty");
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        char *paths[] = {fixed[i]};
        credential.name = name[0];
        mask.paths = paths;
        WRONG(admin, "UpdateCredential", &request, "update_mask: update_mask names a field that cannot be changed");
    }
    mask.n_paths = 0;
    WRONG(admin, "UpdateCredential", &request, "update_mask: update_mask is empty");
    request.update_mask = NULL;
    WRONG(admin, "UpdateCredential", &request, "update_mask: update_mask is missing");
}

static void numbers_names_and_times_are_what_they_must_be(void **state)
{
    (void)state;
    Gatehouse__V1__QueryUsageRequest request = GATEHOUSE__V1__QUERY_USAGE_REQUEST__INIT;
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Gatehouse__V1__UsageGrouping groups[] = {1, 4};
    request.group_by = groups;
    request.n_group_by = 2;
    request.start_time = &time;
    OK(admin, "QueryUsage", &request);
    request.page_size = -1;
    WRONG(admin, "QueryUsage", &request, "page_size: page_size must be at least 0");
    request.page_size = INT32_MAX;
    OK(admin, "QueryUsage", &request);
    for (int i = 0; i < 3; i++) {
        groups[1] = (Gatehouse__V1__UsageGrouping)((int[]){0, 5, -1}[i]);
        WRONG(admin, "QueryUsage", &request, "group_by: group_by is not one of its names");
    }
    groups[1] = 1;
    for (int i = 0; i < 2; i++) {
        request.order =
            (Gatehouse__V1__UsageOrder)((int[]){GATEHOUSE__V1__USAGE_ORDER__USAGE_ORDER_OBSERVED + 1, -1}[i]);
        WRONG(admin, "QueryUsage", &request, "order: order is not one of its names");
    }
    request.order = GATEHOUSE__V1__USAGE_ORDER__USAGE_ORDER_OBSERVED;
    time.seconds = INT64_C(253402300799);
    time.nanos = 999999999;
    OK(admin, "QueryUsage", &request);
    time.seconds++;
    WRONG(admin, "QueryUsage", &request, "start_time: start_time must be a time from 1970 to 9999");
    Gatehouse__V1__IntrospectRequest asked = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    WRONG(auth, "Introspect", &asked, "token: token is empty");
    asked.token = text_of(1, "x");
    asked.use_count = 1000000;
    OK(auth, "Introspect", &asked);
    asked.use_count++;
    WRONG(auth, "Introspect", &asked, "use_count: use_count must be from 0 to 1000000");
}

static void the_entries_of_a_batch_are_checked_apart(void **state)
{
    (void)state;
    Gatehouse__V1__BatchIntrospectEntry wrong = GATEHOUSE__V1__BATCH_INTROSPECT_ENTRY__INIT;
    Gatehouse__V1__BatchIntrospectEntry *entries[] = {&wrong};
    Gatehouse__V1__BatchIntrospectRequest request = GATEHOUSE__V1__BATCH_INTROSPECT_REQUEST__INIT;
    struct contract_violation violation;
    WRONG(auth, "BatchIntrospect", &request, "requests: requests has fewer than 1 entry");
    request.n_requests = 1;
    request.requests = entries;
    OK(auth, "BatchIntrospect", &request);
    const struct contract_message *entry = method(auth, "BatchIntrospect")->input->fields[0].message;
    assert_false(contract_check(entry, &wrong.base, &violation));
    assert_string_equal(violation.field, "token");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_method_says_where_it_is_and_what_it_wants),
        cmocka_unit_test(every_administrators_method_is_served_over_http_and_guarded),
        cmocka_unit_test(a_service_without_options_has_a_contract_that_asks_for_nothing),
        cmocka_unit_test(a_text_has_bytes_characters_and_a_form),
        cmocka_unit_test(a_duration_is_within_its_range),
        cmocka_unit_test(a_list_has_so_many_entries_each_of_its_form),
        cmocka_unit_test(of_a_change_what_is_not_named_must_only_not_be_too_large),
        cmocka_unit_test(numbers_names_and_times_are_what_they_must_be),
        cmocka_unit_test(the_entries_of_a_batch_are_checked_apart),
    };
    return cmocka_run_group_tests(tests, begin, end);
}

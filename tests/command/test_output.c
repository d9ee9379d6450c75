/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "json.h"
#include "output.h"
#include "text.h"

static const int64_t now = 1789997600; /* 2026-09-21T13:33:20Z */

static void a_message_is_json_with_the_names_of_the_proto(void **)
{
    Google__Protobuf__Timestamp expiry = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Gatehouse__V1__GrantedRole role = GATEHOUSE__V1__GRANTED_ROLE__INIT, *roles[] = {&role};
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    expiry.seconds = now;
    role.role = "work_creator";
    role.state = GATEHOUSE__V1__GRANTED_ROLE_STATE__GRANTED_ROLE_STATE_REVOKED_FROM_OWNER;
    credential.name = "Müller";
    credential.expire_time = &expiry;
    credential.roles = roles;
    credential.n_roles = 1;
    credential.status = GATEHOUSE__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_ACTIVE;
    json_t *json = json_from_message(&credential.base);
    TEXT_FREE char *text = json_text(json, false);
    assert_string_equal(
        text,
        "{\"client_id\": \"\", \"name\": \"Müller\", \"expire_time\": \"2026-09-21T13:33:20Z\", \"owner\": \"\", "
        "\"roles\": [{\"role\": \"work_creator\", \"state\": \"revoked_from_owner\", \"grant_time\": null, "
        "\"granted_by\": \"\", \"revoke_time\": null, \"revoked_by\": \"\"}], \"effective_roles\": [], "
        "\"secrets\": [], \"status\": \"active\", \"create_time\": null, \"update_time\": null, "
        "\"delete_time\": null, \"purge_time\": null, \"last_use_time\": null, \"created_by\": \"\", \"etag\": \"\"}");
    json_decref(json);
}

static void an_unknown_enum_value_is_its_number(void **)
{
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    credential.status = (Gatehouse__V1__CredentialStatus)77;
    json_t *json = json_from_message(&credential.base);
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 77);
    json_decref(json);
}

static void json_stays_json_and_controls_nothing(void **)
{
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    credential.name = "\033]0;x\a \x7f \xc2\x9b \u202e \xff";
    json_t *json = json_from_message(&credential.base);
    for (int is_indented = 0; is_indented < 2; is_indented++) {
        TEXT_FREE char *text = json_text(json, is_indented);
        assert_null(strpbrk(text, "\033\a\x7f"));
        assert_null(strstr(text, "\xc2\x9b"));
        assert_null(strstr(text, "\u202e"));
        json_t *again = json_loads(text, 0, NULL);
        assert_non_null(again);
        assert_true(json_equal(json, again));
        json_decref(again);
    }
    json_decref(json);
}

static void a_duration_is_told_in_seconds(void **)
{
    Google__Protobuf__Duration timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__Settings settings = GATEHOUSE__V1__SETTINGS__INIT;
    timeout.seconds = 1200;
    settings.idle_session_timeout = &timeout;
    json_t *json = json_from_message(&settings.base);
    assert_string_equal(json_string_value(json_object_get(json, "idle_session_timeout")), "1200s");
    assert_true(json_is_null(json_object_get(json, "max_token_life")));
    json_decref(json);
}

static const struct view view = {
    .columns = COLUMNS({"NAME", "name", NULL, 0}, {"USES", "uses", NULL, COLUMN_RIGHT},
                       {"LAST", "last", column_last_use, 0}, {"ROLES", "roles", NULL, 0}),
    .value_keys = KEYS("name"),
};

static void a_table_has_relative_times(void **)
{
    json_t *rows =
        json_pack("[{s:s, s:i, s:s, s:[s,s]}, {s:s, s:i, s:n, s:[]}]", "name", "Acme", "uses", 5, "last",
                  "2026-09-21T13:30:20Z", "roles", "a", "b", "name", "Globex", "uses", 1234, "last", "roles");
    TEXT_FREE char *text = table_text(rows, &view, now);
    assert_string_equal(text, "NAME    USES  LAST       ROLES\n"
                              "Acme       5  3 min ago  a, b\n"
                              "Globex  1234  never      \n");
    json_decref(rows);
}

static void a_column_that_no_row_has_can_be_left_out(void **)
{
    const struct view some = {.columns = COLUMNS({"NAME", "name", NULL, 0}, {"OWNER", "owner", NULL, COLUMN_IF_ANY})};
    json_t *rows = json_pack("[{s:s, s:s}]", "name", "Acme", "owner", "");
    TEXT_FREE char *without = table_text(rows, &some, now);
    assert_string_equal(without, "NAME\nAcme\n");
    json_object_set_new(json_array_get(rows, 0), "owner", json_string("anna"));
    TEXT_FREE char *with = table_text(rows, &some, now);
    assert_string_equal(with, "NAME  OWNER\nAcme  anna\n");
    json_decref(rows);
}

static void a_name_cannot_control_the_terminal_from_a_table(void **)
{
    json_t *rows = json_pack("[{s:s}]", "name", "\033[2J\xc2\x9b\u202e");
    TEXT_FREE char *text = table_text(rows, &view, now);
    assert_null(strchr(text, '\033'));
    assert_null(strstr(text, "\xc2\x9b"));
    assert_non_null(strstr(text, "\\u001b[2J\\u009b\\u202e"));
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_json_with_the_names_of_the_proto),
        cmocka_unit_test(an_unknown_enum_value_is_its_number),
        cmocka_unit_test(json_stays_json_and_controls_nothing),
        cmocka_unit_test(a_duration_is_told_in_seconds),
        cmocka_unit_test(a_table_has_relative_times),
        cmocka_unit_test(a_column_that_no_row_has_can_be_left_out),
        cmocka_unit_test(a_name_cannot_control_the_terminal_from_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

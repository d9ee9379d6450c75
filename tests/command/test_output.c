/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"
#include "object.h"
#include "output.h"
#include "text.h"

static const int64_t now = 1789997600; /* 2026-09-21T13:33:20Z */

static const struct context as_json = {.format = OUTPUT_JSON}, as_table = {.format = OUTPUT_TABLE};

static void a_message_is_what_v1_answers_and_whole_for_a_table(void **)
{
    Google__Protobuf__Timestamp expiry = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Gatehouse__V1__SecretInfo secret = GATEHOUSE__V1__SECRET_INFO__INIT, *secrets[] = {&secret};
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    expiry.seconds = now;
    secret.secret_id = 12345678901234567;
    credential.name = "Müller";
    credential.expire_time = &expiry;
    credential.secrets = secrets;
    credential.n_secrets = 1;
    credential.status = GATEHOUSE__V1__CREDENTIAL_STATUS__CREDENTIAL_STATUS_ACTIVE;
    json_t *json = object_from(&as_json, &credential), *whole = object_from(&as_table, &secret);
    TEXT_FREE char *text = object_text(json, false), *whole_text = object_text(whole, false);
    assert_string_equal(text, "{\"name\": \"Müller\", \"expireTime\": \"2026-09-21T13:33:20Z\", "
                              "\"secrets\": [{\"secretId\": \"12345678901234567\"}], "
                              "\"status\": \"CREDENTIAL_STATUS_ACTIVE\"}");
    assert_string_equal(whole_text, "{\"secretId\": \"12345678901234567\", \"hint\": \"\"}");
    assert_int_equal(object_integer(whole, "secretId"), 12345678901234567);
    json_decref(json);
    json_decref(whole);
}

static void an_enum_is_a_word_to_a_person_and_an_unknown_one_its_number(void **)
{
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    static const struct {
        int number;
        const char *word;
    } words[] = {{0, "unspecified"}, {1, "active"}, {4, "suspended"}, {99, "99"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        credential.status = (Gatehouse__V1__CredentialStatus)words[i].number;
        json_t *json = object_from(&as_table, &credential);
        TEXT_FREE char *word =
            object_word(&gatehouse__v1__credential_status__descriptor, json_object_get(json, "status"));
        assert_string_equal(word, words[i].word);
        json_decref(json);
    }
}

static void json_stays_json_and_controls_nothing(void **)
{
    Gatehouse__V1__Credential credential = GATEHOUSE__V1__CREDENTIAL__INIT;
    credential.name = "\033]0;x\a \x7f \xc2\x9b \u202e \xff";
    json_t *json = object_from(&as_json, &credential);
    for (int is_indented = 0; is_indented < 2; is_indented++) {
        TEXT_FREE char *text = object_text(json, is_indented);
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
        cmocka_unit_test(a_message_is_what_v1_answers_and_whole_for_a_table),
        cmocka_unit_test(an_enum_is_a_word_to_a_person_and_an_unknown_one_its_number),
        cmocka_unit_test(json_stays_json_and_controls_nothing),
        cmocka_unit_test(a_table_has_relative_times),
        cmocka_unit_test(a_column_that_no_row_has_can_be_left_out),
        cmocka_unit_test(a_name_cannot_control_the_terminal_from_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/json.h"
#include "contract/json_reader.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct arena arena;
static char why[JSON_WHY_MAX];

static void *read(const ProtobufCMessageDescriptor *descriptor, const char *text)
{
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    ProtobufCMessage *message = json_to_message(&arena, descriptor, json, why);
    json_decref(json);
    assert_true((message == NULL) == (why[0] != '\0'));
    return message;
}

static void assert_written(const ProtobufCMessage *message, const char *expected)
{
    json_t *json = json_from_message(message);
    assert_non_null(json);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    assert_string_equal(text, expected);
    free(text);
}

static int end(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        ("{\"credential\":{\"clientId\":\"a\",\"name\":\"H\303\251 \\\"x\\\"\",\"expireTime\":\"2030-02-28T23:59:59Z\","
         "\"roles\":[{\"role\":\"r\",\"state\":\"GRANTED_ROLE_STATE_REVOKED\"}],\"secrets\":[{\"secretId\":"
         "\"9223372036854775807\"}],\"status\":\"CREDENTIAL_STATUS_ACTIVE\"},\"updateMask\":\"name,expireTime\","
         "\"validateOnly\":true}"),
        ("{\"credential\":{\"createTime\":\"0001-01-01T00:00:00Z\",\"updateTime\":\"9999-12-31T23:59:59.123456789Z\","
         "\"deleteTime\":\"2024-02-29T00:00:00.500Z\",\"purgeTime\":\"1969-12-31T23:59:59.000001Z\"}}"),
        "{\"credential\":{\"labels\":{\"b\":\"1\",\"a/x\":\"\"}}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        ProtobufCMessage *message = read(&gatehouse__v1__update_credential_request__descriptor, texts[i]);
        if (message == NULL)
            fail_msg("%s: %s", texts[i], why);
        assert_written(message, texts[i]);
    }
}

static void snake_case_names_and_numbers_as_text_are_read(void **state)
{
    (void)state;
    Gatehouse__V1__ListCredentialsRequest *list =
        read(&gatehouse__v1__list_credentials_request__descriptor, "{\"page_size\":\"7\",\"orderBy\":\"name desc\"}");
    assert_non_null(list);
    assert_int_equal(list->page_size, 7);
    assert_string_equal(list->order_by, "name desc");
    Gatehouse__V1__EndSecretRequest *secret = read(&gatehouse__v1__end_secret_request__descriptor, "{\"secretId\":12}");
    assert_int_equal(secret->secret_id, 12);
    Gatehouse__V1__QueryUsageRequest *usage =
        read(&gatehouse__v1__query_usage_request__descriptor, "{\"groupBy\":[\"USAGE_GROUPING_API\",4]}");
    assert_int_equal(usage->n_group_by, 2);
    assert_int_equal(usage->group_by[1], 4);
}

static void null_is_absent(void **state)
{
    (void)state;
    Gatehouse__V1__UpdateCredentialRequest *request =
        read(&gatehouse__v1__update_credential_request__descriptor, "{\"credential\":null,\"validateOnly\":null}");
    assert_non_null(request);
    assert_null(request->credential);
}

static void times_are_read_in_any_zone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        long long seconds;
        int nanos;
    } times[] = {{"1970-01-01T00:00:00Z", 0, 0},
                 {"1970-01-01T01:30:00+01:30", 0, 0},
                 {"1969-12-31T22:00:00-02:00", 0, 0},
                 {"1970-01-01T00:00:00.25Z", 0, 250000000},
                 {"2000-03-01t00:00:00z", 951868800, 0}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"startTime\":\"%s\"}", times[i].text);
        Gatehouse__V1__QueryUsageRequest *usage = read(&gatehouse__v1__query_usage_request__descriptor, text);
        assert_non_null(usage);
        assert_int_equal(usage->start_time->seconds, times[i].seconds);
        assert_int_equal(usage->start_time->nanos, times[i].nanos);
    }
}

static void durations_have_a_sign_and_a_fraction(void **state)
{
    (void)state;
    Gatehouse__V1__RegenerateSecretRequest *request =
        read(&gatehouse__v1__regenerate_secret_request__descriptor, "{\"overlap\":\"-0.5s\"}");
    assert_int_equal(request->overlap->seconds, 0);
    assert_int_equal(request->overlap->nanos, -500000000);
    assert_written(&request->base, "{\"overlap\":\"-0.500s\"}");
    request = read(&gatehouse__v1__regenerate_secret_request__descriptor, "{\"overlap\":\"86400s\"}");
    assert_int_equal(request->overlap->seconds, 86400);
}

static void assert_refused(const ProtobufCMessageDescriptor *descriptor, const char *text, const char *expected)
{
    if (read(descriptor, text) != NULL)
        fail_msg("%s was read", text);
    if (strstr(why, expected) == NULL)
        fail_msg("%s: \"%s\" does not name %s", text, why, expected);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *update = &gatehouse__v1__update_credential_request__descriptor;
    assert_refused(update, "{\"nonsense\":1}", "nonsense: ");
    assert_refused(update, "{\"credential\":{\"secret_key\":\"x\"}}", "credential.secret_key: ");
    assert_refused(update, "{\"credential\":[]}", "credential: ");
    assert_refused(update, "{\"credential\":{\"name\":7}}", "credential.name: ");
    assert_refused(update, "{\"validateOnly\":\"true\"}", "validateOnly: ");
    assert_refused(update, "{\"credential\":{\"roles\":{}}}", "credential.roles: ");
    assert_refused(update, "{\"credential\":{\"status\":\"ACTIVE\"}}", "credential.status: ");
    assert_refused(update, "{\"credential\":{\"status\":4294967297}}", "credential.status: ");
    assert_refused(update, "{\"updateMask\":[\"name\"]}", "updateMask: ");
    assert_refused(update, "{\"updateMask\":\",\"}", "updateMask: ");
    assert_refused(update, "{\"updateMask\":\"name\",\"update_mask\":\"owner\"}", "update_mask: ");
    assert_refused(update, "{\"updateMask\":\"na__me\"}", "updateMask: ");
    assert_refused(update, "[]", "must be an object");
    assert_refused(update, "null", "must be an object");
    const ProtobufCMessageDescriptor *list = &gatehouse__v1__list_credentials_request__descriptor;
    static const char *const numbers[] = {"2147483648",   "-2147483649", "1.5",
                                          "\"\"",         "\"1x\"",      "\" 1\"",
                                          "\"+1\"",       "\"-\"",       "\"99999999999999999999\"",
                                          "true",         "[1]",         "1e-1",
                                          "3.25",         "\"1.5\"",     "\"1e\"",
                                          "\"1.\"",       "\"1e1x\"",    "\"0x1\"",
                                          "2147483648.0", "\"1 \""};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"pageSize\":%s}", numbers[i]);
        assert_refused(list, text, "pageSize: ");
    }
}

static void a_whole_number_may_be_written_as_a_real_one(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t number;
    } cases[] = {{"3.0", 3},
                 {"1e1", 10},
                 {"\"1e1\"", 10},
                 {"-2.5e1", -25},
                 {"\"3.0\"", 3},
                 {"0.0", 0},
                 {"2147483647.0", INT32_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "{\"pageSize\":%s}", cases[i].text);
        json_t *json = json_loads(text, 0, NULL);
        Gatehouse__V1__ListCredentialsRequest *request =
            (void *)json_to_message(&arena, &gatehouse__v1__list_credentials_request__descriptor, json, why);
        assert_non_null(request);
        assert_int_equal(request->page_size, cases[i].number);
        json_decref(json);
    }
}

static void times_and_durations_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const times[] = {"",
                                        "2030",
                                        "2030-01-01",
                                        "2030-01-01T00:00:00",
                                        "2030-01-01 00:00:00Z",
                                        "2030-02-30T00:00:00Z",
                                        "2030-13-01T00:00:00Z",
                                        "2030-01-01T24:00:00Z",
                                        "2030-01-01T00:60:00Z",
                                        "2030-01-01T00:00:00.Z",
                                        "2030-01-01T00:00:00Zx",
                                        "2030-01-01T00:00:00.0123456789Z",
                                        "2030-01-01T00:00:00+1:00",
                                        "2030-01-01T00:00:00+24:00",
                                        " 2030-01-01T00:00:00Z",
                                        "0000-01-01T00:00:00Z",
                                        "-2030-01-01T00:00:00Z",
                                        "20300-01-01T00:00:00Z"};
    char text[120];
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        snprintf(text, sizeof text, "{\"startTime\":\"%s\"}", times[i]);
        assert_refused(&gatehouse__v1__query_usage_request__descriptor, text, "startTime: ");
    }
    static const char *const durations[] = {"",    "s",   "1",   "1m",   "1.s",           ".5s",           "--1s",
                                            "+1s", " 1s", "1s ", "1e3s", "1.0123456789s", "9999999999999s"};
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        snprintf(text, sizeof text, "{\"overlap\":\"%s\"}", durations[i]);
        assert_refused(&gatehouse__v1__regenerate_secret_request__descriptor, text, "overlap: ");
    }
}

static void more_elements_than_the_maximum_are_refused(void **state)
{
    (void)state;
    json_t *roles = json_array(), *json = json_pack("{s:o}", "roles", roles);
    for (int i = 0; i < 1025; i++)
        json_array_append_new(roles, json_string("r"));
    assert_null(json_to_message(&arena, &gatehouse__v1__grant_roles_request__descriptor, json, why));
    assert_non_null(strstr(why, "roles: "));
    json_decref(json);
}

static void one_field_is_set_from_text(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *descriptor = &gatehouse__v1__query_usage_request__descriptor;
    ProtobufCMessage *usage = json_new_message(&arena, descriptor);
    assert_true(json_set_text(&arena, usage, "clientId", "a", why));
    assert_true(json_set_text(&arena, usage, "group_by", "USAGE_GROUPING_DAY", why));
    assert_true(json_set_text(&arena, usage, "groupBy", "USAGE_GROUPING_API", why));
    assert_true(json_set_text(&arena, usage, "include_internal", "true", why));
    assert_true(json_set_text(&arena, usage, "startTime", "2030-01-01T00:00:00Z", why));
    assert_written(usage, "{\"clientId\":\"a\",\"startTime\":\"2030-01-01T00:00:00Z\",\"groupBy\":"
                          "[\"USAGE_GROUPING_DAY\",\"USAGE_GROUPING_API\"],\"includeInternal\":true}");
    assert_false(json_set_text(&arena, usage, "include_internal", "yes", why));
    assert_false(json_set_text(&arena, usage, "page_size", "x", why));
    assert_false(json_set_text(&arena, usage, "nonsense", "x", why));
    assert_false(json_set_text(&arena, usage, "client_id.x", "x", why));
    assert_false(json_set_text(&arena, usage, "", "x", why));
    ProtobufCMessage *update = json_new_message(&arena, &gatehouse__v1__update_credential_request__descriptor);
    assert_true(json_set_text(&arena, update, "credential.client_id", "a", why));
    assert_written(update, "{\"credential\":{\"clientId\":\"a\"}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_written_is_read_again, end),
        cmocka_unit_test_teardown(snake_case_names_and_numbers_as_text_are_read, end),
        cmocka_unit_test_teardown(null_is_absent, end),
        cmocka_unit_test_teardown(times_are_read_in_any_zone, end),
        cmocka_unit_test_teardown(durations_have_a_sign_and_a_fraction, end),
        cmocka_unit_test_teardown(what_is_wrong_is_named, end),
        cmocka_unit_test_teardown(a_whole_number_may_be_written_as_a_real_one, end),
        cmocka_unit_test_teardown(times_and_durations_that_are_none_are_refused, end),
        cmocka_unit_test_teardown(more_elements_than_the_maximum_are_refused, end),
        cmocka_unit_test_teardown(one_field_is_set_from_text, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

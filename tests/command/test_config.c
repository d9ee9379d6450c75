/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "config.h"
#include "connection.h"

static const char *const variables[] = {
    "GATEHOUSE_ADDRESS",       "GATEHOUSE_GRPC",  "GATEHOUSE_CLIENT_ID",  "GATEHOUSE_CLIENT_SECRET_FILE",
    "GATEHOUSE_CLIENT_SECRET", "GATEHOUSE_TOKEN", "GATEHOUSE_TOKEN_FILE", "GATEHOUSE_TIMEOUT",
    "GATEHOUSE_OUTPUT",        "GATEHOUSE_CONFIG"};

static struct arguments arguments_with(enum option_id id, const char *value)
{
    struct arguments arguments = {0};
    arguments.values[id - OPTION_BEFORE_FIRST] = value;
    return arguments;
}

static void write_config(const char *text)
{
    FILE *file = fopen("config_test/gatehouse/config", "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **)
{
    char folder[4096];
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    mkdir("config_test", 0700);
    mkdir("config_test/gatehouse", 0700);
    unlink("config_test/gatehouse/config");
    assert_non_null(getcwd(folder, sizeof folder - 32));
    strcat(folder, "/config_test");
    setenv("XDG_CONFIG_HOME", folder, 1);
    return 0;
}

static void an_option_comes_before_the_environment_and_that_before_the_file(void **)
{
    struct arguments none = {0}, some = arguments_with(OPTION_ADDRESS, "option:1");
    struct config config = {0};
    write_config("address = \"file:3\"\n");
    assert_true(config_gather(&config, &none, false));
    assert_string_equal(config.address.value, "file:3");
    config_done(&config);

    config = (struct config){0};
    setenv("GATEHOUSE_GRPC", "grpc:2", 1);
    assert_true(config_gather(&config, &none, false));
    assert_string_equal(config.address.value, "grpc:2");
    config_done(&config);

    config = (struct config){0};
    setenv("GATEHOUSE_ADDRESS", "environment:2", 1);
    assert_true(config_gather(&config, &none, false));
    assert_string_equal(config.address.value, "environment:2");
    config_done(&config);

    config = (struct config){0};
    assert_true(config_gather(&config, &some, false));
    assert_string_equal(config.address.value, "option:1");
    assert_int_equal(config.address.source, SOURCE_OPTION);
    config_done(&config);
}

static void no_file_is_fine_and_a_named_one_must_be_there(void **)
{
    struct arguments none = {0}, named = arguments_with(OPTION_CONFIG, "config_test/none");
    struct config config = {0};
    assert_true(config_gather(&config, &none, false));
    assert_null(config.address.value);
    assert_false(config_gather(&config, &named, false));
    config_done(&config);
}

static void a_file_that_makes_no_sense_is_refused(void **)
{
    static const char *const texts[] = {
        "adress = \"x\"\n",        "address = \n",    "address \"x\"\n", "address = \"x\n",
        "client_secret = \"x\"\n", "token = \"x\"\n", "\x01\x02{"};
    struct arguments none = {0};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config config = {0};
        write_config(texts[i]);
        assert_false(config_gather(&config, &none, false));
        config_done(&config);
    }
}

static void secrets_leave_the_environment(void **)
{
    struct arguments none = {0};
    struct config config = {0};
    setenv("GATEHOUSE_CLIENT_SECRET", "secret", 1);
    setenv("GATEHOUSE_TOKEN", "token", 1);
    const char *place = getenv("GATEHOUSE_CLIENT_SECRET");
    assert_true(config_gather(&config, &none, false));
    assert_string_equal(config.client_secret.value, "secret");
    assert_string_equal(config.token.value, "token");
    assert_null(getenv("GATEHOUSE_CLIENT_SECRET"));
    assert_null(getenv("GATEHOUSE_TOKEN"));
    assert_int_equal(place[0], '\0');
    config_done(&config);
}

static void the_caller_is_whom_the_strongest_source_names(void **)
{
    struct setting none = {0}, file = {"x", SOURCE_FILE}, environment = {"x", SOURCE_ENVIRONMENT},
                   option = {"x", SOURCE_OPTION};
    struct config config = {0};
    assert_int_equal(connection_caller(&config), CALLER_NONE);
    config.client_id = environment;
    assert_int_equal(connection_caller(&config), CALLER_CLIENT);
    config.token_file = file;
    assert_int_equal(connection_caller(&config), CALLER_CLIENT);
    config.token = environment;
    assert_int_equal(connection_caller(&config), CALLER_TOKEN);
    config.client_secret_file = option;
    assert_int_equal(connection_caller(&config), CALLER_CLIENT);
    config.token_file = option;
    assert_int_equal(connection_caller(&config), CALLER_UNCLEAR);
    config.client_id = none;
    config.client_secret_file = none;
    assert_int_equal(connection_caller(&config), CALLER_TOKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_option_comes_before_the_environment_and_that_before_the_file, set_up),
        cmocka_unit_test_setup(no_file_is_fine_and_a_named_one_must_be_there, set_up),
        cmocka_unit_test_setup(a_file_that_makes_no_sense_is_refused, set_up),
        cmocka_unit_test_setup(secrets_leave_the_environment, set_up),
        cmocka_unit_test_setup(the_caller_is_whom_the_strongest_source_names, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

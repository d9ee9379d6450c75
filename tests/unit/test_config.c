/* SPDX-License-Identifier: Apache-2.0 */
/* services/config.c: where settings come from, and what is wrong with them. */
#include "support.h"

#include "config.h"

static const char *write_file(const char *text)
{
    const char *path = test_path("config");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void load(const char *file, const char *const *settings, struct config *config)
{
    struct config_mistakes mistakes = {.count = 0};
    if (!config_load(file, settings, config, &mistakes))
        fail_msg("%s", mistakes.text);
}

static void a_setting_is_from_the_default_the_file_the_environment_or_the_command_line(void **state)
{
    (void)state;
    struct config config;
    load(NULL, NULL, &config);
    assert_string_equal(config.grpc_address, "127.0.0.1:50051");
    assert_int_equal(config.flush_interval_ms, 2000);
    assert_false(config.insecure);
    assert_null(config.cors_origins[0]);
    config_free(&config);

    const char *file = write_file("grpc_address = \"[::1]:1\"\ngrpc_threads = 2\nhttp_threads = 3\ninsecure = true\n"
                                  "cors_origins = {\"https://a\", \"https://b\"}\n");
    setenv("GATEHOUSED_GRPC_THREADS", "5", 1);
    setenv("GATEHOUSED_HTTP_THREADS", "6", 1);
    setenv("GATEHOUSED_TRUSTED_PROXIES", "10.0.0.1,10.0.0.2", 1);
    load(file, (const char *const[]){"http_threads=7", "public_url=https://x?a=b", NULL}, &config);
    assert_string_equal(config.grpc_address, "[::1]:1");
    assert_int_equal(config.grpc_threads, 5);
    assert_int_equal(config.http_threads, 7);
    assert_true(config.insecure);
    assert_string_equal(config.public_url, "https://x?a=b");
    assert_string_equal(config.cors_origins[1], "https://b");
    assert_null(config.cors_origins[2]);
    assert_string_equal(config.trusted_proxies[0], "10.0.0.1");
    assert_string_equal(config.trusted_proxies[1], "10.0.0.2");
    assert_null(config.trusted_proxies[2]);
    config_free(&config);
    config_free(&config); /* once more is fine */
    unsetenv("GATEHOUSED_GRPC_THREADS");
    unsetenv("GATEHOUSED_HTTP_THREADS");
    unsetenv("GATEHOUSED_TRUSTED_PROXIES");
}

/* Loading or checking says something that contains `word`. */
static void expect_mistake(const char *file, const char *setting, const char *word)
{
    struct config config;
    struct config_mistakes mistakes = {.count = 0};
    if (config_load(file, (const char *const[]){setting, NULL}, &config, &mistakes))
        config_check(&config, &mistakes);
    if (mistakes.count == 0 || strstr(mistakes.text, word) == NULL)
        fail_msg("%s: %d mistakes, none of which says \"%s\": %s", setting, mistakes.count, word, mistakes.text);
    assert_int_equal(mistakes.text[mistakes.len - 1], '\n');
    config_free(&config);
}

static void what_is_wrong_is_said(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"nonsense=1", "nonsense"},
        {"grpc_threads", "KEY=VALUE"},
        {"grpc_threads=many", "grpc_threads"},
        {"grpc_threads=0", "grpc_threads"},
        {"grpc_threads=65", "grpc_threads"},
        {"flush_interval_ms=9", "flush_interval_ms"},
        {"grpc_address=nowhere", "HOST:PORT"},
        {"grpc_address=127.0.0.1:70000", "HOST:PORT"},
        {"grpc_address=127.0.0.1:", "HOST:PORT"},
        {"grpc_address=:1", "HOST:PORT"},
        {"http_address=127.0.0.1:8x", "HOST:PORT"},
        {"grpc_address=0.0.0.0:1", "mutual TLS"},
        {"grpc_address=[::]:1", "mutual TLS"},
        {"http_address=0.0.0.0:1", "demands TLS"},
        {"insecure=perhaps", "insecure"},
        {"log_level=loud", "log_level"},
        {"log_format=xml", "log_format"},
        {"http_prefix=Auth", "http_prefix"},
        {"trusted_proxies=10.0.0.0/8,proxy.example", "proxy.example"},
        {"trusted_proxies=10.0.0.1/8", "10.0.0.1/8"},
        {"trusted_proxies=192.0.2.1:80", "192.0.2.1:80"},
        {"proxy_header=Via", "proxy_header"},
        {"console_user_header=X-Forwarded-User", "console_user_header needs trusted_proxies"},
        {"console_user_header=X_User", "is not a header"},
        {"console_user_header=X-User: a", "is not a header"},
        {"console_user_header=authorization", "is not a header"},
        {"console_user_header=X-Forwarded-For", "is not a header"},
        {"upstream=nowhere", "HOST:PORT"},
        {"upstream=one.example:1,two.example:2", "several servers"},
        {"upstream=192.0.2.1:1,[2001:db8::1]:2", "several servers"},
        {"upstream=127.0.0.1:1,192.0.2.1:1", "upstream_ca"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_mistake(NULL, cases[i][0], cases[i][1]);
    }
    expect_mistake("/no/such/file", NULL, "/no/such/file");
    expect_mistake(write_file("grpc_threads = 1\nnonsense = 2\n"), NULL, ":2:");
}

static void every_mistake_is_said_at_once(void **state)
{
    (void)state;
    struct config config;
    struct config_mistakes mistakes = {.count = 0};
    load(NULL,
         (const char *const[]){"grpc_cert=/no/cert", "grpc_client_ca=/no/ca", "http_key=/no/key", "grpc_threads=99",
                               NULL},
         &config);
    config_check(&config, &mistakes);
    static const char *const words[] = {"/no/cert",
                                        "/no/ca",
                                        "/no/key",
                                        "grpc_threads is 99",
                                        "grpc_cert and grpc_key go together",
                                        "http_cert and http_key go together"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_non_null(strstr(mistakes.text, words[i]));
    assert_int_equal(mistakes.count, 6);
    config_free(&config);
}

static void a_flood_of_mistakes_fits(void **state)
{
    (void)state;
    struct config_mistakes mistakes = {.count = 0};
    for (int i = 0; i < 1000; i++)
        config_mistake(&mistakes, "mistake number %d, of a thousand", i);
    assert_int_equal(mistakes.count, 1000);
    assert_true(mistakes.len < sizeof mistakes.text);
    assert_int_equal(strlen(mistakes.text), mistakes.len);
}

static void loopback_is_what_only_this_machine_reaches(void **state)
{
    (void)state;
    static const char *const near[] = {"127.0.0.1:1", "127.9.9.9:0", "localhost:80", "[::1]:443", "unix:/run/x"};
    static const char *const far[] = {"0.0.0.0:1", "[::]:1",       "128.0.0.1:1",           "example.com:1", "",
                                      "127.0.0.1", "1.127.0.1:80", "127.0.0.1.evil.org:80", "[::2]:1",       ":80"};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++)
        assert_true(config_is_loopback(near[i]));
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++)
        assert_false(config_is_loopback(far[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_setting_is_from_the_default_the_file_the_environment_or_the_command_line),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(every_mistake_is_said_at_once),
        cmocka_unit_test(a_flood_of_mistakes_fits),
        cmocka_unit_test(loopback_is_what_only_this_machine_reaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "address.h"

#include <arpa/inet.h>
#include <confuse.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void config_mistake(struct config_mistakes *mistakes, const char *format, ...)
{
    va_list args;
    size_t room = sizeof mistakes->text - mistakes->len;
    va_start(args, format);
    int len = vsnprintf(mistakes->text + mistakes->len, room, format, args);
    va_end(args);
    mistakes->len += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
    if (mistakes->len + 1 < sizeof mistakes->text) {
        mistakes->text[mistakes->len++] = '\n';
        mistakes->text[mistakes->len] = '\0';
    }
    mistakes->count++;
}

#define OPTION_TEXT(key, value) CFG_STR(#key, value, CFGF_NONE)
#define OPTION_INT(key, value) CFG_INT(#key, value, CFGF_NONE)
#define OPTION_BOOL(key, value) CFG_BOOL(#key, value, CFGF_NONE)
#define OPTION_LIST(key, value) CFG_STR_LIST(#key, "{}", CFGF_NONE)

static cfg_t *new_parser(void)
{
    static cfg_opt_t options[] = {
#define OPTION(type, key, value, comment) OPTION_##type(key, value),
        CONFIG_KEYS(OPTION)
#undef OPTION
            CFG_END()};
    cfg_t *parser = cfg_init(options, CFGF_NONE);
    if (parser == NULL)
        abort();
    return parser;
}

/* libconfuse has no argument for its error function. */
static _Thread_local struct config_mistakes *current_mistakes;

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *parser, const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    if (parser != NULL && parser->filename != NULL && parser->line > 0)
        config_mistake(current_mistakes, "%s:%d: %s", parser->filename, parser->line, text);
    else
        config_mistake(current_mistakes, "%s", text);
}

static void set_value(cfg_t *parser, const char *key, const char *value, const char *where,
                      struct config_mistakes *mistakes)
{
    cfg_opt_t *option = cfg_getopt(parser, key);
    if (option == NULL) {
        config_mistake(mistakes, "%s: there is no setting %s", where, key);
        return;
    }
    if ((option->flags & CFGF_LIST) == 0) {
        if (cfg_setopt(parser, option, value) == NULL)
            config_mistake(mistakes, "%s: %s cannot be \"%s\"", where, key, value);
        return;
    }
    cfg_setlist(parser, key, 0); /* empties it */
    char *copy = strdup(value), *rest = NULL;
    for (char *item = copy == NULL ? NULL : strtok_r(copy, ",", &rest); item != NULL; item = strtok_r(NULL, ",", &rest))
        cfg_addlist(parser, key, 1, item);
    free(copy);
}

static void read_environment(cfg_t *parser, struct config_mistakes *mistakes)
{
    static const char *const keys[] = {
#define KEY(type, key, value, comment) #key,
        CONFIG_KEYS(KEY)
#undef KEY
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char name[64];
        int len = snprintf(name, sizeof name, "GATEHOUSED_%s", keys[i]);
        for (int j = 0; j < len; j++)
            name[j] = (char)toupper((unsigned char)name[j]);
        const char *value = getenv(name);
        if (value != NULL)
            set_value(parser, keys[i], value, name, mistakes);
    }
}

static void read_settings(cfg_t *parser, const char *const *settings, struct config_mistakes *mistakes)
{
    for (; settings != NULL && *settings != NULL; settings++) {
        char key[64];
        size_t len = strcspn(*settings, "=");
        if ((*settings)[len] == '\0' || len >= sizeof key) {
            config_mistake(mistakes, "--set wants KEY=VALUE, not %s", *settings);
            continue;
        }
        memcpy(key, *settings, len);
        key[len] = '\0';
        set_value(parser, key, *settings + len + 1, "--set", mistakes);
    }
}

static const char **list_of(cfg_t *parser, const char *key)
{
    unsigned count = cfg_size(parser, key);
    const char **list = calloc(count + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (unsigned i = 0; i < count; i++)
        list[i] = cfg_getnstr(parser, key, i);
    return list;
}

#define VALUE_TEXT(key) cfg_getstr(parser, #key)
#define VALUE_INT(key) cfg_getint(parser, #key)
#define VALUE_BOOL(key) cfg_getbool(parser, #key)
#define VALUE_LIST(key) list_of(parser, #key)

bool config_load(const char *file, const char *const *settings, struct config *ret_config,
                 struct config_mistakes *mistakes)
{
    cfg_t *parser = new_parser();
    current_mistakes = mistakes;
    cfg_set_error_function(parser, on_error);
    int result = file == NULL ? CFG_SUCCESS : cfg_parse(parser, file);
    if (result == CFG_FILE_ERROR)
        config_mistake(mistakes, "the configuration file %s cannot be read", file);
    read_environment(parser, mistakes);
    read_settings(parser, settings, mistakes);
    *ret_config = (struct config){
#define TAKE(type, key, value, comment) .key = (CONFIG_TYPE_##type)VALUE_##type(key),
        CONFIG_KEYS(TAKE)
#undef TAKE
            .parsed = parser};
    current_mistakes = NULL;
    return mistakes->count == 0;
}

#define FREE_TEXT(key) (void)0
#define FREE_INT(key) (void)0
#define FREE_BOOL(key) (void)0
#define FREE_LIST(key) free(config->key)

void config_free(struct config *config)
{
    if (config->parsed == NULL)
        return;
#define FREE(type, key, value, comment) FREE_##type(key);
    CONFIG_KEYS(FREE)
#undef FREE
    cfg_free(config->parsed);
    config->parsed = NULL;
}

bool config_is_loopback(const char *address)
{
    char host[128];
    if (strncmp(address, "unix:", 5) == 0)
        return true;
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    struct in_addr v4;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

static void check_file(const char *key, const char *file, struct config_mistakes *mistakes)
{
    if (file[0] != '\0' && access(file, R_OK) != 0)
        config_mistake(mistakes, "%s: the file %s cannot be read", key, file);
}

static void check_pair(const char *cert_key, const char *cert, const char *key_key, const char *key,
                       struct config_mistakes *mistakes)
{
    check_file(cert_key, cert, mistakes);
    check_file(key_key, key, mistakes);
    if ((cert[0] == '\0') != (key[0] == '\0'))
        config_mistake(mistakes, "%s and %s go together: one of them is missing", cert_key, key_key);
}

static void check_address(const char *key, const char *address, struct config_mistakes *mistakes)
{
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    if (address[0] == '\0' || strncmp(address, "unix:", 5) == 0)
        return;
    long port = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    if (colon == NULL || colon == address || end == colon + 1 || *end != '\0' || port < 0 || port > 65535)
        config_mistake(mistakes, "%s: \"%s\" is not HOST:PORT", key, address);
}

static void check_range(const char *key, int64_t value, int64_t least, int64_t most, struct config_mistakes *mistakes)
{
    if (value < least || value > most)
        config_mistake(mistakes, "%s is %lld; it is from %lld to %lld", key, (long long)value, (long long)least,
                       (long long)most);
}

static void check_word(const char *key, const char *value, const char *const *words, struct config_mistakes *mistakes)
{
    for (const char *const *word = words; *word != NULL; word++)
        if (strcmp(*word, value) == 0)
            return;
    config_mistake(mistakes, "%s cannot be \"%s\"", key, value);
}

static void check_numbers(const struct config *config, struct config_mistakes *mistakes)
{
    check_range("max_tokens_in_memory", config->max_tokens_in_memory, 1000, 1000000000, mistakes);
    check_range("flush_interval_ms", config->flush_interval_ms, 10, 60000, mistakes);
    check_range("grace_ms", config->grace_ms, 0, 600000, mistakes);
    check_range("grpc_threads", config->grpc_threads, 1, 64, mistakes);
    check_range("store_timeout_ms", config->store_timeout_ms, 100, 3600000, mistakes);
    check_range("lease_ms", config->lease_ms, 20, 60000, mistakes);
    check_range("http_threads", config->http_threads, 1, 64, mistakes);
    check_range("http_max_connections", config->http_max_connections, 1, 1000000, mistakes);
    check_range("http_max_connections_per_address", config->http_max_connections_per_address, 1, 1000000, mistakes);
    check_range("http_max_header_bytes", config->http_max_header_bytes, 1024, 65536, mistakes);
    check_range("http_max_body_bytes", config->http_max_body_bytes, 1024, 16777216, mistakes);
    check_range("http_request_timeout_ms", config->http_request_timeout_ms, 100, 600000, mistakes);
    check_range("http_keep_alive_ms", config->http_keep_alive_ms, 100, 3600000, mistakes);
}

static void check_security(const struct config *config, bool is_rest_only, struct config_mistakes *mistakes)
{
    bool grpc_is_near = is_rest_only || config->grpc_address[0] == '\0' || config_is_loopback(config->grpc_address);
    if (!grpc_is_near && !config->insecure && (config->grpc_cert[0] == '\0' || config->grpc_client_ca[0] == '\0'))
        config_mistake(
            mistakes,
            "grpc_address %s is off loopback: that demands mutual TLS (grpc_cert, grpc_key, grpc_client_ca), or "
            "insecure = true",
            config->grpc_address);
    bool http_is_near = config->http_address[0] == '\0' || config_is_loopback(config->http_address);
    if (!http_is_near && !config->insecure && config->http_cert[0] == '\0')
        config_mistake(mistakes,
                       "http_address %s is off loopback: that demands TLS (http_cert, http_key), or insecure = true",
                       config->http_address);
    if (config->grpc_client_ca[0] != '\0' && config->grpc_cert[0] == '\0')
        config_mistake(mistakes, "grpc_client_ca needs grpc_cert and grpc_key");
}

/* A name would have to be resolved again and again, by whoever answers for it at the time. */
static void check_proxies(const struct config *config, struct config_mistakes *mistakes)
{
    struct network network;
    for (const char **proxy = config->trusted_proxies; *proxy != NULL; proxy++)
        if (!network_parse(*proxy, &network))
            config_mistake(mistakes,
                           "trusted_proxies: \"%s\" is neither an IP address nor a network such as 10.0.0.0/8", *proxy);
}

void config_check_values(const struct config *config, struct config_mistakes *mistakes)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    static const char *const formats[] = {"logfmt", "json", NULL};
    static const char *const proxy_headers[] = {"X-Forwarded-For", "Forwarded", NULL};
    check_word("log_level", config->log_level, levels, mistakes);
    check_word("log_format", config->log_format, formats, mistakes);
    check_word("proxy_header", config->proxy_header, proxy_headers, mistakes);
    check_proxies(config, mistakes);
    check_numbers(config, mistakes);
}

void config_check(const struct config *config, bool is_rest_only, struct config_mistakes *mistakes)
{
    config_check_values(config, mistakes);
    check_address("grpc_address", config->grpc_address, mistakes);
    check_address("http_address", config->http_address, mistakes);
    check_address("metrics_address", config->metrics_address, mistakes);
    check_pair("grpc_cert", config->grpc_cert, "grpc_key", config->grpc_key, mistakes);
    check_pair("http_cert", config->http_cert, "http_key", config->http_key, mistakes);
    check_pair("upstream_cert", config->upstream_cert, "upstream_key", config->upstream_key, mistakes);
    check_file("grpc_client_ca", config->grpc_client_ca, mistakes);
    check_file("upstream_ca", config->upstream_ca, mistakes);
    check_file("upstream_client_secret_file", config->upstream_client_secret_file, mistakes);
    check_file("store_password_file", config->store_password_file, mistakes);
    check_security(config, is_rest_only, mistakes);
    if (config->http_prefix[0] != '\0' && config->http_prefix[0] != '/')
        config_mistake(mistakes, "http_prefix must begin with /");
    if (is_rest_only && config->upstream[0] == '\0')
        config_mistake(mistakes, "--rest-only needs --upstream HOST:PORT");
    if (is_rest_only && config->http_address[0] == '\0')
        config_mistake(mistakes, "--rest-only needs http_address");
}

/* RFC 3986, section 3.2.1, and libpq's parameter. */
void config_show_store(const char *store, char shown[static 512])
{
    const char *from = strstr(store, "://"), *at = from == NULL ? NULL : strpbrk(from + 3, "@/?");
    const char *colon = at != NULL && *at == '@' ? memchr(from + 3, ':', (size_t)(at - from - 3)) : NULL;
    if (colon != NULL)
        snprintf(shown, 512, "%.*s***%s", (int)(colon + 1 - store), store, at);
    else
        snprintf(shown, 512, "%s", store);
    char *password = strstr(shown, "password=");
    if (password == NULL || strncmp(store, "postgres", 8) != 0)
        return;
    password += strlen("password=");
    size_t len = strcspn(password, "& ");
    memmove(password, password + len, strlen(password + len) + 1);
}

static void print_list(const char **list)
{
    printf("{");
    for (const char **item = list; *item != NULL; item++)
        printf("%s\"%s\"", item == list ? "" : ", ", *item);
    printf("}");
}

#define PRINT_TEXT(key) printf("\"%s\"", config->key)
#define PRINT_INT(key) printf("%lld", (long long)config->key)
#define PRINT_BOOL(key) printf("%s", config->key ? "true" : "false")
#define PRINT_LIST(key) print_list(config->key)

void config_print(const struct config *given)
{
    char store[512];
    struct config shown = *given;
    const struct config *config = &shown;
    config_show_store(given->store, store);
    shown.store = store;
#define PRINT(type, key, value, comment)  \
    printf("# %s\n%s = ", comment, #key); \
    PRINT_##type(key);                    \
    printf("\n");
    CONFIG_KEYS(PRINT)
#undef PRINT
}

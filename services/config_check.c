/* SPDX-License-Identifier: Apache-2.0 */
/* Is what the settings say possible? What is accepted here works, as far as it can be known beforehand. */
#include "config.h"

#include "base/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void check_folder(const char *key, const char *folder, struct config_mistakes *mistakes)
{
    if (folder[0] != '\0' && access(folder, W_OK | X_OK) != 0)
        config_mistake(mistakes, "%s: nothing can be written into the folder %s", key, folder);
}

static void check_pair(const char *cert_key, const char *cert, const char *key_key, const char *key,
                       struct config_mistakes *mistakes)
{
    check_file(cert_key, cert, mistakes);
    check_file(key_key, key, mistakes);
    if ((cert[0] == '\0') != (key[0] == '\0'))
        config_mistake(mistakes, "%s and %s go together: one of them is missing", cert_key, key_key);
}

struct host_port {
    char host[256];
    char port[8];
};

/* "127.0.0.1:80", "[::1]:80", "name:80". */
static bool split_address(const char *address, struct host_port *parts)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);
    bool is_bracketed = len > 2 && address[0] == '[' && colon[-1] == ']';
    if (len == 0 || len >= sizeof parts->host || strlen(colon + 1) >= sizeof parts->port)
        return false;
    if (!is_bracketed && memchr(address, ':', len) != NULL)
        return false;
    memcpy(parts->host, address + is_bracketed, len - 2 * is_bracketed);
    parts->host[len - 2 * is_bracketed] = '\0';
    snprintf(parts->port, sizeof parts->port, "%s", colon + 1);
    return parts->port[0] != '\0' && parts->port[strspn(parts->port, "0123456789")] == '\0' &&
           atoi(parts->port) <= 65535;
}

/* NULL: it could be listened on, unless somebody does so already or only the service may. */
static const char *why_not_bound(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        return strerror(errno);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool is_bound = bind(fd, info->ai_addr, info->ai_addrlen) == 0 || errno == EADDRINUSE || errno == EACCES;
    const char *why = is_bound ? NULL : strerror(errno);
    close(fd);
    return why;
}

static void check_address(const char *key, const char *address, bool may_be_unix, struct config_mistakes *mistakes)
{
    struct host_port parts;
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    if (address[0] == '\0' || (may_be_unix && strncmp(address, "unix:", 5) == 0))
        return;
    if (!split_address(address, &parts)) {
        config_mistake(mistakes, "%s: \"%s\" is not HOST:PORT", key, address);
        return;
    }
    int error = getaddrinfo(parts.host, parts.port, &hints, &found);
    if (error != 0) {
        config_mistake(mistakes, "%s: \"%s\" is not an address of this machine: %s", key, address, gai_strerror(error));
        return;
    }
    const char *why = why_not_bound(found);
    if (why != NULL)
        config_mistake(mistakes, "%s: \"%s\" cannot be listened on: %s", key, address, why);
    freeaddrinfo(found);
}

static void check_addresses(const struct config *config, struct config_mistakes *mistakes)
{
    const char *http = config->http_address, *metrics = config->metrics_address;
    check_address("grpc_address", config->grpc_address, true, mistakes);
    check_address("http_address", http, true, mistakes);
    check_address("metrics_address", metrics, false, mistakes);
    const char *const pairs[][2] = {{config->grpc_address, http}, {config->grpc_address, metrics}, {http, metrics}};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(pairs[i][0]);
        bool is_any_port = len >= 2 && strcmp(pairs[i][0] + len - 2, ":0") == 0;
        if (len > 0 && !is_any_port && strcmp(pairs[i][0], pairs[i][1]) == 0)
            config_mistake(mistakes, "two listeners cannot share the address %s", pairs[i][0]);
    }
}

/* Of what a URL may have: scheme and authority, and the length of both. 0: it is none. */
static size_t origin_len(const char *url)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    size_t host = url[scheme] == '['
                      ? strcspn(url + scheme, "]") + 1
                      : strspn(url + scheme, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    if (scheme == 0 || host == 0 || scheme + host > strlen(url))
        return 0;
    const char *at = url + scheme + host;
    if (*at != ':')
        return (size_t)(at - url);
    size_t digits = strspn(at + 1, "0123456789");
    return digits == 0 || digits > 5 || atoi(at + 1) > 65535 || atoi(at + 1) == 0 ? 0 : (size_t)(at - url) + 1 + digits;
}

/* "", or "/a/b": no slash at the end, no empty or dotted part. */
static bool is_prefix(const char *path)
{
    while (*path == '/') {
        size_t len = strspn(path + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-");
        if (len == 0 || strspn(path + 1, ".") == len)
            return false;
        path += 1 + len;
    }
    return *path == '\0';
}

static void check_urls(const struct config *config, struct config_mistakes *mistakes)
{
    const char *url = config->public_url;
    if (!is_prefix(config->http_prefix))
        config_mistake(mistakes, "http_prefix must begin with / and not end with one, such as /Auth; it is \"%s\"",
                       config->http_prefix);
    if (url[0] != '\0' && (origin_len(url) == 0 || !is_prefix(url + origin_len(url))))
        config_mistake(mistakes,
                       "public_url must be a URL without a slash at its end, such as "
                       "https://auth.example.com/Auth; it is \"%s\"",
                       url);
    for (const char **origin = config->cors_origins; *origin != NULL; origin++) {
        size_t len = origin_len(*origin);
        bool is_small = (*origin)[strcspn(*origin, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
        bool has_default = (strncmp(*origin, "https:", 6) == 0 && len > 4 && strcmp(*origin + len - 4, ":443") == 0) ||
                           (strncmp(*origin, "http:", 5) == 0 && len > 3 && strcmp(*origin + len - 3, ":80") == 0);
        if (len == 0 || (*origin)[len] != '\0' || !is_small || has_default)
            config_mistake(mistakes,
                           "cors_origins: \"%s\" is not an origin as a browser writes it, such as "
                           "https://console.example.com",
                           *origin);
    }
}

/* The rest is for gRPC, the store and files that are read again. */
static void check_descriptors(const struct config *config, struct config_mistakes *mistakes)
{
    enum { OTHERS = 64 };
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max != RLIM_INFINITY && config->http_address[0] != '\0' &&
        (uint64_t)config->http_max_connections + OTHERS > files.rlim_max)
        config_mistake(mistakes,
                       "http_max_connections is %lld, but this process may have %llu files open "
                       "(ulimit -n, LimitNOFILE=)",
                       (long long)config->http_max_connections, (unsigned long long)files.rlim_max);
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

static void check_grpc_numbers(const struct config *config, struct config_mistakes *mistakes)
{
    check_range("grpc_max_connections", config->grpc_max_connections, 1, 1000000, mistakes);
    check_range("grpc_max_connections_per_address", config->grpc_max_connections_per_address, 1, 1000000, mistakes);
    check_range("grpc_max_calls_per_connection", config->grpc_max_calls_per_connection, 1, 100000, mistakes);
    check_range("grpc_max_header_bytes", config->grpc_max_header_bytes, 1024, 65536, mistakes);
    check_range("grpc_max_message_bytes", config->grpc_max_message_bytes, 1024, 16777216, mistakes);
    check_range("grpc_max_connection_bytes", config->grpc_max_connection_bytes, 65536, 1073741824, mistakes);
    check_range("grpc_max_memory_bytes", config->grpc_max_memory_bytes, 65536, INT64_C(1099511627776), mistakes);
    check_range("grpc_handshake_timeout_ms", config->grpc_handshake_timeout_ms, 100, 600000, mistakes);
    check_range("grpc_settings_timeout_ms", config->grpc_settings_timeout_ms, 100, 600000, mistakes);
    check_range("grpc_progress_timeout_ms", config->grpc_progress_timeout_ms, 100, 600000, mistakes);
    check_range("grpc_answer_timeout_ms", config->grpc_answer_timeout_ms, 100, 3600000, mistakes);
    if (config->grpc_connection_age_ms != -1)
        check_range("grpc_connection_age_ms", config->grpc_connection_age_ms, 1000, 86400000, mistakes);
    check_range("grpc_max_resets_per_second", config->grpc_max_resets_per_second, 1, 1000000, mistakes);
    check_range("grpc_max_pings_per_second", config->grpc_max_pings_per_second, 1, 1000000, mistakes);
}

static void check_numbers(const struct config *config, struct config_mistakes *mistakes)
{
    check_range("max_tokens_in_memory", config->max_tokens_in_memory, 1000, 1000000000, mistakes);
    check_range("flush_interval_ms", config->flush_interval_ms, 10, 60000, mistakes);
    check_range("lame_duck_ms", config->lame_duck_ms, 0, 600000, mistakes);
    check_range("grace_ms", config->grace_ms, 0, 600000, mistakes);
    check_range("grpc_threads", config->grpc_threads, 1, 64, mistakes);
    check_grpc_numbers(config, mistakes);
    check_range("store_timeout_ms", config->store_timeout_ms, 100, 3600000, mistakes);
    check_range("lease_ms", config->lease_ms, 20, 60000, mistakes);
    check_range("cache_lease_ms", config->cache_lease_ms, 50, 10000, mistakes);
    check_range("http_threads", config->http_threads, 1, 64, mistakes);
    check_range("http_max_connections", config->http_max_connections, 1, 1000000, mistakes);
    check_range("http_max_connections_per_address", config->http_max_connections_per_address, 1, 1000000, mistakes);
    check_range("http_max_header_bytes", config->http_max_header_bytes, 1024, 65536, mistakes);
    check_range("http_max_body_bytes", config->http_max_body_bytes, 1024, 16777216, mistakes);
    check_range("http_request_timeout_ms", config->http_request_timeout_ms, 100, 600000, mistakes);
    check_range("http_keep_alive_ms", config->http_keep_alive_ms, 100, 3600000, mistakes);
}

static void check_security(const struct config *config, struct config_mistakes *mistakes)
{
    bool grpc_is_near = config->grpc_address[0] == '\0' || config_is_loopback(config->grpc_address);
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
    bool metrics_are_near = config->metrics_address[0] == '\0' || config_is_loopback(config->metrics_address);
    if (!metrics_are_near && !config->insecure && !config->metrics_off_loopback)
        config_mistake(mistakes,
                       "metrics_address %s is off loopback, where anyone can read the metrics: that demands "
                       "metrics_off_loopback = true",
                       config->metrics_address);
    if (config->grpc_client_ca[0] != '\0' && config->grpc_cert[0] == '\0')
        config_mistake(mistakes, "grpc_client_ca needs grpc_cert and grpc_key");
    if (config->grpc_client_crl[0] != '\0' && config->grpc_client_ca[0] == '\0')
        config_mistake(mistakes, "grpc_client_crl needs grpc_client_ca");
    if (config->grpc_client_crl[0] != '\0' && strcmp(config->grpc_transport, "core") == 0)
        config_mistake(mistakes,
                       "grpc_client_crl: gRPC core looks at no revocation list; grpc_transport = \"nghttp2\" does");
}

/* A name would have to be resolved again and again, by whoever answers for it at the time. */
static void check_proxies(const struct config *config, struct config_mistakes *mistakes)
{
    struct network network;
    for (const char **proxy = config->trusted_proxies; *proxy != NULL; proxy++)
        if (strcmp(*proxy, "unix") != 0 && !network_parse(*proxy, &network))
            config_mistake(mistakes,
                           "trusted_proxies: \"%s\" is neither an IP address nor a network such as 10.0.0.0/8", *proxy);
}

/* That a proxy may name a person is one thing; that no other header is taken for a name, the other. */
static void check_user_header(const struct config *config, struct config_mistakes *mistakes)
{
    static const char *const others[] = {"Authorization",   "Cookie",       "Forwarded",      "Host", "Origin",
                                         "X-Forwarded-For", "X-Request-Id", "X-Gatehouse-As", NULL};
    const char *header = config->console_user_header;
    size_t len = strspn(header, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    bool is_other = false;
    for (const char *const *other = others; *other != NULL; other++)
        is_other |= strcasecmp(*other, header) == 0;
    if (header[len] != '\0' || is_other)
        config_mistake(mistakes,
                       "console_user_header: \"%s\" is not a header for a user's name, such as X-Forwarded-User",
                       header);
    if (header[0] != '\0' && config->trusted_proxies[0] == NULL)
        config_mistake(mistakes, "console_user_header needs trusted_proxies: only they may say who a person is");
    if (header[0] != '\0' && config_is_edge(config))
        config_mistake(mistakes, "console_user_header: an edge has no directory; set it on the server behind");
}

void config_check_values(const struct config *config, struct config_mistakes *mistakes)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    static const char *const formats[] = {"logfmt", "json", NULL};
    static const char *const proxy_headers[] = {"X-Forwarded-For", "Forwarded", NULL};
    static const char *const transports[] = {"nghttp2", "core", NULL};
    check_word("grpc_transport", config->grpc_transport, transports, mistakes);
    check_word("log_level", config->log_level, levels, mistakes);
    check_word("log_format", config->log_format, formats, mistakes);
    check_word("proxy_header", config->proxy_header, proxy_headers, mistakes);
    check_proxies(config, mistakes);
    check_user_header(config, mistakes);
    check_numbers(config, mistakes);
}

bool config_is_edge(const struct config *config)
{
    return config->upstream[0] != '\0';
}

/* Of several: IP addresses of one kind. */
static void check_upstream(const char *upstream, struct config_mistakes *mistakes)
{
    char one[300];
    bool is_list = strchr(upstream, ',') != NULL, is_v6 = upstream[0] == '[';
    if (!is_list && strncmp(upstream, "unix:", 5) == 0)
        return;
    for (const char *at = upstream; at != NULL; at = strchr(at, ',') == NULL ? NULL : strchr(at, ',') + 1) {
        struct host_port parts;
        unsigned char bytes[16];
        snprintf(one, sizeof one, "%.*s", (int)strcspn(at, ","), at);
        if (!split_address(one, &parts))
            config_mistake(mistakes, "upstream: \"%s\" is not HOST:PORT", one);
        else if (is_list && inet_pton(is_v6 ? AF_INET6 : AF_INET, parts.host, bytes) != 1)
            config_mistake(
                mistakes,
                "upstream: several servers are IP addresses, all IPv4 or all IPv6, or one name that has them "
                "all; \"%s\" is neither",
                one);
    }
}

static bool is_near(const char *upstream)
{
    char one[300];
    for (const char *at = upstream; at != NULL; at = strchr(at, ',') == NULL ? NULL : strchr(at, ',') + 1) {
        snprintf(one, sizeof one, "%.*s", (int)strcspn(at, ","), at);
        if (!config_is_loopback(one))
            return false;
    }
    return true;
}

static void check_edge(const struct config *config, struct config_mistakes *mistakes)
{
    check_upstream(config->upstream, mistakes);
    if (strcmp(config->store, CONFIG_DEFAULT_STORE) != 0)
        config_mistake(mistakes, "upstream makes this an edge, which has no store: set one of the two");
    if (config->admin_identities[0] != NULL)
        config_mistake(mistakes, "admin_identities: at an edge, administrators authenticate with a token");
    if (!is_near(config->upstream) && !config->insecure && config->upstream_ca[0] == '\0')
        config_mistake(mistakes, "upstream %s is off loopback: that demands TLS (upstream_ca), or insecure = true",
                       config->upstream);
    if ((config->upstream_client_id[0] == '\0') != (config->upstream_client_secret_file[0] == '\0'))
        config_mistake(mistakes,
                       "upstream_client_id and upstream_client_secret_file go together: one of them is missing");
    check_range("cache_entries", config->cache_entries, 1, 100000000, mistakes);
}

void config_check(const struct config *config, struct config_mistakes *mistakes)
{
    config_check_values(config, mistakes);
    check_addresses(config, mistakes);
    check_pair("grpc_cert", config->grpc_cert, "grpc_key", config->grpc_key, mistakes);
    check_pair("http_cert", config->http_cert, "http_key", config->http_key, mistakes);
    check_pair("upstream_cert", config->upstream_cert, "upstream_key", config->upstream_key, mistakes);
    check_file("grpc_client_ca", config->grpc_client_ca, mistakes);
    check_file("grpc_client_crl", config->grpc_client_crl, mistakes);
    check_file("upstream_ca", config->upstream_ca, mistakes);
    check_file("upstream_client_secret_file", config->upstream_client_secret_file, mistakes);
    check_folder("audit_archive", config->audit_archive, mistakes);
    check_file("store_password_file", config->store_password_file, mistakes);
    check_security(config, mistakes);
    check_urls(config, mistakes);
    check_descriptors(config, mistakes);
    if (config_is_edge(config))
        check_edge(config, mistakes);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration: one table (CONFIG_KEYS) that makes the struct, reads the file, the environment and --set, prints
 * itself
 * (`gatehoused --print-config`), and so documents itself. Order: default, file, environment (GATEHOUSED_<KEY>), --set
 * KEY=VALUE.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_DEFAULT_STORE "sqlite:/var/lib/gatehouse/gatehouse.db"

/* X(type, key, default, comment). A LIST's default is empty; it is {"a", "b"}, and in the environment and --set also
 * a,b.
 */
#define CONFIG_KEYS(X) \
    X(TEXT, store, CONFIG_DEFAULT_STORE, "sqlite:FILE, or postgresql://… for several replicas") \
    X(TEXT, store_password_file, "", "PostgreSQL's password, where the URL has none") \
    X(INT, store_timeout_ms, 10000, "how long PostgreSQL may take for one statement") \
    X(INT, lease_ms, 1000, "replicas: what one of them has ended, no other calls active later than this") \
    X(BOOL, strict, false, "replicas: ask the database at every call, so that the bound is 0") \
    X(INT, cache_lease_ms, 1000, \
      "for how long a cache that watches, or an edge, may answer before it must have heard from a server") \
    X(TEXT, grpc_address, "127.0.0.1:50051", \
      "where gRPC listens; port 0: any free one; unix:/PATH: a socket file; empty: not") \
    X(TEXT, grpc_cert, "", "PEM file; with grpc_key: TLS") \
    X(TEXT, grpc_key, "", "PEM file") \
    X(TEXT, grpc_client_ca, "", "PEM file; clients must present a certificate signed by it (mutual TLS)") \
    X(TEXT, grpc_transport, "nghttp2", "nghttp2, or core: gRPC core, which is slower and for known peers only") \
    X(TEXT, grpc_client_crl, "", \
      "PEM file of revocation lists: a certificate on one is refused, and once a list is out of date all are") \
    X(BOOL, identity_from_cn, false, "a client's certificate without subjectAltName is known by its CN") \
    X(TEXT, http_address, "127.0.0.1:8080", "where the REST shim listens; unix:/PATH: a socket file; empty: not") \
    X(TEXT, http_cert, "", "PEM file; with http_key: TLS") \
    X(TEXT, http_key, "", "PEM file") \
    X(TEXT, http_prefix, "", "every path is below it, such as /Auth") \
    X(TEXT, public_url, "", "what clients call http_prefix by, https://auth.example.com/Auth") \
    X(TEXT, metrics_address, "127.0.0.1:9464", "where /metrics is; empty: not") \
    X(BOOL, metrics_off_loopback, false, "serve /metrics in plain text to whoever reaches it, off loopback too") \
    X(BOOL, insecure, false, "allow addresses off loopback without TLS") \
    X(LIST, introspect_identities, NULL, "names proved by mutual TLS that may introspect") \
    X(LIST, admin_identities, NULL, "names proved by mutual TLS that may administer") \
    X(BOOL, check, true, \
      "serve /OAuth/Check, the token review and Envoy's Check to whoever reaches the port: it may then introspect " \
      "by them; off loopback only with check_off_loopback") \
    X(BOOL, check_off_loopback, false, "serve them off loopback too") \
    X(LIST, cors_origins, NULL, "origins that browsers may call from") \
    X(LIST, trusted_proxies, NULL, \
      "addresses and networks (10.0.0.0/8), and unix, that are believed whom they call for") \
    X(LIST, peer_identities, NULL, "names proved by mutual TLS (an edge's) that are believed whom they call for") \
    X(TEXT, proxy_header, "X-Forwarded-For", "by which trusted_proxies name the client; or Forwarded (RFC 7239)") \
    X(TEXT, console_user_header, "", \
      "by which a sign-on proxy among trusted_proxies names the user who has signed in, for the console; empty: not") \
    X(TEXT, audit_archive, "", \
      "a folder for events that the audit log no longer keeps (audit_retention); empty: they go") \
    X(TEXT, log_level, "info", "debug, info, warn or error") \
    X(TEXT, log_format, "logfmt", "logfmt or json") \
    X(INT, max_tokens_in_memory, 2000000, "live tokens kept in memory, 85 to 140 bytes each") \
    X(INT, flush_interval_ms, 2000, "how often uses are stored; after a crash a token may expire this much early") \
    X(INT, lame_duck_ms, 0, "how long a stop continues to serve first, while it says that it is not ready") \
    X(INT, grace_ms, 10000, "how long a stop waits for calls under way") \
    X(INT, grpc_threads, 4, "threads that answer gRPC") \
    X(INT, grpc_max_connections, 8192, "gRPC connections in all; beyond, they are closed") \
    X(INT, grpc_max_connections_per_address, 1024, "of one address; an IPv6 /64 is one") \
    X(INT, grpc_max_calls_per_connection, 256, \
      "calls under way on one connection; more are refused, to be tried again") \
    X(INT, grpc_max_header_bytes, 8192, "a call's metadata, 32 bytes added for each; more: RESOURCE_EXHAUSTED") \
    X(INT, grpc_max_message_bytes, 327680, "a request; more: RESOURCE_EXHAUSTED; BatchIntrospect needs as much") \
    X(INT, grpc_max_connection_bytes, 4194304, "requests and answers of one connection that wait in memory") \
    X(INT, grpc_max_memory_bytes, 268435456, "of all of them") \
    X(INT, grpc_handshake_timeout_ms, 5000, "TLS") \
    X(INT, grpc_settings_timeout_ms, 10000, "from accept to the client's first word of HTTP/2") \
    X(INT, grpc_progress_timeout_ms, 20000, "a peer that takes nothing, answers no PING or stops within a request") \
    X(INT, grpc_answer_timeout_ms, 60000, "an answer whose peer keeps its window closed") \
    X(INT, grpc_connection_age_ms, 900000, "then a connection has been ended, its streams before; -1: never") \
    X(INT, grpc_max_resets_per_second, 500, "calls that a connection gives up, and four times as many at once") \
    X(INT, grpc_max_pings_per_second, 10, \
      "frames of a connection that ask for nothing, and four times as many at once") \
    X(INT, http_threads, 2, "threads that answer HTTP") \
    X(INT, http_max_connections, 4096, "connections in all; beyond, one that says nothing makes room") \
    X(INT, http_max_connections_per_address, 512, "connections of one address") \
    X(INT, http_max_header_bytes, 8192, "request line and headers; more: 431") \
    X(INT, http_max_body_bytes, 65536, "body of a JSON request; more: 413; a form at most 16 KiB") \
    X(INT, http_request_timeout_ms, 10000, "from a request's first byte to its last; then 408") \
    X(INT, http_keep_alive_ms, 60000, "between two requests on one connection") \
    X(TEXT, upstream, "", \
      "the gRPC server behind, host:port: this is an edge then, without a store; several: IP addresses, " \
      "a:port,b:port") \
    X(TEXT, upstream_name, "", "edge: the name in the server's certificate; empty: the host of upstream") \
    X(TEXT, upstream_ca, "", "edge: PEM file; with it: TLS to the server behind") \
    X(TEXT, upstream_cert, "", "edge: PEM file; with upstream_key: mutual TLS") \
    X(TEXT, upstream_key, "", "edge: PEM file") \
    X(TEXT, upstream_client_id, "", "edge: the credential by which it watches and introspects (resource_server)") \
    X(TEXT, upstream_client_secret_file, "", "edge: its secret key") \
    X(INT, cache_entries, 100000, "edge: answers kept in memory, about 1 KiB each")

#define CONFIG_TYPE_TEXT const char *
#define CONFIG_TYPE_INT int64_t
#define CONFIG_TYPE_BOOL bool
#define CONFIG_TYPE_LIST const char **

struct config {
#define CONFIG_MEMBER(type, key, default_value, comment) CONFIG_TYPE_##type key;
    CONFIG_KEYS(CONFIG_MEMBER)
#undef CONFIG_MEMBER
    void *parsed; /* owns the strings */
};

/* Every mistake, a sentence a line, so that all are told at once. */
struct config_mistakes {
    char text[4096];
    size_t len;
    int count;
};
__attribute__((format(printf, 2, 3))) void config_mistake(struct config_mistakes *mistakes, const char *format, ...);

/* file may be NULL. settings: "key=value" strings, NULL-ended. False: there are mistakes. */
bool config_load(const char *file, const char *const *settings, struct config *ret_config,
                 struct config_mistakes *mistakes);
void config_free(struct config *config);

/* Are the numbers within their ranges, and the words known? */
void config_check_values(const struct config *config, struct config_mistakes *mistakes);

/* That, and is all of it possible: addresses that can be listened on, files that come in pairs and can be read, TLS
 * where it is demanded? */
void config_check(const struct config *config, struct config_mistakes *mistakes);

/* Does it stand in front of a server, and has no store? */
bool config_is_edge(const struct config *config);

/* The address of the store as it may be shown: without a password. */
void config_show_store(const char *store, char shown[static 512]);

/* As a configuration file with comments, on standard output. Without passwords. */
void config_print(const struct config *config);

/* Is an address such as "127.0.0.1:80", "[::1]:80" or "unix:/…" reachable from this machine only? */
bool config_is_loopback(const char *address);

#endif

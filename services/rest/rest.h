/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The REST shim: HTTP, form and JSON in front of any ProtobufCService. It knows nothing of tokens: it may hold the
 * implementation in this process, or a remote server (upstream.h), and cannot tell which.
 *
 * Threads: one event loop a thread. A handler runs on a loop and must not block; it may answer there and then or later
 * from any thread. The call it gets (call.h) lives until it has answered, also where the client has gone or its time is
 * up.
 */
#ifndef REST_H
#define REST_H

#include "base/status.h"
#include "call/metrics.h"
#include "contract/contract.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rest_server;

enum { READY_DETAIL_MAX = 160 };

/* Zero or NULL means the default, or "none" where no default is given. Strings and lists are borrowed until
 * rest_server_free. Lists end with NULL. */
struct rest_options {
    const char *address;       /* "127.0.0.1:8080", "[::1]:0", "unix:/run/x" */
    int listen_fd;             /* a listening socket in its place, borrowed; 0: none */
    const char *tls_cert_file; /* PEM chain, and with it tls_key_file; NULL: no TLS. TLS 1.2 and 1.3 only, with HSTS */
    const char *tls_key_file;
    const char *path_prefix; /* every path is below it, such as "/Auth"; "" or NULL: "/" */
    const char *public_url;  /* what a client calls path_prefix by, "https://auth.example.com/Auth": the issuer of RFC
                                8414. NULL: there is none */
    bool is_host_believed;   /* without a public_url the issuer is taken from each request's Host: near loopback only */
    int threads;             /* event loops; default 2 */

    /* Limits. */
    int max_connections;             /* in all; default 4,096 */
    int max_connections_per_address; /* default 512; trusted_proxies are not counted */
    size_t max_header_bytes;         /* request line and headers; default 8 KiB */
    size_t max_headers;              /* default 64 */
    size_t max_body_bytes;           /* default 64 KiB; a form at most 16 KiB */
    int64_t request_timeout_ms;      /* from a request's first byte to its last; default 10,000 */
    int64_t answer_timeout_ms;       /* from then to the handler's answer (the call's deadline); default 10,000 */
    int64_t write_timeout_ms;        /* for the client to read the whole answer; default 10,000 */
    int64_t keep_alive_ms;           /* between two requests, and for the TLS handshake; default 60,000 */

    ProtobufCService *auth;  /* gatehouse.v1.AuthService */
    ProtobufCService *admin; /* gatehouse.v1.CredentialAdmin; NULL: no /v1/… */

    /* Set by rest_server_new, to be read by the handlers: */
    const struct contract *admin_contract; /* of admin; NULL where there is none */
    const struct openapi *openapi;

    const char *const *cors_origins;     /* "https://console.example.com"; none: no CORS */
    const char *const *trusted_proxies;  /* IP addresses and networks whose X-Forwarded-For names the peer; "unix" */
    bool is_forwarded_rfc7239;           /* their Forwarded does, and not their X-Forwarded-For */
    const char *user_header;             /* by which they name the person who uses the console; NULL: they do not */
    const char *const *check_identities; /* /OAuth/Check and /k8s/TokenReview introspect as these (call->identities).
                                            Whoever reaches the port may use them then; none: they answer 404 */

    bool (*is_ready)(void *arg);       /* /readyz; called on a loop, must not block; NULL: ready */
    const char *(*trouble)(void *arg); /* said at /readyz of a server that is ready; as is_ready; NULL: never any */
    /* What else to say at /readyz: lines, each with its end; "" for nothing. As is_ready; NULL: nothing. */
    void (*ready_detail)(void *arg, char text[static READY_DETAIL_MAX]);
    void *is_ready_arg; /* of the three */

    struct metrics *metrics;     /* counts here; NULL: does not count */
    const char *metrics_address; /* serves `metrics` on a listener of its own at /metrics; NULL: not */
    int metrics_listen_fd;       /* in its place, borrowed; 0: none */
};

/* Makes a server that listens nowhere yet. NULL: error says why (an option that makes no sense, a file that cannot be
 * read). Free with rest_server_free. */
struct rest_server *rest_server_new(const struct rest_options *options, char error[static 256]);

/* Binds and starts the threads. STATUS_UNAVAILABLE: an address could not be bound; the log says which. */
enum status rest_server_start(struct rest_server *server);

/* The ports that were bound; useful where an address ended in :0. 0: none. */
int rest_server_port(const struct rest_server *server);
int rest_server_metrics_port(const struct rest_server *server);

/* Reads the certificate files again (SIGHUP; a changed file is seen within seconds without). Open connections stay;
 * files that cannot be used are logged and the old ones stay. */
void rest_server_reload(struct rest_server *server);

/* Has every event loop turned within the last `limit_ms`? From any thread, between start and stop. */
bool rest_server_is_turning(const struct rest_server *server, int64_t limit_ms);

/* Drains: the port is closed at once, idle ones closed, each answer says `Connection: close`; waits for what is under
 * way, at most grace_ms; then joins the threads. Blocking; once. /readyz should answer 503 some time before: is_ready
 * decides.
 */
void rest_server_stop(struct rest_server *server, int64_t grace_ms);

/* After rest_server_stop (or instead of start), once the services have answered every call: it waits for those that
 * have not. NULL is fine. */
void rest_server_free(struct rest_server *server);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: puts the parts together, waits for signals, takes them apart. The only file that exits. */
#include "api/api.h"
#include "config.h"
#include "log.h"
#include "rest/probe.h"
#include "rest/rest.h"
#include "rest/upstream.h"
#include "rpc/server.h"
#include "store/copy.h"
#include "supervisor.h"

#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <gatehouse.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 2,
    SETTINGS_MAX = 64,
    FILES_WANTED = 65536,
    SECRET_FILE_MAX = 256,
    READY_LEASES = 2,         /* without word from the database: not ready any more */
    MESSAGE_MAX = 320 * 1024, /* the largest BatchIntrospect */
    PROBE_TIMEOUT_MS = 5000,
    TURN_LIMIT_MS = 10000, /* an HTTP loop that did not turn for so long hangs; far below WatchdogSec */
    CLOSING_MS = 30000,    /* for what comes after the drain: storing what is in memory */
};

extern const unsigned char gatehouse_protoset[], gatehouse_protoset_end[];

/* Command line */

enum {
    OPTION_REST_ONLY = 1000,
    OPTION_UPSTREAM,
    OPTION_PRINT,
    OPTION_NAME,
    OPTION_SECRET_FILE,
    OPTION_CHECK,
    OPTION_HEALTH
};

struct arguments {
    const char *config_file;
    const char *settings[SETTINGS_MAX + 1];
    size_t setting_count;
    char upstream[300];
    bool is_rest_only;
    bool is_print;
    bool is_check;
    bool is_init;
    bool is_health;
    const char *name;
    const char *secret_file;
};

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "Read settings from FILE", 0},
    {"set", 's', "KEY=VALUE", 0, "Set one; repeatable. GATEHOUSED_<KEY> in the environment does the same", 0},
    {"rest-only", OPTION_REST_ONLY, NULL, 0, "Run only the REST shim, before the gRPC server given by --upstream", 0},
    {"upstream", OPTION_UPSTREAM, "HOST:PORT", 0, "With --rest-only: the server behind", 0},
    {"print-config", OPTION_PRINT, NULL, 0, "Print every setting, with its meaning, and end", 0},
    {"check-config", OPTION_CHECK, NULL, 0, "Say what is wrong with the settings, and end", 0},
    {"health", OPTION_HEALTH, NULL, 0, "Ask the daemon that runs with these settings whether it is ready, and end", 0},
    {NULL, 0, NULL, 0, "For init:", 1},
    {"name", OPTION_NAME, "NAME", 0, "Name of the first administrator's credential (default: administrator)", 1},
    {"secret-file", OPTION_SECRET_FILE, "FILE", 0, "Write its secret key to FILE (mode 0600) instead of printing it",
     1},
    {0},
};

static error_t add_setting(struct arguments *arguments, const char *setting, struct argp_state *state)
{
    if (arguments->setting_count == SETTINGS_MAX)
        argp_error(state, "too many --set");
    arguments->settings[arguments->setting_count++] = setting;
    return 0;
}

static error_t parse_option(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'c':
        arguments->config_file = value;
        return 0;
    case 's':
        return add_setting(arguments, value, state);
    case OPTION_REST_ONLY:
        arguments->is_rest_only = true;
        return 0;
    case OPTION_UPSTREAM:
        snprintf(arguments->upstream, sizeof arguments->upstream, "upstream=%s", value);
        return add_setting(arguments, arguments->upstream, state);
    case OPTION_PRINT:
        arguments->is_print = true;
        return 0;
    case OPTION_CHECK:
        arguments->is_check = true;
        return 0;
    case OPTION_HEALTH:
        arguments->is_health = true;
        return 0;
    case OPTION_NAME:
        arguments->name = value;
        return 0;
    case OPTION_SECRET_FILE:
        arguments->secret_file = value;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0 || strcmp(value, "init") != 0)
            argp_error(state, "there is no command %s", value);
        arguments->is_init = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* What runs */

struct daemon {
    struct config config;
    struct supervisor_sockets sockets;
    struct store *store;
    struct domain *domain;
    struct api *api;
    struct gatehouse *upstream; /* --rest-only */
    ProtobufCService *auth, *admin;
    const char **introspect_identities; /* the configured ones, and the shim's if it serves checks */
    struct metrics *metrics;
    struct rpc_server *rpc;
    struct rest_server *rest;
    _Atomic bool is_draining;
    bool is_serving; /* as the health service says */
};

/* No core file may hold a secret; descriptors must not run out (grpc-core-notes: CVE-2023-4785). */
static void harden(void)
{
    struct rlimit none = {0, 0}, files;
    umask(077);
    prctl(PR_SET_DUMPABLE, 0);
    setrlimit(RLIMIT_CORE, &none);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES_WANTED) {
        files.rlim_cur = files.rlim_max < FILES_WANTED ? files.rlim_max : FILES_WANTED;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
}

static void configure_log(const struct config *config)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++)
        if (strcmp(config->log_level, levels[i]) == 0)
            log_configure((enum log_level)i, strcmp(config->log_format, "json") == 0);
}

/* A secret from a file, without the end of its line. */
static bool read_secret(const char *file, char secret[static SECRET_FILE_MAX])
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, secret, SECRET_FILE_MAX - 1);
    if (fd >= 0)
        close(fd);
    secret[len < 0 ? 0 : len] = '\0';
    secret[strcspn(secret, "\r\n")] = '\0';
    return len > 0;
}

/* libpq takes a password file only of mode 0600, which no secret that a container is given has. */
static bool give_store_password(const struct config *config)
{
    char secret[SECRET_FILE_MAX];
    if (config->store_password_file[0] == '\0')
        return true;
    bool is_given = read_secret(config->store_password_file, secret) && setenv("PGPASSWORD", secret, 1) == 0;
    explicit_bzero(secret, sizeof secret);
    if (!is_given)
        log_write(LOG_LEVEL_ERROR, "secret_cannot_be_read", "file", config->store_password_file, NULL);
    return is_given;
}

static bool open_store(struct daemon *daemon, bool create)
{
    if (!give_store_password(&daemon->config))
        return false;
    char why[256] = "", shown[512];
    config_show_store(daemon->config.store, shown);
    struct store_options store_options = {
        .url = daemon->config.store, .create = create, .reply_timeout_ms = daemon->config.store_timeout_ms};
    enum status status = store_open(&store_options, &daemon->store, why);
    if (status == STATUS_OK)
        status = copy_claim(daemon->store, why);
    if (status != STATUS_OK) {
        log_write(LOG_LEVEL_ERROR, "store_cannot_be_opened", "store", shown, "message", why, "try",
                  status == STATUS_NOT_FOUND ? "gatehoused init, which makes it" : NULL, NULL);
        return false;
    }
    struct domain_options domain_options = {
        .store = daemon->store,
        .max_tokens_in_memory = (size_t)daemon->config.max_tokens_in_memory,
        .flush_interval_ms = daemon->config.flush_interval_ms,
        .lease_ms = daemon->config.lease_ms,
        .is_strict = daemon->config.strict,
    };
    status = domain_open(&domain_options, &daemon->domain);
    if (status != STATUS_OK)
        log_write(LOG_LEVEL_ERROR, "store_cannot_be_read", "store", shown, "status", status_name(status), NULL);
    return status == STATUS_OK;
}

static bool is_ready(void *arg)
{
    struct daemon *daemon = arg;
    if (daemon->is_draining)
        return false;
    return daemon->domain == NULL ||
           replica_age(daemon->domain->replica) < READY_LEASES * daemon->config.lease_ms * 1000;
}

static void observe(void *arg, const struct call *call, enum status status, int64_t duration_us)
{
    struct daemon *daemon = arg;
    metrics_rpc(daemon->metrics, "grpc", call->method, status, duration_us);
    /* Introspections are too many for a line each. */
    bool is_frequent = status == STATUS_OK && (strstr(call->method, "Introspect") != NULL ||
                                               strstr(call->method, ".Authorization/Check") != NULL);
    enum log_level level = is_frequent ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    if (!log_is_written(level))
        return;
    log_write(level, "rpc", "request_id", call->request_id, "method", call->method, "peer", call->peer, "status",
              status_name(status), "reason", call->error.reason[0] == '\0' ? NULL : call->error.reason, "microseconds",
              log_number(duration_us).text, "traceparent", call->traceparent, NULL);
}

static void add_certificate(struct metrics_text *text, const char *file, const char *labels)
{
    int64_t expiry;
    if (file[0] != '\0' && crypto_certificate_expiry(file, &expiry))
        metrics_put(text, "gatehouse_certificate_expiry_timestamp_seconds", "gauge",
                    "When the file's certificate expires, since 1970.", labels, (double)expiry);
}

static void add_metrics(void *arg, struct metrics_text *text)
{
    struct daemon *daemon = arg;
    uint64_t commits = 0, writes = 0;
    add_certificate(text, daemon->config.http_cert, "port=\"http\"");
    add_certificate(text, daemon->config.grpc_cert, "port=\"grpc\"");
    if (daemon->domain == NULL)
        return;
    store_counters(daemon->store, &commits, &writes);
    metrics_put(text, "gatehouse_store_commits_total", "counter", "Commits of the database.", "", (double)commits);
    metrics_put(text, "gatehouse_store_writes_total", "counter", "Write transactions in those commits.", "",
                (double)writes);
    metrics_put(text, "gatehouse_tokens_in_memory", "gauge", "Tokens in the in-memory table.", "",
                (double)token_table_count(daemon->domain->tokens));
    metrics_put(text, "gatehouse_tokens_in_memory_bytes", "gauge", "Bytes that they take.", "",
                (double)token_table_bytes(daemon->domain->tokens));
    metrics_put(text, "gatehouse_revision", "gauge", "The last revision this process knows.", "",
                (double)directory_revision(daemon->domain->directory));
    if (daemon->domain->replica != NULL)
        metrics_put(text, "gatehouse_replica_age_seconds", "gauge", "Since the change log was read last.", "",
                    (double)replica_age(daemon->domain->replica) / 1e6);
}

/* The name by which we ourselves introspect for a gateway (/OAuth/Check, Envoy's Check). No certificate carries it: it
 * is no printable text. */
#define SHIM_IDENTITY "\001shim"

static const char *const check_identities[] = {SHIM_IDENTITY, NULL};

/* May whoever reaches this address introspect by a gateway's check? */
static bool has_check(const struct config *config, const char *address)
{
    return config->check && (config_is_loopback(address) || config->check_off_loopback);
}

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static bool start_rpc(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    const char *why = "";
    struct rpc_server_options server_options = {
        .address = config->grpc_address,
        .tls_cert_file = or_null(config->grpc_cert),
        .tls_key_file = or_null(config->grpc_key),
        .tls_client_ca_file = or_null(config->grpc_client_ca),
        .threads = (int)config->grpc_threads,
        .max_message_bytes = MESSAGE_MAX,
        .max_concurrent_streams = config_is_loopback(config->grpc_address) ? 256 : 100,
        .descriptor_set = gatehouse_protoset,
        .descriptor_set_len = (size_t)(gatehouse_protoset_end - gatehouse_protoset),
    };
    daemon->rpc = rpc_server_new(&server_options, &why);
    if (daemon->rpc == NULL) {
        log_write(LOG_LEVEL_ERROR, "grpc_cannot_start", "message", why, NULL);
        return false;
    }
    rpc_server_add(daemon->rpc, daemon->auth);
    rpc_server_add(daemon->rpc, daemon->admin);
    rpc_server_add(daemon->rpc, api_authorization(daemon->api));
    rpc_server_observe(daemon->rpc, observe, daemon);
    enum status status = rpc_server_start(daemon->rpc);
    if (status != STATUS_OK)
        log_write(LOG_LEVEL_ERROR, "grpc_cannot_listen", "address", config->grpc_address, "status", status_name(status),
                  NULL);
    return status == STATUS_OK;
}

static bool start_rest(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    char why[256] = "";
    struct rest_options rest_options = {
        .address = config->http_address,
        .listen_fd = daemon->sockets.http.fd,
        .tls_cert_file = or_null(config->http_cert),
        .tls_key_file = or_null(config->http_key),
        .path_prefix = config->http_prefix,
        .public_url = or_null(config->public_url),
        .threads = (int)config->http_threads,
        .max_connections = (int)config->http_max_connections,
        .max_connections_per_address = (int)config->http_max_connections_per_address,
        .max_header_bytes = (size_t)config->http_max_header_bytes,
        .max_body_bytes = (size_t)config->http_max_body_bytes,
        .request_timeout_ms = config->http_request_timeout_ms,
        .keep_alive_ms = config->http_keep_alive_ms,
        .auth = daemon->auth,
        .admin = daemon->admin,
        .cors_origins = config->cors_origins,
        .trusted_proxies = config->trusted_proxies,
        .check_identities = has_check(config, config->http_address) ? check_identities : NULL,
        .is_ready = is_ready,
        .is_ready_arg = daemon,
        .metrics = daemon->metrics,
        .metrics_address = or_null(config->metrics_address),
        .metrics_listen_fd = daemon->sockets.metrics.fd,
    };
    daemon->rest = rest_server_new(&rest_options, why);
    if (daemon->rest == NULL) {
        log_write(LOG_LEVEL_ERROR, "http_cannot_start", "message", why, NULL);
        return false;
    }
    enum status status = rest_server_start(daemon->rest);
    if (status != STATUS_OK)
        log_write(LOG_LEVEL_ERROR, "http_cannot_listen", "address", config->http_address, "status", status_name(status),
                  NULL);
    return status == STATUS_OK;
}

static void list_identities(struct daemon *daemon)
{
    const char **configured = daemon->config.introspect_identities;
    size_t count = 0;
    while (configured[count] != NULL)
        count++;
    daemon->introspect_identities = calloc(count + 2, sizeof *configured);
    if (daemon->introspect_identities == NULL)
        abort();
    memcpy(daemon->introspect_identities, configured, count * sizeof *configured);
    if (has_check(&daemon->config, daemon->config.http_address) ||
        has_check(&daemon->config, daemon->config.grpc_address))
        daemon->introspect_identities[count] = SHIM_IDENTITY;
}

static bool open_local(struct daemon *daemon)
{
    if (!open_store(daemon, false))
        return false;
    list_identities(daemon);
    struct api_options api_options = {
        .domain = daemon->domain,
        .introspect_identities = daemon->introspect_identities,
        .admin_identities = daemon->config.admin_identities,
        .gateway_identities = has_check(&daemon->config, daemon->config.grpc_address) ? check_identities : NULL,
    };
    daemon->api = api_new(&api_options);
    daemon->auth = api_auth_service(daemon->api);
    daemon->admin = api_credential_admin(daemon->api);
    return true;
}

static bool open_upstream(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    char error[256] = "", secret[SECRET_FILE_MAX] = "";
    if (config->upstream_client_id[0] != '\0' && !read_secret(config->upstream_client_secret_file, secret)) {
        log_write(LOG_LEVEL_ERROR, "secret_cannot_be_read", "file", config->upstream_client_secret_file, NULL);
        return false;
    }
    struct gatehouse_options client_options = {
        .address = config->upstream,
        .tls_ca_file = or_null(config->upstream_ca),
        .tls_cert_file = or_null(config->upstream_cert),
        .tls_key_file = or_null(config->upstream_key),
        .client_id = or_null(config->upstream_client_id),
        .client_secret = or_null(secret),
    };
    daemon->upstream = gatehouse_open(&client_options, error);
    explicit_bzero(secret, sizeof secret);
    if (daemon->upstream == NULL) {
        log_write(LOG_LEVEL_ERROR, "upstream_cannot_be_used", "message", error, NULL);
        return false;
    }
    daemon->auth = upstream_new(gatehouse_auth_service(daemon->upstream));
    daemon->admin = upstream_new(gatehouse_credential_admin(daemon->upstream));
    return daemon->auth != NULL && daemon->admin != NULL;
}

static bool start(struct daemon *daemon, bool is_rest_only)
{
    daemon->metrics = metrics_new();
    if (daemon->metrics == NULL || !(is_rest_only ? open_upstream(daemon) : open_local(daemon)))
        return false;
    metrics_add_source(daemon->metrics, add_metrics, daemon);
    if (!is_rest_only && daemon->config.grpc_address[0] != '\0' && !start_rpc(daemon))
        return false;
    if (daemon->config.http_address[0] != '\0' && !start_rest(daemon))
        return false;
    log_write(LOG_LEVEL_INFO, "started", "version", GATEHOUSE_VERSION, "grpc_port",
              log_number(daemon->rpc == NULL ? 0 : rpc_server_port(daemon->rpc)).text, "http_port",
              log_number(daemon->rest == NULL ? 0 : rest_server_port(daemon->rest)).text, "metrics_port",
              log_number(daemon->rest == NULL ? 0 : rest_server_metrics_port(daemon->rest)).text, "store",
              is_rest_only ? "none" : "open", NULL);
    return true;
}

/* Accepted calls are answered; then what is in memory is stored. */
static void stop(struct daemon *daemon, bool is_rest_only)
{
    daemon->is_draining = true;
    if (daemon->rpc != NULL)
        rpc_server_set_serving(daemon->rpc, false);
    if (daemon->rest != NULL)
        rest_server_stop(daemon->rest, daemon->config.grace_ms);
    if (daemon->rpc != NULL)
        rpc_server_stop(daemon->rpc, daemon->config.grace_ms);
    rest_server_free(daemon->rest);
    rpc_server_free(daemon->rpc);
    if (is_rest_only) {
        upstream_free(daemon->auth);
        upstream_free(daemon->admin);
    }
    gatehouse_close(daemon->upstream);
    api_free(daemon->api);
    domain_close(daemon->domain);
    store_close(daemon->store);
    metrics_free(daemon->metrics);
    free(daemon->introspect_identities);
}

static void tell_ready(const struct daemon *daemon)
{
    supervisor_tell_ready(daemon->rpc == NULL ? 0 : rpc_server_port(daemon->rpc),
                          daemon->rest == NULL ? 0 : rest_server_port(daemon->rest));
}

static void reload_rpc(struct daemon *daemon)
{
    bool is_reloaded = rpc_server_reload(daemon->rpc) == STATUS_OK;
    log_write(is_reloaded ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
              is_reloaded ? "grpc_certificate_reloaded" : "grpc_certificate_not_reloaded", NULL);
}

static void reload(struct daemon *daemon)
{
    supervisor_tell_reloading();
    if (daemon->rpc != NULL)
        reload_rpc(daemon);
    if (daemon->rest != NULL)
        rest_server_reload(daemon->rest);
    log_write(LOG_LEVEL_INFO, "reloaded", NULL);
    tell_ready(daemon);
}

/* The gRPC port has a watchdog of its own (rpc/watchdog.c), which ends the process. */
static bool tell_alive(const struct daemon *daemon, bool was_alive)
{
    bool is_alive = daemon->rest == NULL || rest_server_is_turning(daemon->rest, TURN_LIMIT_MS);
    if (is_alive)
        supervisor_tell_alive();
    if (is_alive != was_alive)
        log_write(is_alive ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, is_alive ? "http_loop_turns_again" : "http_loop_hangs",
                  NULL);
    return is_alive;
}

/* In gRPC's health service, as in /readyz. */
static void tell_health(struct daemon *daemon)
{
    bool is_ready_now = is_ready(daemon);
    if (daemon->rpc != NULL && daemon->is_serving != is_ready_now)
        rpc_server_set_serving(daemon->rpc, is_ready_now);
    daemon->is_serving = is_ready_now;
}

/* Until it is told to stop. */
static void wait_for_signals(struct daemon *daemon, const sigset_t *signals)
{
    const struct timespec a_second = {1, 0};
    bool is_alive = true;
    for (;;) {
        int signal_number = sigtimedwait(signals, NULL, &a_second);
        is_alive = tell_alive(daemon, is_alive);
        tell_health(daemon);
        if (signal_number == SIGHUP)
            reload(daemon);
        else if (daemon->rpc != NULL && rpc_server_is_stale(daemon->rpc))
            reload_rpc(daemon);
        else if (signal_number > 0)
            return;
    }
}

static int run(struct daemon *daemon, bool is_rest_only)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* in every thread that is started from now on */
    bool is_started = start(daemon, is_rest_only);
    if (is_started) {
        tell_ready(daemon);
        wait_for_signals(daemon, &signals);
        supervisor_tell_stopping(2 * daemon->config.grace_ms + CLOSING_MS); /* HTTP's grace, then gRPC's */
        log_write(LOG_LEVEL_INFO, "stopping", NULL);
    }
    stop(daemon, is_rest_only);
    if (is_started)
        log_write(LOG_LEVEL_INFO, "stopped", NULL);
    return is_started ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* gatehoused init */

static bool write_secret(const char *file, const char *secret)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "gatehoused: %s: %s\n", file, strerror(errno));
        return false;
    }
    bool is_written = dprintf(fd, "%s\n", secret) > 0 && fsync(fd) == 0;
    close(fd);
    return is_written;
}

static int init(struct daemon *daemon, const struct arguments *arguments)
{
    char client_id[CLIENT_ID_LEN + 1], secret[SECRET_TEXT_LEN + 1];
    const char *name = arguments->name == NULL ? "administrator" : arguments->name;
    enum status status = STATUS_INTERNAL;
    if (open_store(daemon, true)) {
        status = api_create_administrator(daemon->domain, name, client_id, secret);
        if (status == STATUS_ALREADY_EXISTS)
            fprintf(stderr, "gatehoused: there is a credential named %s already; choose another by --name\n", name);
        else if (status != STATUS_OK)
            fprintf(stderr, "gatehoused: the credential could not be stored: %s\n", status_name(status));
    }
    if (status == STATUS_OK && arguments->secret_file != NULL) {
        if (!write_secret(arguments->secret_file, secret))
            status = STATUS_UNAVAILABLE;
        printf("client_id=%s\n", client_id);
    } else if (status == STATUS_OK) {
        printf("client_id=%s\nclient_secret=%s\n", client_id, secret);
        fprintf(stderr, "gatehoused: the secret key is shown this once; keep it safe\n");
    }
    explicit_bzero(secret, sizeof secret);
    domain_close(daemon->domain);
    store_close(daemon->store);
    return status == STATUS_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* gatehoused --health */

static int ask_health(const struct config *config)
{
    char path[300], why[160];
    if (config->http_address[0] == '\0') {
        fprintf(stderr, "gatehoused: --health asks /readyz over HTTP, but http_address is empty\n");
        return EXIT_USAGE;
    }
    snprintf(path, sizeof path, "%s/readyz", config->http_prefix);
    if (probe_is_ready(config->http_address, path, config->http_cert[0] != '\0', PROBE_TIMEOUT_MS, why)) {
        puts("ready");
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "gatehoused: not ready: %s: %s\n", config->http_address, why);
    return EXIT_FAILURE;
}

/* init and --health do not serve: the keys need not be there, which only the service may read. */
static void check_config(struct daemon *daemon, const struct arguments *arguments, struct config_mistakes *mistakes)
{
    if (arguments->is_init || arguments->is_health)
        config_check_values(&daemon->config, mistakes);
    else if (!arguments->is_print)
        config_check(&daemon->config, arguments->is_rest_only, mistakes);
}

/* Where a socket was handed over, its address is the one that counts, also for what is demanded off loopback. */
static void take_sockets(struct daemon *daemon, struct config_mistakes *mistakes)
{
    supervisor_take_sockets(&daemon->sockets, mistakes);
    if (daemon->sockets.http.fd != 0)
        daemon->config.http_address = daemon->sockets.http.address;
    if (daemon->sockets.metrics.fd != 0)
        daemon->config.metrics_address = daemon->sockets.metrics.address;
}

static int act(struct daemon *daemon, const struct arguments *arguments)
{
    if (arguments->is_print) {
        config_print(&daemon->config);
        return EXIT_SUCCESS;
    }
    if (arguments->is_check)
        return EXIT_SUCCESS;
    if (arguments->is_health)
        return ask_health(&daemon->config);
    return arguments->is_init ? init(daemon, arguments) : run(daemon, arguments->is_rest_only);
}

int main(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse_option,
        "[init]",
        "The Gatehouse daemon: application credentials to bearer tokens, over gRPC and HTTP."
        "\v`gatehoused init` makes the database and a first administrator.",
        NULL,
        NULL,
        NULL};
    static struct daemon daemon;
    struct arguments arguments = {.is_init = false};
    struct config_mistakes mistakes = {.count = 0};
    argp_program_version = "gatehoused " GATEHOUSE_VERSION;
    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    harden();
    config_load(arguments.config_file, arguments.settings, &daemon.config, &mistakes);
    if (!arguments.is_print && !arguments.is_check && !arguments.is_health && !arguments.is_init)
        take_sockets(&daemon, &mistakes);
    check_config(&daemon, &arguments, &mistakes);
    if (mistakes.count > 0) {
        fprintf(stderr, "gatehoused: the configuration makes no sense:\n%s", mistakes.text);
        config_free(&daemon.config);
        return EXIT_USAGE;
    }
    configure_log(&daemon.config);
    int result = act(&daemon, &arguments);
    config_free(&daemon.config);
    return result;
}

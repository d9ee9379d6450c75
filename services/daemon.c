/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include "api/watch.h"
#include "base/certificate.h"
#include "base/log.h"
#include "domain/flush.h"
#include "domain/group.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    READY_LEASES = 2, /* without word from the database: not ready any more */
};

extern const unsigned char documented_protoset[], documented_protoset_end[];

bool daemon_is_ready(void *arg)
{
    const struct daemon *daemon = arg;
    if (daemon->is_draining)
        return false;
    if (daemon->is_edge)
        return remote_is_ready(&daemon->remote);
    return local_is_open(&daemon->local) &&
           follow_age(daemon->local.domain->follow) < READY_LEASES * daemon->config.lease_ms * 1000;
}

void daemon_describe_clock(void *arg, char text[static READY_DETAIL_MAX])
{
    const struct daemon *daemon = arg;
    struct clock_state state = {0};
    text[0] = '\0';
    if (local_is_open(&daemon->local))
        clock_describe(daemon->local.domain->clock, &state);
    if (state.jumped != 0 || state.ahead > CLOCK_JUMP)
        snprintf(text, READY_DETAIL_MAX, "clock: jumped by %+lld s; %lld s behind the time that Gatehouse goes by\n",
                 (long long)(state.jumped / CLOCK_SECOND), (long long)(state.ahead / CLOCK_SECOND));
}

static bool is_memory_trusted(const struct remote *remote)
{
    struct gatehouse_cache_stats stats;
    remote_cache_stats(remote, &stats);
    return stats.is_trusted;
}

/* What no other replica could do better: they write to the same store. An edge is slow then, and right. */
static const char *find_trouble(void *arg)
{
    const struct daemon *daemon = arg;
    if (daemon->is_edge)
        return is_memory_trusted(&daemon->remote) ? NULL
                                                  : "its memory is not trusted: each call asks the server behind";
    return !local_is_open(&daemon->local) || store_is_writable(daemon->local.store) ? NULL
                                                                                    : "the store cannot be written";
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
    if (file[0] != '\0' && certificate_expiry(file, &expiry))
        metrics_put(text, "gatehouse_certificate_expiry_timestamp_seconds", "gauge",
                    "When the file's certificate expires, since 1970.", labels, (double)expiry);
}

static void add_clock(const struct daemon *daemon, struct metrics_text *text)
{
    struct clock_state state;
    clock_describe(daemon->local.domain->clock, &state);
    metrics_put(text, "gatehouse_clock_jumps_total", "counter", "Jumps of the wall clock against CLOCK_BOOTTIME.", "",
                (double)state.jumps);
    metrics_put(text, "gatehouse_clock_ahead_seconds", "gauge",
                "By so much the time that decides is ahead of the wall clock, which was set back.", "",
                (double)state.ahead / 1e6);
    metrics_put(text, "gatehouse_clock_unsettled_seconds", "gauge",
                "By so much the wall clock is ahead of the time that has certainly passed: after a jump or a rest.", "",
                (double)state.unsettled / 1e6);
}

static void add_replica(struct follow *follow, struct metrics_text *text)
{
    struct follow_resets resets = follow_resets(follow);
    metrics_put(text, "gatehouse_resets_total", "counter", "How often everything in memory was replaced, by cause.",
                "cause=\"history\"", (double)resets.history);
    metrics_put(text, "gatehouse_resets_total", "counter", "How often everything in memory was replaced, by cause.",
                "cause=\"cut\"", (double)resets.cut);
    metrics_put(text, "gatehouse_group_lease_seconds", "gauge",
                "The longest lease of any process of this store: the bound of the group.", "",
                (double)group_leases(follow_group(follow)).own / 1e6);
    metrics_put(text, "gatehouse_replica_age_seconds", "gauge", "Since the change log was read last.", "",
                (double)follow_age(follow) / 1e6);
}

static void add_wal(struct metrics_text *text, const char *store_path)
{
    char *path = NULL;
    struct stat wal;
    if (store_path == NULL || asprintf(&path, "%s-wal", store_path) < 0)
        return;
    metrics_put(text, "gatehouse_store_wal_bytes", "gauge", "Size of SQLite's write-ahead log.", "",
                stat(path, &wal) == 0 ? (double)wal.st_size : 0);
    free(path);
}

static void add_grpc(struct metrics_text *text, const struct rpc_server *rpc)
{
    struct rpc_counters counters;
    char label[64];
    if (!rpc_server_counters(rpc, &counters))
        return;
    metrics_put(text, "gatehouse_grpc_connections", "gauge", "Connections that are open.", "",
                (double)counters.connections);
    metrics_put(text, "gatehouse_grpc_connections_total", "counter", "Connections that were accepted.", "",
                (double)counters.accepted);
    for (int i = 0; i < RPC_LIMIT_COUNT; i++) {
        snprintf(label, sizeof label, "limit=\"%s\"", rpc_limit_name((enum rpc_limit)i));
        metrics_put(text, "gatehouse_grpc_limited_total", "counter", "How often a peer went past a limit.", label,
                    (double)counters.limited[i]);
    }
}

static void add_observed(struct metrics_text *text, struct observed *observed)
{
    static const char *const labels[LIMITS] = {
        [LIMIT_IDLE_TIMEOUT] = "limit=\"idle_timeout\"",
        [LIMIT_TOKEN_LIFE] = "limit=\"max_token_life\"",
        [LIMIT_TOKENS] = "limit=\"max_tokens\"",
        [LIMIT_TOKENS_PER_HOUR] = "limit=\"max_tokens_per_hour\"",
    };
    for (enum limit i = 0; i < LIMITS; i++)
        metrics_put(text, "gatehouse_limits_observed_total", "counter",
                    "What limits of credentials' own would have ended or refused, which are only observed.", labels[i],
                    (double)observed_total(observed, i));
}

static void add_usage(struct metrics_text *text, struct usage *usage)
{
    static const char other[] = "Uses that count as of the API \"other\", because too many were called.";
    struct usage_beyond beyond = usage_beyond(usage);
    metrics_put(text, "gatehouse_usage_other_total", "counter", other, "bound=\"credential\"",
                (double)beyond.credential);
    metrics_put(text, "gatehouse_usage_other_total", "counter", other, "bound=\"process\"", (double)beyond.process);
    metrics_put(text, "gatehouse_usage_lost_total", "counter",
                "Uses that no row counts, because the database took no usage for too long.", "", (double)beyond.lost);
}

static void add_archive(struct metrics_text *text, struct archive *archive)
{
    struct archive_state state = archive_state(archive);
    metrics_put(text, "gatehouse_audit_events_removed_total", "counter",
                "Events that have left the audit log in their time.", "", (double)state.removed);
    metrics_put(text, "gatehouse_audit_archive_failures_total", "counter",
                "How often such events could not be written to audit_archive, or do not fit together, and stay.", "",
                (double)state.failures);
}

/* Counted once a minute at most. */
static void add_ends(struct daemon *daemon, struct metrics_text *text)
{
    static const struct {
        int days;
        const char *label;
    } spans[] = {{7, "within=\"7d\""}, {30, "within=\"30d\""}};
    const struct domain *domain = daemon->local.domain;
    int64_t now = clock_now(domain->clock), steady = clock_monotonic();
    bool is_due = daemon->ends_counted == 0 || steady - daemon->ends_counted > 60 * CLOCK_SECOND;
    for (int i = 0; i < 2 && is_due; i++)
        daemon->ends[i] =
            directory_count_ends(domain->memory->directory, now, spans[i].days * 24 * 3600 * CLOCK_SECOND);
    if (is_due)
        daemon->ends_counted = steady;
    for (int i = 0; i < 2; i++)
        metrics_put(text, "gatehouse_credentials_expiring", "gauge", "Credentials that expire within that time.",
                    spans[i].label, (double)daemon->ends[i].credentials);
    for (int i = 0; i < 2; i++)
        metrics_put(text, "gatehouse_secret_keys_ending", "gauge",
                    "Secret keys that end within that time, for another was made beside them.", spans[i].label,
                    (double)daemon->ends[i].secrets);
}

static void add_watch(struct daemon *daemon, struct metrics_text *text)
{
    static const char *const causes[] = {NULL, "cause=\"unknown_position\"", "cause=\"behind\"", "cause=\"history\""};
    struct watch_state watch;
    struct ring_state ring;
    watch_describe(api_watch(daemon->local.api), &watch);
    ring_describe(daemon->local.domain->memory->ring, &ring);
    metrics_put(text, "gatehouse_watchers", "gauge", "Caches that are told of changes (Watch).", "",
                (double)watch.watchers);
    metrics_put(text, "gatehouse_watch_lag", "gauge", "Changes that the slowest of them has not taken yet.", "",
                (double)watch.lag);
    metrics_put(text, "gatehouse_watches_total", "counter", "Streams that began.", "", (double)watch.begun);
    metrics_put(text, "gatehouse_watches_resumed_total", "counter", "Those that continued where one before had ended.",
                "", (double)watch.resumed);
    metrics_put(text, "gatehouse_watch_pings_total", "counter", "Pings of caches.", "", (double)watch.pings);
    for (int cause = 1; cause < 4; cause++)
        metrics_put(text, "gatehouse_watch_resets_total", "counter", "How often a cache was told to forget everything.",
                    causes[cause], (double)watch.resets[cause]);
    metrics_put(text, "gatehouse_watch_ring_changes", "gauge",
                "Changes that a cache may have missed and still be told.", "", (double)ring.held);
    metrics_put(text, "gatehouse_watch_ring_age_seconds", "gauge", "How long ago the oldest of them is; 0: none.", "",
                ring.oldest == 0 ? 0 : (double)(clock_monotonic() - ring.oldest) / (double)CLOCK_SECOND);
}

/* An edge's memory. */
static void add_cache(const struct remote *remote, struct metrics_text *text)
{
    static const char resets[] = "How often the server said to forget everything.";
    static const char ended[] = "Answers that left memory, and why.";
    struct gatehouse_cache_stats stats;
    remote_cache_stats(remote, &stats);
    metrics_put(text, "gatehouse_cache_trusted", "gauge", "0: nothing is answered from memory now.", "",
                stats.is_trusted);
    metrics_put(text, "gatehouse_cache_pong_age_seconds", "gauge",
                "Since the server was asked for the sign of life that it gave last; -1: it gave none.", "",
                stats.pong_age_ms < 0 ? -1 : (double)stats.pong_age_ms / 1e3);
    metrics_put(text, "gatehouse_cache_lease_seconds", "gauge", "For so long it is trusted after that; 0: never yet.",
                "", (double)stats.lease_ms / 1e3);
    metrics_put(text, "gatehouse_cache_pings_unanswered", "gauge", "Of the stream that is open.", "",
                (double)stats.pings_unanswered);
    metrics_put(text, "gatehouse_cache_entries", "gauge", "Answers in memory.", "", (double)stats.entries);
    metrics_put(text, "gatehouse_cache_hits_total", "counter", "Introspections that were answered from memory.", "",
                (double)stats.hits);
    metrics_put(text, "gatehouse_cache_misses_total", "counter", "Introspections that were asked of the server.", "",
                (double)stats.misses);
    metrics_put(text, "gatehouse_cache_passed_total", "counter", "Introspections that are not for memory.", "",
                (double)stats.passed);
    metrics_put(text, "gatehouse_cache_ended_total", "counter", ended, "cause=\"event\"", (double)stats.removed);
    metrics_put(text, "gatehouse_cache_ended_total", "counter", ended, "cause=\"room\"", (double)stats.evicted);
    metrics_put(text, "gatehouse_cache_events_total", "counter", "Changes that were heard of.", "",
                (double)stats.events);
    metrics_put(text, "gatehouse_cache_streams_total", "counter", "Streams (Watch) that were begun.", "",
                (double)stats.streams);
    metrics_put(text, "gatehouse_cache_resets_total", "counter", resets, "cause=\"unknown_position\"",
                (double)stats.resets_unknown_position);
    metrics_put(text, "gatehouse_cache_resets_total", "counter", resets, "cause=\"behind\"",
                (double)stats.resets_behind);
    metrics_put(text, "gatehouse_cache_resets_total", "counter", resets, "cause=\"history\"",
                (double)stats.resets_history);
    metrics_put(text, "gatehouse_cache_uses_unreported", "gauge", "Uses that the server has not been told yet.", "",
                (double)stats.uses_unreported);
    metrics_put(text, "gatehouse_cache_uses_lost_total", "counter", "Uses that the server has not taken.", "",
                (double)stats.uses_lost);
}

static void add_metrics(void *arg, struct metrics_text *text)
{
    struct daemon *daemon = arg;
    uint64_t commits = 0, writes = 0;
    metrics_put(text, "gatehouse_log_lines_dropped_total", "counter", "Lines that standard error had no room for.", "",
                (double)log_dropped());
    add_certificate(text, daemon->config.http_cert, "port=\"http\"");
    add_certificate(text, daemon->config.grpc_cert, "port=\"grpc\"");
    if (daemon->is_edge) {
        add_certificate(text, daemon->config.upstream_cert, "port=\"upstream\"");
        add_cache(&daemon->remote, text);
    }
    if (daemon->rpc != NULL)
        add_grpc(text, daemon->rpc);
    if (!daemon->is_edge)
        metrics_put(text, "gatehouse_store_writable", "gauge",
                    "0: the last write could not be stored, for want of room say, or the store is waited for.", "",
                    local_is_open(&daemon->local) && store_is_writable(daemon->local.store) ? 1 : 0);
    if (!local_is_open(&daemon->local))
        return;
    store_counters(daemon->local.store, &commits, &writes);
    metrics_put(text, "gatehouse_store_commits_total", "counter", "Commits of the database.", "", (double)commits);
    metrics_put(text, "gatehouse_store_writes_total", "counter", "Write transactions in those commits.", "",
                (double)writes);
    add_wal(text, local_store_path(&daemon->local));
    metrics_put(text, "gatehouse_tokens_in_memory", "gauge", "Tokens in the in-memory table.", "",
                (double)token_table_count(daemon->local.domain->memory->tokens));
    metrics_put(text, "gatehouse_tokens_in_memory_bytes", "gauge", "Bytes that they take.", "",
                (double)token_table_bytes(daemon->local.domain->memory->tokens));
    metrics_put(text, "gatehouse_authentications_throttled_total", "counter",
                "Failed authentications that were refused because there were too many.", "",
                (double)api_throttled(daemon->local.api));
    metrics_put(text, "gatehouse_revision", "gauge", "The last revision this process knows.", "",
                (double)directory_position(daemon->local.domain->memory->directory).revision);
    static const char uses[] = "Uses of credentials from outside their networks, refused, or only observed.";
    const struct source_uses *sources = daemon->local.domain->memory->sources;
    metrics_put(text, "gatehouse_source_address_total", "counter", uses, "outcome=\"refused\"",
                (double)source_uses_count(sources, SOURCE_REFUSED));
    metrics_put(text, "gatehouse_source_address_total", "counter", uses, "outcome=\"observed\"",
                (double)source_uses_count(sources, SOURCE_OBSERVED));
    metrics_put(text, "gatehouse_tokens_missing_total", "counter",
                "Tokens that were in use and had gone from the database.", "",
                (double)flush_tokens_missing(daemon->local.domain->flush));
    add_archive(text, daemon->local.domain->archive);
    add_observed(text, daemon->local.domain->memory->observed);
    metrics_put(
        text, "gatehouse_credentials_unused_announced", "gauge",
        "Credentials that will be suspended unless they are used; told by the server that removes what has ended.", "",
        (double)reap_announced(daemon->local.domain->reap));
    add_usage(text, daemon->local.domain->memory->usage);
    add_clock(daemon, text);
    add_ends(daemon, text);
    add_watch(daemon, text);
    if (daemon->local.domain->follow != NULL)
        add_replica(daemon->local.domain->follow, text);
}

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static struct rpc_limits grpc_limits(const struct config *config)
{
    return (struct rpc_limits){
        .max_connections = (int)config->grpc_max_connections,
        .max_connections_per_address = (int)config->grpc_max_connections_per_address,
        .max_calls_per_connection = (int)config->grpc_max_calls_per_connection,
        .max_header_bytes = (size_t)config->grpc_max_header_bytes,
        .max_message_bytes = (size_t)config->grpc_max_message_bytes,
        .max_connection_bytes = (size_t)config->grpc_max_connection_bytes,
        .max_memory_bytes = (size_t)config->grpc_max_memory_bytes,
        .handshake_timeout_ms = config->grpc_handshake_timeout_ms,
        .settings_timeout_ms = config->grpc_settings_timeout_ms,
        .progress_timeout_ms = config->grpc_progress_timeout_ms,
        .answer_timeout_ms = config->grpc_answer_timeout_ms,
        .connection_age_ms = config->grpc_connection_age_ms,
        .max_resets_per_second = (int)config->grpc_max_resets_per_second,
        .max_pings_per_second = (int)config->grpc_max_pings_per_second,
    };
}

static ProtobufCService *auth_of(struct daemon *daemon)
{
    return daemon->is_edge ? &daemon->remote.auth.service : &daemon->local.auth.service;
}

static ProtobufCService *admin_of(struct daemon *daemon)
{
    return daemon->is_edge ? &daemon->remote.admin.service : &daemon->local.admin.service;
}

static bool start_rpc(struct daemon *daemon)
{
    const struct config *config = &daemon->config;
    const char *why = "";
    struct rpc_server_options server_options = {
        .transport = config->grpc_transport,
        .address = config->grpc_address,
        .listen_fd = daemon->sockets.grpc.fd,
        .tls_cert_file = or_null(config->grpc_cert),
        .tls_key_file = or_null(config->grpc_key),
        .tls_client_ca_file = or_null(config->grpc_client_ca),
        .tls_client_crl_file = or_null(config->grpc_client_crl),
        .threads = (int)config->grpc_threads,
        .limits = grpc_limits(config),
        .identity_from_cn = config->identity_from_cn,
        .descriptor_set = documented_protoset,
        .descriptor_set_len = (size_t)(documented_protoset_end - documented_protoset),
    };
    daemon->rpc = rpc_server_new(&server_options, &why);
    if (daemon->rpc == NULL) {
        log_write(LOG_LEVEL_ERROR, "grpc_cannot_start", "message", why, NULL);
        return false;
    }
    rpc_server_add(daemon->rpc, auth_of(daemon));
    rpc_server_add(daemon->rpc, admin_of(daemon));
    rpc_server_add(daemon->rpc,
                   daemon->is_edge ? &daemon->remote.authorization.service : &daemon->local.authorization.service);
    rpc_server_observe(daemon->rpc, observe, daemon);
    daemon->is_serving = daemon_is_ready(daemon);
    rpc_server_set_serving(daemon->rpc, daemon->is_serving);
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
        .is_host_believed = config_is_loopback(config->http_address),
        .threads = (int)config->http_threads,
        .max_connections = (int)config->http_max_connections,
        .max_connections_per_address = (int)config->http_max_connections_per_address,
        .max_header_bytes = (size_t)config->http_max_header_bytes,
        .max_body_bytes = (size_t)config->http_max_body_bytes,
        .request_timeout_ms = config->http_request_timeout_ms,
        .keep_alive_ms = config->http_keep_alive_ms,
        .auth = auth_of(daemon),
        .admin = admin_of(daemon),
        .cors_origins = config->cors_origins,
        .trusted_proxies = config->trusted_proxies,
        .is_forwarded_rfc7239 = strcmp(config->proxy_header, "Forwarded") == 0,
        .user_header = or_null(config->console_user_header),
        .check_identities = local_has_check(config, config->http_address) ? local_check_identities : NULL,
        .is_ready = daemon_is_ready,
        .ready_detail = daemon_describe_clock,
        .trouble = find_trouble,
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

bool daemon_start(struct daemon *daemon)
{
    bool is_edge = config_is_edge(&daemon->config);
    daemon->is_edge = is_edge;
    daemon->metrics = metrics_new();
    if (daemon->metrics == NULL ||
        !(is_edge ? remote_start(&daemon->remote, &daemon->config) : local_start(&daemon->local, &daemon->config)))
        return false;
    metrics_add_source(daemon->metrics, add_metrics, daemon);
    if (daemon->config.grpc_address[0] != '\0' && !start_rpc(daemon))
        return false;
    if (daemon->config.http_address[0] != '\0' && !start_rest(daemon))
        return false;
    log_write(LOG_LEVEL_INFO, "started", "version", GATEHOUSE_VERSION, "grpc_port",
              log_number(daemon->rpc == NULL ? 0 : rpc_server_port(daemon->rpc)).text, "http_port",
              log_number(daemon->rest == NULL ? 0 : rest_server_port(daemon->rest)).text, "metrics_port",
              log_number(daemon->rest == NULL ? 0 : rest_server_metrics_port(daemon->rest)).text, "store",
              is_edge                         ? "none"
              : local_is_open(&daemon->local) ? "open"
                                              : "away",
              NULL);
    return true;
}

void daemon_begin_stop(struct daemon *daemon)
{
    daemon->is_draining = true;
    if (daemon->rpc != NULL)
        rpc_server_set_serving(daemon->rpc, false);
}

static void *stop_rpc(void *arg)
{
    struct daemon *daemon = arg;
    rpc_server_stop(daemon->rpc, daemon->config.grace_ms);
    return NULL;
}

void daemon_stop(struct daemon *daemon)
{
    pthread_t stopping;
    daemon_begin_stop(daemon);
    if (daemon->is_edge)
        remote_begin_stop(&daemon->remote, daemon->config.grace_ms);
    bool is_beside =
        daemon->rpc != NULL && daemon->rest != NULL && pthread_create(&stopping, NULL, stop_rpc, daemon) == 0;
    if (daemon->rest != NULL)
        rest_server_stop(daemon->rest, daemon->config.grace_ms);
    if (is_beside)
        pthread_join(stopping, NULL);
    else if (daemon->rpc != NULL)
        stop_rpc(daemon);
    rest_server_free(daemon->rest);
    rpc_server_free(daemon->rpc);
    if (daemon->is_edge)
        remote_stop(&daemon->remote);
    else
        local_stop(&daemon->local);
    metrics_free(daemon->metrics);
}

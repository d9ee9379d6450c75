/* SPDX-License-Identifier: Apache-2.0 */
#include "remote.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "edge/edge.h"
#include "edge/upstream.h"
#include "local.h"
#include "rest/tls.h"

#include <errno.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CALL_MS = 10000, CALLS_LAST_MS = 12000 };
#define CUT_EVERY (CLOCK_SECOND / 4)
#define ASK_WHY_AFTER (5 * CLOCK_SECOND)
#define ASK_WHY_AGAIN (60 * CLOCK_SECOND)

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static void link_close(struct remote_link *link)
{
    gatehouse_close(link->connection);
    edge_free(link->auth);
    upstream_free(link->admin);
    *link = (struct remote_link){NULL, NULL, NULL};
}

/* When each file was changed last; a link of Kubernetes' that points elsewhere now counts, too. */
static void look_at_files(const struct config *config, struct timespec changed[REMOTE_FILES])
{
    const char *const files[REMOTE_FILES] = {config->upstream_ca, config->upstream_cert, config->upstream_key,
                                             config->upstream_client_secret_file};
    struct stat file;
    for (int i = 0; i < REMOTE_FILES; i++)
        changed[i] = files[i][0] != '\0' && stat(files[i], &file) == 0 ? file.st_mtim : (struct timespec){.tv_sec = 0};
}

/* gRPC core would find out only when it connects. */
static bool fits(const struct config *config)
{
    char why[256] = "";
    if (config->upstream_cert[0] == '\0')
        return true;
    struct tls *tls = tls_new(config->upstream_cert, config->upstream_key, why, sizeof why);
    if (tls == NULL)
        log_write(LOG_LEVEL_ERROR, "upstream_cannot_be_used", "message", why, NULL);
    tls_free(tls);
    return tls != NULL;
}

/* What `upstream` is to libgatehouse: one address as it stands; of several, which are IP addresses, "ipv4:1.2.3.4:5,…",
 * and the brackets of IPv6 as a URI's path has them. */
static char *make_address(const char *upstream)
{
    char *address = must(malloc(3 * strlen(upstream) + sizeof "ipv4:")), *to = address;
    if (strchr(upstream, ',') != NULL)
        to = stpcpy(to, upstream[0] == '[' ? "ipv6:" : "ipv4:");
    bool is_ipv6_list = to != address && upstream[0] == '[';
    for (const char *c = upstream; *c != '\0'; c++) {
        if (is_ipv6_list && (*c == '[' || *c == ']'))
            to = stpcpy(to, *c == '[' ? "%5B" : "%5D");
        else
            *to++ = *c;
    }
    *to = '\0';
    return address;
}

static struct gatehouse *connect_to(const struct config *config, const char *secret)
{
    char error[256] = "", *address = make_address(config->upstream);
    const struct gatehouse_options options = {
        .address = address,
        .tls_ca_file = or_null(config->upstream_ca),
        .tls_cert_file = or_null(config->upstream_cert),
        .tls_key_file = or_null(config->upstream_key),
        .tls_server_name = or_null(config->upstream_name),
        .client_id = or_null(config->upstream_client_id),
        .client_secret = or_null(secret),
        .timeout_ms = CALL_MS,
        .cache_entries = (size_t)config->cache_entries,
        .cache_lease_ms = config->cache_lease_ms,
    };
    struct gatehouse *connection = gatehouse_open(&options, error);
    if (connection == NULL)
        log_write(LOG_LEVEL_ERROR, "upstream_cannot_be_used", "message", error, NULL);
    free(address);
    return connection;
}

static bool link_open(const struct remote *remote, struct remote_link *ret_link)
{
    const struct config *config = remote->config;
    char secret[SECRET_FILE_MAX] = "";
    if (!fits(config))
        return false;
    if (config->upstream_client_id[0] != '\0' && !local_read_secret(config->upstream_client_secret_file, secret)) {
        log_write(LOG_LEVEL_ERROR, "secret_cannot_be_read", "file", config->upstream_client_secret_file, NULL);
        return false;
    }
    struct gatehouse *connection = connect_to(config, secret);
    explicit_bzero(secret, sizeof secret);
    if (connection == NULL)
        return false;
    *ret_link = (struct remote_link){
        .connection = connection,
        .auth = edge_new(connection, remote->introspect_identities, &remote->peer_trust),
        .admin = upstream_new(gatehouse_credential_admin(connection), &remote->peer_trust),
    };
    return true;
}

static void use(struct remote *remote, const struct remote_link *link)
{
    remote->now = *link;
    atomic_store(&remote->connection, link->connection);
    door_lead(&remote->auth, edge_auth_service(link->auth));
    door_lead(&remote->admin, link->admin);
    (void)gatehouse_is_connected(link->connection); /* so that it begins to connect */
}

bool remote_start(struct remote *remote, const struct config *config)
{
    struct remote_link link;
    remote->config = config;
    remote->untrusted_since = clock_monotonic();
    remote->asked_why = remote->untrusted_since - ASK_WHY_AGAIN;
    peer_trust_init(&remote->peer_trust, config->peer_identities, config->trusted_proxies);
    remote->introspect_identities = local_list_identities(config);
    door_init(&remote->auth, &gatehouse__v1__auth_service__descriptor);
    door_init(&remote->admin, &gatehouse__v1__credential_admin__descriptor);
    authorization_init(&remote->authorization, &remote->auth.service,
                       local_has_check(config, config->grpc_address) ? local_check_identities : NULL);
    look_at_files(config, remote->changed);
    if (!link_open(remote, &link))
        return false;
    use(remote, &link);
    return true;
}

static void cancel_all(const struct remote_link *link)
{
    if (link->connection != NULL)
        gatehouse_cancel_all(link->connection);
}

/* Again and again: a call may begin after the first time, by itself (an Introspect whose caller is not known) or on a
 * connection that its port is about to end. */
static void *cut(void *arg)
{
    struct remote *remote = arg;
    int64_t next = remote->cut_from;
    for (;; next += CUT_EVERY) {
        struct timespec until = {.tv_sec = next / CLOCK_SECOND, .tv_nsec = next % CLOCK_SECOND * 1000};
        int result;
        while ((result = sem_clockwait(&remote->drained, CLOCK_MONOTONIC, &until)) != 0 && errno == EINTR)
            ;
        if (result == 0)
            return NULL;
        cancel_all(&remote->former);
        cancel_all(&remote->now);
    }
}

void remote_begin_stop(struct remote *remote, int64_t grace_ms)
{
    /* The ports come first: they say UNAVAILABLE, which may be tried elsewhere. */
    remote->cut_from = clock_monotonic() + grace_ms * 1000 + CUT_EVERY;
    sem_init(&remote->drained, 0, 0);
    remote->is_cutting = pthread_create(&remote->cutter, NULL, cut, remote) == 0;
}

static void end_cutting(struct remote *remote)
{
    if (!remote->is_cutting)
        return;
    sem_post(&remote->drained);
    pthread_join(remote->cutter, NULL);
    sem_destroy(&remote->drained);
    remote->is_cutting = false;
}

void remote_stop(struct remote *remote)
{
    end_cutting(remote);
    atomic_store(&remote->connection, NULL);
    link_close(&remote->former);
    link_close(&remote->now);
    free(remote->introspect_identities);
    peer_trust_done(&remote->peer_trust);
}

/* Why is memory not trusted? */

struct question {
    struct gatehouse_call call; /* first */
    _Atomic bool *is_asking;
};

static void answered_why(const ProtobufCMessage *response, void *data)
{
    struct question *question = data;
    const struct gatehouse_call *call = &question->call;
    if (response == NULL)
        log_write(LOG_LEVEL_WARN, "upstream_refuses", "status", status_name((enum status)call->status), "reason",
                  call->reason[0] == '\0' ? NULL : call->reason, "message", call->message, NULL);
    atomic_store(question->is_asking, false);
    free(question);
}

/* By our own right, of a token that is none: what is wrong with that right is what ends the stream, too. */
static void ask_why(struct remote *remote)
{
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    char none[] = "?";
    if (atomic_exchange(&remote->is_asking, true))
        return;
    struct question *question = must(calloc(1, sizeof *question));
    question->is_asking = &remote->is_asking;
    request.token = none;
    request.no_touch = true;
    gatehouse__v1__auth_service__introspect(gatehouse_auth_service(remote->now.connection), &request,
                                            (Gatehouse__V1__IntrospectResponse_Closure)answered_why, question);
}

static void look_at_trust(struct remote *remote)
{
    struct gatehouse_cache_stats stats;
    int64_t now = clock_monotonic();
    gatehouse_cache_stats(remote->now.connection, &stats);
    if (stats.is_trusted != remote->was_trusted) {
        log_write(stats.is_trusted ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                  stats.is_trusted ? "memory_trusted" : "memory_not_trusted", NULL);
        remote->untrusted_since = now;
    }
    remote->was_trusted = stats.is_trusted;
    if (stats.is_trusted || now - remote->untrusted_since < ASK_WHY_AFTER || now - remote->asked_why < ASK_WHY_AGAIN)
        return;
    remote->asked_why = now;
    ask_why(remote);
}

bool remote_is_stale(struct remote *remote)
{
    struct timespec changed[REMOTE_FILES];
    if (remote->former.connection != NULL && clock_monotonic() - remote->former_since > CALLS_LAST_MS * 1000)
        link_close(&remote->former);
    look_at_trust(remote);
    if (remote->is_due)
        return true;
    look_at_files(remote->config, changed);
    for (int i = 0; i < REMOTE_FILES; i++)
        if (changed[i].tv_sec != remote->changed[i].tv_sec || changed[i].tv_nsec != remote->changed[i].tv_nsec)
            return true;
    return false;
}

void remote_reload(struct remote *remote)
{
    struct remote_link link;
    remote->is_due = remote->former.connection != NULL;
    if (remote->is_due)
        return; /* once its calls are over */
    look_at_files(remote->config, remote->changed);
    if (!link_open(remote, &link))
        return;
    remote->former = remote->now;
    remote->former_since = clock_monotonic();
    use(remote, &link);
    log_write(LOG_LEVEL_INFO, "upstream_reloaded", NULL);
}

static struct gatehouse *connection_of(const struct remote *remote)
{
    return atomic_load(&((struct remote *)(uintptr_t)remote)->connection);
}

bool remote_is_ready(const struct remote *remote)
{
    struct gatehouse *connection = connection_of(remote);
    return connection != NULL && gatehouse_is_connected(connection);
}

void remote_cache_stats(const struct remote *remote, struct gatehouse_cache_stats *ret_stats)
{
    struct gatehouse *connection = connection_of(remote);
    *ret_stats = (struct gatehouse_cache_stats){.pong_age_ms = -1};
    if (connection != NULL)
        gatehouse_cache_stats(connection, ret_stats);
}

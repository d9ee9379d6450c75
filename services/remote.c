/* SPDX-License-Identifier: Apache-2.0 */
#include "remote.h"

#include "base/clock.h"
#include "base/log.h"
#include "local.h"
#include "rest/tls.h"
#include "rest/upstream.h"

#include <gatehouse.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

enum { CALL_MS = 10000, CALLS_LAST_MS = 12000 };

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

static void link_close(struct remote_link *link)
{
    gatehouse_close(link->connection);
    upstream_free(link->auth);
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

static bool link_open(const struct config *config, struct remote_link *ret_link)
{
    char error[256] = "", secret[SECRET_FILE_MAX] = "";
    struct remote_link link = {NULL, NULL, NULL};
    if (!fits(config))
        return false;
    if (config->upstream_client_id[0] != '\0' && !local_read_secret(config->upstream_client_secret_file, secret)) {
        log_write(LOG_LEVEL_ERROR, "secret_cannot_be_read", "file", config->upstream_client_secret_file, NULL);
        return false;
    }
    const struct gatehouse_options options = {
        .address = config->upstream,
        .tls_ca_file = or_null(config->upstream_ca),
        .tls_cert_file = or_null(config->upstream_cert),
        .tls_key_file = or_null(config->upstream_key),
        .client_id = or_null(config->upstream_client_id),
        .client_secret = or_null(secret),
        .timeout_ms = CALL_MS,
    };
    link.connection = gatehouse_open(&options, error);
    explicit_bzero(secret, sizeof secret);
    if (link.connection == NULL) {
        log_write(LOG_LEVEL_ERROR, "upstream_cannot_be_used", "message", error, NULL);
        return false;
    }
    link.auth = upstream_new(gatehouse_auth_service(link.connection));
    link.admin = upstream_new(gatehouse_credential_admin(link.connection));
    *ret_link = link;
    return true;
}

static void use(struct remote *remote, const struct remote_link *link)
{
    remote->now = *link;
    atomic_store(&remote->connection, link->connection);
    door_lead(&remote->auth, link->auth);
    door_lead(&remote->admin, link->admin);
    (void)gatehouse_is_connected(link->connection); /* so that it begins to connect */
}

bool remote_start(struct remote *remote, const struct config *config)
{
    struct remote_link link;
    remote->config = config;
    door_init(&remote->auth, &gatehouse__v1__auth_service__descriptor);
    door_init(&remote->admin, &gatehouse__v1__credential_admin__descriptor);
    look_at_files(config, remote->changed);
    if (!link_open(config, &link))
        return false;
    use(remote, &link);
    return true;
}

void remote_stop(struct remote *remote)
{
    link_close(&remote->former);
    link_close(&remote->now);
}

bool remote_is_stale(struct remote *remote)
{
    struct timespec changed[REMOTE_FILES];
    if (remote->former.connection != NULL && clock_monotonic() - remote->former_since > CALLS_LAST_MS * 1000)
        link_close(&remote->former);
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
    if (!link_open(remote->config, &link))
        return;
    remote->former = remote->now;
    remote->former_since = clock_monotonic();
    use(remote, &link);
    log_write(LOG_LEVEL_INFO, "upstream_reloaded", NULL);
}

bool remote_is_ready(const struct remote *remote)
{
    struct gatehouse *connection = atomic_load(&((struct remote *)(uintptr_t)remote)->connection);
    return connection != NULL && gatehouse_is_connected(connection);
}

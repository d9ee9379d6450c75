/* SPDX-License-Identifier: Apache-2.0 */
#include "local.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/must.h"
#include "base/utf8.h"
#include "domain/domain.h"
#include "records/schema.h"
#include "store/copy.h"

#include <envoy/service/auth/v3/external_auth.pb-c.h>
#include <fcntl.h>
#include <gatehouse/v1/auth.pb-c.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TRY_AGAIN_S = 1, WHY_MAX = LOCAL_WHY_MAX };
#define SAY_AGAIN (60 * CLOCK_SECOND)

#define SHIM_IDENTITY "\001shim"
const char *const local_check_identities[] = {SHIM_IDENTITY, NULL};

bool local_has_check(const struct config *config, const char *address)
{
    return config->check && (config_is_loopback(address) || config->check_off_loopback);
}

bool local_read_secret(const char *file, char secret[static SECRET_FILE_MAX])
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
    bool is_given = local_read_secret(config->store_password_file, secret) && setenv("PGPASSWORD", secret, 1) == 0;
    explicit_bzero(secret, sizeof secret);
    if (!is_given)
        log_write(LOG_LEVEL_ERROR, "secret_cannot_be_read", "file", config->store_password_file, NULL);
    return is_given;
}

/* Which brings its schema up to date. */
static enum status open_store(struct local *local, bool create, char why[WHY_MAX])
{
    const struct config *config = local->config;
    const struct store_options options = {.schema = &records_schema,
                                          .url = config->store,
                                          .create = create,
                                          .reply_timeout_ms = config->store_timeout_ms};
    return store_open(&options, &local->store, why);
}

static void find_host(struct local *local)
{
    if (gethostname(local->host, sizeof local->host - 1) != 0 || !utf8_is_text(local->host, strlen(local->host)))
        local->host[0] = '\0';
}

/* Store and domain, or neither. UNAVAILABLE: that may pass. */
static enum status open_domain(struct local *local, bool create, char why[WHY_MAX])
{
    const struct config *config = local->config;
    bool was_copy = false;
    find_host(local);
    enum status status = open_store(local, create, why);
    if (status == STATUS_OK)
        status = copy_claim(local->store, &was_copy, why);
    const struct domain_options domain_options = {
        .store = local->store,
        .max_tokens_in_memory = (size_t)config->max_tokens_in_memory,
        .flush_interval_ms = config->flush_interval_ms,
        .lease_ms = config->lease_ms,
        .cache_lease_ms = config->cache_lease_ms,
        .audit_archive = config->audit_archive,
        .host = local->host,
        .is_strict = config->strict,
        .begins_history = was_copy,
    };
    if (status == STATUS_OK) {
        snprintf(why, WHY_MAX, "the database cannot be read");
        status = domain_open(&domain_options, &local->domain);
    }
    if (status == STATUS_OK)
        return status;
    store_close(local->store);
    local->store = NULL;
    return status;
}

static void say_failure(const struct local *local, enum status status, const char *why)
{
    char shown[512];
    config_show_store(local->config->store, shown);
    log_write(LOG_LEVEL_ERROR, "store_cannot_be_opened", "store", shown, "message", why, "try",
              status == STATUS_NOT_FOUND ? "gatehoused init, which makes it" : NULL, NULL);
}

bool local_open_store(struct local *local, const struct config *config, bool create)
{
    char why[WHY_MAX] = "";
    local->config = config;
    if (!give_store_password(config))
        return false;
    enum status status = open_domain(local, create, why);
    if (status != STATUS_OK)
        say_failure(local, status, why);
    return status == STATUS_OK;
}

bool local_migrate(struct local *local, const struct config *config)
{
    char why[WHY_MAX] = "";
    local->config = config;
    if (!give_store_password(config))
        return false;
    /* In a database elsewhere, who may make tables may make the first ones, too; a file is made by init. */
    enum status status = open_store(local, local_store_path(local) == NULL, why);
    if (status != STATUS_OK)
        say_failure(local, status, why);
    store_close(local->store);
    local->store = NULL;
    return status == STATUS_OK;
}

const char **local_list_identities(const struct config *config)
{
    size_t count = 0;
    while (config->introspect_identities[count] != NULL)
        count++;
    const char **identities = must(calloc(count + 2, sizeof *identities));
    memcpy(identities, config->introspect_identities, count * sizeof *identities);
    if (local_has_check(config, config->http_address) || local_has_check(config, config->grpc_address))
        identities[count] = SHIM_IDENTITY;
    return identities;
}

/* The store is open: whoever comes is served. */
static void open_doors(struct local *local)
{
    const struct config *config = local->config;
    const char *path = local_store_path(local);
    if (path == NULL || stat(path, &local->store_file) != 0)
        local->store_file.st_nlink = 0;
    local->introspect_identities = local_list_identities(config);
    const struct api_options options = {
        .domain = local->domain,
        .introspect_identities = local->introspect_identities,
        .admin_identities = config->admin_identities,
        .peer_identities = config->peer_identities,
        .trusted_proxies = config->trusted_proxies,
        .gateway_identities = local_has_check(config, config->grpc_address) ? local_check_identities : NULL,
    };
    local->api = api_new(&options);
    atomic_store(&local->state, LOCAL_OPEN);
    door_lead(&local->auth, api_auth_service(local->api));
    door_lead(&local->admin, api_credential_admin(local->api));
    door_lead(&local->authorization, api_authorization(local->api));
}

/* Once a minute, and whenever it is another reason. */
static void say_away(struct local *local, const char *why)
{
    char shown[512];
    int64_t now = clock_monotonic();
    if (strcmp(why, local->said) == 0 && now - local->said_at < SAY_AGAIN) {
        log_write(LOG_LEVEL_DEBUG, "store_still_away", NULL);
        return;
    }
    config_show_store(local->config->store, shown);
    log_write(LOG_LEVEL_WARN, "store_away", "store", shown, "message", why, NULL);
    memcpy(local->said, why, WHY_MAX);
    local->said_at = now;
}

/* False: it is told to stop. */
static bool pause_for_a_while(struct local *local)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TRY_AGAIN_S;
    int error = 0;
    pthread_mutex_lock(&local->lock);
    while (!local->is_stopping && error == 0)
        error = pthread_cond_timedwait(&local->wake, &local->lock, &until);
    bool is_stopping = local->is_stopping;
    pthread_mutex_unlock(&local->lock);
    return !is_stopping;
}

static void *wait_for_store(void *arg)
{
    struct local *local = arg;
    char why[WHY_MAX] = "";
    enum status status = STATUS_UNAVAILABLE;
    while (status == STATUS_UNAVAILABLE && pause_for_a_while(local)) {
        memset(why, 0, sizeof why);
        status = open_domain(local, false, why);
        if (status == STATUS_UNAVAILABLE)
            say_away(local, why);
    }
    if (status == STATUS_OK) {
        open_doors(local);
        log_write(LOG_LEVEL_INFO, "store_opened", NULL);
    } else if (status != STATUS_UNAVAILABLE) {
        say_failure(local, status, why);
        atomic_store(&local->state, LOCAL_FAILED);
    }
    return NULL;
}

static void init(struct local *local, const struct config *config)
{
    pthread_condattr_t monotonic;
    local->config = config;
    door_init(&local->auth, &gatehouse__v1__auth_service__descriptor);
    door_init(&local->admin, &gatehouse__v1__credential_admin__descriptor);
    door_init(&local->authorization, &envoy__service__auth__v3__authorization__descriptor);
    pthread_mutex_init(&local->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&local->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool local_start(struct local *local, const struct config *config)
{
    char why[WHY_MAX] = "";
    init(local, config);
    if (!give_store_password(config))
        return false;
    enum status status = open_domain(local, false, why);
    if (status == STATUS_OK) {
        open_doors(local);
        return true;
    }
    if (status == STATUS_UNAVAILABLE) {
        say_away(local, why);
        atomic_store(&local->state, LOCAL_WAITING);
        local->has_thread = pthread_create(&local->thread, NULL, wait_for_store, local) == 0;
    }
    if (!local->has_thread)
        say_failure(local, status, why);
    return local->has_thread;
}

void local_stop(struct local *local)
{
    if (local->has_thread) {
        pthread_mutex_lock(&local->lock);
        local->is_stopping = true;
        pthread_cond_broadcast(&local->wake);
        pthread_mutex_unlock(&local->lock);
        pthread_join(local->thread, NULL);
    }
    api_free(local->api);
    domain_close(local->domain);
    store_close(local->store);
    free(local->introspect_identities);
}

bool local_is_open(const struct local *local)
{
    return atomic_load(&local->state) == LOCAL_OPEN;
}

const char *local_store_path(const struct local *local)
{
    return strncmp(local->config->store, "sqlite:", 7) == 0 ? local->config->store + 7 : NULL;
}

bool local_has_store_file(const struct local *local)
{
    struct stat now;
    const struct stat *before = &local->store_file;
    if (!local_is_open(local) || before->st_nlink == 0)
        return true;
    return stat(local_store_path(local), &now) == 0 && now.st_ino == before->st_ino && now.st_dev == before->st_dev;
}

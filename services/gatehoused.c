/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon as a process: reads its command line and its settings, starts, waits for signals, stops. The only file
 * that exits. */
#include "arguments.h"
#include "base/certificate.h"
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "daemon.h"
#include "domain/administrator.h"
#include "rest/probe.h"
#include "rest/tls.h"

#include <errno.h>
#include <fcntl.h>
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
    FILES_WANTED = 65536,
    PROBE_TIMEOUT_MS = 5000,
    TURN_LIMIT_MS = 10000, /* a loop that did not turn for so long hangs; far below WatchdogSec */
    CLOSING_MS = 30000,    /* for what comes after the drain: storing what is in memory */
};

/* No core file may hold a secret, unless a developer asks for one; descriptors must not run out: gRPC core aborts where
 * it gets none (CVE-2023-4785). */
static void harden(bool may_dump)
{
    struct rlimit none = {0, 0}, files;
    umask(077);
    crash_install();
    if (!may_dump) {
        prctl(PR_SET_DUMPABLE, 0);
        setrlimit(RLIMIT_CORE, &none);
    }
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

static void tell_ready(const struct daemon *daemon)
{
    supervisor_tell_ready(daemon->rpc == NULL ? 0 : rpc_server_port(daemon->rpc),
                          daemon->rest == NULL ? 0 : rest_server_port(daemon->rest));
}

static void reload_rpc(struct daemon *daemon)
{
    if (daemon->config.grpc_cert[0] == '\0')
        return; /* there is none to be read again */
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
    if (daemon->is_edge)
        remote_reload(&daemon->remote);
    log_write(LOG_LEVEL_INFO, "reloaded", NULL);
    tell_ready(daemon);
}

static bool tell_alive(const struct daemon *daemon, bool was_alive)
{
    bool is_http_alive = daemon->rest == NULL || rest_server_is_turning(daemon->rest, TURN_LIMIT_MS);
    bool is_grpc_alive = daemon->rpc == NULL || rpc_server_is_turning(daemon->rpc, TURN_LIMIT_MS);
    bool is_alive = is_http_alive && is_grpc_alive;
    if (is_alive)
        supervisor_tell_alive();
    if (is_alive != was_alive)
        log_write(is_alive ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, is_alive ? "loops_turn_again" : "loop_hangs", "port",
                  is_alive        ? NULL
                  : is_http_alive ? "grpc"
                                  : "http",
                  NULL);
    return is_alive;
}

/* In gRPC's health service, as in /readyz. */
static void tell_health(struct daemon *daemon)
{
    bool is_ready_now = daemon_is_ready(daemon);
    if (daemon->rpc != NULL && daemon->is_serving != is_ready_now)
        rpc_server_set_serving(daemon->rpc, is_ready_now);
    daemon->is_serving = is_ready_now;
}

/* Signals come lowest number first, so that SIGHUP may hide one that stops: what is still pending counts too. */
static bool is_told_to_stop(int signal_number)
{
    sigset_t pending;
    if (signal_number == SIGTERM || signal_number == SIGINT)
        return true;
    return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
}

/* Until it is told to stop, which wins over whatever else there is to do in the same second. False: it cannot go on. */
static bool wait_for_signals(struct daemon *daemon, const sigset_t *signals)
{
    const struct timespec a_second = {1, 0};
    bool is_alive = true;
    for (;;) {
        int signal_number = sigtimedwait(signals, NULL, &a_second);
        if (is_told_to_stop(signal_number))
            return true;
        is_alive = tell_alive(daemon, is_alive);
        tell_health(daemon);
        if (signal_number == SIGHUP)
            reload(daemon);
        else if (daemon->rpc != NULL && rpc_server_is_stale(daemon->rpc))
            reload_rpc(daemon);
        if (daemon->is_edge && remote_is_stale(&daemon->remote))
            remote_reload(&daemon->remote);
        if (atomic_load(&daemon->local.state) == LOCAL_FAILED)
            return false; /* the log says why */
        if (!daemon->is_edge && !local_has_store_file(&daemon->local)) {
            log_write(LOG_LEVEL_ERROR, "store_file_moved", "message",
                      "the database was moved away or replaced under the daemon, which ends", NULL);
            return false;
        }
    }
}

/* Whoever balances the load is to look elsewhere before a connection is refused. A second signal cuts it short. */
static void be_lame_duck(struct daemon *daemon, const sigset_t *signals)
{
    int64_t end = clock_monotonic() + daemon->config.lame_duck_ms * 1000, left;
    bool is_alive = true;
    daemon_begin_stop(daemon);
    while ((left = end - clock_monotonic()) > 0) {
        int64_t step = left < 1000000 ? left : 1000000;
        int signal_number = sigtimedwait(signals, NULL, &(struct timespec){step / 1000000, (step % 1000000) * 1000});
        is_alive = tell_alive(daemon, is_alive);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            return;
    }
}

static int run(struct daemon *daemon)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* in every thread that is started from now on */
    bool is_started = daemon_start(daemon), is_told = false;
    if (is_started) {
        tell_ready(daemon);
        is_told = wait_for_signals(daemon, &signals);
        supervisor_tell_stopping(daemon->config.lame_duck_ms + daemon->config.grace_ms + CLOSING_MS);
        log_write(LOG_LEVEL_INFO, "stopping", NULL);
        if (is_told)
            be_lame_duck(daemon, &signals);
    }
    daemon_stop(daemon);
    if (is_started)
        log_write(LOG_LEVEL_INFO, "stopped", NULL);
    return is_told ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* gatehoused init */

/* Before the credential is made: a secret key that cannot be written down is lost. -1: it said why. */
static int create_secret_file(const char *file)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        fprintf(stderr, "gatehoused: %s: %s\n", file, strerror(errno));
    return fd;
}

static bool write_secret(int fd, const char *secret)
{
    if (dprintf(fd, "%s\n", secret) > 0 && fsync(fd) == 0)
        return true;
    fprintf(stderr, "gatehoused: the secret key could not be written: %s\n", strerror(errno));
    return false;
}

static enum status create_administrator(struct daemon *daemon, const char *name, char *client_id, char *secret)
{
    if (!local_open_store(&daemon->local, &daemon->config, true))
        return STATUS_UNAVAILABLE;
    struct arena arena = {0};
    struct work work = domain_work(daemon->local.domain, &arena, "gatehoused");
    enum status status = administrator_create(daemon->local.store, &work, name, client_id, secret);
    arena_done(&arena);
    if (status == STATUS_ALREADY_EXISTS)
        fprintf(stderr, "gatehoused: there is a credential named %s already; choose another by --name\n", name);
    else if (status != STATUS_OK)
        fprintf(stderr, "gatehoused: the credential could not be stored: %s\n", status_name(status));
    return status;
}

static int init(struct daemon *daemon, const struct arguments *arguments)
{
    char client_id[CLIENT_ID_LEN + 1], secret[SECRET_TEXT_LEN + 1];
    int fd = arguments->secret_file == NULL ? -1 : create_secret_file(arguments->secret_file);
    if (arguments->secret_file != NULL && fd < 0)
        return EXIT_FAILURE;
    const char *name = arguments->name == NULL ? "administrator" : arguments->name;
    bool is_made = create_administrator(daemon, name, client_id, secret) == STATUS_OK;
    if (is_made)
        printf("client_id=%s\n", client_id);
    if (is_made && fd >= 0) {
        is_made = write_secret(fd, secret);
    } else if (is_made) {
        printf("client_secret=%s\n", secret);
        fprintf(stderr, "gatehoused: the secret key is shown this once; keep it safe\n");
    } else if (fd >= 0) {
        unlink(arguments->secret_file);
    }
    if (fd >= 0)
        close(fd);
    explicit_bzero(secret, sizeof secret);
    local_stop(&daemon->local);
    return is_made ? EXIT_SUCCESS : EXIT_FAILURE;
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

/* Does the key fit its certificate, and is there a certificate in what is to be trusted? */
static void check_certificates(const struct config *config, struct config_mistakes *mistakes)
{
    const char *const pairs[][3] = {{"http_key", config->http_cert, config->http_key},
                                    {"grpc_key", config->grpc_cert, config->grpc_key},
                                    {"upstream_key", config->upstream_cert, config->upstream_key}};
    const char *const trusted[][2] = {{"grpc_client_ca", config->grpc_client_ca}, {"upstream_ca", config->upstream_ca}};
    char why[256] = "";
    int64_t expiry;
    if (mistakes->count > 0)
        return; /* of files that are not there enough is said already */
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct tls *tls = pairs[i][1][0] == '\0' ? NULL : tls_new(pairs[i][1], pairs[i][2], why, sizeof why);
        if (pairs[i][1][0] != '\0' && tls == NULL)
            config_mistake(mistakes, "%s: it cannot be used with its certificate: %s", pairs[i][0], why);
        tls_free(tls);
    }
    for (size_t i = 0; i < sizeof trusted / sizeof trusted[0]; i++)
        if (trusted[i][1][0] != '\0' && !certificate_expiry(trusted[i][1], &expiry))
            config_mistake(mistakes, "%s: there is no certificate in %s", trusted[i][0], trusted[i][1]);
}

/* init and --health do not serve: the keys need not be there, which only the service may read. */
static void check_config(struct daemon *daemon, const struct arguments *arguments, struct config_mistakes *mistakes)
{
    if ((arguments->is_init || arguments->is_migrate) && config_is_edge(&daemon->config))
        config_mistake(mistakes, "upstream makes this an edge, which has no database");
    if (arguments->is_init || arguments->is_migrate || arguments->is_health)
        config_check_values(&daemon->config, mistakes);
    else if (!arguments->is_print) {
        config_check(&daemon->config, mistakes);
        check_certificates(&daemon->config, mistakes);
    }
}

/* Where a socket was handed over, its address is the one that counts, also for what is demanded off loopback. */
static void take_sockets(struct daemon *daemon, struct config_mistakes *mistakes)
{
    supervisor_take_sockets(&daemon->sockets, mistakes);
    if (daemon->sockets.grpc.fd != 0)
        daemon->config.grpc_address = daemon->sockets.grpc.address;
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
    if (arguments->is_migrate)
        return local_migrate(&daemon->local, &daemon->config) ? EXIT_SUCCESS : EXIT_FAILURE;
    return arguments->is_init ? init(daemon, arguments) : run(daemon);
}

int main(int argc, char **argv)
{
    static struct daemon daemon;
    struct arguments arguments;
    struct config_mistakes mistakes = {.count = 0};
    arguments_parse(argc, argv, &arguments);
    harden(arguments.may_dump);
    config_load(arguments.config_file, arguments.settings, &daemon.config, &mistakes);
    if (!arguments.is_print && !arguments.is_check && !arguments.is_health && !arguments.is_init &&
        !arguments.is_migrate)
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

/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP service that protects itself by libgatehouse, which answers from its own memory and is told what ends.
 *
 *     gcc -o cases service.c $(pkg-config --cflags --libs gatehouse libmicrohttpd)
 *     GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET_FILE=… ./cases
 *
 * The credential is the service's own and holds the role resource_server. GATEHOUSE_GRPC says where Gatehouse is
 * (127.0.0.1:50051), PORT where this listens (8000). Debian: libgatehouse-dev, libmicrohttpd-dev. */
#include <arpa/inet.h>
#include <gatehouse.h>
#include <microhttpd.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct route {
    const char *method, *path; /* one that ends in "/" is followed by an id */
    const char *api;           /* as Gatehouse counts it: the template, never the path with its ids */
    const char *role;
} routes[] = {
    {"POST", "/cases", "POST /cases", "work_creator"},
    {"GET", "/cases/", "GET /cases/{id}", "service_agent"},
};

static const struct route *find_route(const char *method, const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        size_t length = strlen(routes[i].path);
        int has_id = routes[i].path[length - 1] == '/';
        if (strcmp(method, routes[i].method) == 0 && strncmp(path, routes[i].path, length) == 0 &&
            (path[length] != '\0') == has_id && strchr(path + length, '/') == NULL)
            return &routes[i];
    }
    return NULL;
}

/* header: NULL, or one with its value. */
static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *text, const char *header,
                              const char *value)
{
    char body[256];
    int size = snprintf(body, sizeof body, "{\"%s\":\"%s\"}\n", status == MHD_HTTP_OK ? "caller" : "error", text);
    struct MHD_Response *response = MHD_create_response_from_buffer((size_t)size, body, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "application/json");
    if (header != NULL)
        MHD_add_response_header(response, header, value);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *error,
                              const char *challenge)
{
    return answer(connection, status, error, "WWW-Authenticate", challenge);
}

/* What follows "Bearer "; NULL: there is none. "": what follows is no token (RFC 6750, section 2.1). */
static const char *bearer(struct MHD_Connection *connection)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
    const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    header += strspn(header + 7, " ") + 7;
    return header[strspn(header, allowed)] == '\0' ? header : "";
}

/* The address of whoever is connected, which may be a proxy; never what a header says, for anybody can send one. "": it
 * has none. */
static const char *find_peer(struct MHD_Connection *connection, char peer[static NI_MAXHOST])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info == NULL ? NULL : info->client_addr;
    socklen_t size =
        address != NULL && address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (address == NULL || getnameinfo(address, size, peer, NI_MAXHOST, NULL, 0, NI_NUMERICHOST) != 0)
        *peer = '\0';
    return peer;
}

static enum MHD_Result protect(struct gatehouse *gatehouse, struct MHD_Connection *connection,
                               const struct route *route)
{
    const char *token = bearer(connection);
    if (token == NULL)
        return refuse(connection, 401, "missing_token", "Bearer");
    if (*token == '\0')
        return refuse(connection, 401, "invalid_token", "Bearer error=\"invalid_token\"");
    /* Two seconds, within which the library tries again what may be tried again. */
    struct gatehouse_call call = {.timeout_ms = 2000};
    char peer[NI_MAXHOST];
    struct gatehouse_check check = {.token = token,
                                    .api = route->api,
                                    .required_roles = &route->role,
                                    .required_count = 1,
                                    .peer = find_peer(connection, peer)};
    if (gatehouse_check(gatehouse, &check, &call) != GATEHOUSE_OK) {
        fprintf(stderr, "gatehouse: %s\n", call.message); /* no answer is no permission */
        return answer(connection, 503, "temporarily_unavailable", "Retry-After", "1");
    }
    if (!check.is_active)
        return refuse(connection, 401, "invalid_token", "Bearer error=\"invalid_token\"");
    if (!check.is_allowed) {
        char challenge[128];
        snprintf(challenge, sizeof challenge, "Bearer error=\"insufficient_scope\", scope=\"%s\"", route->role);
        return refuse(connection, 403, "insufficient_scope", challenge);
    }
    return answer(connection, 200, check.client_id, NULL, NULL); /* here your service begins */
}

/* On one of the server's threads, which may wait. Of a request's body nothing is kept. */
static enum MHD_Result handle(void *gatehouse, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *data, size_t *size, void **state)
{
    static int is_begun;
    (void)version, (void)data;
    if (*state == NULL || *size > 0) {
        *state = &is_begun;
        *size = 0;
        return MHD_YES;
    }
    const struct route *route = find_route(method, path);
    return route != NULL ? protect(gatehouse, connection, route) : answer(connection, 404, "not_found", NULL, NULL);
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? value : otherwise;
}

static void read_secret(char secret[static 128])
{
    FILE *file = fopen(setting("GATEHOUSE_CLIENT_SECRET_FILE", "secret"), "r");
    if (file == NULL || fgets(secret, 128, file) == NULL)
        perror("GATEHOUSE_CLIENT_SECRET_FILE"), exit(2);
    secret[strcspn(secret, "\n")] = '\0';
    fclose(file);
}

int main(void)
{
    char secret[128], error[256];
    read_secret(secret);
    struct gatehouse_options options = {.address = getenv("GATEHOUSE_GRPC"),
                                        .client_id = getenv("GATEHOUSE_CLIENT_ID"),
                                        .client_secret = secret,
                                        .cache_entries = 10000};
    sigset_t signals; /* before any thread, so that all of them leave these to sigwait */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    struct gatehouse *gatehouse = gatehouse_open(&options, error);
    explicit_bzero(secret, sizeof secret);
    if (gatehouse == NULL)
        return fprintf(stderr, "%s\n", error), 2;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)atoi(setting("PORT", "8000"))),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *server =
        MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, handle, gatehouse, MHD_OPTION_SOCK_ADDR, &address,
                         MHD_OPTION_THREAD_POOL_SIZE, 16u, MHD_OPTION_END);
    int number = 0;
    if (server != NULL)
        sigwait(&signals, &number);
    else
        perror("listen");
    MHD_stop_daemon(server);
    gatehouse_close(gatehouse); /* which reports the last uses */
    return server != NULL ? 0 : 2;
}

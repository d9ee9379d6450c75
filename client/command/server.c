/* SPDX-License-Identifier: Apache-2.0 */
/* whoami, status: the caller as the server sees it, and the server. */
#include <gatehouse/v1/credential_admin.pb-c.h>

#include "connection.h"
#include "output.h"
#include "text.h"
#include "time_format.h"

typedef Gatehouse__V1__GetCallerResponse caller_answer;
typedef Gatehouse__V1__ServerStatus server_status;

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        json_object_set_new(object, key, text_must(json_string(text)));
}

static void put_time(json_t *object, const char *key, const Google__Protobuf__Timestamp *time)
{
    char text[TIME_TEXT_MAX] = "";
    if (time != NULL)
        instant_format(time->seconds, time->nanos, text);
    put_text(object, key, text);
}

static double seconds_of(const Google__Protobuf__Duration *duration)
{
    return duration == NULL ? 0 : (double)duration->seconds + (double)duration->nanos / 1e9;
}

/* To the tenth of a second. */
static void put_seconds(json_t *object, const char *key, double seconds)
{
    TEXT_FREE char *text = text_format("%.1f s", seconds);
    put_text(object, key, text);
}

static void put_texts(json_t *object, const char *key, size_t count, char *const *texts)
{
    json_t *array = text_must(json_array());
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, text_must(json_string(texts[i])));
    json_object_set_new(object, key, array);
}

static void put_credential(json_t *object, const caller_answer *caller)
{
    const Gatehouse__V1__Credential *credential = caller->credential;
    put_text(object, "caller", credential->name);
    put_text(object, "clientId", credential->client_id);
    put_text(object, "owner", credential->owner);
    put_time(object, "credentialExpires", credential->expire_time);
    put_text(object, "knownBy", "a token");
    if (caller->token != NULL) {
        put_texts(object, "roles", caller->token->n_roles, caller->token->roles);
        put_text(object, "accessor", caller->token->accessor);
        put_time(object, "tokenExpires", caller->token->expire_time);
    }
}

enum exit_code run_whoami(struct context *context)
{
    const struct view view = {
        .columns = COLUMNS({"Caller", "caller", NULL, 0}, {"Client ID", "clientId", NULL, 0},
                           {"Known by", "knownBy", NULL, 0}, {"Roles", "roles", NULL, 0}, {"Owner", "owner", NULL, 0},
                           {"Administers as", "administersAs", NULL, 0},
                           {"May introspect", "mayIntrospect", column_if_true, 0},
                           {"Credential expires", "credentialExpires", column_time, 0},
                           {"Token expires, if unused", "tokenExpires", column_time, 0},
                           {"Accessor", "accessor", NULL, 0}, {"Calls from", "address", NULL, 0}),
        .value_keys = KEYS("caller"),
    };
    Gatehouse__V1__GetCallerRequest request = GATEHOUSE__V1__GET_CALLER_REQUEST__INIT;
    MESSAGE_FREE caller_answer *caller = admin_invoke(context, "GetCaller", &request);
    if (caller == NULL)
        return context->exit_code;
    if (context->format == OUTPUT_JSON) {
        output_message(context, caller, NULL, &view);
        return EXIT_DONE;
    }
    json_t *object = text_must(json_object());
    if (caller->credential != NULL) {
        put_credential(object, caller);
    } else {
        put_text(object, "caller", caller->identity);
        put_text(object, "knownBy", "a certificate");
    }
    put_text(object, "administersAs", caller->administers_as);
    json_object_set_new(object, "mayIntrospect", json_boolean(caller->may_introspect));
    put_text(object, "address", caller->address);
    output_record(context, object, &view);
    json_decref(object);
    return EXIT_DONE;
}

static void print_replicas(struct context *context, const server_status *server)
{
    const struct view view = {
        .columns = COLUMNS({"HOST", "host", NULL, 0}, {"VERSION", "version", NULL, 0}, {"SEEN", "seen", column_time, 0},
                           {"LAG", "lag", NULL, COLUMN_RIGHT}, {"LEASE", "lease", NULL, COLUMN_RIGHT},
                           {"CHANGE", "revision", NULL, COLUMN_RIGHT}, {"ANSWERS", "answers", column_if_true, 0},
                           {"LEADS", "leads", column_if_true, 0}),
    };
    json_t *rows = text_must(json_array());
    for (size_t i = 0; i < server->n_replicas; i++) {
        const Gatehouse__V1__Replica *replica = server->replicas[i];
        json_t *row = text_must(json_object());
        put_text(row, "host", replica->host[0] == '\0' ? "(an older version)" : replica->host);
        put_text(row, "version", replica->version);
        put_time(row, "seen", replica->last_seen_time);
        put_seconds(row, "lag", seconds_of(replica->lag));
        put_seconds(row, "lease", seconds_of(replica->lease));
        json_object_set_new(row, "revision", json_integer(replica->revision));
        json_object_set_new(row, "answers", json_boolean(replica->answers));
        json_object_set_new(row, "leads", json_boolean(replica->leads));
        json_array_append_new(rows, row);
    }
    output_part(context, server->n_replicas > 1 ? "Replicas" : "Server", rows, &view);
    json_decref(rows);
}

static void put_clock(json_t *object, const server_status *server)
{
    double jump = seconds_of(server->clock_jump), ahead = seconds_of(server->clock_ahead);
    TEXT_FREE char *text = jump != 0      ? text_format("jumped by %+.0f s", jump)
                           : ahead >= 1.0 ? text_format("set back: Gatehouse's time is %.0f s ahead of it", ahead)
                                          : text_copy("ok");
    put_text(object, "clock", text);
}

enum exit_code run_status(struct context *context)
{
    const struct view view = {
        .columns =
            COLUMNS({"Ready", "ready", NULL, 0}, {"Version", "version", NULL, 0}, {"Store", "store", NULL, 0},
                    {"Schema", "schema", NULL, 0}, {"Started", "started", column_time, 0}, {"Clock", "clock", NULL, 0},
                    {"Last change", "revision", NULL, 0}, {"Replicas", "replicas", NULL, 0}),
        .value_keys = KEYS("ready"),
    };
    Gatehouse__V1__GetServerStatusRequest request = GATEHOUSE__V1__GET_SERVER_STATUS_REQUEST__INIT;
    MESSAGE_FREE Gatehouse__V1__GetServerStatusResponse *response = admin_invoke(context, "GetServerStatus", &request);
    if (response == NULL)
        return context->exit_code;
    const server_status *server = response->server_status;
    if (context->format == OUTPUT_JSON) {
        output_message(context, response, NULL, &view);
    } else {
        json_t *object = text_must(json_object());
        put_text(object, "ready", server->writable ? "yes" : "no: the store cannot be written");
        put_text(object, "version", server->version);
        put_text(object, "store", server->store);
        json_object_set_new(object, "schema", json_integer(server->schema));
        put_time(object, "started", server->start_time);
        put_clock(object, server);
        json_object_set_new(object, "revision",
                            json_integer(server->position == NULL ? 0 : server->position->revision));
        json_object_set_new(object, "replicas", json_integer((json_int_t)server->n_replicas));
        output_record(context, object, &view);
        print_replicas(context, server);
        json_decref(object);
    }
    return server->writable ? EXIT_DONE : EXIT_REFUSED;
}

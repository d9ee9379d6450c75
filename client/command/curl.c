/* SPDX-License-Identifier: Apache-2.0 */
#include "curl.h"

#include <ctype.h>
#include <gatehouse/v1/auth.pb-c.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contract/contract.h"
#include "contract/json.h"
#include "contract/json_special.h"
#include "text.h"

#define SERVER "\"$GATEHOUSE_HTTP\""
#define BEARER "-H \"Authorization: Bearer $TOKEN\""

bool curl_is_wanted(const struct context *context)
{
    return option_value(&context->arguments, OPTION_CURL) != NULL && !context->is_looking;
}

bool curl_is_possible(const struct command *command)
{
    static const char *const own[] = {"admin ", "context ", "completion", "version",
                                      "login",  "logout",   "top",        "doctor"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strncmp(command->name, own[i], strlen(own[i])) == 0)
            return false;
    return true;
}

/* In single quotes, as every shell reads it. */
static void print_quoted(const char *text)
{
    putchar('\'');
    for (; *text != '\0'; text++)
        fputs(*text == '\'' ? "'\\''" : (char[]){*text, '\0'}, stdout);
    putchar('\'');
}

static void print_escaped(const char *text)
{
    for (; *text != '\0'; text++)
        printf(isalnum((unsigned char)*text) || strchr("-._~", *text) != NULL ? "%c" : "%%%02X", (unsigned char)*text);
}

static char *bare(const json_t *value)
{
    return json_is_string(value) ? text_copy(json_string_value(value)) : text_must(json_dumps(value, JSON_ENCODE_ANY));
}

static void print_parameter(const char *name, const json_t *value)
{
    size_t i;
    json_t *item;
    if (json_is_array(value)) {
        json_array_foreach(value, i, item) print_parameter(name, item);
        return;
    }
    TEXT_FREE char *text = bare(value);
    TEXT_FREE char *pair = text_format("%s=%s", name, text);
    fputs(" --data-urlencode ", stdout);
    print_quoted(pair);
}

/* The value that a path names, such as "credential.client_id". What is not inside another goes out of the object. */
static char *take(json_t *object, const char *path, size_t len)
{
    struct arena arena = {0};
    TEXT_FREE char *snake = text_must(strndup(path, len));
    char *value = NULL, *at = NULL;
    for (char *name = strtok_r(snake, ".", &at); name != NULL;) {
        char *next = strtok_r(NULL, ".", &at);
        const char *key = json_camel(&arena, name);
        json_t *member = json_object_get(object, key);
        if (next == NULL)
            value = member == NULL ? text_copy("") : bare(member);
        object = member;
        name = next;
    }
    arena_done(&arena);
    return value == NULL ? text_copy("") : value;
}

/* "/v1/credentials/{client_id}" with what is in the request. */
static void print_path(json_t *object, const char *path)
{
    fputs(" " SERVER, stdout);
    while (*path != '\0') {
        size_t len = strcspn(path, "{");
        printf("%.*s", (int)len, path);
        path += len;
        if (*path == '\0')
            return;
        len = strcspn(path + 1, "}");
        TEXT_FREE char *value = take(object, path + 1, len);
        print_escaped(value);
        path += len + 2;
    }
}

static void drop_path_fields(json_t *object, const char *path)
{
    struct arena arena = {0};
    for (path = strchr(path, '{'); path != NULL; path = strchr(path + 1, '{')) {
        size_t len = strcspn(path + 1, "}");
        if (memchr(path + 1, '.', len) == NULL)
            json_object_del(object, json_camel(&arena, arena_copy(&arena, path + 1, len)));
    }
    arena_done(&arena);
}

static void print_v1(const struct contract_method *method, const ProtobufCMessage *request)
{
    json_t *whole = text_must(json_from_message(request)), *rest = text_must(json_copy(whole));
    const char *key;
    json_t *value;
    drop_path_fields(rest, method->path);
    printf("curl -X %s " BEARER, method->verb);
    if (method->has_body) {
        TEXT_FREE char *body = text_must(json_dumps(rest, JSON_COMPACT));
        fputs(" -H 'Content-Type: application/json' -d ", stdout);
        print_quoted(body);
    } else if (json_object_size(rest) > 0) {
        fputs(" -G", stdout);
        json_object_foreach(rest, key, value) print_parameter(key, value);
    }
    print_path(whole, method->path);
    putchar('\n');
    json_decref(rest);
    json_decref(whole);
}

/* The OAuth endpoints, of which the contract's options do not tell. */
static void print_oauth(const struct context *context, const char *method, const ProtobufCMessage *request)
{
    bool is_issue = strcmp(method, "IssueToken") == 0, is_introspection = strcmp(method, "Introspect") == 0;
    json_t *whole = text_must(json_from_message(request));
    json_t *api = json_object_get(whole, "api"), *scopes = json_object_get(whole, "scopes");
    fputs(is_introspection ? "curl " BEARER " -d \"token=$ASKED_TOKEN\"" : "curl", stdout);
    if (!is_introspection && context->config.client_id.value != NULL)
        printf(" -d client_id=%s -d \"client_secret=$CLIENT_SECRET\"", context->config.client_id.value);
    if (is_issue)
        fputs(" -d grant_type=client_credentials", stdout);
    else if (!is_introspection)
        fputs(" -d \"token=$ASKED_TOKEN\"", stdout);
    if (api != NULL)
        print_parameter("api", api);
    if (json_array_size(scopes) > 0) {
        TEXT_FREE char *words = text_copy("scope=");
        for (size_t i = 0; i < json_array_size(scopes); i++) {
            TEXT_FREE char *before = words;
            words = text_format("%s%s%s", before, i == 0 ? "" : " ", json_string_value(json_array_get(scopes, i)));
        }
        fputs(" --data-urlencode ", stdout);
        print_quoted(words);
    }
    printf(" " SERVER "/OAuth/%s\n", is_issue ? "Token" : method);
    json_decref(whole);
}

void curl_print(const struct context *context, const ProtobufCServiceDescriptor *service, const char *method,
                const ProtobufCMessage *request)
{
    if (service == &gatehouse__v1__auth_service__descriptor) {
        print_oauth(context, method, request);
        return;
    }
    struct contract *contract = contract_new(service);
    for (size_t i = 0; i < contract->count; i++)
        if (strcmp(contract->methods[i].name, method) == 0)
            print_v1(&contract->methods[i], request);
    contract_free(contract);
}

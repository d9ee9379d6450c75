/* SPDX-License-Identifier: Apache-2.0 */
/* settings get and set. Which there are, and which can be off, stands in the .proto. */
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "connection.h"
#include "contract/contract.h"
#include "contract/json_special.h"
#include "object.h"
#include "report.h"
#include "settings.h"
#include "text.h"
#include "time_format.h"

static const ProtobufCMessageDescriptor *const all = &gatehouse__v1__settings__descriptor;

static bool is_setting(const ProtobufCFieldDescriptor *field)
{
    return field->type != PROTOBUF_C_TYPE_STRING; /* that is the etag */
}

char *settings_names(const char *separator, const char *end)
{
    char *names = text_copy("");
    for (unsigned i = 0; i < all->n_fields; i++) {
        if (!is_setting(&all->fields[i]))
            continue;
        TEXT_FREE char *before = names;
        names = text_format("%s%s%s%s", before, before[0] == '\0' ? "" : separator, all->fields[i].name, end);
    }
    return names;
}

/* A column a setting, or the one of a name; NULL: all, and the rest of a change. */
struct settings_view {
    struct arena arena;
    struct view view;
};

static void settings_view_init(struct settings_view *made, const char *name, bool is_change)
{
    enum { OTHERS = 3 }; /* the etag, what ended, the end */
    struct column *column = arena_array(&made->arena, struct column, all->n_fields + OTHERS);
    const char **key = arena_array(&made->arena, const char *, all->n_fields + OTHERS);
    made->view = (struct view){.columns = column, .value_keys = key};
    for (unsigned i = 0; i < all->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &all->fields[i];
        if (!is_setting(field) || (name != NULL && strcmp(field->name, name) != 0))
            continue;
        *column = (struct column){field->name, json_camel(&made->arena, field->name), column_cap, 0};
        *key = column++->key;
        key += !is_change;
    }
    if (name == NULL)
        *column++ = (struct column){"etag", "etag", NULL, 0};
    if (is_change) {
        *column = (struct column){"Tokens ended", "tokensEnded", NULL, 0};
        *key = column->key;
    }
}

static const ProtobufCFieldDescriptor *find_setting(const char *name, size_t len)
{
    TEXT_FREE char *snake = text_must(strndup(name, len));
    for (char *c = snake; *c != '\0'; c++)
        *c = *c == '-' ? '_' : *c;
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(all, snake);
    return field != NULL && is_setting(field) ? field : NULL;
}

static enum exit_code report_name(struct context *context, const char *word)
{
    TEXT_FREE char *names = settings_names(", ", "");
    return report_usage(context, "\"%s\": no such setting; there are %s", word, names);
}

enum exit_code run_settings_get(struct context *context)
{
    const char *name = context->arguments.rest_count == 0 ? NULL : context->arguments.rest[0];
    const ProtobufCFieldDescriptor *field = name == NULL ? NULL : find_setting(name, strlen(name));
    Gatehouse__V1__GetSettingsRequest request = GATEHOUSE__V1__GET_SETTINGS_REQUEST__INIT;
    if (name != NULL && field == NULL)
        return report_name(context, name);
    MESSAGE_FREE ProtobufCMessage *response = admin_invoke(context, "GetSettings", &request);
    if (response == NULL)
        return context->exit_code;
    struct settings_view made = {0};
    settings_view_init(&made, field == NULL ? NULL : field->name, false);
    output_message(context, response, "settings", &made.view);
    arena_done(&made.arena);
    return EXIT_DONE;
}

/* What a request to change them borrows from. */
struct draft {
    Gatehouse__V1__Settings settings;
    Google__Protobuf__Duration *durations; /* one a field */
    char **paths;
    size_t count;
    struct arena arena;
};

static bool take_number(const char *text, int32_t *ret_number)
{
    char *end;
    long number = strtol(text, &end, 10);
    *ret_number = (int32_t)number;
    return end != text && *end == '\0' && number >= INT32_MIN && number <= INT32_MAX;
}

/* May it be off? The contract of the request says so. */
static bool can_be_off(const ProtobufCFieldDescriptor *field)
{
    struct contract *contract = contract_new(&gatehouse__v1__credential_admin__descriptor);
    bool is_optional = contract_field(contract, all, field->name)->is_optional;
    contract_free(contract);
    return is_optional;
}

static enum exit_code take_value(struct context *context, struct draft *draft, const ProtobufCFieldDescriptor *field,
                                 const char *value)
{
    void *member = (char *)&draft->settings + field->offset;
    bool is_optional = can_be_off(field), is_number = field->type == PROTOBUF_C_TYPE_INT32;
    Google__Protobuf__Duration *duration = &draft->durations[field - all->fields];
    if (strcmp(value, "default") == 0 || (is_optional && (strcmp(value, "off") == 0 || strcmp(value, "none") == 0)))
        return EXIT_DONE; /* a field that the mask names and that is not set goes back to its default */
    google__protobuf__duration__init(duration);
    if (is_number ? !take_number(value, member) : !duration_parse(value, &duration->seconds))
        return report_usage(context, "%s: \"%s\" is no %s%s", field->name, value,
                            is_number ? "number" : "duration such as 20m", is_optional ? ", nor off" : "");
    if (!is_number)
        *(Google__Protobuf__Duration **)member = duration;
    return EXIT_DONE;
}

/* Takes "idle_session_timeout=20m" into the draft. */
static enum exit_code take_setting(struct context *context, struct draft *draft, const char *word)
{
    const char *equals = strchr(word, '=');
    const ProtobufCFieldDescriptor *field = equals == NULL ? NULL : find_setting(word, (size_t)(equals - word));
    if (equals == NULL)
        return report_usage(context, "\"%s\": write SETTING=VALUE, such as idle_session_timeout=20m", word);
    if (field == NULL)
        return report_name(context, word);
    for (size_t i = 0; i < draft->count; i++) {
        if (draft->paths[i] == field->name)
            return report_usage(context, "%s is there twice", field->name);
    }
    draft->paths[draft->count++] = (char *)(uintptr_t)field->name;
    return take_value(context, draft, field, equals + 1);
}

static enum exit_code set(struct context *context, struct draft *draft)
{
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Gatehouse__V1__UpdateSettingsRequest request = GATEHOUSE__V1__UPDATE_SETTINGS_REQUEST__INIT;
    struct settings_view made = {0};
    message_set_string(&draft->settings.etag, option_value(&context->arguments, OPTION_ETAG));
    mask.paths = draft->paths;
    mask.n_paths = draft->count;
    request.settings = &draft->settings;
    request.update_mask = &mask;
    settings_view_init(&made, NULL, true);
    enum exit_code code = change_run(context, &(struct change){.method = "UpdateSettings",
                                                               .request = &request,
                                                               .doing = "Changing the settings",
                                                               .id = "settings",
                                                               .subject = "settings",
                                                               .view = &made.view});
    arena_done(&made.arena);
    return code;
}

enum exit_code run_settings_set(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    struct draft draft = {.settings = GATEHOUSE__V1__SETTINGS__INIT};
    enum exit_code code = EXIT_DONE;
    draft.durations = arena_array(&draft.arena, Google__Protobuf__Duration, all->n_fields);
    draft.paths = arena_array(&draft.arena, char *, all->n_fields);
    for (int i = 0; code == EXIT_DONE && i < arguments->rest_count; i++)
        code = take_setting(context, &draft, arguments->rest[i]);
    if (code == EXIT_DONE)
        code = set(context, &draft);
    arena_done(&draft.arena);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "confirm.h"
#include "connection.h"
#include "json.h"
#include "report.h"
#include "text.h"
#include "time_format.h"

#define SETTINGS_COLUMNS \
    COLUMNS({"idle_session_timeout", "idle_session_timeout", column_duration, 0}, \
            {"max_token_life", "max_token_life", column_duration, 0}, \
            {"max_tokens_per_credential", "max_tokens_per_credential", column_cap, 0}, \
            {"deletion_retention", "deletion_retention", column_duration, 0}, \
            {"usage_retention", "usage_retention", column_duration, 0}, {"etag", "etag", NULL, 0}, \
            {"Tokens ended", "tokens_ended", NULL, 0})

static const struct view settings_view = {
    .columns = SETTINGS_COLUMNS,
    .value_keys = KEYS("idle_session_timeout", "max_token_life", "max_tokens_per_credential", "deletion_retention",
                       "usage_retention"),
};

static const struct view changed_view = {
    .columns = SETTINGS_COLUMNS,
    .value_keys = KEYS("tokens_ended"),
};

/* What a request to change them borrows from. */
struct draft {
    Gatehouse__V1__Settings settings;
    Google__Protobuf__Duration idle_session_timeout, max_token_life, deletion_retention, usage_retention;
    char *paths[8];
    size_t count;
};

static const struct row {
    char *name;
    size_t duration; /* in struct draft; 0: it is a number */
    size_t field;    /* in Settings */
    bool can_be_off;
} rows[] = {
    {"idle_session_timeout", offsetof(struct draft, idle_session_timeout),
     offsetof(Gatehouse__V1__Settings, idle_session_timeout), false},
    {"max_token_life", offsetof(struct draft, max_token_life), offsetof(Gatehouse__V1__Settings, max_token_life), true},
    {"max_tokens_per_credential", 0, offsetof(Gatehouse__V1__Settings, max_tokens_per_credential), true},
    {"deletion_retention", offsetof(struct draft, deletion_retention),
     offsetof(Gatehouse__V1__Settings, deletion_retention), false},
    {"usage_retention", offsetof(struct draft, usage_retention), offsetof(Gatehouse__V1__Settings, usage_retention),
     false},
};

static const struct row *find_row(const char *name, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strlen(rows[i].name) != len)
            continue;
        size_t same = 0;
        while (same < len && (name[same] == rows[i].name[same] || (name[same] == '-' && rows[i].name[same] == '_')))
            same++;
        if (same == len)
            return &rows[i];
    }
    return NULL;
}

static enum exit_code report_name(struct context *context, const char *word)
{
    return report_usage(context,
                        "\"%s\": no such setting; there are idle_session_timeout, max_token_life, "
                        "max_tokens_per_credential, deletion_retention, usage_retention",
                        word);
}

enum exit_code settings_get(struct context *context)
{
    const char *name = context->arguments.rest_count == 0 ? NULL : context->arguments.rest[0];
    const struct row *row = name == NULL ? NULL : find_row(name, strlen(name));
    Gatehouse__V1__GetSettingsRequest request = GATEHOUSE__V1__GET_SETTINGS_REQUEST__INIT;
    if (name != NULL && row == NULL)
        return report_name(context, name);
    MESSAGE_FREE ProtobufCMessage *response = admin_invoke(context, "GetSettings", &request);
    if (response == NULL)
        return context->exit_code;
    json_t *settings = json_from_field(response, "settings");
    if (row == NULL) {
        output_record(context, settings, &settings_view);
    } else {
        const struct column column = {row->name, row->name, column_cap, 0};
        const struct view view = {.columns = (const struct column[]){column, {0}}, .value_keys = KEYS(row->name)};
        json_t *one = text_must(json_object());
        json_object_set(one, row->name, json_object_get(settings, row->name));
        output_record(context, one, &view);
        json_decref(one);
    }
    json_decref(settings);
    return EXIT_DONE;
}

static bool take_number(const char *text, int32_t *ret_number)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 9 || text[digits] != '\0')
        return false;
    *ret_number = (int32_t)strtol(text, NULL, 10);
    return true;
}

/* Takes "idle_session_timeout=20m" into the draft. */
static enum exit_code take_setting(struct context *context, struct draft *draft, const char *word)
{
    const char *equals = strchr(word, '=');
    const struct row *row = equals == NULL ? NULL : find_row(word, (size_t)(equals - word));
    if (equals == NULL)
        return report_usage(context, "\"%s\": write SETTING=VALUE, such as idle_session_timeout=20m", word);
    if (row == NULL)
        return report_name(context, word);
    for (size_t i = 0; i < draft->count; i++) {
        if (draft->paths[i] == row->name)
            return report_usage(context, "%s is there twice", row->name);
    }
    draft->paths[draft->count++] = row->name;
    const char *value = equals + 1;
    if (row->can_be_off && (strcmp(value, "off") == 0 || strcmp(value, "none") == 0))
        return EXIT_DONE; /* a field that the mask names and that is not set is cleared */
    char *field = (char *)&draft->settings + row->field;
    if (row->duration == 0)
        return take_number(value, (int32_t *)(void *)field)
                   ? EXIT_DONE
                   : report_usage(context, "%s: \"%s\" is no number, nor off", row->name, value);
    Google__Protobuf__Duration *duration = (void *)((char *)draft + row->duration);
    google__protobuf__duration__init(duration);
    if (!duration_parse(value, &duration->seconds))
        return report_usage(context, "%s: \"%s\" is no duration such as 20m%s", row->name, value,
                            row->can_be_off ? ", nor off" : "");
    *(Google__Protobuf__Duration **)(void *)field = duration;
    return EXIT_DONE;
}

enum exit_code settings_set(struct context *context)
{
    const struct arguments *arguments = &context->arguments;
    struct draft draft = {.settings = GATEHOUSE__V1__SETTINGS__INIT};
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    Gatehouse__V1__UpdateSettingsRequest request = GATEHOUSE__V1__UPDATE_SETTINGS_REQUEST__INIT;
    for (int i = 0; i < arguments->rest_count; i++) {
        if (take_setting(context, &draft, arguments->rest[i]) != EXIT_DONE)
            return context->exit_code;
    }
    message_set_string(&draft.settings.etag, option_value(arguments, OPTION_ETAG));
    mask.paths = draft.paths;
    mask.n_paths = draft.count;
    request.settings = &draft.settings;
    request.update_mask = &mask;
    return change_run(context, &(struct change){.method = "UpdateSettings",
                                                .request = &request,
                                                .doing = "Changing the settings",
                                                .id = "settings",
                                                .subject = "settings",
                                                .view = &changed_view});
}

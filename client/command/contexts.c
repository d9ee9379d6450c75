/* SPDX-License-Identifier: Apache-2.0 */
/* context save, use, list, show, delete: settings under a name. Secrets are never among them, only their files' names.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "list.h"
#include "private_file.h"
#include "report.h"
#include "text.h"

static const struct view context_view = {
    .columns =
        COLUMNS({"NAME", "name", NULL, 0}, {"CURRENT", "current", column_if_true, 0}, {"ADDRESS", "address", NULL, 0},
                {"CLIENT ID", "client_id", NULL, COLUMN_IF_ANY}, {"CA FILE", "ca_file", NULL, COLUMN_IF_WIDE},
                {"SECRET FILE", "client_secret_file", NULL, COLUMN_IF_WIDE},
                {"TOKEN FILE", "token_file", NULL, COLUMN_IF_WIDE}),
    .value_keys = KEYS("name"),
};

/* NULL: reported. malloc'd. */
static char *path_of(struct context *context, const char *name)
{
    TEXT_FREE char *shown = text_printable(name);
    if (!config_is_context_name(name)) {
        report_usage(context, "\"%s\" cannot be the name of a context; letters, digits, ., - and _ make one", shown);
        return NULL;
    }
    char *path = config_context_path(name);
    if (path == NULL)
        report_usage(context, "neither XDG_CONFIG_HOME nor HOME says where contexts are");
    return path;
}

static bool exists(struct context *context, const char *name, const char *path)
{
    if (access(path, R_OK) == 0)
        return true;
    report_usage(context, "no context \"%s\"; `gatehouse context list` shows them all", name);
    return false;
}

/* As libconfuse reads it: in quotation marks, which are escaped in it. */
static void print_setting(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%s = \"", name);
    for (; *value != '\0'; value++)
        fprintf(out, "%s%c", *value == '"' || *value == '\\' ? "\\" : "", *value);
    fputs("\"\n", out);
}

/* A file is found from everywhere later. */
static void save_setting(FILE *out, const char *name, const struct setting *setting)
{
    bool is_file = strlen(name) > 5 && strcmp(name + strlen(name) - 5, "_file") == 0;
    if (setting->value == NULL)
        return;
    TEXT_FREE char *path = is_file ? realpath(setting->value, NULL) : NULL;
    print_setting(out, name, path == NULL ? setting->value : path);
}

enum exit_code run_context_save(struct context *context)
{
    const struct config *config = &context->config;
    TEXT_FREE char *path = path_of(context, context->arguments.rest[0]);
    char *text = NULL;
    size_t size;
    if (path == NULL)
        return context->exit_code;
    FILE *out = text_must(open_memstream(&text, &size));
#define SAVE(id, ...) save_setting(out, #id, &config->id);
    CONFIG_TABLE(SAVE)
#undef SAVE
    fclose(out);
    bool is_written = private_file_write(path, text);
    free(text);
    if (!is_written)
        return report_usage(context, "cannot write %s: %s", path, strerror(errno));
    printf("Saved. `gatehouse context use %s` makes it the current one.\n", context->arguments.rest[0]);
    return EXIT_DONE;
}

enum exit_code run_context_use(struct context *context)
{
    const char *name = context->arguments.rest[0];
    TEXT_FREE char *path = path_of(context, name);
    if (path == NULL || !exists(context, name, path))
        return context->exit_code;
    TEXT_FREE char *current = config_current_path();
    if (!private_file_write(current, name))
        return report_usage(context, "cannot write %s: %s", current, strerror(errno));
    return EXIT_DONE;
}

enum exit_code run_context_delete(struct context *context)
{
    const char *name = context->arguments.rest[0];
    TEXT_FREE char *path = path_of(context, name);
    if (path == NULL || !exists(context, name, path))
        return context->exit_code;
    TEXT_FREE char *current = config_current_path();
    TEXT_FREE char *current_name = config_current_context();
    if (unlink(path) != 0)
        return report_usage(context, "cannot remove %s: %s", path, strerror(errno));
    if (current_name != NULL && strcmp(current_name, name) == 0)
        unlink(current);
    return EXIT_DONE;
}

/* What its file says. NULL: it makes no sense; reported. */
static json_t *read_context(struct context *context, const char *name)
{
    struct config config = {0};
    TEXT_FREE char *path = path_of(context, name);
    TEXT_FREE char *current = config_current_context();
    if (path == NULL || !exists(context, name, path))
        return NULL;
    if (!config_read_file(&config, path)) {
        context->exit_code = EXIT_USAGE;
        return NULL;
    }
    json_t *object = text_must(json_pack("{s:s}", "name", name));
    if (current != NULL && strcmp(current, name) == 0)
        json_object_set_new(object, "current", json_true());
#define SHOW(id, ...) \
    if (config.id.value != NULL) \
        json_object_set_new(object, #id, json_string(config.id.value));
    CONFIG_TABLE(SHOW)
#undef SHOW
    config_done(&config);
    return object;
}

enum exit_code run_context_show(struct context *context)
{
    const struct view view = {
        .columns = COLUMNS({"Name", "name", NULL, 0}, {"Current", "current", column_if_true, 0},
                           {"Address", "address", NULL, 0}, {"CA file", "ca_file", NULL, 0},
                           {"Certificate", "cert_file", NULL, 0}, {"Key", "key_file", NULL, 0},
                           {"Server name", "server_name", NULL, 0}, {"Client ID", "client_id", NULL, 0},
                           {"Secret file", "client_secret_file", NULL, 0}, {"Token file", "token_file", NULL, 0},
                           {"Timeout", "timeout", NULL, 0}, {"Output", "output", NULL, 0}),
        .value_keys = KEYS("name"),
    };
    TEXT_FREE char *current = config_current_context();
    const char *name = context->arguments.rest_count > 0 ? context->arguments.rest[0] : current;
    if (name == NULL)
        return report_usage(context, "no context is current; `gatehouse context use NAME` makes one so");
    json_t *object = read_context(context, name);
    if (object == NULL)
        return context->exit_code;
    output_record(context, object, &view);
    json_decref(object);
    return EXIT_DONE;
}

static int is_context(const struct dirent *entry)
{
    return config_is_context_name(entry->d_name);
}

enum exit_code run_context_list(struct context *context)
{
    struct list list;
    struct dirent **entries = NULL;
    TEXT_FREE char *folder = config_context_path("");
    if (!list_begin(&list, context, &context_view, "contexts"))
        return EXIT_USAGE;
    int count = folder == NULL ? 0 : scandir(folder, &entries, is_context, alphasort);
    for (int i = 0; i < count; i++) {
        json_t *object = read_context(context, entries[i]->d_name);
        if (object != NULL)
            list_add(&list, object);
        json_decref(object);
        free(entries[i]);
    }
    free(entries);
    list_end(&list, "No context. `gatehouse context save NAME` makes one of the options given with it.");
    return EXIT_DONE;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <confuse.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "private_file.h"
#include "text.h"

static void set(struct setting *setting, const char *value, enum source source)
{
    if (setting->value != NULL || value == NULL || value[0] == '\0')
        return;
    setting->value = text_copy(value);
    setting->source = source;
}

/* Out of the environment: /proc/PID/environ shows that very memory. */
static void take_secret(struct setting *setting, const char *name)
{
    char *value = getenv(name);
    if (value == NULL)
        return;
    set(setting, value, SOURCE_ENVIRONMENT);
    explicit_bzero(value, strlen(value));
    unsetenv(name);
}

static void report_parse_error(cfg_t *cfg, const char *format, va_list arguments)
{
    fprintf(stderr, "gatehouse: %s:%d: ", cfg->filename == NULL ? "configuration" : cfg->filename, cfg->line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

/* A path in the folder of the user's settings. NULL: there is nowhere to look. */
static char *own_path(const char *name)
{
    const char *folder = getenv("XDG_CONFIG_HOME");
    if (folder != NULL && folder[0] == '/') /* XDG: a relative one is to be ignored */
        return text_format("%s/gatehouse/%s", folder, name);
    const char *home = getenv("HOME");
    return home == NULL ? NULL : text_format("%s/.config/gatehouse/%s", home, name);
}

char *config_context_path(const char *name)
{
    TEXT_FREE char *below = text_format("contexts/%s", name);
    return own_path(below);
}

char *config_current_path(void)
{
    return own_path("context");
}

char *config_current_context(void)
{
    TEXT_FREE char *path = config_current_path();
    return path == NULL ? NULL : private_file_read(path);
}

bool config_is_context_name(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return len > 0 && len < 64 && name[len] == '\0' && name[0] != '.';
}

bool config_read_file(struct config *config, const char *path)
{
    cfg_opt_t keys[] = {
#define CONFIG_KEY(id, ...) CFG_STR(#id, NULL, CFGF_NONE),
        CONFIG_TABLE(CONFIG_KEY)
#undef CONFIG_KEY
            CFG_END()};
    cfg_t *cfg = text_must(cfg_init(keys, CFGF_NONE));
    cfg_set_error_function(cfg, report_parse_error);
    int result = cfg_parse(cfg, path);
    if (result == CFG_FILE_ERROR)
        fprintf(stderr, "gatehouse: cannot read %s: %s\n", path, strerror(errno));
    if (result == CFG_SUCCESS) {
#define CONFIG_TAKE(id, ...) set(&config->id, cfg_getstr(cfg, #id), SOURCE_FILE);
        CONFIG_TABLE(CONFIG_TAKE)
#undef CONFIG_TAKE
    }
    cfg_free(cfg);
    return result == CFG_SUCCESS;
}

/* The context that --context, the environment or `gatehouse context use` names. False: reported. */
static bool read_context(struct config *config, const struct arguments *arguments, bool is_lenient)
{
    const char *named = option_value(arguments, OPTION_CONTEXT);
    named = named == NULL ? getenv("GATEHOUSE_CONTEXT") : named;
    bool has_config = option_value(arguments, OPTION_CONFIG) != NULL || getenv("GATEHOUSE_CONFIG") != NULL;
    TEXT_FREE char *current = has_config ? NULL : config_current_context();
    bool is_named = named != NULL && named[0] != '\0';
    const char *name = is_named ? named : current;
    if (name == NULL)
        return true;
    TEXT_FREE char *path = config_is_context_name(name) ? config_context_path(name) : NULL;
    if (path != NULL && access(path, F_OK) == 0)
        return config_read_file(config, path);
    if (!is_named && is_lenient)
        return true;
    TEXT_FREE char *shown = text_printable(name);
    fprintf(stderr, "gatehouse: no context \"%s\"; `gatehouse context list` shows them all\n", shown);
    return false;
}

bool config_gather(struct config *config, const struct arguments *arguments, bool is_lenient)
{
#define CONFIG_OPTION(id, option, variable, other) \
    set(&config->id, option_value(arguments, option), SOURCE_OPTION); \
    set(&config->id, getenv(variable), SOURCE_ENVIRONMENT); \
    set(&config->id, getenv(other), SOURCE_ENVIRONMENT);
    CONFIG_TABLE(CONFIG_OPTION)
#undef CONFIG_OPTION
    take_secret(&config->client_secret, "GATEHOUSE_CLIENT_SECRET");
    take_secret(&config->token, "GATEHOUSE_TOKEN");

    if (!read_context(config, arguments, is_lenient))
        return false;
    const char *named = option_value(arguments, OPTION_CONFIG);
    if (named == NULL)
        named = getenv("GATEHOUSE_CONFIG");
    if (named != NULL && named[0] != '\0')
        return config_read_file(config, named);
    TEXT_FREE char *path = own_path("config");
    return path == NULL || access(path, F_OK) != 0 || config_read_file(config, path);
}

void config_done(struct config *config)
{
#define CONFIG_DONE(id, ...) text_wipe(&config->id.value);
    CONFIG_TABLE(CONFIG_DONE)
#undef CONFIG_DONE
    text_wipe(&config->client_secret.value);
    text_wipe(&config->token.value);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <confuse.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void config_mistake(struct config_mistakes *mistakes, const char *format, ...)
{
    va_list args;
    size_t room = sizeof mistakes->text - mistakes->len;
    va_start(args, format);
    int len = vsnprintf(mistakes->text + mistakes->len, room, format, args);
    va_end(args);
    mistakes->len += len < 0 ? 0 : (size_t)len < room ? (size_t)len : room - 1;
    if (mistakes->len + 1 < sizeof mistakes->text) {
        mistakes->text[mistakes->len++] = '\n';
        mistakes->text[mistakes->len] = '\0';
    }
    mistakes->count++;
}

#define OPTION_TEXT(key, value) CFG_STR(#key, value, CFGF_NONE)
#define OPTION_INT(key, value) CFG_INT(#key, value, CFGF_NONE)
#define OPTION_BOOL(key, value) CFG_BOOL(#key, value, CFGF_NONE)
#define OPTION_LIST(key, value) CFG_STR_LIST(#key, "{}", CFGF_NONE)

static cfg_t *new_parser(void)
{
    static cfg_opt_t options[] = {
#define OPTION(type, key, value, comment) OPTION_##type(key, value),
        CONFIG_KEYS(OPTION)
#undef OPTION
            CFG_END()};
    cfg_t *parser = cfg_init(options, CFGF_NONE);
    if (parser == NULL)
        abort();
    return parser;
}

/* libconfuse has no argument for its error function. */
static _Thread_local struct config_mistakes *current_mistakes;

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *parser, const char *format, va_list args)
{
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    if (parser != NULL && parser->filename != NULL && parser->line > 0)
        config_mistake(current_mistakes, "%s:%d: %s", parser->filename, parser->line, text);
    else
        config_mistake(current_mistakes, "%s", text);
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* One element: in quotes, or a word. What follows it, or NULL: it is none. */
static const char *read_element(const char *at, bool is_braced, char *element)
{
    char quote = is_braced && (*at == '"' || *at == '\'') ? *at : '\0';
    if (quote != '\0') {
        for (at++; *at != '\0' && *at != quote; at++) {
            at += *at == '\\' && at[1] != '\0';
            *element++ = *at;
        }
        *element = '\0';
        return *at == quote ? at + 1 : NULL;
    }
    size_t len = strcspn(at, "{}\"',");
    const char *end = at + len;
    if (*end != ',' && *end != '\0' && *end != '}')
        return NULL;
    while (len > 0 && strchr(" \t\r\n", at[len - 1]) != NULL)
        len--;
    memcpy(element, at, len);
    element[len] = '\0';
    return len > 0 ? end : NULL;
}

/* As in the file, {"a", "b"}, or without ornament, a,b. */
static bool set_list(cfg_t *parser, const char *key, const char *value)
{
    const char *at = skip_spaces(value);
    bool is_braced = *at == '{', is_right = true;
    char *element = malloc(strlen(value) + 1);
    if (element == NULL)
        abort();
    at = skip_spaces(at + is_braced);
    while (is_right && *at != '\0' && *at != '}') {
        at = read_element(at, is_braced, element);
        is_right = at != NULL && cfg_addlist(parser, key, 1, element) == CFG_SUCCESS;
        at = is_right ? skip_spaces(at) : at;
        if (is_right && *at == ',')
            at = skip_spaces(at + 1);
        else
            is_right = is_right && (*at == '\0' || *at == '}');
    }
    free(element);
    return is_right && (is_braced ? *at == '}' && *skip_spaces(at + 1) == '\0' : *at == '\0');
}

static void set_value(cfg_t *parser, const char *key, const char *value, const char *where,
                      struct config_mistakes *mistakes)
{
    cfg_opt_t *option = cfg_getopt(parser, key);
    if (option == NULL) {
        config_mistake(mistakes, "%s: there is no setting %s", where, key);
        return;
    }
    if ((option->flags & CFGF_LIST) == 0) {
        if (cfg_setopt(parser, option, value) == NULL)
            config_mistake(mistakes, "%s: %s cannot be \"%s\"", where, key, value);
        return;
    }
    cfg_setlist(parser, key, 0); /* empties it */
    if (!set_list(parser, key, value))
        config_mistake(mistakes, "%s: %s cannot be %s; a list is {\"a\", \"b\"} or a,b", where, key, value);
}

static void read_environment(cfg_t *parser, struct config_mistakes *mistakes)
{
    static const char *const keys[] = {
#define KEY(type, key, value, comment) #key,
        CONFIG_KEYS(KEY)
#undef KEY
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char name[64];
        int len = snprintf(name, sizeof name, "GATEHOUSED_%s", keys[i]);
        for (int j = 0; j < len; j++)
            name[j] = (char)toupper((unsigned char)name[j]);
        const char *value = getenv(name);
        if (value != NULL)
            set_value(parser, keys[i], value, name, mistakes);
    }
}

static void read_settings(cfg_t *parser, const char *const *settings, struct config_mistakes *mistakes)
{
    for (; settings != NULL && *settings != NULL; settings++) {
        char key[64];
        size_t len = strcspn(*settings, "=");
        if ((*settings)[len] == '\0' || len >= sizeof key) {
            config_mistake(mistakes, "--set wants KEY=VALUE, not %s", *settings);
            continue;
        }
        memcpy(key, *settings, len);
        key[len] = '\0';
        set_value(parser, key, *settings + len + 1, "--set", mistakes);
    }
}

static const char **list_of(cfg_t *parser, const char *key)
{
    unsigned count = cfg_size(parser, key);
    const char **list = calloc(count + 1, sizeof *list);
    if (list == NULL)
        abort();
    for (unsigned i = 0; i < count; i++)
        list[i] = cfg_getnstr(parser, key, i);
    return list;
}

#define VALUE_TEXT(key) cfg_getstr(parser, #key)
#define VALUE_INT(key) cfg_getint(parser, #key)
#define VALUE_BOOL(key) cfg_getbool(parser, #key)
#define VALUE_LIST(key) list_of(parser, #key)

bool config_load(const char *file, const char *const *settings, struct config *ret_config,
                 struct config_mistakes *mistakes)
{
    cfg_t *parser = new_parser();
    current_mistakes = mistakes;
    cfg_set_error_function(parser, on_error);
    int result = file == NULL ? CFG_SUCCESS : cfg_parse(parser, file);
    if (result == CFG_FILE_ERROR)
        config_mistake(mistakes, "the configuration file %s cannot be read", file);
    read_environment(parser, mistakes);
    read_settings(parser, settings, mistakes);
    *ret_config = (struct config){
#define TAKE(type, key, value, comment) .key = (CONFIG_TYPE_##type)VALUE_##type(key),
        CONFIG_KEYS(TAKE)
#undef TAKE
            .parsed = parser};
    current_mistakes = NULL;
    return mistakes->count == 0;
}

#define FREE_TEXT(key) (void)0
#define FREE_INT(key) (void)0
#define FREE_BOOL(key) (void)0
#define FREE_LIST(key) free(config->key)

void config_free(struct config *config)
{
    if (config->parsed == NULL)
        return;
#define FREE(type, key, value, comment) FREE_##type(key);
    CONFIG_KEYS(FREE)
#undef FREE
    cfg_free(config->parsed);
    config->parsed = NULL;
}

/* RFC 3986, section 3.2.1, and libpq's parameter. */
void config_show_store(const char *store, char shown[static 512])
{
    const char *from = strstr(store, "://"), *at = from == NULL ? NULL : strpbrk(from + 3, "@/?");
    const char *colon = at != NULL && *at == '@' ? memchr(from + 3, ':', (size_t)(at - from - 3)) : NULL;
    if (colon != NULL)
        snprintf(shown, 512, "%.*s***%s", (int)(colon + 1 - store), store, at);
    else
        snprintf(shown, 512, "%s", store);
    char *password = strstr(shown, "password=");
    if (password == NULL || strncmp(store, "postgres", 8) != 0)
        return;
    password += strlen("password=");
    size_t len = strcspn(password, "& ");
    memmove(password, password + len, strlen(password + len) + 1);
}

static void print_list(const char **list)
{
    printf("{");
    for (const char **item = list; *item != NULL; item++)
        printf("%s\"%s\"", item == list ? "" : ", ", *item);
    printf("}");
}

#define PRINT_TEXT(key) printf("\"%s\"", config->key)
#define PRINT_INT(key) printf("%lld", (long long)config->key)
#define PRINT_BOOL(key) printf("%s", config->key ? "true" : "false")
#define PRINT_LIST(key) print_list(config->key)

void config_print(const struct config *given)
{
    char store[512];
    struct config shown = *given;
    const struct config *config = &shown;
    config_show_store(given->store, store);
    shown.store = store;
#define PRINT(type, key, value, comment) \
    printf("# %s\n%s = ", comment, #key); \
    PRINT_##type(key); \
    printf("\n");
    CONFIG_KEYS(PRINT)
#undef PRINT
}

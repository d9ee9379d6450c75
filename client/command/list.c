/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: the rows one by one, or as a table that fits the terminal, or through a pager. */
#include "list.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "curl.h"
#include "object.h"
#include "report.h"
#include "text.h"
#include "yaml.h"

/* "last-use", "Last use" and "LAST USE" are one name. */
static bool is_name(const char *word, const char *title)
{
    for (; *word != '\0' && *title != '\0'; word++, title++) {
        bool is_gap = strchr("-_ ", *word) != NULL && *title == ' ';
        if (!is_gap && tolower((unsigned char)*word) != tolower((unsigned char)*title))
            return false;
    }
    return *word == *title;
}

static const struct column *find_column(const struct view *view, const char *word)
{
    for (const struct column *column = view->columns; column->title != NULL; column++)
        if (is_name(word, column->title) || strcmp(word, column->key) == 0)
            return column;
    return NULL;
}

static bool report_column(struct context *context, const struct view *view, const char *word)
{
    TEXT_FREE char *names = text_copy("");
    for (const struct column *column = view->columns; column->title != NULL; column++) {
        TEXT_FREE char *before = names;
        names = text_format("%s%s%s", before, before[0] == '\0' ? "" : ", ", column->key);
    }
    report_usage(context, "--columns: no column \"%s\"; there are %s", word, names);
    return false;
}

/* The columns that --columns names, in its order; else all that belong to the format. */
static bool choose(struct list *list, struct context *context, const struct view *view)
{
    const char *text = option_value(&context->arguments, OPTION_COLUMNS);
    size_t count = 0;
    struct words words = {0};
    words_add(&words, text == NULL ? "" : text);
    while (view->columns[count].title != NULL)
        count++;
    list->columns = text_must(calloc(count + words.count + 1, sizeof *list->columns));
    list->keys = text_must(calloc(words.count + 1, sizeof *list->keys));
    struct column *to = list->columns;
    bool is_good = true;
    for (size_t i = 0; is_good && i < words.count; i++) {
        const struct column *found = find_column(view, words.items[i]);
        is_good = found != NULL || report_column(context, view, words.items[i]);
        if (!is_good)
            break;
        *to = *found;
        to->flags &= ~(COLUMN_IF_ANY | COLUMN_IF_WIDE | COLUMN_IF_FITS);
        list->keys[i] = to++->key;
    }
    for (const struct column *column = view->columns; words.count == 0 && column->title != NULL; column++)
        if (!(column->flags & COLUMN_IF_WIDE) || context->is_wide || context->format == OUTPUT_CSV)
            *to++ = *column;
    list->view = (struct view){list->columns, words.count > 0 ? list->keys : view->value_keys, context->is_wide,
                               option_value(&context->arguments, OPTION_NO_HEADERS) != NULL};
    for (size_t i = 0; i < words.count; i++)
        free(words.items[i]);
    free(words.items);
    return is_good;
}

bool list_begin(struct list *list, struct context *context, const struct view *view, const char *items)
{
    *list = (struct list){.context = context, .items = items};
    if (!choose(list, context, view)) {
        free(list->columns);
        free(list->keys);
        return false;
    }
    if (context->format == OUTPUT_TABLE || context->is_yaml)
        list->rows = text_must(json_array());
    if (context->format == OUTPUT_CSV && !list->view.has_no_titles && !curl_is_wanted(context))
        output_csv(NULL, &list->view, context->now);
    return true;
}

void list_add(struct list *list, const json_t *object)
{
    size_t before = list->count++;
    if (list->rows != NULL) {
        json_array_append_new(list->rows, text_must(json_deep_copy(object)));
    } else if (list->context->format == OUTPUT_JSON) {
        TEXT_FREE char *text = object_text(object, false);
        if (before == 0)
            printf("{\"%s\": [\n%s", list->items, text);
        else
            printf(",\n%s", text);
    } else if (list->context->format == OUTPUT_CSV) {
        output_csv(object, &list->view, list->context->now);
    } else {
        output_values(object, list->view.value_keys, '\t');
    }
}

/* What a page has beside its items; as /v1, nothing where there is nothing. */
static void end_json(const struct list *list)
{
    TEXT_FREE char *rest = list->rest == NULL ? text_copy("{}") : object_text(list->rest, false);
    bool has_rest = strcmp(rest, "{}") != 0;
    if (list->count == 0)
        puts(rest);
    else
        printf("\n]%s%s\n", has_rest ? ", " : "", has_rest ? rest + 1 : "}");
}

static void end_yaml(const struct list *list)
{
    json_t *whole = text_must(json_object());
    if (list->count > 0)
        json_object_set(whole, list->items, list->rows);
    json_object_update(whole, list->rest);
    TEXT_FREE char *text = yaml_text(whole);
    fputs(text, stdout);
    json_decref(whole);
}

static size_t terminal_height(void)
{
    struct winsize size;
    bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
    return isatty(STDOUT_FILENO) && is_known ? size.ws_row : SIZE_MAX;
}

/* A table that is higher than the terminal goes through a pager, unless the variable is there and empty. */
static void page(const char *text)
{
    setenv("LESS", "FRX", 0); /* in color, and staying on the screen */
    const char *pager = getenv("GATEHOUSE_PAGER");
    size_t lines = 0;
    for (const char *c = text; *c != '\0'; c++)
        lines += *c == '\n';
    pager = pager == NULL ? getenv("PAGER") : pager;
    pager = pager == NULL ? "less" : pager;
    fflush(stdout);
    FILE *stream = lines >= terminal_height() && pager[0] != '\0' ? popen(pager, "w") : NULL;
    if (stream == NULL) {
        fputs(text, stdout);
        return;
    }
    fputs(text, stream);
    if (pclose(stream) == 127 << 8) /* the shell found none */
        fputs(text, stdout);
}

static void print_table(const struct list *list)
{
    TEXT_FREE char *left_out = NULL;
    TEXT_FREE char *table = table_text_fitting(list->rows, &list->view, list->context->now, &left_out);
    page(table);
    if (left_out != NULL)
        fprintf(stderr, "Too narrow for %s; -o wide or --columns shows more.\n", left_out);
}

static void list_done(struct list *list)
{
    json_decref(list->rows);
    json_decref(list->rest);
    free(list->columns);
    free(list->keys);
    *list = (struct list){0};
}

void list_end(struct list *list, const char *nothing)
{
    if (list->context->is_yaml)
        end_yaml(list);
    else if (list->context->format == OUTPUT_JSON)
        end_json(list);
    else if (list->context->format == OUTPUT_TABLE && list->count == 0)
        fprintf(stderr, "%s\n", nothing);
    else if (list->context->format == OUTPUT_TABLE)
        print_table(list);
    list_done(list);
}

void list_break(struct list *list)
{
    if (list->context->format == OUTPUT_JSON && !list->context->is_yaml && list->count > 0)
        putchar('\n');
    if (list->context->format == OUTPUT_TABLE && list->count > 0)
        print_table(list);
    list_done(list);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "text.h"

static int column_flags(const struct column *column)
{
    return (column->flags & COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0) | (column->flags & COLUMN_WRAP ? SCOLS_FL_WRAP : 0) |
           (column->flags & COLUMN_TRUNCATE ? SCOLS_FL_TRUNC : 0);
}

static void add_row(struct libscols_table *table, const json_t *object, const struct view *view, int64_t now)
{
    struct libscols_line *line = text_must(scols_table_new_line(table, NULL));
    size_t i = 0;
    for (const struct column *column = view->columns; column->title != NULL; column++, i++) {
        TEXT_WIPE char *text = cell_text(object, column, now);
        if (scols_line_set_data(line, i, text) != 0)
            text_must(NULL);
    }
    /* What was revoked stays visible, in grey. */
    const char *state = json_string_value(json_object_get(object, "state"));
    if (state != NULL && strncmp(state, "revoked", strlen("revoked")) == 0)
        scols_line_set_color(line, "\033[90m");
}

char *table_text(const json_t *rows, const struct view *view, int64_t now, size_t width)
{
    struct libscols_table *table = text_must(scols_new_table());
    bool has_titles = false;
    for (const struct column *column = view->columns; column->title != NULL; column++) {
        text_must(scols_table_new_column(table, column->title, 0.0, column_flags(column)));
        has_titles = has_titles || column->title[0] != '\0';
    }
    scols_table_enable_noheadings(table, !has_titles);
    scols_table_enable_colors(table, isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL);
    scols_table_set_column_separator(table, "  ");
    if (width > 0) {
        scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
        scols_table_set_termwidth(table, width);
    }
    size_t i;
    json_t *object;
    json_array_foreach(rows, i, object) add_row(table, object, view, now);
    char *text = NULL;
    if (scols_print_table_to_string(table, &text) != 0 || text == NULL)
        text = text_copy("");
    scols_unref_table(table);
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '\n') /* smartcols ends some tables with a line feed and some without */
        return text;
    char *line = text_format("%s\n", text);
    free(text);
    return line;
}

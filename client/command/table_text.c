/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables by libsmartcols. What is too wide for the terminal is tried once more with its long cells broken between words
 * or cut; libsmartcols' own way would break words anywhere, and cut what must be whole, such as a client ID.
 */
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.h"
#include "text.h"

enum { COLUMNS_MAX = 16, NARROW_WRAP = 24, NARROW_CUT = 24, LEAST_CUT = 12 };

struct layout {
    const struct view *view;
    int64_t now;
    size_t cut;                /* the widest cell of a COLUMN_TRUNCATE; 0: any */
    size_t wrap;               /* where a COLUMN_WRAP is broken; 0: nowhere */
    size_t natural_wrap_width; /* what it took unbroken */
    size_t hidden;             /* how many COLUMN_IF_FITS are left out, from the right */
};

static char *cut(const char *text, size_t most)
{
    size_t fitting;
    if (text_width(text, most, &fitting) <= most)
        return text_copy(text);
    text_width(text, most - 1, &fitting);
    return text_format("%.*s…", (int)fitting, text);
}

/* Line feeds for the blanks at which lines of at most `most` columns end. */
static char *wrapped(const char *text, size_t most)
{
    char *copy = text_copy(text);
    for (char *line = copy;;) {
        size_t fitting;
        if (text_width(line, most, &fitting) <= most)
            return copy;
        char *blank = NULL;
        for (char *at = strchr(line, ' '); at != NULL && (blank == NULL || at <= line + fitting);
             at = strchr(at + 1, ' '))
            blank = at;
        if (blank == NULL)
            return copy;
        *blank = '\n';
        line = blank + 1;
    }
}

static char *laid_out(const struct layout *layout, const json_t *object, const struct column *column)
{
    TEXT_WIPE char *text = cell_text(object, column, layout->now);
    if (layout->cut > 0 && (column->flags & COLUMN_TRUNCATE))
        return cut(text, layout->cut);
    if (layout->wrap > 0 && (column->flags & COLUMN_WRAP))
        return wrapped(text, layout->wrap);
    return text_copy(text);
}

static void add_row(struct libscols_table *table, const json_t *object, const struct layout *layout)
{
    struct libscols_line *line = text_must(scols_table_new_line(table, NULL));
    size_t i = 0;
    for (const struct column *column = layout->view->columns; column->title != NULL; column++, i++) {
        TEXT_WIPE char *text = laid_out(layout, object, column);
        if (scols_line_set_data(line, i, text) != 0)
            text_must(NULL);
    }
    /* What was revoked stays visible, in grey. */
    const char *state = json_string_value(json_object_get(object, "state"));
    if (state != NULL && strstr(state, "_REVOKED") != NULL)
        scols_line_set_color(line, "\033[90m");
}

static bool is_empty(const json_t *rows, const struct column *column, int64_t now)
{
    size_t i;
    json_t *object;
    json_array_foreach(rows, i, object)
    {
        TEXT_WIPE char *text = cell_text(object, column, now);
        if (text[0] != '\0')
            return false;
    }
    return true;
}

/* Is it among the last layout->hidden of those that may be left out? */
static bool is_left_out(const struct layout *layout, const struct column *column)
{
    size_t behind = 0;
    for (const struct column *next = column + 1; next->title != NULL; next++)
        behind += (next->flags & COLUMN_IF_FITS) != 0;
    return (column->flags & COLUMN_IF_FITS) && behind < layout->hidden;
}

static struct libscols_table *new_table(const json_t *rows, const struct layout *layout)
{
    struct libscols_table *table = text_must(scols_new_table());
    bool has_titles = false;
    for (const struct column *column = layout->view->columns; column->title != NULL; column++) {
        int flags = column->flags & COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0;
        bool is_absent = !layout->view->is_wide && (column->flags & COLUMN_IF_ANY) != 0;
        if (is_left_out(layout, column) || (is_absent && is_empty(rows, column, layout->now)))
            flags |= SCOLS_FL_HIDDEN;
        bool is_broken = layout->wrap > 0 && (column->flags & COLUMN_WRAP);
        if (is_broken)
            flags |= SCOLS_FL_WRAP;
        struct libscols_column *made = text_must(scols_table_new_column(table, column->title, 0.0, flags));
        if (is_broken) {
            scols_column_set_wrapfunc(made, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
            scols_column_set_safechars(made, "\n");
        }
        has_titles = has_titles || column->title[0] != '\0';
    }
    scols_table_enable_noheadings(table, !has_titles || layout->view->has_no_titles);
    scols_table_enable_colors(table, isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL);
    scols_table_set_column_separator(table, "  ");
    scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    return table;
}

static char *render(const json_t *rows, struct layout *layout)
{
    struct libscols_table *table = new_table(rows, layout);
    size_t i;
    json_t *object;
    json_array_foreach(rows, i, object) add_row(table, object, layout);
    char *text = NULL;
    if (scols_print_table_to_string(table, &text) != 0 || text == NULL)
        text = text_copy("");
    i = 0;
    for (const struct column *column = layout->view->columns; column->title != NULL; column++, i++) {
        if (column->flags & COLUMN_WRAP)
            layout->natural_wrap_width = scols_column_get_width(scols_table_get_column(table, i));
    }
    scols_unref_table(table);
    size_t len = strlen(text);
    if (len > 0 && text[len - 1] == '\n') /* smartcols ends some tables with a line feed and some without */
        return text;
    char *line = text_format("%s\n", text);
    free(text);
    return line;
}

static size_t widest_line(const char *text)
{
    size_t widest = 0;
    while (*text != '\0') {
        size_t fitting, len = strcspn(text, "\n");
        TEXT_WIPE char *line = text_must(strndup(text, len));
        size_t width = text_width(line, 0, &fitting);
        widest = width > widest ? width : widest;
        text += len + (text[len] == '\n');
    }
    return widest;
}

/* 0: standard output is no terminal. */
static size_t terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static char *titles_left_out(const struct layout *layout)
{
    char *titles = NULL;
    for (const struct column *column = layout->view->columns; column->title != NULL; column++) {
        if (!is_left_out(layout, column))
            continue;
        TEXT_FREE char *before = titles;
        titles = text_format("%s%s%s", before == NULL ? "" : before, before == NULL ? "" : ", ", column->title);
    }
    return titles;
}

/* What can be done with less room than a table takes: first long cells, then columns, then still longer cells. */
static bool narrow(struct layout *layout, size_t columns)
{
    if (layout->hidden < columns)
        layout->hidden++;
    else if (layout->cut > LEAST_CUT)
        layout->cut = layout->wrap = LEAST_CUT;
    else
        return false;
    return true;
}

char *table_text_fitting(const json_t *rows, const struct view *view, int64_t now, char **ret_left_out)
{
    struct layout layout = {.view = view, .now = now};
    char *text = render(rows, &layout);
    size_t width = terminal_width(), natural = widest_line(text), columns = 0;
    if (width == 0 || natural <= width || view->is_wide)
        return text;
    for (const struct column *column = view->columns; column->title != NULL; column++)
        columns += (column->flags & COLUMN_IF_FITS) != 0;
    size_t others = natural - layout.natural_wrap_width;
    layout.cut = NARROW_CUT;
    layout.wrap = width > others + NARROW_WRAP ? width - others : NARROW_WRAP;
    do {
        free(text);
        text = render(rows, &layout);
    } while (widest_line(text) > width && narrow(&layout, columns));
    *ret_left_out = titles_left_out(&layout);
    return text;
}

char *table_text(const json_t *rows, const struct view *view, int64_t now)
{
    TEXT_FREE char *left_out = NULL;
    return table_text_fitting(rows, view, now, &left_out);
}

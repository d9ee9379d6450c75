/* SPDX-License-Identifier: Apache-2.0 */
/* Printing: one description of a thing serves tables, JSON and bare values. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "command.h"

/* A cell's text, malloc'd; "" for none. */
typedef char *column_format(const json_t *object, const json_t *value, int64_t now);

/* Of a table that is too wide for the terminal, COLUMN_WRAP (one at most) is broken between words and COLUMN_TRUNCATE
 * cut. COLUMN_IF_ANY is left out of a table where no row has it, COLUMN_IF_FITS of one that is too wide even then,
 * COLUMN_IF_WIDE of all but -o wide and -o csv. */
enum {
    COLUMN_RIGHT = 1,
    COLUMN_WRAP = 2,
    COLUMN_TRUNCATE = 4,
    COLUMN_IF_ANY = 8,
    COLUMN_IF_FITS = 16,
    COLUMN_IF_WIDE = 32
};

struct column {
    const char *title;
    const char *key;       /* of the JSON object */
    column_format *format; /* NULL: as the JSON value stands */
    int flags;
};

struct view {
    const struct column *columns;  /* ends with a title of NULL */
    const char *const *value_keys; /* what `-o value` prints of an object; ends with NULL */
    bool is_wide, has_no_titles;   /* nothing is broken or left out; no line of titles */
};

#define COLUMNS(...) \
    (const struct column[]) \
    { \
        __VA_ARGS__, {0} \
    }
#define KEYS(...) \
    (const char *const[]) \
    { \
        __VA_ARGS__, NULL \
    }

column_format column_last_use; /* relative; "never" where there is none */
column_format column_expiry;   /* relative; "never" where there is none */
column_format column_time;     /* relative; "" where there is none */
column_format column_clock;    /* to the second, in local time */
column_format column_duration; /* "20m"; "off" where there is none */
column_format column_cap;      /* a duration or a number; "off" where there is none */
column_format column_if_true;  /* "yes" or "" */

/* One object: a row a field. A field that has no text is left out of the table. */
void output_record(const struct context *context, const json_t *object, const struct view *view);

/* A response: in JSON all of it; else its field `subject` (NULL: itself) as a record, which has besides what the
 * response says of tokens that ended ("tokensEnded") and of a secret key ("secretKey"). */
void output_message(const struct context *context, const void *message, const char *subject, const struct view *view);

/* A heading and a table, for parts of a record; nothing if the array is empty. Only where context->format is table. */
void output_part(const struct context *context, const char *heading, const json_t *array, const struct view *view);

/* A line of CSV with the columns' values as JSON has them; NULL: with their keys. */
void output_csv(const json_t *object, const struct view *view, int64_t now);

/* The values of these keys in one line, or each in its own. */
void output_values(const json_t *object, const char *const *keys, char separator);

/* A table of these objects as text, for the terminal that standard output is. malloc'd. */
char *table_text(const json_t *rows, const struct view *view, int64_t now);
/* The same; *ret_left_out, malloc'd, names the columns (COLUMN_IF_FITS) that the terminal has no room for. */
char *table_text_fitting(const json_t *rows, const struct view *view, int64_t now, char **ret_left_out);

/* A cell, or a bare value: harmless on a terminal. malloc'd. */
char *cell_text(const json_t *object, const struct column *column, int64_t now);

/* Flushes standard output. False: it could not be written; that was reported. */
[[nodiscard]] bool output_flush(void);

#endif

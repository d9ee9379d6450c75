/* SPDX-License-Identifier: Apache-2.0 */
#include "store/copy_table.h"

#include "store/transaction.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_ROWS = BATCH_ROWS };

/* The mark of a copy is no part of it: see copy.c. */
#define MARK_LEFT_OUT "name <> 'copy'"

/* Statements */

static void put_columns(FILE *out, const struct store_table *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%s", i == 0 ? "" : ", ", table->columns[i].name);
}

static void put_places(FILE *out, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s$%zu", i == 0 ? "" : ", ", first + i);
}

static void put_select(FILE *out, const struct store_table *table, bool after)
{
    bool has_mark = strcmp(table->name, "instance") == 0;
    fputs("SELECT ", out);
    put_columns(out, table, table->count);
    fprintf(out, " FROM %s", table->name);
    if (after) {
        fputs(" WHERE (", out);
        put_columns(out, table, table->keys);
        fputs(") > (", out);
        put_places(out, 1, table->keys);
        fputs(")", out);
    }
    if (has_mark)
        fprintf(out, "%s " MARK_LEFT_OUT, after ? " AND" : " WHERE");
    fputs(" ORDER BY ", out);
    put_columns(out, table, table->keys);
    fprintf(out, " LIMIT %d", PAGE_ROWS);
}

static void put_inserts(FILE *out, const struct store_table *table, size_t rows)
{
    fprintf(out, "INSERT INTO %s (", table->name);
    put_columns(out, table, table->count);
    fputs(") VALUES ", out);
    for (size_t i = 0; i < rows; i++) {
        fputs(i == 0 ? "(" : ", (", out);
        put_places(out, 1 + i * table->count, table->count);
        fputs(")", out);
    }
}

/* By text_of. */
static void put_insert(FILE *out, const struct store_table *table)
{
    put_inserts(out, table, 1);
}

/* By text_of. */
static void put_insert_many(FILE *out, const struct store_table *table)
{
    put_inserts(out, table, MANY_ROWS);
}

/* By text_of. */
static void put_remove(FILE *out, const struct store_table *table)
{
    fprintf(out, "DELETE FROM %s WHERE ", table->name);
    for (size_t i = 0; i < table->keys; i++)
        fprintf(out, "%s%s = $%zu", i == 0 ? "" : " AND ", table->columns[i].name, i + 1);
}

/* By text_of. */
static void put_total(FILE *out, const struct store_table *table)
{
    fprintf(out, "SELECT count(*) FROM %s", table->name);
    if (strcmp(table->name, "instance") == 0)
        fputs(" WHERE " MARK_LEFT_OUT, out);
}

/* By text_of. */
static void put_first(FILE *out, const struct store_table *table)
{
    put_select(out, table, false);
}

/* By text_of. */
static void put_next(FILE *out, const struct store_table *table)
{
    put_select(out, table, true);
}

static char *text_of(const struct store_table *table, void (*put)(FILE *out, const struct store_table *table))
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    put(out, table);
    return fclose(out) == 0 ? text : NULL;
}

enum status plan_init(struct plan *plan, const struct store_table *table)
{
    *plan = (struct plan){
        .table = table,
        .first = text_of(table, put_first),
        .next = text_of(table, put_next),
        .insert = text_of(table, put_insert),
        .insert_many = text_of(table, put_insert_many),
        .remove = text_of(table, put_remove),
        .total = text_of(table, put_total),
    };
    bool is_whole = plan->first != NULL && plan->next != NULL && plan->insert != NULL && plan->insert_many != NULL &&
                    plan->remove != NULL && plan->total != NULL;
    return is_whole ? STATUS_OK : STATUS_UNAVAILABLE;
}

void plan_done(struct plan *plan)
{
    free(plan->first);
    free(plan->next);
    free(plan->insert);
    free(plan->insert_many);
    free(plan->remove);
    free(plan->total);
}

/* Rows */

static void *copy_of(const void *data, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

static struct store_value value_copy(const struct store_value *value)
{
    struct store_value copy = *value;
    if (value->type == STORE_TEXT || value->type == STORE_BLOB)
        copy.data = copy_of(value->data, value->len);
    return copy;
}

static void row_done(const struct store_table *table, struct row *row)
{
    for (size_t i = 0; i < table->count; i++)
        free((void *)(uintptr_t)row->values[i].data);
}

void batch_add(struct batch *batch, const struct store_table *table, const struct row *row)
{
    struct row *copy = &batch->rows[batch->count++];
    *copy = (struct row){0};
    for (size_t i = 0; i < table->count; i++)
        copy->values[i] = value_copy(&row->values[i]);
}

void batch_clear(struct batch *batch, const struct store_table *table)
{
    for (size_t i = 0; i < batch->count; i++)
        row_done(table, &batch->rows[i]);
    batch->count = 0;
}

static struct store_value read_value(const struct store_row *row, int column, char type)
{
    if (store_row_is_null(row, column))
        return store_null();
    if (type == 'i')
        return store_int(store_row_int(row, column));
    if (type == 't')
        return store_text(store_row_text(row, column));
    size_t len = 0;
    const void *data = store_row_blob(row, column, &len);
    return store_blob(data, len);
}

static int value_compare(const struct store_value *a, const struct store_value *b)
{
    if (a->type != b->type)
        return a->type < b->type ? -1 : 1;
    if (a->type == STORE_INT)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if (a->type == STORE_NULL)
        return 0;
    int order = memcmp(a->data, b->data, a->len < b->len ? a->len : b->len);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static int row_compare(const struct row *a, const struct row *b, size_t columns)
{
    int order = 0;
    for (size_t i = 0; order == 0 && i < columns; i++)
        order = value_compare(&a->values[i], &b->values[i]);
    return order;
}

/* FNV-1a: tells accidents apart, not attacks. */
static uint64_t add_byte(uint64_t digest, uint8_t byte)
{
    return (digest ^ byte) * UINT64_C(0x100000001b3);
}

static uint64_t add_number(uint64_t digest, uint64_t number)
{
    for (unsigned shift = 0; shift < 64; shift += 8)
        digest = add_byte(digest, (uint8_t)(number >> shift));
    return digest;
}

static uint64_t add_bytes(uint64_t digest, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        digest = add_byte(digest, ((const uint8_t *)data)[i]);
    return add_number(digest, len);
}

uint64_t row_digest(uint64_t digest, const struct store_table *table, const struct row *row)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct store_value *value = &row->values[i];
        digest = add_byte(digest, (uint8_t)value->type);
        digest = add_number(digest, (uint64_t)value->integer);
        digest = add_bytes(digest, value->data, value->len);
    }
    return digest;
}

/* References */

static enum status alter(struct store_tx *tx, const struct store_schema *schema, bool is_restored)
{
    for (size_t i = 0; store_dialect(tx) == STORE_POSTGRES && i < schema->constraints_count; i++) {
        const struct store_constraint *constraint = &schema->constraints[i];
        char sql[256];
        if (!constraint->is_reference)
            continue;
        int len = snprintf(sql, sizeof sql, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", constraint->table,
                           constraint->name);
        if (is_restored)
            snprintf(sql + len, sizeof sql - (size_t)len, ", ADD CONSTRAINT %s %s", constraint->name,
                     constraint->definition);
        TRY(transaction_script(tx, sql));
    }
    return STATUS_OK;
}

enum status references_lift(struct store_tx *tx, const struct store_schema *schema)
{
    return alter(tx, schema, false);
}

enum status references_restore(struct store_tx *tx, const struct store_schema *schema)
{
    return alter(tx, schema, true);
}

/* Walking */

enum status side_read(const struct side *side, store_fn *fn, void *arg)
{
    return side->tx != NULL ? fn(side->tx, arg) : store_read_wait(side->store, fn, arg);
}

/* A page of rows and the place in it. */
struct cursor {
    const struct plan *plan;
    const struct side *side;
    struct batch *page, *before; /* the last row of the page before is where this one begins */
    size_t at;
    bool is_last;
};

/* A store_row_fn. */
static enum status keep_row(const struct store_row *row, void *arg)
{
    struct cursor *cursor = arg;
    const struct store_table *table = cursor->plan->table;
    struct row values = {0};
    for (size_t i = 0; i < table->count; i++)
        values.values[i] = read_value(row, (int)i, table->columns[i].type);
    if (cursor->page->count == BATCH_ROWS)
        return STATUS_INTERNAL;
    batch_add(cursor->page, table, &values);
    return STATUS_OK;
}

/* A store_fn, by side_read. */
static enum status read_page(struct store_tx *tx, void *arg)
{
    struct cursor *cursor = arg;
    const struct plan *plan = cursor->plan;
    batch_clear(cursor->page, plan->table);
    if (cursor->before->count == 0)
        return store_run_n(tx, plan->first, NULL, 0, keep_row, cursor);
    const struct row *last = &cursor->before->rows[cursor->before->count - 1];
    return store_run_n(tx, plan->next, last->values, plan->table->keys, keep_row, cursor);
}

/* NULL in *ret_row: no more. */
static enum status cursor_peek(struct cursor *cursor, const struct row **ret_row)
{
    const struct store_table *table = cursor->plan->table;
    *ret_row = NULL;
    if (cursor->at == cursor->page->count && !cursor->is_last) {
        struct batch *page = cursor->page;
        cursor->page = cursor->before;
        cursor->before = page;
        TRY(side_read(cursor->side, read_page, cursor));
        cursor->at = 0;
        cursor->is_last = cursor->page->count < PAGE_ROWS;
    }
    if (cursor->at == cursor->page->count)
        return STATUS_OK;
    const struct row *row = &cursor->page->rows[cursor->at], *before = NULL;
    if (cursor->at > 0)
        before = row - 1;
    else if (cursor->before->count > 0)
        before = &cursor->before->rows[cursor->before->count - 1];
    if (before != NULL && row_compare(before, row, table->keys) >= 0)
        return STATUS_FAILED_PRECONDITION;
    *ret_row = row;
    return STATUS_OK;
}

static enum status step(struct cursor *from, struct cursor *to, bool only_to, visit_fn *visit, void *arg,
                        bool *ret_is_over)
{
    const struct row *source, *target;
    const struct store_table *table = from->plan->table;
    TRY(cursor_peek(from, &source));
    TRY(cursor_peek(to, &target));
    *ret_is_over = target == NULL && (source == NULL || only_to);
    if (*ret_is_over)
        return STATUS_OK;
    int order = source == NULL ? 1 : target == NULL ? -1 : row_compare(source, target, table->keys);
    from->at += order <= 0;
    to->at += order >= 0;
    if (order != 0)
        return order < 0 ? visit(arg, ROW_MISSING, source, NULL) : visit(arg, ROW_EXTRA, NULL, target);
    bool is_same = row_compare(source, target, table->count) == 0;
    return visit(arg, is_same ? ROW_SAME : ROW_DIFFERENT, source, target);
}

enum status table_walk(const struct plan *plan, const struct side *from, const struct side *to, bool only_to,
                       visit_fn *visit, void *arg)
{
    struct batch *pages = calloc(4, sizeof *pages);
    if (pages == NULL)
        return STATUS_UNAVAILABLE;
    struct cursor source = {.plan = plan, .side = from, .page = &pages[0], .before = &pages[1]};
    struct cursor target = {.plan = plan, .side = to, .page = &pages[2], .before = &pages[3]};
    enum status status = STATUS_OK;
    for (bool is_over = false; status == STATUS_OK && !is_over;)
        status = step(&source, &target, only_to, visit, arg, &is_over);
    for (int i = 0; i < 4; i++)
        batch_clear(&pages[i], plan->table);
    free(pages);
    return status;
}

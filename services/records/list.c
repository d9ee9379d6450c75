/* SPDX-License-Identifier: Apache-2.0 */
#include "records/list.h"

#include "base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A list that is being written: as JSON, or as an array of PostgreSQL's. */
struct writing {
    bool is_json;
    size_t count;
    FILE *stream;
    char *text;
    size_t size;
};

static void begin(struct writing *writing, struct store_tx *tx)
{
    *writing = (struct writing){.is_json = store_dialect(tx) == STORE_SQLITE};
    writing->stream = must(open_memstream(&writing->text, &writing->size));
}

static void begin_value(struct writing *writing)
{
    fputc(writing->count++ > 0 ? ',' : writing->is_json ? '[' : '{', writing->stream);
}

static struct store_value end(struct writing *writing, struct arena *arena)
{
    if (writing->count == 0)
        begin_value(writing);
    fputc(writing->is_json ? ']' : '}', writing->stream);
    fclose(writing->stream);
    struct store_value value = store_text(arena_text(arena, must(writing->text)));
    free(writing->text);
    return value;
}

struct store_value list_of_ids(struct store_tx *tx, struct arena *arena, const int64_t *ids, size_t count)
{
    struct writing writing;
    begin(&writing, tx);
    for (size_t i = 0; i < count; i++) {
        begin_value(&writing);
        fprintf(writing.stream, "%" PRId64, ids[i]);
    }
    return end(&writing, arena);
}

/* Both want a backslash before a quote and before a backslash; only JSON minds a control character. */
static void put_character(const struct writing *writing, char character)
{
    if (writing->is_json && (unsigned char)character < ' ') {
        fprintf(writing->stream, "\\u%04x", (unsigned)character);
        return;
    }
    if (character == '"' || character == '\\')
        fputc('\\', writing->stream);
    fputc(character, writing->stream);
}

struct store_value list_of_texts(struct store_tx *tx, struct arena *arena, const char *const *texts, size_t count)
{
    struct writing writing;
    begin(&writing, tx);
    for (size_t i = 0; i < count; i++) {
        begin_value(&writing);
        fputc('"', writing.stream);
        for (const char *at = texts[i]; *at != '\0'; at++)
            put_character(&writing, *at);
        fputc('"', writing.stream);
    }
    return end(&writing, arena);
}

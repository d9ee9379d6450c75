/* SPDX-License-Identifier: Apache-2.0 */
/* A credential's labels: a map in the API, one text in the store (rules/label.h). */
#include "api/admin.h"
#include "rules/label.h"

#include <stdlib.h>
#include <string.h>

typedef Gatehouse__V1__Credential__LabelsEntry entry_message;

/* For qsort. */
static int by_key(const void *a, const void *b)
{
    const entry_message *const *left = a, *const *right = b;
    return strcmp((*left)->key, (*right)->key);
}

/* protobuf says of a key that comes twice: the last one counts. The contract has seen to it that there are few. */
static size_t take_last_ones(entry_message *const *entries, size_t count, entry_message **taken)
{
    size_t kept = 0;
    for (size_t i = count; i-- > 0;) {
        bool is_known = false;
        for (size_t j = 0; j < kept; j++)
            is_known |= strcmp(taken[j]->key, entries[i]->key) == 0;
        if (!is_known)
            taken[kept++] = entries[i];
    }
    return kept;
}

const char *admin_read_labels(struct admin_call *admin, size_t count, Gatehouse__V1__Credential__LabelsEntry **entries)
{
    entry_message **taken = arena_array(&admin->arena, entry_message *, count + 1);
    const char *text = "";
    count = take_last_ones(entries, count, taken);
    if (count > 0)
        qsort(taken, count, sizeof *taken, by_key);
    for (size_t i = 0; i < count; i++)
        text = arena_format(&admin->arena, "%s%s=%s\n", text, taken[i]->key, taken[i]->value);
    return text;
}

Gatehouse__V1__Credential__LabelsEntry **admin_labels(struct admin_call *admin, const char *labels, size_t *ret_count)
{
    struct label label;
    size_t count = 0;
    for (const char *at = labels; (at = label_next(at, &label)) != NULL;)
        count++;
    entry_message **entries = arena_array(&admin->arena, entry_message *, count + 1);
    *ret_count = 0;
    while ((labels = label_next(labels, &label)) != NULL) {
        entry_message *entry = arena_new(&admin->arena, entry_message);
        gatehouse__v1__credential__labels_entry__init(entry);
        entry->key = arena_copy(&admin->arena, label.key, label.key_len);
        entry->value = arena_copy(&admin->arena, label.value, label.value_len);
        entries[(*ret_count)++] = entry;
    }
    return entries;
}

/* Quoted; NULL: "none". */
static const char *value_text(struct admin_call *admin, const struct label *label)
{
    if (label == NULL)
        return "none";
    return admin_quoted(admin, arena_copy(&admin->arena, label->value, label->value_len));
}

static void tell(struct admin_call *admin, const struct label *before, const struct label *after)
{
    const struct label *one = before == NULL ? after : before;
    const char *what = arena_format(&admin->arena, "label %s", arena_copy(&admin->arena, one->key, one->key_len));
    admin_tell(admin, what, value_text(admin, before), value_text(admin, after));
}

void admin_tell_labels(struct admin_call *admin, const char *before, const char *after)
{
    struct label old, new;
    for (const char *at = before; (at = label_next(at, &old)) != NULL;)
        tell(admin, &old, label_find(after, old.key, old.key_len, &new) ? &new : NULL);
    for (const char *at = after; (at = label_next(at, &new)) != NULL;)
        if (!label_find(before, new.key, new.key_len, &old))
            tell(admin, NULL, &new);
}

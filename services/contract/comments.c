/* SPDX-License-Identifier: Apache-2.0 */
#include "contract/comments.h"
#include "base/must.h"

#include <google/protobuf/descriptor.pb-c.h>
#include <stdbool.h>
#include <stdio.h>

extern const unsigned char documented_protoset[], documented_protoset_end[];

/* Numbers of fields in Google's descriptors, of which a location's path is made. */
enum { FILE_MESSAGE = 4, FILE_ENUM = 5, FILE_SERVICE = 6, MESSAGE_FIELD = 2, SERVICE_METHOD = 2 };

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__SourceCodeInfo__Location location_proto;

struct comments {
    struct comment {
        char *name, *text;
    } *all;
    size_t count;
};

/* "Name" or "Name.part"; false: of something else, such as an import. */
static bool name_of(const file_proto *file, const location_proto *location, char *name, size_t size)
{
    const int32_t *path = location->path;
    const char *above = NULL, *part = NULL;
    if (location->n_path != 2 && location->n_path != 4)
        return false;
    size_t i = (size_t)path[1], j = location->n_path == 4 ? (size_t)path[3] : 0;
    if (path[0] == FILE_ENUM && location->n_path == 2) {
        above = file->enum_type[i]->name;
    } else if (path[0] == FILE_MESSAGE) {
        above = file->message_type[i]->name;
        if (location->n_path == 4 && path[2] == MESSAGE_FIELD)
            part = file->message_type[i]->field[j]->name;
    } else if (path[0] == FILE_SERVICE) {
        above = file->service[i]->name;
        if (location->n_path == 4 && path[2] == SERVICE_METHOD)
            part = file->service[i]->method[j]->name;
    }
    if (above == NULL || (location->n_path == 4 && part == NULL))
        return false;
    snprintf(name, size, "%s.%s%s%s", file->package, above, part == NULL ? "" : ".", part == NULL ? "" : part);
    return true;
}

/* A line that continues is joined to the one before; "Errors:" begins a paragraph, what is indented is a list. */
static char *join_lines(const char *comment)
{
    char *text = must(malloc(3 * strlen(comment) + 1)), *to = text;
    while (*comment != '\0') {
        size_t spaces = strspn(comment, " "), len = strcspn(comment, "\n");
        const char *line = comment + spaces;
        size_t line_len = len - (spaces < len ? spaces : len);
        bool is_item = spaces == 3, is_paragraph = strncmp(line, "Errors:", 7) == 0 || line_len == 0;
        if (to > text)
            to = stpcpy(to, is_paragraph ? "\n\n" : is_item ? "\n- " : " ");
        if (is_item && to > text && strncmp(line, "- ", 2) == 0)
            line += 2, line_len -= 2;
        to = mempcpy(to, line, line_len);
        comment += len + (comment[len] == '\n');
    }
    *to = '\0';
    return text;
}

static void add_file(struct comments *comments, const file_proto *file)
{
    char name[200];
    if (file->source_code_info == NULL || file->package == NULL)
        return;
    size_t more = file->source_code_info->n_location;
    comments->all = must(realloc(comments->all, (comments->count + more + 1) * sizeof *comments->all));
    for (size_t i = 0; i < more; i++) {
        const location_proto *location = file->source_code_info->location[i];
        const char *comment = location->leading_comments;
        if (comment != NULL && name_of(file, location, name, sizeof name))
            comments->all[comments->count++] = (struct comment){must_copy(name), join_lines(comment)};
    }
}

struct comments *comments_new(void)
{
    struct comments *comments = must(calloc(1, sizeof *comments));
    Google__Protobuf__FileDescriptorSet *set = must(google__protobuf__file_descriptor_set__unpack(
        NULL, (size_t)(documented_protoset_end - documented_protoset), documented_protoset));
    for (size_t i = 0; i < set->n_file; i++)
        add_file(comments, set->file[i]);
    google__protobuf__file_descriptor_set__free_unpacked(set, NULL);
    return comments;
}

void comments_free(struct comments *comments)
{
    if (comments == NULL)
        return;
    for (size_t i = 0; i < comments->count; i++) {
        free(comments->all[i].name);
        free(comments->all[i].text);
    }
    free(comments->all);
    free(comments);
}

const char *comments_of(const struct comments *comments, const char *full_name)
{
    for (size_t i = 0; i < comments->count; i++)
        if (strcmp(comments->all[i].name, full_name) == 0)
            return comments->all[i].text;
    return "";
}

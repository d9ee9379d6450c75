/* SPDX-License-Identifier: Apache-2.0 */
#include "forwarded.h"

#include <string.h>
#include <strings.h>

struct piece {
    const char *text;
    size_t len;
};

static struct piece trim(struct piece piece)
{
    while (piece.len > 0 && (*piece.text == ' ' || *piece.text == '\t'))
        piece.text++, piece.len--;
    while (piece.len > 0 && (piece.text[piece.len - 1] == ' ' || piece.text[piece.len - 1] == '\t'))
        piece.len--;
    return piece;
}

/* Takes the last piece off `list`. From the right, so that a quote that a client has left open does not swallow what a
 * proxy has added behind it. */
static struct piece take_last(struct piece *list, char separator)
{
    bool is_quoted = false;
    size_t begin = list->len;
    while (begin > 0 && (is_quoted || list->text[begin - 1] != separator)) {
        begin--;
        is_quoted ^= list->text[begin] == '"';
    }
    struct piece last = {list->text + begin, list->len - begin};
    list->len = begin == 0 ? 0 : begin - 1;
    return trim(last);
}

/* The value of for= in "for=192.0.2.1;proto=https"; empty where there is none, or more than one. */
static struct piece node_of(struct piece element)
{
    struct piece node = {"", 0};
    int count = 0;
    while (element.len > 0) {
        struct piece pair = take_last(&element, ';');
        if (pair.len < 4 || strncasecmp(pair.text, "for=", 4) != 0)
            continue;
        node = (struct piece){pair.text + 4, pair.len - 4};
        count++;
    }
    if (node.len >= 2 && node.text[0] == '"' && node.text[node.len - 1] == '"')
        node = (struct piece){node.text + 1, node.len - 2};
    return count == 1 ? node : (struct piece){"", 0};
}

bool forwarded_is_trusted(const struct forwarded *forwarded, const struct address *address)
{
    for (size_t i = 0; i < forwarded->trusted_count; i++)
        if (network_has(&forwarded->trusted[i], address))
            return true;
    return false;
}

/* Steps over the line's entries. False: the walk has come to its end. */
static bool walk(const struct forwarded *forwarded, const char *line, char peer[static ADDRESS_TEXT_MAX])
{
    struct piece list = {line, strlen(line)};
    while (list.len > 0) {
        struct piece entry = take_last(&list, ',');
        if (entry.len == 0)
            continue; /* RFC 9110, section 5.6.1: a list may have empty elements */
        struct piece node = forwarded->is_rfc7239 ? node_of(entry) : entry;
        struct address address;
        if (!address_parse_with_port(node.text, node.len, &address))
            return false;
        address_format(&address, peer);
        if (!forwarded_is_trusted(forwarded, &address))
            return false;
    }
    return true;
}

void forwarded_find(const struct forwarded *forwarded, const char *const *lines, size_t line_count,
                    char peer[static ADDRESS_TEXT_MAX])
{
    while (line_count > 0 && walk(forwarded, lines[line_count - 1], peer))
        line_count--;
}

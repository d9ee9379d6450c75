/* SPDX-License-Identifier: Apache-2.0 */
/* The request target (RFC 9112, section 3.2): a path, a URL of http or https, or * with OPTIONS. */
#include "guard_internal.h"

#include "base/address.h"

#include <string.h>
#include <strings.h>

int guard_refuse(struct guard *guard, int code, const char *why)
{
    guard->code = code;
    guard->why = why;
    explicit_bzero(guard->word, sizeof guard->word);
    return code;
}

bool guard_word_is(const struct guard *guard, const char *text)
{
    size_t len = strlen(text);
    return guard->word_len == len && strncasecmp(guard->word, text, len) == 0;
}

/* How the path begins, which says in whose words a refusal is. */
static void note_path(struct guard *guard, unsigned char c)
{
    if (guard->target_len + 1 < sizeof guard->target) {
        guard->target[guard->target_len++] = (char)c;
        guard->target[guard->target_len] = '\0';
    }
}

/* What stands behind the authority. */
static int end_authority(struct guard *guard, unsigned char c)
{
    if (c != '/' && c != '?' && c != ' ')
        return guard_refuse(guard, 400, "request target is not a URL of a host");
    guard->word_len = 0;
    guard->state = c == ' ' ? VERSION : TARGET;
    if (c == '/')
        note_path(guard, c);
    return 0;
}

static int bracket(struct guard *guard, unsigned char c)
{
    struct address address;
    if (c != ']') {
        guard_put(guard, c);
        return 0;
    }
    if (guard->word_len > sizeof guard->word || !address_parse(guard->word, guard->word_len, &address) ||
        memchr(guard->word, ':', guard->word_len) == NULL || memchr(guard->word, '%', guard->word_len) != NULL)
        return guard_refuse(guard, 400, "request target is not a URL of a host");
    guard->state = TARGET_BRACKET_END;
    return 0;
}

static int port(struct guard *guard, unsigned char c)
{
    if (c >= '0' && c <= '9') {
        guard_put(guard, c);
        return 0;
    }
    long number = 0;
    for (size_t i = 0; i < guard->word_len && i < 6; i++)
        number = number * 10 + guard->word[i] - '0';
    if (guard->word_len == 0 || guard->word_len > 5 || number > 65535)
        return guard_refuse(guard, 400, "request target is not a URL of a host");
    return end_authority(guard, c);
}

static int begin_port(struct guard *guard)
{
    guard->word_len = 0;
    guard->state = TARGET_PORT;
    return 0;
}

/* "http://host:port", byte by byte; the HTTP library behind would answer in words of its own what it cannot read. */
static int absolute_target(struct guard *guard, unsigned char c)
{
    bool is_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
    switch ((int)guard->state) {
    case TARGET_SCHEME:
        guard_put(guard, c);
        if (guard_word_is(guard, "http://") || guard_word_is(guard, "https://"))
            guard->state = TARGET_HOST, guard->word_len = 0;
        return guard->word_len <= 8 ? 0 : guard_refuse(guard, 400, "request target is neither a path nor a URL");
    case TARGET_HOST:
        if (c == '[' && guard->word_len == 0)
            return guard->state = TARGET_BRACKET, 0;
        if (c == ':' && guard->word_len > 0)
            return begin_port(guard);
        if (!is_name && guard->word_len > 0)
            return end_authority(guard, c);
        guard_put(guard, c);
        return is_name ? 0 : guard_refuse(guard, 400, "request target is not a URL of a host");
    case TARGET_BRACKET:
        return bracket(guard, c);
    case TARGET_BRACKET_END:
        return c == ':' ? begin_port(guard) : end_authority(guard, c);
    default:
        return port(guard, c);
    }
}

static int begin_target(struct guard *guard, unsigned char c)
{
    guard->word_len = guard->target_len = 0;
    guard->target[0] = '\0';
    if (c == '/')
        note_path(guard, c), guard->state = TARGET_SECOND;
    else if (c == '*' && guard->may_have_star)
        guard->state = TARGET_STAR;
    else if (c == 'h' || c == 'H')
        guard->state = TARGET_SCHEME, guard_put(guard, c);
    else
        return guard_refuse(guard, 400, "request target is neither a path nor a URL");
    return 0;
}

static bool is_target(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\';
}

size_t guard_target_run(struct guard *guard, const char *data, size_t len)
{
    size_t step = 0;
    for (; step < len && is_target((unsigned char)data[step]); step++)
        note_path(guard, (unsigned char)data[step]);
    return step;
}

int guard_target(struct guard *guard, unsigned char c)
{
    enum state at = (enum state)guard->state;
    bool is_path = at == TARGET || at == TARGET_SECOND || at == TARGET_STAR;
    if (is_path && c == ' ') {
        guard->word_len = 0;
        guard->state = VERSION;
        return 0;
    }
    if (!is_target(c) && (c != ' ' || at == TARGET_FIRST))
        return guard_refuse(guard, 400, "request target has a character that it may not have");
    if (at == TARGET_FIRST)
        return begin_target(guard, c);
    if (at == TARGET_STAR || (at == TARGET_SECOND && c == '/'))
        return guard_refuse(guard, 400,
                            at == TARGET_STAR ? "request target is neither a path nor a URL"
                                              : "request target begins with //");
    if (!is_path)
        return absolute_target(guard, c);
    note_path(guard, c);
    guard->state = TARGET;
    return 0;
}

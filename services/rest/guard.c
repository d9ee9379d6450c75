/* SPDX-License-Identifier: Apache-2.0 */
#include "guard_internal.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

enum which { OTHER, HOST = 1, AUTHORIZATION = 2, LENGTH = 4, ENCODING = 8, EXPECT = 16, TYPE = 32, CONNECTION = 64 };

static const struct {
    char name[20];
    size_t len;
    enum which which;
} headers_that_matter[] = {
    {"host", 4, HOST},
    {"authorization", 13, AUTHORIZATION},
    {"content-length", 14, LENGTH},
    {"transfer-encoding", 17, ENCODING},
    {"expect", 6, EXPECT},
    {"content-type", 12, TYPE},
    {"connection", 10, CONNECTION},
};

void guard_init(struct guard *guard, const struct guard_limits *limits)
{
    *guard = (struct guard){.limits = limits};
}

bool guard_is_between(const struct guard *guard)
{
    return guard->state == BETWEEN || guard->state == BLANK_LF;
}

/* tchar: RFC 9110, section 5.6.2. */
static bool is_token(unsigned char c)
{
    static const bool tokens[UCHAR_MAX + 1] = {
        ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['!'] = true, ['#'] = true, ['$'] = true,
        ['%'] = true,         ['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true, ['-'] = true,
        ['.'] = true,         ['^'] = true,         ['_'] = true,         ['`'] = true, ['|'] = true, ['~'] = true};
    return tokens[c];
}

static int end_method(struct guard *guard)
{
    static const struct {
        char name[8];
        bool may_have_body; /* as the HTTP library behind has it: both must agree where a request ends */
    } methods[] = {{"GET", false}, {"HEAD", false}, {"OPTIONS", false}, {"POST", true},
                   {"PUT", true},  {"PATCH", true}, {"DELETE", false}};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        size_t len = strlen(methods[i].name);
        if (guard->word_len == len && memcmp(guard->word, methods[i].name, len) == 0) {
            guard->may_have_body = methods[i].may_have_body;
            guard->may_have_star = strcmp(methods[i].name, "OPTIONS") == 0;
            guard->state = TARGET_FIRST;
            return 0;
        }
    }
    return guard_refuse(guard, 501, "method not known");
}

static int end_request_line(struct guard *guard)
{
    guard->is_http_1_1 = guard_word_is(guard, "HTTP/1.1");
    if (!guard->is_http_1_1 && !guard_word_is(guard, "HTTP/1.0"))
        return guard_refuse(guard, guard->word_len == 8 && strncmp(guard->word, "HTTP/", 5) == 0 ? 505 : 400,
                            "HTTP version not known");
    guard->state = LINE_LF;
    return 0;
}

static int end_name(struct guard *guard)
{
    guard->which = OTHER;
    for (size_t i = 0; i < sizeof headers_that_matter / sizeof headers_that_matter[0]; i++)
        if (guard->word_len == headers_that_matter[i].len &&
            strncasecmp(guard->word, headers_that_matter[i].name, guard->word_len) == 0)
            guard->which = (int)headers_that_matter[i].which;
    if (guard->seen & (unsigned)guard->which & ~(unsigned)CONNECTION)
        return guard_refuse(guard, 400, "header may stand once only");
    guard->seen |= (unsigned)guard->which;
    guard->word_len = 0;
    guard->state = VALUE_FIRST;
    return 0;
}

static int content_length(struct guard *guard)
{
    if (guard->word_len == 0)
        return guard_refuse(guard, 400, "Content-Length is not a number");
    for (size_t i = 0; i < guard->word_len && i < sizeof guard->word; i++)
        if (guard->word[i] < '0' || guard->word[i] > '9')
            return guard_refuse(guard, 400, "Content-Length is not a number");
    size_t length = 0;
    for (size_t i = 0; i < guard->word_len; i++) {
        if (length > guard->limits->max_body_bytes || i >= sizeof guard->word)
            return guard_refuse(guard, 413, "body too large");
        length = length * 10 + (size_t)(guard->word[i] - '0');
    }
    if (length > guard->limits->max_body_bytes)
        return guard_refuse(guard, 413, "body too large");
    guard->content_length = length;
    return 0;
}

static int end_value(struct guard *guard)
{
    while (guard->word_len > 0 && guard->word_len <= sizeof guard->word &&
           (guard->word[guard->word_len - 1] == ' ' || guard->word[guard->word_len - 1] == '\t'))
        guard->word_len--;
    guard->state = LINE_LF;
    switch ((enum which)guard->which) {
    case LENGTH:
        return content_length(guard);
    case ENCODING:
        if (!guard_word_is(guard, "chunked"))
            return guard_refuse(guard, 400, "Transfer-Encoding other than chunked");
        guard->is_chunked = true;
        return 0;
    case EXPECT:
        return guard_word_is(guard, "100-continue") ? 0 : guard_refuse(guard, 417, "Expect other than 100-continue");
    case HOST:
        return guard->word_len > 0 ? 0 : guard_refuse(guard, 400, "Host is empty");
    case CONNECTION:
        guard->is_kept |= !guard_word_is(guard, "close");
        return 0;
    case OTHER:
    case AUTHORIZATION:
    case TYPE:
        return 0;
    }
    return 0;
}

/* Does it matter what the header says, and not only that it is there? */
static bool is_read(const struct guard *guard)
{
    return (guard->which & (HOST | LENGTH | ENCODING | EXPECT | CONNECTION)) != 0;
}

static bool is_host(unsigned char c)
{
    return c > ' ' && c < 0x7f && strchr("/?#@\\,\"<>", c) == NULL;
}

static int value(struct guard *guard, unsigned char c)
{
    if (c == '\r')
        return end_value(guard);
    if ((c < ' ' && c != '\t') || c == 0x7f)
        return guard_refuse(guard, 400, "header has a control character");
    if (guard->state == VALUE_FIRST && (c == ' ' || c == '\t'))
        return 0;
    guard->state = VALUE;
    if (guard->which == HOST && !is_host(c))
        return guard_refuse(guard, 400, "Host is not a host");
    if (is_read(guard))
        guard_put(guard, c);
    return 0;
}

static int end_head(struct guard *guard)
{
    bool has_length = (guard->seen & LENGTH) != 0;
    if (guard->is_http_1_1 && !(guard->seen & HOST))
        return guard_refuse(guard, 400, "Host is missing");
    if (guard->is_chunked && (has_length || !guard->is_http_1_1))
        return guard_refuse(guard, 400, "Transfer-Encoding with Content-Length, or in HTTP/1.0");
    if (!guard->may_have_body && (guard->is_chunked || guard->content_length > 0))
        return guard_refuse(guard, 400, "this method has no body");
    /* The HTTP library behind takes this for a mistake, and says so in words of its own. */
    if (guard->may_have_body && !guard->is_chunked && !has_length && guard->is_kept)
        return guard_refuse(guard, 411, "Content-Length is missing");
    guard->word_len = 0;
    guard->body_left = guard->content_length;
    guard->state = guard->is_chunked ? CHUNK_SIZE : guard->body_left > 0 ? BODY : BETWEEN;
    return 0;
}

static int end_chunk_size(struct guard *guard)
{
    size_t size = 0;
    if (guard->word_len == 0 || guard->word_len > 8)
        return guard_refuse(guard, 400, "chunk size");
    for (size_t i = 0; i < guard->word_len; i++) {
        unsigned char c = (unsigned char)guard->word[i];
        size = size * 16 + (size_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (size > guard->limits->max_body_bytes - guard->body_bytes)
        return guard_refuse(guard, 413, "body too large");
    guard->body_bytes += size;
    guard->body_left = size;
    guard->word_len = 0;
    guard->state = CHUNK_SIZE_LF;
    return 0;
}

static int chunk_size(struct guard *guard, unsigned char c)
{
    if (c == '\r')
        return end_chunk_size(guard);
    if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')))
        return guard_refuse(guard, 400, "chunk size");
    guard_put(guard, c);
    return guard->word_len <= 8 ? 0 : guard_refuse(guard, 400, "chunk size");
}

static int expect(struct guard *guard, unsigned char c, char expected, enum state next)
{
    if (c != (unsigned char)expected)
        return guard_refuse(guard, 400, "line does not end with CR LF");
    guard->state = (int)next;
    return 0;
}

static int first_byte(struct guard *guard, unsigned char c)
{
    if (c == '\r' && !guard->has_blank) { /* RFC 9112, section 2.2: at least one is to be ignored */
        guard->has_blank = true;
        guard->state = BLANK_LF;
        return 0;
    }
    unsigned requests = guard->requests + 1;
    guard_init(guard, guard->limits);
    guard->requests = requests;
    if (!is_token(c))
        return guard_refuse(guard, 400, "request line");
    guard_put(guard, c);
    guard->state = METHOD;
    return 0;
}

/* A byte of a header's name, or in its place. */
static int name(struct guard *guard, unsigned char c)
{
    if (guard->state == NAME_FIRST) {
        if (c == '\r')
            return guard->state = HEAD_LF, 0;
        if (c == ' ' || c == '\t')
            return guard_refuse(guard, 400, "folded header");
        if (++guard->headers > guard->limits->max_headers)
            return guard_refuse(guard, 431, "too many headers");
        guard->word_len = 0;
        guard->state = NAME;
    } else if (c == ':') {
        return end_name(guard);
    }
    if (!is_token(c))
        return guard_refuse(guard, 400, "header name");
    guard_put(guard, c);
    return 0;
}

static int head_byte(struct guard *guard, unsigned char c)
{
    if (++guard->head_bytes > guard->limits->max_header_bytes)
        return guard_refuse(guard, guard->state < LINE_LF ? 414 : 431, "request line and headers too large");
    switch ((enum state)guard->state) {
    case METHOD:
        if (c == ' ')
            return end_method(guard);
        guard_put(guard, c);
        return is_token(c) ? 0 : guard_refuse(guard, 400, "request line");
    case TARGET_FIRST:
    case TARGET_SECOND:
    case TARGET_SCHEME:
    case TARGET_HOST:
    case TARGET_BRACKET:
    case TARGET_BRACKET_END:
    case TARGET_PORT:
    case TARGET:
    case TARGET_STAR:
        return guard_target(guard, c);
    case VERSION:
        if (c == '\r')
            return end_request_line(guard);
        guard_put(guard, c);
        return c > ' ' && guard->word_len <= 8 ? 0 : guard_refuse(guard, 400, "request line");
    case LINE_LF:
        return expect(guard, c, '\n', NAME_FIRST);
    case NAME_FIRST:
    case NAME:
        return name(guard, c);
    case VALUE_FIRST:
    case VALUE:
        return value(guard, c);
    case HEAD_LF:
        return c == '\n' ? end_head(guard) : guard_refuse(guard, 400, "line does not end with CR LF");
    case BETWEEN:
    case BODY:
    case CHUNK_SIZE:
    case CHUNK_SIZE_LF:
    case CHUNK_DATA:
    case CHUNK_CR:
    case CHUNK_LF:
    case LAST_CR:
    case LAST_LF:
    case BLANK_LF:
        break;
    }
    return guard_refuse(guard, 500, "guard");
}

static int body_byte(struct guard *guard, unsigned char c)
{
    if (guard->state == CHUNK_SIZE)
        return chunk_size(guard, c);
    if (guard->state == CHUNK_SIZE_LF)
        return expect(guard, c, '\n', guard->body_left > 0 ? CHUNK_DATA : LAST_CR);
    if (guard->state == CHUNK_CR)
        return expect(guard, c, '\r', CHUNK_LF);
    if (guard->state == CHUNK_LF)
        return expect(guard, c, '\n', CHUNK_SIZE);
    if (guard->state == LAST_CR)
        return c == '\r' ? (guard->state = LAST_LF, 0) : guard_refuse(guard, 400, "trailers are not read");
    return expect(guard, c, '\n', BETWEEN);
}

/* Body bytes mean nothing here: skipped as a whole. */
static size_t skip(struct guard *guard, size_t len)
{
    size_t step = len < guard->body_left ? len : guard->body_left;
    guard->body_left -= step;
    if (guard->body_left == 0)
        guard->state = guard->state == BODY ? BETWEEN : CHUNK_CR;
    return step;
}

/* What the next bytes are as long as they are plain: they do what they would do one by one, and change no state. */
static size_t run(struct guard *guard, const char *data, size_t len)
{
    size_t room = guard->limits->max_header_bytes - guard->head_bytes, step = 0;
    if (len > room)
        len = room;
    if (guard->state == NAME)
        for (; step < len && is_token((unsigned char)data[step]); step++)
            guard_put(guard, (unsigned char)data[step]);
    else if (guard->state == TARGET)
        step = guard_target_run(guard, data, len);
    else if (guard->state == VALUE && guard->which == HOST)
        for (; step < len && is_host((unsigned char)data[step]); step++)
            guard_put(guard, (unsigned char)data[step]);
    else if (guard->state == VALUE && !is_read(guard))
        while (step < len && (unsigned char)data[step] >= ' ' && data[step] != 0x7f)
            step++;
    guard->head_bytes += step;
    return step;
}

int guard_feed(struct guard *guard, const char *data, size_t len)
{
    for (size_t i = 0; i < len && guard->code == 0;) {
        if (guard->state == BODY || guard->state == CHUNK_DATA) {
            i += skip(guard, len - i);
            continue;
        }
        if (guard->state > BETWEEN && guard->state < BODY && (i += run(guard, data + i, len - i)) == len)
            break;
        unsigned char c = (unsigned char)data[i++];
        if (guard->state == BETWEEN)
            (void)first_byte(guard, c);
        else if (guard->state == BLANK_LF)
            (void)expect(guard, c, '\n', BETWEEN);
        else if (guard->state < BODY)
            (void)head_byte(guard, c);
        else
            (void)body_byte(guard, c);
    }
    return guard->code;
}

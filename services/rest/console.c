/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include "exchange.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#ifdef GATEHOUSE_CONSOLE

#define CONSOLE_FILE(symbol, path, type, etag) \
    extern const char console_##symbol[], console_##symbol##_end[], console_##symbol##_gz[], \
        console_##symbol##_gz_end[];
#include "console_files.inc"
#undef CONSOLE_FILE

static const struct console_file {
    const char *path, *content_type, *etag, *etag_gzip;
    const char *plain, *plain_end, *gzip, *gzip_end;
} files[] = {
/* Two representations have two ETags (RFC 9110, section 8.8.3). */
#define CONSOLE_FILE(symbol, path, type, etag) \
    {path, \
     type, \
     "\"" etag "\"", \
     "\"" etag "-gz\"", \
     console_##symbol, \
     console_##symbol##_end, \
     console_##symbol##_gz, \
     console_##symbol##_gz_end},
#include "console_files.inc"
#undef CONSOLE_FILE
};
enum { FILE_COUNT = sizeof files / sizeof files[0] };

/* Everything comes from this server; no inline script or style; nobody frames it. */
static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                             "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                             "require-trusted-types-for 'script'; trusted-types 'none'";

static bool accepts_gzip(const struct http_request *request)
{
    const char *accepted = http_header(request, "Accept-Encoding");
    const char *gzip = accepted == NULL ? NULL : strcasestr(accepted, "gzip");
    if (gzip == NULL)
        return false;
    const char *quality = gzip + strlen("gzip");
    quality += strspn(quality, " \t");
    if (*quality != ';')
        return true;
    quality += 1 + strspn(quality + 1, " \t");
    return strncasecmp(quality, "q=", 2) != 0 || strtod(quality + 2, NULL) > 0;
}

static bool is_known(const struct http_request *request, const char *etag)
{
    const char *known = http_header(request, "If-None-Match");
    return known != NULL && (strcmp(known, "*") == 0 || strstr(known, etag) != NULL);
}

static void add_headers(struct http_request *request, const char *etag)
{
    http_answer_header(request, "ETag", etag);
    http_answer_header(request, "Cache-Control", "no-cache"); /* may be kept, but is asked for each time */
    http_answer_header(request, "Vary", "Accept-Encoding");
    http_answer_header(request, "Content-Security-Policy", policy);
    http_answer_header(request, "Referrer-Policy", "no-referrer");
    http_answer_header(request, "Cross-Origin-Opener-Policy", "same-origin");
    http_answer_header(request, "Cross-Origin-Resource-Policy", "same-origin");
}

static void answer_file(struct http_request *request, const struct console_file *file)
{
    bool is_gzip = accepts_gzip(request);
    const char *etag = is_gzip ? file->etag_gzip : file->etag;
    add_headers(request, etag);
    if (is_known(request, etag)) {
        request->answer.code = 304;
        return;
    }
    request->answer.code = 200;
    request->answer.content_type = file->content_type;
    request->answer.body = is_gzip ? file->gzip : file->plain;
    request->answer.body_len = (size_t)(is_gzip ? file->gzip_end - file->gzip : file->plain_end - file->plain);
    if (is_gzip)
        http_answer_header(request, "Content-Encoding", "gzip");
}

/* "/Auth" to "/Auth/", said relatively: a proxy may know it by another path. */
static void answer_with_slash(struct http_request *request)
{
    const char *segment = strrchr(request->path, '/');
    request->answer.code = 308;
    if (segment == NULL)
        return;
    http_answer_header(request, "Location", arena_format(&request->arena, "./%s/", segment + 1));
}

static bool ends_with_slash(const char *path)
{
    size_t len = strlen(path);
    return len > 0 && path[len - 1] == '/';
}

static const struct console_file *find(const char *path)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    return NULL;
}

bool console_handle(struct http_request *request, const char *path)
{
    const struct console_file *file = find(path);
    if (file == NULL)
        return false;
    request->route = "/";
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0)
        answer_method_not_allowed(request, "GET, HEAD");
    else if (strcmp(path, "/") == 0 && !ends_with_slash(request->path))
        answer_with_slash(request);
    else
        answer_file(request, file);
    http_reply(request);
    return true;
}

#else

bool console_handle(struct http_request *request, const char *path)
{
    (void)request;
    (void)path;
    return false;
}

#endif

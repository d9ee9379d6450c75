/* SPDX-License-Identifier: Apache-2.0 */
/* The web console's files, embedded in the binary at build (services/console). */
#ifndef REST_CONSOLE_H
#define REST_CONSOLE_H

#include "http.h"

/* `path` is below the prefix: "/", "/console.js"; "" is the prefix itself without its slash. Answers with the file,
 * 304, 405 or a redirection. false: there is no such file, or the console was not built. Needs http_header, so only
 * within the server's handle(). */
bool console_handle(struct http_request *request, const char *path);

#endif

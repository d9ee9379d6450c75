/* SPDX-License-Identifier: Apache-2.0 */
/* The comments of the .proto files, which a second descriptor set in the program has, for whoever describes the API. */
#ifndef CONTRACT_COMMENTS_H
#define CONTRACT_COMMENTS_H

struct comments;

/* Free it with comments_free. Out of memory, the process ends. */
struct comments *comments_new(void);
void comments_free(struct comments *comments);

/* What stands above a message, field, method or enum, by its full name: "gatehouse.v1.Credential.name". Lines are
 * joined, paragraphs and lists are kept as Markdown. Borrowed; "": nothing. */
const char *comments_of(const struct comments *comments, const char *full_name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Before a change that ends live tokens: what would end, and a name to be typed. */
#ifndef CONFIRM_H
#define CONFIRM_H

#include "output.h"

struct change {
    const char *method;
    void *request;       /* has validate_only, and etag or not; its response has impact or not */
    const char *doing;   /* "Deleting credential" */
    const char *name;    /* what it is done to, and what is to be typed; NULL: none */
    const char *id;      /* what may be typed instead; NULL: nothing else */
    const char *etag;    /* of what was shown when asking; NULL: not known */
    const char *subject; /* the response's field that is printed; NULL: the impact alone */
    bool is_final;       /* asks even if no live token ends */
    const struct view *view;
};

/* Asks for a word to be typed. False: it was not, or nobody is there; that was said, and the exit code is set. */
bool confirm_word(struct context *context, const char *word);

/* Is --yes or --dry-run given, so that nobody will be asked? */
bool change_is_unasked(const struct context *context);

/* Does what comes before the change itself: with --dry-run prints what would end; else, unless --yes is given, asks the
 * server what would end and, where it must be, the person. *ret_is_agreed: the change is to be made now; it is left as
 * it was otherwise, and the exit code is the command's. */
enum exit_code change_confirm(struct context *context, const struct change *change, bool *ret_is_agreed);

/* Runs it as --dry-run and --yes say, asks where it must, prints the answer. */
enum exit_code change_run(struct context *context, const struct change *change);

/* --everywhere: into the request, and what became of it, on standard error. */
void change_ask_everywhere(const struct context *context, void *request);
void change_tell_everywhere(const void *response);

/* Prints a change's response: the subject with "tokens_ended" beside its fields, or in JSON all of it. */
void change_print(const struct context *context, const void *response, const char *subject, const struct view *view);

#endif

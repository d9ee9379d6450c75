/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An api and the roles that it requires, once for all tokens that are asked about by it. For one thread at a time, but
 * for what a question is.
 */
#ifndef QUESTION_H
#define QUESTION_H

#include <gatehouse/v1/auth.pb-c.h>
#include <stdbool.h>
#include <string.h>

#define uthash_fatal(message) abort()
#include <uthash.h>

struct question {
    size_t references;
    char *form; /* its key: api, then the roles, each with its NUL */
    size_t form_size;
    size_t required_count;
    char **required; /* within form */
    UT_hash_handle hh;
};

/* Any thread, while a reference is held. Of every hit. */
static inline bool gatehouse_question_is(const struct question *question,
                                         const Gatehouse__V1__IntrospectRequest *request)
{
    if (question->required_count != request->n_required_roles || strcmp(question->form, request->api) != 0)
        return false;
    for (size_t i = 0; i < question->required_count; i++)
        if (strcmp(question->required[i], request->required_roles[i]) != 0)
            return false;
    return true;
}

/* A reference to the request's; `all` are those that there are, NULL at first. */
struct question *gatehouse_question_get(struct question **all, const Gatehouse__V1__IntrospectRequest *request);
/* Gives it back; NULL is fine. */
void gatehouse_question_release(struct question **all, struct question *question);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "question.h"

#include "base/must.h"

#include <stdlib.h>

static char *append(char *at, const char *text)
{
    size_t size = strlen(text) + 1;
    memcpy(at, text, size);
    return at + size;
}

static struct question *question_new(const Gatehouse__V1__IntrospectRequest *request)
{
    struct question *question = must(calloc(1, sizeof *question));
    question->form_size = strlen(request->api) + 1;
    for (size_t i = 0; i < request->n_required_roles; i++)
        question->form_size += strlen(request->required_roles[i]) + 1;
    question->form = must(malloc(question->form_size));
    question->required = must(calloc(request->n_required_roles + 1, sizeof *question->required));
    char *at = append(question->form, request->api);
    for (; question->required_count < request->n_required_roles; question->required_count++) {
        question->required[question->required_count] = at;
        at = append(at, request->required_roles[question->required_count]);
    }
    return question;
}

static void question_free(struct question *question)
{
    free(question->form);
    free(question->required);
    free(question);
}

struct question *gatehouse_question_get(struct question **all, const Gatehouse__V1__IntrospectRequest *request)
{
    struct question *wanted = question_new(request), *found;
    HASH_FIND(hh, *all, wanted->form, wanted->form_size, found);
    if (found == NULL) {
        HASH_ADD_KEYPTR(hh, *all, wanted->form, wanted->form_size, wanted);
        found = wanted;
    } else {
        question_free(wanted);
    }
    found->references++;
    return found;
}

void gatehouse_question_release(struct question **all, struct question *question)
{
    if (question == NULL || --question->references > 0)
        return;
    HASH_DEL(*all, question);
    question_free(question);
}

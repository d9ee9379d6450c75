/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "credential.h"
#include "curl.h"
#include "report.h"
#include "text.h"

enum { CANDIDATES = 1000 }; /* a page: names that contain the one in question */

void target_done(struct target *target)
{
    text_free(&target->client_id);
    text_free(&target->name);
    text_free(&target->etag);
}

static bool is_uuid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    for (size_t i = 0; i < sizeof form; i++) {
        if (form[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    }
    return true;
}

static bool find_by_id(struct context *context, const char *client_id, struct target *ret_target)
{
    Gatehouse__V1__GetCredentialRequest request = GATEHOUSE__V1__GET_CREDENTIAL_REQUEST__INIT;
    request.client_id = (char *)(uintptr_t)client_id;
    MESSAGE_FREE Gatehouse__V1__GetCredentialResponse *response = admin_invoke(context, "GetCredential", &request);
    if (response == NULL)
        return false;
    *ret_target = (struct target){text_copy(client_id), text_copy(response->credential->name),
                                  text_copy(response->credential->etag)};
    return true;
}

/* The list's filter knows "contains" only, and no quotation marks: it narrows, and the comparison is here. */
static char *name_filter(const char *name, const char *status)
{
    TEXT_FREE char *part = text_must(strndup(name, strcspn(name, "\"")));
    return text_format("%s%s%s%s%s", status, part[0] != '\0' && status[0] != '\0' ? " AND " : "",
                       part[0] == '\0' ? "" : "name:\"", part, part[0] == '\0' ? "" : "\"");
}

/* is_optional: none of the name is no fault; ret_target->client_id is NULL then. */
static bool look_for(struct context *context, const char *name, const char *status, bool is_optional,
                     struct target *ret_target)
{
    Gatehouse__V1__ListCredentialsRequest request = GATEHOUSE__V1__LIST_CREDENTIALS_REQUEST__INIT;
    TEXT_FREE char *filter = name_filter(name, status);
    TEXT_FREE char *token = NULL;
    struct target found = {0};
    size_t count = 0;
    request.page_size = CANDIDATES;
    request.filter = filter;
    do {
        if (token != NULL)
            request.page_token = token;
        MESSAGE_FREE Gatehouse__V1__ListCredentialsResponse *response =
            admin_invoke(context, "ListCredentials", &request);
        if (response == NULL) {
            target_done(&found);
            return false;
        }
        for (size_t i = 0; i < response->n_credentials; i++) {
            const Gatehouse__V1__Credential *credential = response->credentials[i];
            if (strcmp(credential->name, name) != 0 || count++ > 0)
                continue;
            found = (struct target){text_copy(credential->client_id), text_copy(name), text_copy(credential->etag)};
        }
        text_free(&token);
        token = text_copy(response->next_page_token);
    } while (token[0] != '\0');
    if (count == 1 || (count == 0 && is_optional)) {
        *ret_target = found;
        return true;
    }
    target_done(&found);
    if (count > 1) {
        report_usage(context, "%zu credentials have the name \"%s\"; say the client ID", count, name);
        return false;
    }
    fprintf(stderr, "gatehouse: no %scredential has the client ID or name \"%s\".\n",
            status[0] == '\0' ? "" : "deleted ", name);
    fputs("`gatehouse credential list --status any` shows all of them, also deleted ones.\n", stderr);
    context->exit_code = EXIT_REFUSED;
    return false;
}

/* With --curl, too, these calls are made: they find out what the one that is shown names. */
static bool find_by_name(struct context *context, const char *name, const char *status, bool is_optional,
                         struct target *ret_target)
{
    context->is_looking = true;
    bool is_found = look_for(context, name, status, is_optional, ret_target);
    context->is_looking = false;
    return is_found;
}

bool target_find(struct context *context, const char *word, bool is_name_wanted, struct target *ret_target)
{
    if (!is_uuid(word))
        return find_by_name(context, word, "", false, ret_target);
    if (is_name_wanted && !curl_is_wanted(context))
        return find_by_id(context, word, ret_target);
    *ret_target = (struct target){.client_id = text_copy(word)};
    return true;
}

bool target_find_deleted(struct context *context, const char *word, struct target *ret_target)
{
    if (!is_uuid(word))
        return find_by_name(context, word, "status=deleted", false, ret_target);
    *ret_target = (struct target){.client_id = text_copy(word)};
    return true;
}

bool target_find_id(struct context *context, const char *word, char **ret_id)
{
    struct target target = {0};
    if (word == NULL || is_uuid(word)) {
        *ret_id = word == NULL ? NULL : text_copy(word);
        return true;
    }
    if (!find_by_name(context, word, "status=any", true, &target))
        return false;
    *ret_id = text_copy(target.client_id == NULL ? word : target.client_id);
    target_done(&target);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The server, as the caller that the configuration names. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "command.h"
#include "gatehouse.h"

/* Call a method of CredentialAdmin or AuthService as the caller. The response is to be freed (MESSAGE_FREE); NULL: it
 * was reported, and context->exit_code is set. */
void *admin_invoke(struct context *context, const char *method, const void *request);
void *auth_invoke(struct context *context, const char *method, const void *request);

/* AuthService with this `authorization` ("" for none); NULL leaves it to *call to tell why, unless there is no
 * connection: then that was reported and call->status is GATEHOUSE_OK. */
void *auth_invoke_as(struct context *context, const char *method, const void *request, const char *authorization,
                     struct gatehouse_call *call);

/* The same of CredentialAdmin. */
void *admin_invoke_as(struct context *context, const char *method, const void *request, const char *authorization,
                      struct gatehouse_call *call);

enum caller { CALLER_NONE, CALLER_TOKEN, CALLER_CLIENT, CALLER_UNCLEAR };

/* Which way of saying who one is comes first: that of the stronger source, a token before a client ID. */
enum caller connection_caller(const struct config *config);

/* The secret key of config's client ID. malloc'd, to be wiped; NULL: reported. */
char *connection_secret(struct context *context);

/* The token that config gives, or names a file of; likewise. */
char *connection_token(struct context *context);

/* Ends the token that this connection got for itself, closes, frees. NULL is fine. */
void connection_close(struct context *context);

/* Lets a request borrow value; NULL leaves the field alone. */
void message_set_string(char **field, const char *value);

/* Where a field's value is in a message of any type; NULL: it has none of this name. */
void *message_member(const void *message, const char *name);

/* By MESSAGE_FREE at the end of the block: frees the message that the pointer at message_at leads to. */
void message_free(void *message_at);
#define MESSAGE_FREE __attribute__((cleanup(message_free)))

#endif

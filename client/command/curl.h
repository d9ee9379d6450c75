/* SPDX-License-Identifier: Apache-2.0 */
/* --curl: the call that a command would make, as a command line of curl. No secret is in it. */
#ifndef CURL_H
#define CURL_H

#include "command.h"

#include <protobuf-c/protobuf-c.h>

/* Is the call that comes now to be shown, and not made? What only finds out an ID is made nevertheless. */
bool curl_is_wanted(const struct context *context);

/* Can this command be shown so? */
bool curl_is_possible(const struct command *command);

/* Prints the call. */
void curl_print(const struct context *context, const ProtobufCServiceDescriptor *service, const char *method,
                const ProtobufCMessage *request);

#endif

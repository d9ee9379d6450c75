/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the .proto files say by their options (gatehouse/v1/options.proto, google/api): where a method is found over
 * HTTP, whether it may be retried, who may call it, and what each field of its request must be. Read once from the
 * descriptor set that is embedded in the program; whoever checks, routes, retries or describes asks here.
 */
#ifndef CONTRACT_H
#define CONTRACT_H

#include <protobuf-c/protobuf-c.h>
#include <regex.h>
#include <stdbool.h>
#include <stdint.h>

enum { CONTRACT_FIELD_MAX = 64, CONTRACT_WHY_MAX = 160 };

struct contract_message;

/* What one field must be. 0 and NULL: there is no such rule. */
struct contract_field {
    const ProtobufCFieldDescriptor *field;
    struct contract_message *message; /* of a field that is a message with fields of its own, else NULL */
    bool is_required;                 /* not empty, not absent */
    bool is_output;                   /* not read in a request */
    bool is_optional;                 /* absent means something: "off", of a setting */
    bool is_free;                     /* there is nothing to check */
    bool is_identifier;               /* says which, in a change; not itself changed */
    bool is_one_line, is_readable, is_named, has_range;
    bool is_apart;                 /* an entry that breaks its rules fails alone: whoever answers it checks it */
    uint32_t min_items, max_items; /* of a repeated field; the rules below are then of each entry */
    uint32_t min_len, max_len;     /* characters */
    uint32_t max_bytes;
    int64_t least, most; /* of a number; of a duration in nanoseconds, within what 64 bits hold */
    const char *pattern;
    regex_t *regex;
    const char *changed_by; /* the role that may change it, where a mask names it; NULL: the .proto does not say */
};

struct contract_message {
    const ProtobufCMessageDescriptor *descriptor;
    struct contract_message *next;
    /* Of a change to part of a thing: the field that is the thing, and the one that names the parts. Else NULL. */
    const struct contract_field *resource, *mask;
    size_t count;
    struct contract_field fields[]; /* as the descriptor's */
};

struct contract_method {
    const char *name;
    const char *verb, *path; /* over HTTP: "GET", "/v1/credentials/{client_id}"; NULL: not there */
    const char *
        requires;          /* the role that its caller must hold; NULL: see the .proto */
    const char *or_holder; /* or its holder, if this field of the credential says so; NULL: not the holder */
    bool has_body;         /* the request is the body */
    bool is_read;          /* it changes nothing */
    bool is_idempotent;    /* twice has the effect of once, so that it may be retried */
    const struct contract_message *input;
};

struct contract {
    const ProtobufCServiceDescriptor *service;
    struct contract_message *messages; /* each that can be in a request */
    size_t count;
    struct contract_method methods[]; /* as the descriptor's */
};

/* The service's contract. A service that is not in the embedded set has methods without options. Free it with
 * contract_free. Out of memory, or of a set that cannot be read, the process ends. */
struct contract *contract_new(const ProtobufCServiceDescriptor *service);
void contract_free(struct contract *contract);

/* The rules of a field, by its message and its name in the .proto; NULL: no request has it. */
const struct contract_field *contract_field(const struct contract *contract,
                                            const ProtobufCMessageDescriptor *descriptor, const char *name);

/* Which field breaks its rule, as a path in the .proto's names ("credential.name"), and in words. */
struct contract_violation {
    char field[CONTRACT_FIELD_MAX];
    char why[CONTRACT_WHY_MAX]; /* "credential.name is longer than 400 bytes" */
};

/* The field of the thing that a request changes which the i-th path of its mask names; NULL: there is no such path, or
 * no such field. contract_mask_count: how many paths there are. */
size_t contract_mask_count(const struct contract_message *message, const ProtobufCMessage *request);
const struct contract_field *contract_masked(const struct contract_message *message, const ProtobufCMessage *request,
                                             size_t i);

/* Does a message keep to its contract? false: *ret_violation is the first that does not. Of a thing of which an
 * update_mask names parts, a part that is not named must only not be too large. */
bool contract_check(const struct contract_message *message, const ProtobufCMessage *request,
                    struct contract_violation *ret_violation);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* `gatehouse doctor`: one check after the other, from this machine's side to the server's. */
#ifndef DOCTOR_H
#define DOCTOR_H

#include <gatehouse/v1/credential_admin.pb-c.h>
#include <jansson.h>

#include "connection.h"

enum finding { FINDING_OK, FINDING_WARN, FINDING_FAIL, FINDING_SKIPPED };

struct doctor {
    struct context *context;
    const char *address;
    json_t *findings;
    bool has_failed, is_unreachable;
    char *authorization; /* "Bearer …" of the caller; "": none */
    bool is_own;         /* the token was issued for this */
};

/* What a check has found; advice: what to do about it, NULL: nothing. */
[[gnu::format(printf, 5, 6)]] void doctor_say(struct doctor *doctor, enum finding finding, const char *check,
                                              const char *advice, const char *format, ...);

/* How long that is from now: 'what "in 3 days"'; warns within 30 days, fails where it is over. */
void doctor_say_end(struct doctor *doctor, const char *check, const char *what, int64_t end, const char *advice);

/* doctor_local.c: files, certificates, the connection, TLS: all that needs no call. False: there is no use in one. */
bool doctor_check_local(struct doctor *doctor);

/* doctor_server.c: who calls, its secret key, clocks, the server. */
void doctor_check_server(struct doctor *doctor);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What our gRPC adapter costs when the method does nothing, on services/rpc and nothing else: AuthService.Revoke
 * answers an empty message, Introspect one that is as large as a real one.
 *
 *     empty_server THREADS [TRANSPORT [CERT KEY]]      prints port=N, and serves until its standard input ends
 */
#include "rpc/server.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern const unsigned char documented_protoset[], documented_protoset_end[];

enum { METHOD_INTROSPECT = 1 };

static void answer_introspect(ProtobufCClosure closure, void *call)
{
    Gatehouse__V1__IntrospectResponse response = GATEHOUSE__V1__INTROSPECT_RESPONSE__INIT;
    Google__Protobuf__Timestamp time = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    Google__Protobuf__Duration idle_timeout = GOOGLE__PROTOBUF__DURATION__INIT;
    Gatehouse__V1__Position position = GATEHOUSE__V1__POSITION__INIT;
    char role[] = "work_creator", name[] = "credential 0", client_id[] = "5f0c5f6e-0c4b-4a9e-9a44-1f2d3c4b5a69";
    char accessor[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    time.seconds = 1800000000;
    time.nanos = 123456000;
    idle_timeout.seconds = 1200;
    response.active = response.allowed = true;
    response.client_id = client_id;
    response.credential_name = name;
    response.n_roles = 1;
    response.roles = (char *[]){role};
    response.issue_time = response.expire_time = &time;
    response.idle_timeout = &idle_timeout;
    position.revision = 1;
    position.change_id = 1234567890123456789;
    response.position = &position;
    response.valid_for = &idle_timeout;
    response.accessor = accessor;
    closure(&response.base, call);
}

static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *call)
{
    (void)service, (void)request;
    Gatehouse__V1__RevokeResponse response = GATEHOUSE__V1__REVOKE_RESPONSE__INIT;
    if (method == METHOD_INTROSPECT)
        answer_introspect(closure, call);
    else
        closure(&response.base, call);
}

int main(int argc, char **argv)
{
    ProtobufCService service = {.descriptor = &gatehouse__v1__auth_service__descriptor, .invoke = invoke};
    const struct rpc_server_options options = {
        .transport = argc > 2 ? argv[2] : NULL,
        .address = "127.0.0.1:0",
        .tls_cert_file = argc > 4 ? argv[3] : NULL,
        .tls_key_file = argc > 4 ? argv[4] : NULL,
        .threads = argc > 1 ? atoi(argv[1]) : 0,
        .descriptor_set = documented_protoset,
        .descriptor_set_len = (size_t)(documented_protoset_end - documented_protoset),
    };
    const char *why = NULL;
    struct rpc_server *server = rpc_server_new(&options, &why);
    if (server == NULL) {
        fprintf(stderr, "empty_server: %s\n", why);
        return 1;
    }
    rpc_server_add(server, &service);
    if (rpc_server_start(server) != STATUS_OK)
        return 1;
    printf("port=%d\n", rpc_server_port(server));
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    rpc_server_stop(server, 0);
    rpc_server_free(server);
    return 0;
}

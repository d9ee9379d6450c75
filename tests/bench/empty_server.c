/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What our gRPC adapter costs when the method does nothing: AuthService.Revoke, whose answer is an empty message, on
 * services/rpc and nothing else.
 *
 *     empty_server THREADS       prints port=N, and serves until its standard input ends
 */
#include "rpc/server.h"

#include <gatehouse/v1/auth.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern const unsigned char gatehouse_protoset[], gatehouse_protoset_end[];

static void invoke(ProtobufCService *service, unsigned method, const ProtobufCMessage *request,
                   ProtobufCClosure closure, void *call)
{
    (void)service, (void)method, (void)request;
    Gatehouse__V1__RevokeResponse response = GATEHOUSE__V1__REVOKE_RESPONSE__INIT;
    closure(&response.base, call);
}

int main(int argc, char **argv)
{
    ProtobufCService service = {.descriptor = &gatehouse__v1__auth_service__descriptor, .invoke = invoke};
    const struct rpc_server_options options = {
        .address = "127.0.0.1:0",
        .threads = argc > 1 ? atoi(argv[1]) : 0,
        .descriptor_set = gatehouse_protoset,
        .descriptor_set_len = (size_t)(gatehouse_protoset_end - gatehouse_protoset),
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

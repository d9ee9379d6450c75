/* SPDX-License-Identifier: Apache-2.0 */
#include <gatehouse.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    struct gatehouse_options options = {.address = getenv("GATEHOUSE_GRPC"),
                                        .client_id = getenv("GATEHOUSE_CLIENT_ID"),
                                        .client_secret = getenv("GATEHOUSE_CLIENT_SECRET")};
    struct gatehouse *gatehouse = gatehouse_open(&options, NULL);
    if (gatehouse == NULL)
        return 2;
    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = getenv("TOKEN");
    request.api = "POST /api/cases";
    request.required_roles = (char *[]){"work_creator"};
    request.n_required_roles = 1;
    struct gatehouse_call call = {.timeout_ms = 5000};
    Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(gatehouse, &request, &call);
    if (answer == NULL)
        fprintf(stderr, "%s\n", call.message);
    int result = answer == NULL ? 2 : !answer->allowed;
    puts(answer != NULL && answer->allowed ? answer->credential_name : "no");
    gatehouse__v1__introspect_response__free_unpacked(answer, NULL);
    gatehouse_close(gatehouse);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* May the bearer of $TOKEN create cases? 0: yes, 1: no, 2: nobody could be asked. */
#include <gatehouse.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    struct gatehouse_options options = {.address = getenv("GATEHOUSE_GRPC"),
                                        .client_id = getenv("GATEHOUSE_CLIENT_ID"),
                                        .client_secret = getenv("GATEHOUSE_CLIENT_SECRET")};
    char error[256], *role = "work_creator";
    struct gatehouse *gatehouse = gatehouse_open(&options, error);
    if (gatehouse == NULL)
        return fprintf(stderr, "%s\n", error), 2;

    Gatehouse__V1__IntrospectRequest request = GATEHOUSE__V1__INTROSPECT_REQUEST__INIT;
    request.token = getenv("TOKEN");
    request.api = "POST /api/cases";
    request.required_roles = &role;
    request.n_required_roles = 1;
    struct gatehouse_call call = {.timeout_ms = 5000};
    Gatehouse__V1__IntrospectResponse *answer = gatehouse_introspect(gatehouse, &request, &call);
    if (answer != NULL)
        printf("%s\n", answer->allowed ? answer->credential_name : "no");
    else
        fprintf(stderr, "%s (%s)\n", call.message, call.reason);

    int result = answer == NULL ? 2 : answer->allowed ? 0 : 1;
    gatehouse__v1__introspect_response__free_unpacked(answer, NULL);
    gatehouse_close(gatehouse);
    return result;
}

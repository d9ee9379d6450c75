/* SPDX-License-Identifier: Apache-2.0 */
/* Administration by a generated stub, which does not wait: prints the name and client ID of every credential. */
#include <gatehouse.h>
#include <gatehouse/v1/credential_admin.pb-c.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct page {
    struct gatehouse_call call; /* first: it is the stub's closure_data */
    char *next;                 /* token of the next page; "": there is none; NULL: call.status says why */
    sem_t done;
};

/* On a thread of the library. */
static void on_page(const Gatehouse__V1__ListCredentialsResponse *answer, void *data)
{
    struct page *page = data;
    for (size_t i = 0; answer != NULL && i < answer->n_credentials; i++)
        printf("%s %s\n", answer->credentials[i]->client_id, answer->credentials[i]->name);
    page->next = answer != NULL ? strdup(answer->next_page_token) : NULL;
    sem_post(&page->done);
}

static int list(struct gatehouse *gatehouse)
{
    Gatehouse__V1__ListCredentialsRequest request = GATEHOUSE__V1__LIST_CREDENTIALS_REQUEST__INIT;
    struct page page = {.call.timeout_ms = 5000};
    sem_init(&page.done, 0, 0);
    do {
        gatehouse__v1__credential_admin__list_credentials(gatehouse_credential_admin(gatehouse), &request, on_page,
                                                          &page);
        sem_wait(&page.done);
        if (request.page_token != protobuf_c_empty_string)
            free(request.page_token);
        request.page_token = page.next;
    } while (page.next != NULL && *page.next != '\0');
    free(page.next);
    sem_destroy(&page.done);
    if (page.call.status != GATEHOUSE_OK)
        fprintf(stderr, "%s (%s)\n", page.call.message, page.call.reason);
    return page.call.status == GATEHOUSE_OK ? 0 : 2;
}

int main(void)
{
    char error[256];
    struct gatehouse_options options = {.address = getenv("GATEHOUSE_GRPC"),
                                        .client_id = getenv("GATEHOUSE_CLIENT_ID"),
                                        .client_secret = getenv("GATEHOUSE_CLIENT_SECRET")};
    struct gatehouse *gatehouse = gatehouse_open(&options, error);
    if (gatehouse == NULL) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    int result = list(gatehouse);
    gatehouse_close(gatehouse);
    return result;
}

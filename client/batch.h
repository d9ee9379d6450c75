/* SPDX-License-Identifier: Apache-2.0 */
/* BatchIntrospect, entry by entry: what memory knows it answers, and the server is asked for the others alone. */
#ifndef BATCH_H
#define BATCH_H

#include "internal.h"

/* As a service_start_fn; of a cache that is not closing. */
void gatehouse_batch_start(struct cache *cache, struct gatehouse *gatehouse, const ProtobufCMessage *request,
                           ProtobufCClosure closure, struct gatehouse_call *call, void *closure_data, unsigned how);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a handler sends, until the transport takes it; and how a call ends. */
#ifndef RPC_OUTBOX_H
#define RPC_OUTBOX_H

#include "rpc/transport.h"

/* The closure that every handler is invoked with. */
void rpc_call_answer(const ProtobufCMessage *response, void *call);

/* In the handler's place, where there is none or it is owed nothing: with what call_fail said, or well. */
void rpc_call_end(struct rpc_call *call);

/* A stream of requests whose last answer is out reads on, or is over. */
void rpc_call_proceed(struct rpc_call *call);

/* Calls call.on_cancel, once: the peer or the deadline has ended the call. */
void rpc_call_tell_cancelled(struct rpc_call *call);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* google.rpc.Status for the trailer grpc-status-details-bin. */
#ifndef RPC_DETAILS_H
#define RPC_DETAILS_H

#include "call/call.h"

/* More than any struct call_error makes: three details, each of which may hold the message. */
enum { RPC_DETAILS_MAX = 4 * (CALL_MESSAGE_MAX + CALL_FIELD_MAX + CALL_REASON_MAX) + 512 };

/* Returns how many bytes were written. */
size_t rpc_details_format(const struct call_error *error, uint8_t bytes[static RPC_DETAILS_MAX]);

/* Makes UTF-8 of the texts. */
void rpc_error_clean(struct call_error *error);

#endif

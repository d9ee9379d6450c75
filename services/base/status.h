/* SPDX-License-Identifier: Apache-2.0 */
/* How every function that can fail says so. The numbers are gRPC's (google.rpc.Code), but for CONFLICT, which never
 * leaves the store (store/driver.h). */
#ifndef STATUS_H
#define STATUS_H

#define STATUS_LIST(X) \
    X(OK, 0) \
    X(CANCELLED, 1) \
    X(UNKNOWN, 2) \
    X(INVALID_ARGUMENT, 3) \
    X(DEADLINE_EXCEEDED, 4) \
    X(NOT_FOUND, 5) \
    X(ALREADY_EXISTS, 6) \
    X(PERMISSION_DENIED, 7) \
    X(RESOURCE_EXHAUSTED, 8) \
    X(FAILED_PRECONDITION, 9) \
    X(ABORTED, 10) \
    X(UNIMPLEMENTED, 12) \
    X(INTERNAL, 13) \
    X(UNAVAILABLE, 14) \
    X(UNAUTHENTICATED, 16) \
    X(CONFLICT, 100)

#define STATUS_ENUM(name, number) STATUS_##name = (number),
enum [[nodiscard]] status { STATUS_LIST(STATUS_ENUM) };
#undef STATUS_ENUM

/* The code's name as gRPC writes it ("NOT_FOUND"); "UNKNOWN" for a number that is none of them. */
const char *status_name(enum status status);

/* The one control-flow macro: return from this function with the first error. */
#define TRY(expr) \
    do { \
        enum status try_status_ = (expr); \
        if (try_status_ != STATUS_OK) \
            return try_status_; \
    } while (0)

#endif

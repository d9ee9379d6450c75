/* SPDX-License-Identifier: Apache-2.0 */
/* A driver between the store and another driver: its n-th call fails, and the transaction it belongs to is lost. */
#ifndef TEST_STORE_FAULTY_H
#define TEST_STORE_FAULTY_H

#include "store/driver.h"

#include <stdatomic.h>

enum faulty_kind { FAULTY_ANY, FAULTY_COMMIT };

struct faulty {
    struct driver driver; /* what store_open_driver gets */
    const struct driver *inner;
    enum faulty_kind kind;    /* which calls count */
    enum status status;       /* what they fail with */
    bool has_effect;          /* the commit happens, but does not say so: as when a connection breaks */
    atomic_int calls_to_fail; /* counted down by calls on the writing connection; the one that finds 1 fails; 0: none */
    atomic_bool is_lasting;   /* and all after it */
};

void faulty_init(struct faulty *faulty, const struct driver *inner);

/* The n-th call from now fails with this status. */
void faulty_arm(struct faulty *faulty, int n, enum faulty_kind kind, enum status status);

/* Has it happened? Nothing fails from here on. */
bool faulty_disarm(struct faulty *faulty);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share: a store to test, functions to run in it, and doors to hold its threads. */
#ifndef TEST_STORE_SUPPORT_H
#define TEST_STORE_SUPPORT_H

#include <setjmp.h> /* cmocka needs these four before it */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/driver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The store under test: GATEHOUSE_TEST_STORE, or a SQLite file in a directory that is removed at exit. */
const char *test_url(void);
/* A path inside that directory, valid until the next call but three. */
const char *test_path(const char *name);

struct store *open_store(const struct store_options *options); /* url NULL: test_url() */
struct store *open_test_store(void);

/* A name that no other test and no other run uses. The caller frees it. */
char *new_name(void);

/* Counters: one row of table counter. */
enum status counter_add(struct store_tx *tx, const char *name, int64_t amount); /* makes it */
enum status counter_insert(struct store_tx *tx, const char *name, int64_t value);
enum status counter_get(struct store_tx *tx, const char *name, int64_t *ret_value); /* -1: not there */
int64_t counter_read(struct store *store, const char *name);

/* A write or a read that is waited for later. */
struct pending {
    const char *name;
    int64_t amount;
    enum status give; /* what the function returns, after it has added the amount */
    store_fn *then;   /* if set: what it does after that, and returns */
    void *then_arg;
    int calls;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_done;
    enum status status;
    int place; /* in the order of all done calls of this process */
};
void pending_init(struct pending *pending, const char *name, int64_t amount, enum status give);
enum status pending_add(struct store_tx *tx, void *pending);
void pending_done(enum status status, void *pending);
enum status pending_wait(struct pending *pending);

/* Keeps a thread of the store busy with a function until it is opened. */
struct door {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool is_reached, is_open, is_left;
};
void door_hold(struct door *door, struct store *store, enum store_kind kind);
void door_hold_writer(struct door *door, struct store *store);
void door_hold_reader(struct door *door, struct store *store);
void door_open(struct door *door); /* and waits until it has been left */

#endif

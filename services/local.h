/* SPDX-License-Identifier: Apache-2.0 */
/* What of the daemon works on a store: the store itself, the domain, the API. A store that is away is waited for. */
#ifndef LOCAL_H
#define LOCAL_H

#include "api/api.h"
#include "call/door.h"
#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum local_state {
    LOCAL_NONE,    /* an edge, or not begun */
    LOCAL_WAITING, /* for the store: the doors are closed */
    LOCAL_OPEN,
    LOCAL_FAILED, /* waiting for it is in vain */
};

enum { LOCAL_WHY_MAX = 256, LOCAL_HOST_MAX = 256 };

struct local {
    const struct config *config;
    _Atomic enum local_state state; /* LOCAL_OPEN: what follows is there, and stays */
    struct store *store;
    char host[LOCAL_HOST_MAX]; /* the name of this machine; "": it has none that could be told */
    struct domain *domain;
    struct api *api;
    struct stat store_file;             /* of SQLite, when it was opened; st_nlink 0: none */
    const char **introspect_identities; /* local_list_identities */
    struct door auth, admin, authorization;

    pthread_t thread;         /* that waits */
    char said[LOCAL_WHY_MAX]; /* why, and when */
    int64_t said_at;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_stopping; /* under the lock */
};

/* Store and domain only, at once. What is wrong is in the log. */
bool local_open_store(struct local *local, const struct config *config, bool create);

/* Brings the schema of the store up to date and closes it. False: a line in the log says why not. */
bool local_migrate(struct local *local, const struct config *config);

/* Opens all, or waits for the store from now on, in a thread: then it may be LOCAL_WAITING. False: neither makes sense,
 * and the log says why. */
bool local_start(struct local *local, const struct config *config);

/* Stops waiting; stores what is in memory; frees. Also one that was never begun. */
void local_stop(struct local *local);

/* Then store, domain and api are there, and stay. From any thread. */
bool local_is_open(const struct local *local);

/* NULL: the store is no file. */
const char *local_store_path(const struct local *local);

/* Is the file of the store still where it was opened? What is written now into one that was moved away or deleted would
 * be missed by whoever opens the store next. */
bool local_has_store_file(const struct local *local);

/* A secret from a file, without the end of its line. */
enum { SECRET_FILE_MAX = 256 };
bool local_read_secret(const char *file, char secret[static SECRET_FILE_MAX]);

/* The name by which we ourselves introspect for a gateway (/OAuth/Check, Envoy's Check). No certificate carries it: it
 * is no printable text. NULL-ended. */
extern const char *const local_check_identities[];

/* Who may introspect by a name: the configured ones, and ourselves if checks are served. NULL-ended; the list is the
 * caller's to free, the names are not. */
const char **local_list_identities(const struct config *config);

/* May whoever reaches this address introspect by a gateway's check? */
bool local_has_check(const struct config *config, const char *address);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "records/schema.h"

#include <stdatomic.h>
#include <sys/random.h>

static char folder[64];
static pid_t owner;
static atomic_int places;

static void remove_folder(void)
{
    char command[128];
    if (getpid() != owner) /* a child that ends is not the end of the test */
        return;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", folder);
}

const char *test_path(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    if (folder[0] == '\0') {
        strcpy(folder, "/tmp/test-store-XXXXXX");
        assert_non_null(mkdtemp(folder));
        owner = getpid();
        atexit(remove_folder);
    }
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *test_url(void)
{
    static char url[160];
    const char *given = getenv("GATEHOUSE_TEST_STORE");
    if (given != NULL && *given != '\0')
        return given;
    if (url[0] == '\0')
        snprintf(url, sizeof url, "sqlite:%s", test_path("conformance.db"));
    return url;
}

struct store *open_store(const struct store_options *options)
{
    struct store_options full = *options;
    struct store *store = NULL;
    char why[STORE_WHY_MAX] = "";
    full.create = true;
    full.schema = &records_schema;
    if (full.url == NULL)
        full.url = test_url();
    if (store_open(&full, &store, why) != STATUS_OK)
        fail_msg("%s", why);
    return store;
}

struct store *open_test_store(void)
{
    return open_store(&(struct store_options){.url = NULL});
}

char *new_name(void)
{
    uint64_t number;
    char *name = NULL;
    assert_int_equal(getrandom(&number, sizeof number, 0), sizeof number);
    assert_true(asprintf(&name, "test-%016llx", (unsigned long long)number) > 0);
    return name;
}

enum status counter_add(struct store_tx *tx, const char *name, int64_t amount)
{
    return store_run(tx,
                     "INSERT INTO counter (name, value) VALUES ($1, $2)"
                     " ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value",
                     NULL, NULL, store_text(name), store_int(amount));
}

enum status counter_insert(struct store_tx *tx, const char *name, int64_t value)
{
    return store_run(tx, "INSERT INTO counter (name, value) VALUES ($1, $2)", NULL, NULL, store_text(name),
                     store_int(value));
}

static enum status keep_value(const struct store_row *row, void *arg)
{
    *(int64_t *)arg = store_row_int(row, 0);
    return STATUS_OK;
}

enum status counter_get(struct store_tx *tx, const char *name, int64_t *ret_value)
{
    *ret_value = -1;
    return store_run(tx, "SELECT value FROM counter WHERE name = $1", keep_value, ret_value, store_text(name));
}

struct reading {
    const char *name;
    int64_t value;
};

static enum status read_counter(struct store_tx *tx, void *arg)
{
    struct reading *reading = arg;
    return counter_get(tx, reading->name, &reading->value);
}

int64_t counter_read(struct store *store, const char *name)
{
    struct reading reading = {.name = name};
    assert_int_equal(store_read_wait(store, read_counter, &reading), STATUS_OK);
    return reading.value;
}

void pending_init(struct pending *pending, const char *name, int64_t amount, enum status give)
{
    *pending = (struct pending){.name = name, .amount = amount, .give = give};
    pthread_mutex_init(&pending->mutex, NULL);
    pthread_cond_init(&pending->changed, NULL);
}

enum status pending_add(struct store_tx *tx, void *arg)
{
    struct pending *pending = arg;
    pending->calls++;
    TRY(counter_add(tx, pending->name, pending->amount));
    return pending->then != NULL ? pending->then(tx, pending->then_arg) : pending->give;
}

void pending_done(enum status status, void *arg)
{
    struct pending *pending = arg;
    pthread_mutex_lock(&pending->mutex);
    pending->place = atomic_fetch_add(&places, 1);
    pending->status = status;
    pending->is_done = true;
    pthread_cond_signal(&pending->changed);
    pthread_mutex_unlock(&pending->mutex);
}

enum status pending_wait(struct pending *pending)
{
    pthread_mutex_lock(&pending->mutex);
    while (!pending->is_done)
        pthread_cond_wait(&pending->changed, &pending->mutex);
    pthread_mutex_unlock(&pending->mutex);
    return pending->status;
}

static void door_set(struct door *door, bool *what)
{
    pthread_mutex_lock(&door->mutex);
    *what = true;
    pthread_cond_broadcast(&door->changed);
    pthread_mutex_unlock(&door->mutex);
}

static void door_wait(struct door *door, const bool *what)
{
    pthread_mutex_lock(&door->mutex);
    while (!*what)
        pthread_cond_wait(&door->changed, &door->mutex);
    pthread_mutex_unlock(&door->mutex);
}

static enum status stand_at_door(struct store_tx *tx, void *arg)
{
    struct door *door = arg;
    (void)tx;
    door_set(door, &door->is_reached);
    door_wait(door, &door->is_open);
    return STATUS_OK;
}

static void leave_door(enum status status, void *arg)
{
    struct door *door = arg;
    (void)status;
    door_set(door, &door->is_left);
}

static void door_init(struct door *door)
{
    *door = (struct door){.is_open = false};
    pthread_mutex_init(&door->mutex, NULL);
    pthread_cond_init(&door->changed, NULL);
}

void door_hold(struct door *door, struct store *store, enum store_kind kind)
{
    door_init(door);
    store_submit(store, &(struct store_job){.kind = kind, .fn = stand_at_door, .done = leave_door, .arg = door});
    door_wait(door, &door->is_reached);
}

void door_hold_writer(struct door *door, struct store *store)
{
    door_hold(door, store, STORE_WRITE);
}

void door_hold_reader(struct door *door, struct store *store)
{
    door_hold(door, store, STORE_READ);
}

void door_open(struct door *door)
{
    door_set(door, &door->is_open);
    door_wait(door, &door->is_left);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What memory knows, read by threads that take no lock while another one changes it. */
#include "base/must.h"
#include "fixture.h"
#include "memory/credential_index.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdatomic.h>

enum { READERS = 2, CHANGES = 20000, TOKENS = 32, LOCKS_MAX = 16 };

static struct credential_facts *make_facts(int64_t id, int64_t version, bool is_deleted)
{
    char text[32];
    snprintf(text, sizeof text, "version %" PRId64, version);
    struct credential_facts *facts = credential_facts_make(&(struct credential_texts){text, "", text, ""});
    facts->id = id;
    snprintf(facts->client_id, sizeof facts->client_id, "client %" PRId64, id);
    facts->epoch = 1;
    facts->version = version;
    facts->deleted = is_deleted ? 1 : 0;
    return facts;
}

/* A credential, and a token of it that was used half an hour ago. The token is active only where the credential lives
 * and the idle timeout is an hour, and that is at no time. */
struct scene {
    struct memory *memory;
    struct token_key key;
    atomic_bool is_over;
    _Atomic int64_t put; /* the version that is in there for certain */
    _Atomic uint64_t active, behind, torn;
};

static void set_timeout(struct scene *scene, int64_t minutes, int64_t version)
{
    const struct settings settings = {.idle_timeout = minutes * MINUTE, .version = version};
    directory_put_settings(scene->memory->directory, &settings);
}

static void scene_open(struct scene *scene)
{
    *scene = (struct scene){.memory = memory_new(1000)};
    memset(&scene->key, 7, sizeof scene->key);
    directory_put_credential(scene->memory->directory, make_facts(1, 1, true));
    set_timeout(scene, 60, 1);
    uint64_t turn = directory_begin(scene->memory->directory);
    const struct token_facts token = {.key = scene->key,
                                      .credential = directory_find_id(scene->memory->directory, 1),
                                      .last_used = START - 30 * MINUTE,
                                      .stored = START - 30 * MINUTE,
                                      .epoch = 1};
    assert_true(directory_end(scene->memory->directory, turn));
    assert_true(token_table_put(scene->memory->tokens, &token, 0, 0));
    scene->put = 1;
}

static void *read_on(void *arg)
{
    struct scene *scene = arg;
    while (!atomic_load(&scene->is_over)) {
        struct memory_view view;
        bool is_active, is_torn;
        int64_t version, put = atomic_load(&scene->put);
        do {
            memory_look(scene->memory, &scene->key, &view);
            char name[32];
            is_active = token_is_active(&view.token, view.credential, view.settings, START);
            version = view.credential->version;
            snprintf(name, sizeof name, "version %" PRId64, version);
            is_torn = strcmp(name, view.credential->name) != 0;
        } while (!memory_look_done(scene->memory, &view));
        scene->active += is_active;
        scene->behind += version < put;
        scene->torn += is_torn;
    }
    return NULL;
}

static void what_is_read_without_a_lock_is_of_one_moment_and_never_of_one_before_an_acknowledgement(void **state)
{
    (void)state;
    struct scene scene;
    pthread_t readers[READERS];
    scene_open(&scene);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, &scene), 0);
    for (int64_t version = 2; version < CHANGES; version += 2) {
        set_timeout(&scene, 10, version);
        directory_put_credential(scene.memory->directory, make_facts(1, version, false));
        atomic_store(&scene.put, version);
        directory_put_credential(scene.memory->directory, make_facts(1, version + 1, true));
        atomic_store(&scene.put, version + 1);
        set_timeout(&scene, 60, version + 1);
    }
    atomic_store(&scene.is_over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(scene.active, 0);
    assert_int_equal(scene.behind, 0);
    assert_int_equal(scene.torn, 0);
    memory_free(scene.memory);
}

/* What happens while a reader is between the settings and the credential (the linker puts this in: --wrap). */
static _Thread_local struct scene *held_up;

static void change_all(struct scene *scene, int64_t version)
{
    set_timeout(scene, 10, version);
    directory_put_credential(scene->memory->directory, make_facts(1, version, false));
    atomic_store(&scene->put, version);
}

const struct credential_facts *__real_directory_facts(const struct credential_entry *entry,
                                                      struct credential_facts *ret_facts);
const struct credential_facts *__wrap_directory_facts(const struct credential_entry *entry,
                                                      struct credential_facts *ret_facts);
const struct credential_facts *__wrap_directory_facts(const struct credential_entry *entry,
                                                      struct credential_facts *ret_facts)
{
    struct scene *scene = held_up;
    held_up = NULL;
    if (scene != NULL)
        change_all(scene, 2);
    const struct credential_facts *facts = __real_directory_facts(entry, ret_facts);
    if (scene != NULL)
        change_all(scene, 3);
    return facts;
}

static void a_reader_that_is_held_up_is_told_and_has_what_it_found_until_its_end(void **state)
{
    (void)state;
    struct scene scene;
    struct memory_view view;
    scene_open(&scene);
    held_up = &scene;
    memory_look(scene.memory, &scene.key, &view);
    assert_true(
        token_is_active(&view.token, view.credential, view.settings, START)); /* of two moments, and true at none */
    assert_string_equal(view.credential->name, "version 2");                  /* which is in there no more */
    assert_false(memory_look_done(scene.memory, &view));
    memory_look(scene.memory, &scene.key, &view);
    assert_false(token_is_active(&view.token, view.credential, view.settings, START));
    assert_string_equal(view.credential->name, "version 3");
    assert_true(memory_look_done(scene.memory, &view));
    memory_free(scene.memory);
}

static int64_t count_each(struct directory *directory);

/* Ids of 1 to 1,000, each found by id and by client ID, and no more. */
static void *find_on(void *arg)
{
    struct scene *scene = arg;
    struct directory *directory = scene->memory->directory;
    for (int64_t id = 2; !atomic_load(&scene->is_over); id = id % 1000 + 1) {
        char client_id[CLIENT_ID_LEN + 1];
        snprintf(client_id, sizeof client_id, "client %" PRId64, id);
        int64_t put = atomic_load(&scene->put);
        uint64_t turn = directory_begin(directory);
        const struct credential_entry *by_id = directory_find_id(directory, id);
        const struct credential_entry *by_client_id = directory_find(directory, client_id);
        scene->behind += id <= put && by_id == NULL;
        scene->torn += by_id != NULL && directory_id(by_id) != id;
        scene->torn += by_client_id != NULL && strcmp(directory_client_id(by_client_id), client_id) != 0;
        (void)!directory_end(directory, turn);
    }
    return NULL;
}

static void what_is_there_is_found_while_the_table_grows_and_shrinks(void **state)
{
    (void)state;
    struct scene scene;
    pthread_t readers[READERS];
    scene_open(&scene);
    struct directory *directory = scene.memory->directory;
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, find_on, &scene), 0);
    for (int64_t id = 2; id <= 1000; id++) {
        directory_put_credential(directory, make_facts(id, 1, false));
        atomic_store(&scene.put, id);
    }
    assert_int_equal(count_each(directory), 1000);
    assert_int_equal(directory_count(directory), 999); /* the first one is deleted */
    for (int64_t id = 2; id <= 1000; id++) {
        directory_purge(directory, id);
        char client_id[CLIENT_ID_LEN + 1];
        snprintf(client_id, sizeof client_id, "client %" PRId64, id);
        uint64_t turn = directory_begin(directory);
        assert_null(directory_find(directory, client_id));
        struct credential_facts facts;
        assert_int_not_equal(directory_facts(directory_find_id(directory, id), &facts)->deleted, 0);
        assert_true(directory_end(directory, turn));
    }
    assert_int_equal(count_each(directory), 1);
    assert_int_equal(directory_count(directory), 0);
    atomic_store(&scene.is_over, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    assert_int_equal(scene.behind, 0);
    assert_int_equal(scene.torn, 0);
    memory_free(scene.memory);
}

static void count(const struct credential_facts *facts, int64_t last_used, void *arg)
{
    (void)facts, (void)last_used;
    ++*(int64_t *)arg;
}

static int64_t count_each(struct directory *directory)
{
    int64_t number = 0;
    directory_lock(directory);
    directory_each(directory, count, &number);
    directory_unlock(directory);
    return number;
}

/* Every lock that this thread takes, while it is told to count them (the linker puts these in: --wrap). */
static _Thread_local bool is_counting;
static _Thread_local const void *taken[LOCKS_MAX];
static _Thread_local size_t taken_count;

static void note_lock(const void *lock)
{
    if (is_counting && taken_count < LOCKS_MAX)
        taken[taken_count++] = lock;
}

#define WRAP(function, type) \
    int __real_##function(type *lock); \
    int __wrap_##function(type *lock); \
    int __wrap_##function(type *lock) \
    { \
        note_lock(lock); \
        return __real_##function(lock); \
    }
WRAP(pthread_mutex_lock, pthread_mutex_t)
WRAP(pthread_mutex_trylock, pthread_mutex_t)
WRAP(pthread_rwlock_rdlock, pthread_rwlock_t)
WRAP(pthread_rwlock_wrlock, pthread_rwlock_t)

static bool was_taken(const void *lock)
{
    for (size_t i = 0; i < taken_count; i++)
        if (taken[i] == lock)
            return true;
    return false;
}

static void introspections_of_different_tokens_have_no_lock_in_common(void **state)
{
    (void)state;
    struct fixture fixture;
    struct token_key keys[TOKENS];
    char names[TOKENS][16];
    fixture_open(&fixture, "locks.db", NULL);
    for (int i = 0; i < TOKENS; i++) {
        snprintf(names[i], sizeof names[i], "locks %d", i);
        keys[i] = make_token(&fixture, make_credential(&fixture, names[i], "work_creator"));
        assert_true(is_active(&fixture, &keys[i], true)); /* from here on it is in memory */
    }
    const void *common[LOCKS_MAX];
    size_t common_count = 0;
    for (int i = 0; i < TOKENS; i++) {
        taken_count = 0;
        is_counting = true;
        bool is_live = is_active(&fixture, &keys[i], true);
        is_counting = false;
        assert_true(is_live);
        assert_in_range(taken_count, 1, 3); /* its part of the token table, twice, and of the usage counter */
        size_t kept = 0;
        for (size_t j = 0; i == 0 ? j < taken_count : j < common_count; j++)
            if (i == 0 || was_taken(common[j]))
                common[kept++] = i == 0 ? taken[j] : common[j];
        common_count = kept;
    }
    assert_int_equal(common_count, 0);
    fixture_close(&fixture);
}

/* The allocator's own account, of what malloc has given out. */
static void a_credential_takes_250_bytes_beside_its_name(void **state)
{
    (void)state;
    enum { COUNT = 50000 };
    struct directory *directory = directory_new();
    size_t texts = 0, before = mallinfo2().uordblks;
    for (int64_t id = 1; id <= COUNT; id++) {
        struct credential_facts *facts = make_facts(id, 1, false);
        facts->secret_count = 1;
        role_set_add(&facts->granted, 0);
        role_set_add(&facts->granted, 5);
        role_set_add(&facts->effective, 5);
        texts += strlen(facts->name);
        directory_put_credential(directory, facts);
    }
    size_t bytes = mallinfo2().uordblks - before;
    if (bytes == 0) { /* a sanitizer's malloc keeps no account */
        directory_free(directory);
        skip();
    }
    print_message("%zu bytes each\n", (bytes - texts) / COUNT);
    assert_in_range((bytes - texts) / COUNT, 100, 250);
    uint64_t turn = directory_begin(directory);
    struct credential_facts facts;
    directory_facts(directory_find_id(directory, COUNT), &facts);
    assert_true(role_set_has(&facts.granted, 0) && role_set_has(&facts.granted, 5));
    assert_true(!role_set_has(&facts.effective, 0) && role_set_has(&facts.effective, 5));
    assert_string_equal(facts.name, "version 1");
    assert_string_equal(facts.owner, "");
    assert_string_equal(facts.client_id, "client 50000");
    assert_int_equal(facts.secret_count, 1);
    assert_true(directory_end(directory, turn));
    directory_free(directory);
}

/* Else the start with many would hash each of them again at every doubling, while everybody waits. */
static void what_room_was_made_for_needs_no_larger_table(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static struct credential_entry entries[COUNT];
    struct epoch_bin bin = {0};
    struct credential_index index;
    credential_index_init(&index, false);
    credential_index_make_room(&index, COUNT, &bin);
    const struct credential_slots *slots = atomic_load(&index.slots);
    for (int i = 0; i < COUNT; i++) {
        entries[i].id = i + 1;
        credential_index_add(&index, &entries[i], &bin);
    }
    assert_ptr_equal(atomic_load(&index.slots), slots);
    for (int i = 0; i < COUNT; i++)
        assert_ptr_equal(credential_index_find_id(&index, i + 1), &entries[i]);
    assert_int_equal(index.live, COUNT);
    credential_index_done(&index);
    epoch_empty(&bin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_credential_takes_250_bytes_beside_its_name),
        cmocka_unit_test(what_is_read_without_a_lock_is_of_one_moment_and_never_of_one_before_an_acknowledgement),
        cmocka_unit_test(a_reader_that_is_held_up_is_told_and_has_what_it_found_until_its_end),
        cmocka_unit_test(what_is_there_is_found_while_the_table_grows_and_shrinks),
        cmocka_unit_test(what_room_was_made_for_needs_no_larger_table),
        cmocka_unit_test(introspections_of_different_tokens_have_no_lock_in_common),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

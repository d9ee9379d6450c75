/* SPDX-License-Identifier: Apache-2.0 */
#include "domain/archive.h"

#include "base/log.h"
#include "base/must.h"
#include "memory/memory.h"
#include "records/audit.h"
#include "records/instance.h"
#include "records/setting.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    AT_ONCE = 2000, /* events in one transaction, and in one file */
    ROUNDS = 30,    /* between two looks */
    NAME_MAX_LEN = 96,
};
#define DAY (24 * 3600 * CLOCK_SECOND)

struct archive {
    struct memory *memory;
    struct store *store;
    struct clock *clock;
    const char *folder;
    int round;
    _Atomic uint64_t removed, failures;
};

/* Some events, and what of them may go. */
struct archiving {
    struct archive *archive;
    struct arena arena;
    int64_t before, latest; /* what is older goes; what is later was dated by a clock that was wrong */
    struct audit_anchor anchor;
    struct audit_place read;
    struct audit_place until; /* up to here they may go */
    const char **lines;
    int count, going;
    bool is_over, is_broken, is_removed;
    char name[NAME_MAX_LEN];
};

struct archive *archive_new(struct memory *memory, struct store *store, struct clock *clock, const char *folder)
{
    struct archive *archive = must(calloc(1, sizeof *archive));
    archive->memory = memory;
    archive->store = store;
    archive->clock = clock;
    archive->folder = folder == NULL ? "" : folder;
    return archive;
}

void archive_free(struct archive *archive)
{
    free(archive);
}

struct archive_state archive_state(struct archive *archive)
{
    return (struct archive_state){atomic_load(&archive->removed), atomic_load(&archive->failures)};
}

/* What goes is gone for everybody: not by one clock that may be wrong. */
static enum status set_times(struct archiving *archiving, struct store_tx *tx)
{
    struct clock *clock = archiving->archive->clock;
    int64_t database = 0, now = clock_settled(clock);
    struct settings settings;
    TRY(setting_row_load(tx, &settings));
    TRY(store_now(tx, &database));
    archiving->latest = clock_now(clock);
    if (database < now)
        now = database;
    if (database != INT64_MAX && database > archiving->latest)
        archiving->latest = database;
    archiving->latest += CLOCK_TOLERANCE;
    archiving->before = settings.audit_retention == 0 ? INT64_MIN : now - settings.audit_retention;
    if (archiving->before > 0)
        archiving->before -= archiving->before % DAY;
    return STATUS_OK;
}

/* An audit_each_fn: they go from the oldest on, in one piece. One that was dated too late goes with those after it. */
static enum status look_at(const struct audit_event *event, void *arg)
{
    struct archiving *archiving = arg;
    uint8_t hash[SHA256_BYTES];
    if (archiving->is_over || archiving->is_broken)
        return STATUS_OK;
    bool is_old = event->at<archiving->before, is_ahead = event->at> archiving->latest;
    archiving->is_over = !is_old && !is_ahead;
    if (archiving->is_over)
        return STATUS_OK;
    audit_hash(event, archiving->read.hash, hash);
    archiving->is_broken =
        event->sequence != archiving->read.sequence + 1 || !crypto_equal(hash, event->hash, SHA256_BYTES);
    archiving->read.sequence = event->sequence;
    memcpy(archiving->read.hash, event->hash, SHA256_BYTES);
    archiving->lines[archiving->count++] = audit_line(&archiving->arena, event);
    if (is_old && !archiving->is_broken) {
        archiving->going = archiving->count;
        archiving->until = archiving->read;
    }
    return STATUS_OK;
}

/* A store_fn. */
static enum status read_tx(struct store_tx *tx, void *arg)
{
    struct archiving *archiving = arg;
    arena_done(&archiving->arena);
    archiving->count = archiving->going = 0;
    archiving->is_over = archiving->is_broken = false;
    TRY(set_times(archiving, tx));
    TRY(instance_load_anchor(tx, &archiving->anchor));
    archiving->read = archiving->anchor.place;
    if (archiving->before == INT64_MIN)
        return STATUS_OK;
    archiving->lines = arena_array(&archiving->arena, const char *, AT_ONCE);
    return audit_row_page(tx, archiving->read.sequence, AT_ONCE, look_at, archiving);
}

/* A store_fn: if the log is as it was read, and they may still go. */
static enum status remove_tx(struct store_tx *tx, void *arg)
{
    struct archiving *archiving = arg;
    int64_t before = archiving->before;
    struct audit_anchor anchor;
    archiving->is_removed = false;
    TRY(set_times(archiving, tx));
    TRY(instance_load_anchor(tx, &anchor));
    if (anchor.place.sequence != archiving->anchor.place.sequence || archiving->before < before)
        return STATUS_OK;
    anchor.place = archiving->until;
    TRY(audit_row_trim(tx, &anchor, clock_now(archiving->archive->clock), archiving->name));
    archiving->is_removed = true;
    return STATUS_OK;
}

/* The file */

static bool write_lines(const struct archiving *archiving, int fd)
{
    FILE *file = fdopen(fd, "w");
    if (file == NULL) {
        close(fd);
        return false;
    }
    bool is_written = true;
    for (int i = 0; i < archiving->going && is_written; i++)
        is_written = fputs(archiving->lines[i], file) >= 0;
    is_written = is_written && fflush(file) == 0 && fsync(fd) == 0;
    return fclose(file) == 0 && is_written;
}

/* Named for what it has, so that none is ever written over that has something else. */
static bool write_file(struct archiving *archiving)
{
    static const char part[] = "audit.part";
    int folder = open(archiving->archive->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return false;
    const uint8_t *hash = archiving->until.hash;
    snprintf(archiving->name, sizeof archiving->name, "audit-%012" PRId64 "-%012" PRId64 "-%02x%02x%02x%02x.jsonl",
             archiving->anchor.place.sequence + 1, archiving->until.sequence, hash[0], hash[1], hash[2], hash[3]);
    int fd = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool is_written = fd >= 0 && write_lines(archiving, fd) && renameat(folder, part, folder, archiving->name) == 0 &&
                      fsync(folder) == 0;
    int error = errno;
    close(folder);
    errno = error;
    return is_written;
}

/* False: it stays in the log. */
static bool keep(struct archiving *archiving)
{
    struct archive *archive = archiving->archive;
    if (archiving->is_broken) {
        log_write(LOG_LEVEL_ERROR, "audit_log_broken", "sequence", log_number(archiving->read.sequence).text, "message",
                  "the chain of the audit log does not fit here; nothing is removed until it does", NULL);
        return false;
    }
    if (archive->folder[0] == '\0' || write_file(archiving))
        return true;
    log_write(LOG_LEVEL_ERROR, "audit_archive_failed", "folder", archive->folder, "reason", strerror(errno), "message",
              "events whose time has come stay in the audit log", NULL);
    return false;
}

static bool archive_some(struct archiving *archiving)
{
    struct archive *archive = archiving->archive;
    if (store_read_wait(archive->store, read_tx, archiving) != STATUS_OK)
        return false;
    if (!archiving->is_broken && archiving->going == 0)
        return false;
    if (!keep(archiving)) {
        atomic_fetch_add(&archive->failures, 1);
        return false;
    }
    if (store_write_wait(archive->store, remove_tx, archiving) != STATUS_OK || !archiving->is_removed)
        return false;
    atomic_fetch_add(&archive->removed, (uint64_t)archiving->going);
    return archiving->count == AT_ONCE;
}

bool archive_round(struct archive *archive)
{
    struct settings settings = memory_settings(archive->memory);
    if (settings.audit_retention == 0 || archive->round++ % ROUNDS != 0)
        return false;
    struct archiving archiving = {.archive = archive};
    bool is_behind = archive_some(&archiving);
    arena_done(&archiving.arena);
    if (is_behind)
        archive->round = 0;
    return is_behind;
}

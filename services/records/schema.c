/* SPDX-License-Identifier: Apache-2.0 */
#include "records/schema.h"

/* Times are microseconds since 1970; 0 where something has not happened or never ends. */
static const char first[] =
    "CREATE TABLE credential ("
    "    id BIGINT PRIMARY KEY, client_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, owner TEXT,"
    "    created BIGINT NOT NULL, updated BIGINT NOT NULL DEFAULT 0, expires BIGINT NOT NULL DEFAULT 0,"
    "    deleted BIGINT NOT NULL DEFAULT 0, epoch BIGINT NOT NULL DEFAULT 0, version BIGINT NOT NULL DEFAULT 0,"
    "    last_used BIGINT NOT NULL DEFAULT 0, created_by TEXT"
    ") /* table */;"
    "CREATE UNIQUE INDEX credential_by_name ON credential (name) WHERE deleted = 0;"
    "CREATE INDEX credential_by_owner ON credential (owner);"

    "CREATE TABLE secret ("
    "    id BIGINT PRIMARY KEY, credential BIGINT NOT NULL, digest BLOB NOT NULL, hint TEXT,"
    "    created BIGINT NOT NULL, ends BIGINT NOT NULL DEFAULT 0, last_used BIGINT NOT NULL DEFAULT 0"
    ") /* table */;"
    "CREATE INDEX secret_by_credential ON secret (credential);"

    "CREATE TABLE role ("
    "    id TEXT PRIMARY KEY NOT NULL, number BIGINT NOT NULL UNIQUE, name TEXT NOT NULL, role_group TEXT,"
    "    description TEXT, created BIGINT NOT NULL, retired BIGINT NOT NULL DEFAULT 0,"
    "    version BIGINT NOT NULL DEFAULT 0"
    ") /* table */;"
    "CREATE TABLE credential_role ("
    "    credential BIGINT NOT NULL, role BIGINT NOT NULL, granted BIGINT NOT NULL, granted_by TEXT,"
    "    revoked BIGINT NOT NULL DEFAULT 0, revoked_by TEXT, PRIMARY KEY (credential, role)"
    ") /* table in order of its key */;"

    "CREATE TABLE user_account ("
    "    id TEXT PRIMARY KEY NOT NULL, created BIGINT NOT NULL, updated BIGINT NOT NULL DEFAULT 0,"
    "    version BIGINT NOT NULL DEFAULT 0, deleted BIGINT NOT NULL DEFAULT 0"
    ") /* table in order of its key */;"
    "CREATE TABLE user_role ("
    "    user_id TEXT NOT NULL, role BIGINT NOT NULL, granted BIGINT NOT NULL, revoked BIGINT NOT NULL DEFAULT 0,"
    "    PRIMARY KEY (user_id, role)"
    ") /* table in order of its key */;"

    /* key: four bytes of the time of issue, big-endian, before 28 bytes of SHA-256. New tokens then go to the end of
     * the tree instead of to a page anywhere in it, which makes their inserts two to three times as fast. */
    "CREATE TABLE token ("
    "    key BLOB PRIMARY KEY NOT NULL, credential BIGINT NOT NULL, epoch BIGINT NOT NULL,"
    "    last_used BIGINT NOT NULL, roles BLOB, last_api TEXT"
    ") /* table in order of its key */;"
    "CREATE INDEX token_by_credential ON token (credential, key);"

    "CREATE TABLE setting (name TEXT PRIMARY KEY NOT NULL, value BIGINT NOT NULL) /* table in order of its key */;"

    "CREATE TABLE usage ("
    "    credential BIGINT NOT NULL, api TEXT NOT NULL, hour BIGINT NOT NULL, allowed BIGINT NOT NULL DEFAULT 0,"
    "    denied BIGINT NOT NULL DEFAULT 0, first_used BIGINT NOT NULL DEFAULT 0,"
    "    last_used BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (credential, api, hour)"
    ") /* table in order of its key */;"
    "CREATE INDEX usage_by_hour ON usage (hour);"

    "CREATE TABLE audit ("
    "    sequence BIGINT PRIMARY KEY, at BIGINT NOT NULL, actor TEXT, action TEXT NOT NULL,"
    "    subject TEXT, peer TEXT, request_id TEXT, outcome TEXT, detail TEXT, hash BLOB"
    ") /* table */;"

    "CREATE TABLE request ("
    "    id TEXT NOT NULL, actor TEXT NOT NULL, method TEXT NOT NULL, digest BLOB, response BLOB,"
    "    at BIGINT NOT NULL, PRIMARY KEY (actor, id)"
    ") /* table */;"

    "CREATE TABLE change_log ("
    "    revision BIGINT PRIMARY KEY, kind BIGINT NOT NULL, subject BLOB, at BIGINT NOT NULL"
    ") /* table */;"

    /* 'page_key': what signs page tokens, the same on every replica. */
    "CREATE TABLE instance (name TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) /* table in order of its key */;"

    /* The last number given out, of 'revision', 'credential_id', 'secret_id', 'audit', … */
    "CREATE TABLE counter (name TEXT PRIMARY KEY NOT NULL, value BIGINT NOT NULL) /* table in order of its key */;";

/* The row that a replica locks to be alone. */
static const char second[] = "INSERT INTO counter (name, value) VALUES ('lock', 0)";

/* change_id: random; with its revision it names the history of the store up to this change. 0: an older program wrote
 * it. process: each that serves from this store; for how long it may be behind, and when it said so last (milliseconds
 * of the database's clock where it has one). */
static const char third[] = "ALTER TABLE change_log ADD COLUMN change_id BIGINT NOT NULL DEFAULT 0;"
                            "CREATE TABLE process ("
                            "    id BIGINT PRIMARY KEY, lease BIGINT NOT NULL, seen BIGINT NOT NULL"
                            ") /* table */;";

/* Each list's order and each thing that is removed when its time has come: by an index, however many there are. */
static const char fourth[] =
    "CREATE INDEX credential_in_order_of_name ON credential (lower(name), id);"
    "CREATE INDEX credential_in_order_of_creation ON credential (created, id);"
    "CREATE INDEX credential_in_order_of_expiry ON credential"
    " ((CASE WHEN expires = 0 THEN 9223372036854775807 ELSE expires END), id);"
    "CREATE INDEX credential_in_order_of_use ON credential (last_used, id);"
    "CREATE INDEX credential_by_deletion ON credential (deleted) WHERE deleted <> 0;"
    "CREATE INDEX credential_role_by_role ON credential_role (role, credential) WHERE revoked = 0;"
    "CREATE INDEX user_role_by_role ON user_role (role, user_id) WHERE revoked = 0;"
    "CREATE INDEX secret_by_end ON secret (ends) WHERE ends <> 0;"
    "CREATE INDEX request_by_time ON request (at);";

/* What records/token_count.h says; it can be lost at any time. */
static const char fifth[] = "CREATE TABLE token_count ("
                            "    credential BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, version BIGINT NOT NULL,"
                            "    live BIGINT NOT NULL, counted BIGINT NOT NULL"
                            ") /* table */;";

/* What store/schema.h says of steps. */
static const char sixth[] = "ALTER TABLE schema_version ADD COLUMN needs BIGINT NOT NULL DEFAULT 0;";

/* For so long may caches answer from memory that this process tells of changes. */
static const char seventh[] = "ALTER TABLE process ADD COLUMN cache_lease BIGINT NOT NULL DEFAULT 0;";

/* A program that knows nothing of a suspension would serve the suspended: it must not be started any more. program: the
 * steps that a process knows; 0: fewer than these. Whose role is which, its number no longer says. And what holds
 * between rows (below), for what is written from now on; with the ninth, for all. */
static const char eighth[] = "ALTER TABLE role ADD COLUMN built_in BIGINT NOT NULL DEFAULT 0;"
                             "UPDATE role SET built_in = 1 WHERE number < 9;"
                             /* 1: its holder may make the next secret key */
                             "ALTER TABLE credential ADD COLUMN self_rotation BIGINT NOT NULL DEFAULT 0;"
                             /* announce: when its end is told of next; 0: no more */
                             "ALTER TABLE credential ADD COLUMN announce BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE secret ADD COLUMN announce BIGINT NOT NULL DEFAULT 0;"
                             "UPDATE credential SET announce = expires - 2592000000000 WHERE expires > 2592000000000;"
                             "UPDATE secret SET announce = ends - 2592000000000 WHERE ends > 2592000000000;"
                             "CREATE INDEX credential_by_announcement ON credential (announce) WHERE announce <> 0;"
                             "CREATE INDEX secret_by_announcement ON secret (announce) WHERE announce <> 0;"
                             "ALTER TABLE credential ADD COLUMN suspended BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE credential ADD COLUMN resumed BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE credential ADD COLUMN warned BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE credential ADD COLUMN networks TEXT NOT NULL DEFAULT '';"
                             "ALTER TABLE credential ADD COLUMN networks_observed BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE credential ADD COLUMN last_from TEXT NOT NULL DEFAULT '';"
                             "ALTER TABLE credential ADD COLUMN contact TEXT NOT NULL DEFAULT '';"
                             "ALTER TABLE credential ADD COLUMN labels TEXT NOT NULL DEFAULT '';"
                             /* what GetServerStatus tells; beat: it says so as often as that, in microseconds */
                             "ALTER TABLE process ADD COLUMN program BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE process ADD COLUMN beat BIGINT NOT NULL DEFAULT 60000000;"
                             "ALTER TABLE process ADD COLUMN host TEXT NOT NULL DEFAULT '';"
                             "ALTER TABLE process ADD COLUMN version TEXT NOT NULL DEFAULT '';"
                             "ALTER TABLE process ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE process ADD COLUMN lag BIGINT NOT NULL DEFAULT 0;"
                             /* before `seen`, it had stored all uses that it knew; microseconds */
                             "ALTER TABLE process ADD COLUMN unstored BIGINT NOT NULL DEFAULT 0;"
                             /* what it goes by of lease and cache_lease: no more than the others have heard of */
                             "ALTER TABLE process ADD COLUMN used BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE process ADD COLUMN cache_used BIGINT NOT NULL DEFAULT 0;"
                             "ALTER TABLE token_count ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;"
                             /* records/limit.h. kind: enum limit; observed: 1: it is only counted */
                             "CREATE TABLE credential_limit ("
                             "    credential BIGINT NOT NULL, kind BIGINT NOT NULL, value BIGINT NOT NULL,"
                             "    observed BIGINT NOT NULL DEFAULT 0, floor BIGINT NOT NULL DEFAULT 0,"
                             "    floor_set BIGINT NOT NULL DEFAULT 0, seen BIGINT NOT NULL DEFAULT 0,"
                             "    first_seen BIGINT NOT NULL DEFAULT 0, last_seen BIGINT NOT NULL DEFAULT 0,"
                             "    told BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (credential, kind)"
                             ") /* table in order of its key */;"
                             "CREATE INDEX credential_limit_by_floor ON credential_limit (floor_set, credential)"
                             " WHERE floor_set <> 0;"
                             "ALTER TABLE usage ADD COLUMN observed BIGINT NOT NULL DEFAULT 0;";
static const char ninth[] = "";

static const struct store_step steps[] = {{first, 0}, {second, 0},  {third, 0},  {fourth, 0}, {fifth, 0},
                                          {sixth, 0}, {seventh, 0}, {eighth, 0}, {ninth, 8}};

/*
 * Not of what is written at each call. A token and usage whose credential is gone mean nothing to anybody and are
 * removed in batches, after it: that `token` refers to `credential` would cost each issue a lock on the credential's
 * row, which on PostgreSQL is a write, and which replicas would share. And for a check, SQLite would write the largest
 * tables anew. An owner need not be a user (yet).
 */
static const struct store_constraint constraints[] = {
    STORE_CHECK("credential", "expires >= 0 AND deleted >= 0 AND epoch >= 0 AND version >= 0", 8),
    STORE_CHECK("role", "number >= 0 AND number < 256 AND version >= 0", 8), /* ROLES_MAX */
    STORE_CHECK("secret", "length(digest) = 32 AND ends >= 0", 8),
    STORE_CHECK("credential_role", "revoked >= 0", 8),
    STORE_CHECK("user_role", "revoked >= 0", 8),
    STORE_CHECK("credential_limit", "kind >= 0 AND value >= 0 AND floor >= 0 AND floor_set >= 0", 8),
    STORE_REFERENCE("secret", "credential", "credential", "id", 8),
    STORE_REFERENCE("credential_role", "credential", "credential", "id", 8),
    STORE_REFERENCE("credential_role", "role", "role", "number", 8),
    STORE_REFERENCE("credential_limit", "credential", "credential", "id", 8),
    STORE_REFERENCE("user_role", "user_id", "user_account", "id", 8),
    STORE_REFERENCE("user_role", "role", "role", "number", 8),
};

static const struct store_table tables[] = {
    {"instance", 1, 2, {{"name", 't'}, {"value", 'b'}}},
    {"setting", 1, 2, {{"name", 't'}, {"value", 'i'}}},
    {"counter", 1, 2, {{"name", 't'}, {"value", 'i'}}},
    {"role",
     1,
     9,
     {{"id", 't'},
      {"number", 'i'},
      {"name", 't'},
      {"role_group", 't'},
      {"description", 't'},
      {"created", 'i'},
      {"retired", 'i'},
      {"version", 'i'},
      {"built_in", 'i'}}},
    {"user_account", 1, 5, {{"id", 't'}, {"created", 'i'}, {"updated", 'i'}, {"version", 'i'}, {"deleted", 'i'}}},
    {"user_role", 2, 4, {{"user_id", 't'}, {"role", 'i'}, {"granted", 'i'}, {"revoked", 'i'}}},
    {"credential",
     1,
     22,
     {{"id", 'i'},
      {"client_id", 't'},
      {"name", 't'},
      {"owner", 't'},
      {"created", 'i'},
      {"updated", 'i'},
      {"expires", 'i'},
      {"deleted", 'i'},
      {"epoch", 'i'},
      {"version", 'i'},
      {"last_used", 'i'},
      {"created_by", 't'},
      {"announce", 'i'},
      {"self_rotation", 'i'},
      {"suspended", 'i'},
      {"resumed", 'i'},
      {"warned", 'i'},
      {"networks", 't'},
      {"networks_observed", 'i'},
      {"last_from", 't'},
      {"contact", 't'},
      {"labels", 't'}}},
    {"secret",
     1,
     8,
     {{"id", 'i'},
      {"credential", 'i'},
      {"digest", 'b'},
      {"hint", 't'},
      {"created", 'i'},
      {"ends", 'i'},
      {"last_used", 'i'},
      {"announce", 'i'}}},
    {"credential_role",
     2,
     6,
     {{"credential", 'i'},
      {"role", 'i'},
      {"granted", 'i'},
      {"granted_by", 't'},
      {"revoked", 'i'},
      {"revoked_by", 't'}}},
    {"credential_limit",
     2,
     10,
     {{"credential", 'i'},
      {"kind", 'i'},
      {"value", 'i'},
      {"observed", 'i'},
      {"floor", 'i'},
      {"floor_set", 'i'},
      {"seen", 'i'},
      {"first_seen", 'i'},
      {"last_seen", 'i'},
      {"told", 'i'}}},
    {"token",
     1,
     6,
     {{"key", 'b'}, {"credential", 'i'}, {"epoch", 'i'}, {"last_used", 'i'}, {"roles", 'b'}, {"last_api", 't'}}},
    {"usage",
     3,
     8,
     {{"credential", 'i'},
      {"api", 't'},
      {"hour", 'i'},
      {"allowed", 'i'},
      {"denied", 'i'},
      {"first_used", 'i'},
      {"last_used", 'i'},
      {"observed", 'i'}}},
    {"audit",
     1,
     10,
     {{"sequence", 'i'},
      {"at", 'i'},
      {"actor", 't'},
      {"action", 't'},
      {"subject", 't'},
      {"peer", 't'},
      {"request_id", 't'},
      {"outcome", 't'},
      {"detail", 't'},
      {"hash", 'b'}}},
    {"request", 2, 6, {{"actor", 't'}, {"id", 't'}, {"method", 't'}, {"digest", 'b'}, {"response", 'b'}, {"at", 'i'}}},
    {"change_log", 1, 5, {{"revision", 'i'}, {"kind", 'i'}, {"subject", 'b'}, {"at", 'i'}, {"change_id", 'i'}}},
};

const struct store_schema records_schema = {
    .steps = steps,
    .steps_count = sizeof steps / sizeof steps[0],
    .tables = tables,
    .tables_count = sizeof tables / sizeof tables[0],
    .constraints = constraints,
    .constraints_count = sizeof constraints / sizeof constraints[0],
};

enum status schema_row_count(struct store_tx *tx, int64_t *ret_steps)
{
    return store_run(tx, "SELECT max(number) FROM schema_version", store_read_int, ret_steps);
}

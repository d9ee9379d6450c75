# SPDX-License-Identifier: Apache-2.0
"""bench scale: what grows with the number of tokens, credentials and rows of usage, and what must not. Two databases that
are alike but for their size are made row by row, not issued; each figure is a ratio of the two, in one run."""
import contextlib
import os
import sqlite3
import statistics
import subprocess
import time

from harness import (CORES, LONG_ROUNDS, QUICK, SECONDS, Filled, grpc_load, in_turns, median, on, rates, ratio, show, build)
from daemon import DEADLINE, Daemon
from postgres import Postgres
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

HOUR = 3600 * 1_000_000
# Rows: of the small database and of the large one. BENCH_SCALE divides the large one's: what fits the machine and the time.
DIVISOR = int(os.environ.get("BENCH_SCALE", "100" if QUICK else "1"))
ASKED = 20_000 if QUICK else 100_000  # tokens whose text is known, of the first thousand credentials, in both
SMALL = {"credentials": 2_000, "tokens": ASKED + 1_000, "usage": 100_000, "events": 1_000}
LARGE = {"credentials": 1_000_000 // DIVISOR, "tokens": 10_000_000 // DIVISOR, "usage": 100_000_000 // DIVISOR,
         "events": 200_000 // DIVISOR}
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
KNOWN = "(SELECT min(id) FROM credential WHERE id > 1000000)"


class OnSqlite:
    """Statements one after the other, in one transaction; and what SQL's dialects have different words for."""
    client_id, name = "printf('%08x-0000-4000-8000-%012x', i, i)", "printf('made %08d', i)"

    def __init__(self, daemon):
        self.path = daemon.folder + "/gatehouse.db"

    def run(self, statements):
        with contextlib.closing(sqlite3.connect(self.path)) as database, database:
            database.execute("PRAGMA synchronous = OFF")
            database.create_function("made", 2, lambda second, i: second.to_bytes(4, "big") + os.urandom(28))
            for statement in statements:
                database.execute(statement)


class OnPostgres:
    client_id = "lpad(to_hex(i), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(i), 12, '0')"
    name = "'made ' || lpad(i::text, 8, '0')"

    def __init__(self, daemon):
        self.url = daemon.settings["store"]

    def run(self, statements):
        made = ("CREATE FUNCTION pg_temp.made(second bigint, i bigint) RETURNS bytea LANGUAGE sql AS"
                " $$ SELECT int4send(second::int) || substr(sha256(int8send(i)), 1, 28) $$;")
        text = "; ".join(statements).replace("made(", "pg_temp.made(")
        subprocess.run(["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "--single-transaction", self.url], check=True, text=True,
                       input=made + text + ";", stdout=subprocess.DEVNULL)
        subprocess.run(["psql", "-q", "-X", self.url, "-c", "VACUUM ANALYZE"], check=True)  # as autovacuum does, in its time


def credentials(on, count):
    """Like the first one, with a secret key that nobody has and a role."""
    yield (f"INSERT INTO credential (id, client_id, name, owner, created, updated, expires, deleted, epoch, version, last_used, created_by)"
           f" {NUMBERS.format(count=count)} SELECT c.id + 1000000 + i, {on.client_id}, {on.name}, c.owner, c.created + i, c.updated,"
           " c.expires, c.deleted, c.epoch, c.version, c.last_used, c.created_by FROM n,"
           " (SELECT * FROM credential WHERE name = 'credential 0') c")
    yield ("INSERT INTO credential_role (credential, role, granted) SELECT c.id, r.role, c.created FROM credential c,"
           " (SELECT role FROM credential_role WHERE credential ="
           "  (SELECT id FROM credential WHERE name = 'credential 0') LIMIT 1) r WHERE c.id > 1000000")
    yield ("INSERT INTO secret (id, credential, digest, hint, created, ends, last_used)"
           f" SELECT id + 1000000, id, (SELECT digest FROM secret LIMIT 1), 'made', created, 0, 0 FROM credential WHERE id > 1000000")
    for name, table in (("credential_id", "credential"), ("secret_id", "secret")):
        yield f"UPDATE counter SET value = (SELECT max(id) FROM {table}) WHERE name = '{name}'"


def tokens(on, count, owners):
    """Live ones, whose text nobody knows: issued one after the other in the last ten minutes, a hundred of the known one."""
    now = int(time.time())
    yield (f"INSERT INTO token (key, credential, epoch, last_used) {NUMBERS.format(count=count)}"
           f" SELECT made({now - 600} + i * 600 / {count}, i), {KNOWN} + CASE WHEN i <= 100 THEN 0 ELSE 1 + i % {owners - 1} END,"
           f" 1, {now * 1_000_000} FROM n")


def usage(on, count):
    """Ten APIs of ten hours, of as many credentials as it takes; the known one has as much as any."""
    now = int(time.time() * 1_000_000)
    yield (f"INSERT INTO usage (credential, api, hour, allowed, denied, first_used, last_used) {NUMBERS.format(count=count)}"
           f" SELECT {KNOWN} + (i - 1) / 100, 'GET /x' || (i / 10 % 10), {now - now % HOUR} - (i % 10) * {HOUR}, i % 100, 0, {now}, {now}"
           " FROM n")


class Made(Filled):
    def __init__(self, sizes, on=OnSqlite, **settings):
        self.sizes, self.on = sizes, on
        super().__init__(1000, 0, ASKED, cores=None, events=sizes["events"], made=self.make, **settings)

    def make(self):
        begin, on, owners = time.monotonic(), self.on(self), self.sizes["credentials"] - 1000
        on.run([f"INSERT INTO setting (name, value) VALUES ('idle_timeout', {8 * HOUR})"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value", *credentials(on, owners),
                *tokens(on, self.sizes["tokens"] - ASKED, owners), *usage(on, self.sizes["usage"])])
        print(f"  (made in {time.monotonic() - begin:.0f} s: " +
              ", ".join(f"{count:,} {what}" for what, count in self.sizes.items()) + ")", flush=True)

    def again(self, **settings):
        """Restarted with other settings: how long that takes."""
        self.stop()
        self.settings.update(settings)
        begin = time.monotonic()
        self.start()
        spent = time.monotonic() - begin
        self.caller = self.admin_token()
        return spent

    def timed(self, call, count):
        """Milliseconds of each of so many calls, one after the other."""
        spent = []
        for i in range(count):
            begin = time.perf_counter()
            call(i)
            spent.append((time.perf_counter() - begin) * 1000)
        return spent

    def admin_times(self, method, request, count=20):
        send = getattr(self.admin, method)
        return self.timed(lambda i: send(request(i), metadata=Daemon.bearer(self.caller), timeout=DEADLINE), count)


def compare(what, small, large, sample, most=2):
    """The median of `sample` of each, in turns."""
    few, many = in_turns([lambda: sample(small), lambda: sample(large)], LONG_ROUNDS)
    show(f"{what}: large / small", median(median(b) / median(a) for a, b in zip(few, many)), most=most)


def administration(small, large):
    for daemon in (small, large):
        daemon.known = daemon.admin.ListCredentials(pb.ListCredentialsRequest(page_size=1, filter="name:\"made 00000001\""),
                                                    metadata=Daemon.bearer(daemon.caller), timeout=DEADLINE).credentials[0]
    known = {daemon: daemon.known.client_id for daemon in (small, large)}

    def page(daemon, method, message, **fields):
        return daemon.admin_times(method, lambda i: message(page_size=50, **fields))

    compare("UpdateCredential", small, large, lambda daemon: daemon.admin_times(
        "UpdateCredential", lambda i: pb.UpdateCredentialRequest(
            credential=pb.Credential(client_id=known[daemon], name=f"name {i}"), update_mask=FieldMask(paths=["name"]))))
    compare("GrantRoles and RevokeRoles", small, large, lambda daemon: [
        *daemon.admin_times("GrantRoles", lambda i: pb.GrantRolesRequest(client_id=known[daemon], roles=["team_leader"]), 5),
        *daemon.admin_times("RevokeRoles", lambda i: pb.RevokeRolesRequest(client_id=known[daemon], roles=["team_leader"]), 5)])
    compare("RegenerateSecret", small, large, lambda daemon: daemon.admin_times(
        "RegenerateSecret", lambda i: pb.RegenerateSecretRequest(client_id=known[daemon])))
    compare("SetUserRoles", small, large, lambda daemon: daemon.admin_times(
        "SetUserRoles", lambda i: pb.SetUserRolesRequest(user="somebody", roles=["work_creator"][:i % 2])))
    compare("CreateCredential", small, large, lambda daemon: daemon.admin_times(
        "CreateCredential", lambda i: pb.CreateCredentialRequest(credential=pb.Credential(name=f"new {time.monotonic_ns()}"),
                                                                 roles=["work_creator"])))
    compare("ListCredentials, a page", small, large,
            lambda daemon: page(daemon, "ListCredentials", pb.ListCredentialsRequest))
    compare("ListCredentials by last use, a page", small, large,
            lambda daemon: page(daemon, "ListCredentials", pb.ListCredentialsRequest, order_by="last_use_time desc"))
    compare("ListTokens, a page", small, large,
            lambda daemon: page(daemon, "ListTokens", pb.ListTokensRequest, client_id=known[daemon]))
    compare("ListAuditEvents, a page", small, large,
            lambda daemon: page(daemon, "ListAuditEvents", pb.ListAuditEventsRequest))
    compare("QueryUsage of one credential", small, large,
            lambda daemon: page(daemon, "QueryUsage", pb.QueryUsageRequest, client_id=known[daemon]))


@contextlib.contextmanager
def four_administrators(daemon):
    """Listing, verifying, querying without a pause, each on a connection of his own."""
    calls = {"ListCredentials": pb.ListCredentialsRequest(page_size=100), "VerifyAuditLog": pb.VerifyAuditLogRequest(),
             "QueryUsage": pb.QueryUsageRequest(page_size=100), "ListAuditEvents": pb.ListAuditEventsRequest(page_size=100)}
    with contextlib.ExitStack() as stack:
        for method, request in calls.items():
            body = daemon.bodies(method, [request.SerializeToString()])
            stack.callback(subprocess.Popen(
                [*on(CORES), f"{build}/tests/bench/bench_load", "-c", "1", "-s", "1", "-t", "3600", "-a",
                 "Bearer " + daemon.caller, str(daemon.grpc_port), "/gatehouse.v1.CredentialAdmin/" + method, body],
                stdout=subprocess.DEVNULL).kill)
        time.sleep(SECONDS)  # until they are at it; nothing is asserted
        yield


def p99(spent):
    return statistics.quantiles(spent, n=100)[98]


def beside_administrators(daemon):
    count = 300 if QUICK else 1000
    tokens = iter(daemon.tokens)

    def ask(_):
        daemon.auth.Introspect(auth.IntrospectRequest(token=next(tokens), no_touch=True), metadata=Daemon.bearer(daemon.caller),
                               timeout=DEADLINE)

    kinds = {"Introspect from the store": (ask, 3), "IssueToken": (lambda _: daemon.issue(), 2)}
    quiet, loud = {name: [] for name in kinds}, {name: [] for name in kinds}
    for _ in range(LONG_ROUNDS):
        for name, (call, _) in kinds.items():
            quiet[name].append(p99(daemon.timed(call, count)))
        with four_administrators(daemon):
            for name, (call, _) in kinds.items():
                loud[name].append(p99(daemon.timed(call, count)))
    for name, (_, most) in kinds.items():
        show(f"{name}: p99", median(quiet[name]), "ms")
        show(f"{name}: p99, with four administrators / without", median(b / a for a, b in zip(quiet[name], loud[name])), most=most)


def compare_sizes(small, large):
    show("start-up, large", large.again(), "s", most=3)
    for daemon in (small, large):
        daemon.warm()
    count, table = large.table()
    show("bytes a live token in memory", table / count, "B", most=96)
    bodies = {daemon: daemon.questions("looked", no_touch=True) for daemon in (small, large)}
    few, many = in_turns([daemon.introspect(bodies[daemon], cores=None) for daemon in (small, large)])
    show("Introspect from memory: large / small", ratio(many, few), least=0.9)
    administration(small, large)
    for daemon in (small, large):
        daemon.again(max_tokens_in_memory="1000")
    few, many = in_turns([daemon.introspect(bodies[daemon], cores=None) for daemon in (small, large)])
    show("Introspect from the store", median(rates(few)), "requests/s")
    show("tokens in memory meanwhile", small.table()[0], "")
    show("Introspect from the store: large / small", ratio(many, few), least=0.9)
    beside_administrators(large)


def bench():
    print("two databases that differ in their size")
    with Made(SMALL) as small, Made(LARGE) as large:
        compare_sizes(small, large)


def bench_on_postgres():
    print("two databases on PostgreSQL that differ in their size")
    with Postgres(max_connections="100", shared_buffers="1GB", max_wal_size="4GB") as postgres, \
            Made(SMALL, OnPostgres, store=postgres.new_database()) as small, \
            Made(LARGE, OnPostgres, store=postgres.new_database()) as large:
        compare_sizes(small, large)

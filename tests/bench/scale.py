# SPDX-License-Identifier: Apache-2.0
"""bench postgres: replicas on one PostgreSQL, which runs on the same machine as they and the load do."""
import contextlib
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time

from harness import (CORES, ISSUE_ROUNDS, LOAD, LONG_ROUNDS, QUICK, SECONDS, SERVER, Filled, Sample, cpu, cpus, grpc_load, in_turns,
                     measure, median, micros, on, options, pin, rates, ratio, server, show)
from daemon import DEADLINE, Daemon
from gatehouse.v1 import auth_pb2
from postgres import Postgres

REVOCATIONS = 2_000 if QUICK else 10_000  # in a round
HEARD = 100 if QUICK else 500
USED = 10_000 if QUICK else 100_000
# One row as IssueToken makes it: a key that begins with the second, and all of one credential.
INSERT = """\\set a random(0, 4611686018427387903)
\\set b random(0, 4611686018427387903)
\\set c random(0, 4611686018427387903)
\\set d random(0, 2147483647)
INSERT INTO token (key, credential, epoch, last_used, roles) VALUES
(int4send(extract(epoch FROM clock_timestamp())::int) || int8send(:a) || int8send(:b) || int8send(:c) || int4send(:d), 1, 1, :a, NULL);
"""


class Server(Postgres):
    """What it has used: CPU of all its processes, and bytes of its log."""

    def processes(self):
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [pid, *map(int, file.read().split())]

    def pin(self, cores):
        for pid in self.processes():
            with contextlib.suppress(OSError):  # it has just ended
                os.sched_setaffinity(pid, cores)

    def cpu(self):
        """Seconds of CPU of each of its processes, and of all that have ended (proc(5): cutime, cstime)."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            times = file.read().rsplit(")", 1)[1].split()
        seconds = {"ended": (int(times[13]) + int(times[14])) / os.sysconf("SC_CLK_TCK")}
        for pid in self.processes():
            with contextlib.suppress(OSError):
                seconds[pid] = cpu(pid)
        return seconds

    @contextlib.contextmanager
    def noting_new(self):
        """Gives a function that says which processes have begun since."""
        before = set(self.processes())
        yield lambda: set(self.processes()) - before

    def wal(self):
        return int(self.sql("SELECT pg_current_wal_insert_lsn() - '0/0'"))

    def spending(self, run):
        """What run() gives, and meanwhile: (seconds of the server's CPU, bytes of its log)."""
        before, written = self.cpu(), self.wal()
        result = run()
        return result, (sum(seconds - before.get(pid, 0) for pid, seconds in self.cpu().items()), self.wal() - written)


def at_once(*runs):
    """All at the same time: their results, and how long it took."""
    results = [None] * len(runs)

    def call(i):
        results[i] = runs[i]()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(runs))]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, time.monotonic() - begin


def warm_table(postgres):
    print(" Introspect, 1,000 tokens in the table; the server on one core, the load and PostgreSQL on the other")
    with Filled(1000, 0, 1000) as alone, Filled(1000, 0, 1000, store=postgres.new_database()) as replica:
        postgres.pin(LOAD)
        samplers = []
        for daemon in (alone, replica):
            daemon.warm()
            # Longer than the interval at which uses are stored, so that its cost is in each round.
            samplers.append(daemon.introspect(daemon.questions("used"), seconds=5 * SECONDS))
        sqlite, shared = in_turns(samplers, LONG_ROUNDS)
        postgres.pin(set(CORES))
    show("Introspect on SQLite", median(rates(sqlite)), "requests/s")
    show("Introspect on a replica", median(rates(shared)), "requests/s")
    show("Introspect on a replica: CPU a request", median(map(micros, shared)), "us")
    show("on a replica / on SQLite", ratio(shared, sqlite), least=0.95)
    show("on SQLite / on a replica, CPU a request", ratio(sqlite, shared, micros), least=0.95)


def pgbench(url, script):
    output = subprocess.run([*on(set(CORES)), "pgbench", "-n", "-f", script, "-c", "64", "-j", "2", "-M", "prepared", "-T",
                             str(max(1, int(2 * SECONDS))), url], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                            check=True).stdout.decode()
    return Sample(float(re.search(r"tps = ([\d.]+)", output).group(1)), 0)


def issuing(postgres):
    print(" IssueToken at concurrency 64; against 64 clients of pgbench that insert such a row each; both cores for everybody")
    yardstick = postgres.new_database()
    with Daemon({"store": yardstick}, start=False), Filled(1, 0, 0, cores=None, store=postgres.new_database()) as replica:
        script = replica.folder + "/insert.sql"
        with open(script, "w") as file:
            file.write(INSERT)
        body = replica.bodies("issue", [auth_pb2.IssueTokenRequest(
            client_id=replica.client_id, client_secret=replica.secret).SerializeToString()])
        spent = []

        def issue():
            count = 0

            def run():
                nonlocal count
                count, seconds = grpc_load(replica.grpc_port, "IssueToken", body, seconds=2 * SECONDS, connections=4,
                                           streams=16, cores=set(CORES))
                return count, seconds
            sample, (busy, written) = postgres.spending(lambda: measure(replica.pid, run))
            spent.append((busy / count * 1e6, written / count))
            return sample

        def insert():
            sample, (busy, _) = postgres.spending(lambda: pgbench(yardstick, script))
            sample.micros = busy / (sample.rate * max(1, int(2 * SECONDS))) * 1e6
            return sample

        issued, inserted = in_turns([issue, insert], ISSUE_ROUNDS)
    show("IssueToken on a replica", median(rates(issued)), "tokens/s")
    show("IssueToken: CPU of the replica a token", median(map(micros, issued)), "us")
    show("IssueToken: CPU of PostgreSQL a token", median([busy for busy, _ in spent]), "us")
    show("IssueToken: PostgreSQL's log a token", median([wal for _, wal in spent]), "B")
    show("pgbench", median(rates(inserted)), "rows/s")
    show("pgbench: CPU of PostgreSQL a row", median(map(micros, inserted)), "us")
    show("pgbench / IssueToken, CPU of PostgreSQL", median([b.micros / a for (a, _), b in zip(spent, inserted)]))
    show("IssueToken / pgbench", ratio(issued, inserted), least=2)


def both(samples):
    """Of two servers: requests a second in all, and in a second of the CPU of both."""
    return Sample(sum(sample.rate for sample in samples), 1 / sum(1 / sample.micros for sample in samples))


def mean(samples):
    whole = both(samples)
    return Sample(whole.rate / 2, whole.micros * 2)


def scaling(postgres):
    print(" a replica with its load on one core (the mean of each alone), and both at once; PostgreSQL on both cores")
    with Filled(1000, 0, 1000, store=postgres.new_database()) as first, \
            Filled(first=first, cores=LOAD) as second, server("empty_server", 4) as (pid, port), \
            server("empty_server", 4) as (other_pid, other_port):
        pin(other_pid, LOAD)
        samplers = []
        for daemon, cores in ((first, SERVER), (second, LOAD)):
            daemon.warm()
            samplers.append(daemon.introspect(daemon.questions("used"), seconds=5 * SECONDS, cores=cores))
        nothing = first.bodies("nothing", [b""])

        def empty(pid, port, cores):
            return lambda: measure(pid, lambda: grpc_load(port, "Revoke", nothing, first.caller, seconds=2 * SECONDS,
                                                          cores=cores))
        empties = [empty(pid, port, SERVER), empty(other_pid, other_port, LOAD)]
        single, double, empty_single, empty_double = in_turns(
            [how for runs in (samplers, empties) for how in (lambda runs=runs: mean([run() for run in runs]),
                                                             lambda runs=runs: both(at_once(*runs)[0]))], LONG_ROUNDS)
    show("one replica and its load on one core", median(rates(single)), "requests/s")
    show("two, on one core each", median(rates(double)), "requests/s")
    show("two / one, requests/s", ratio(double, single), least=1.8)
    show("two / one, requests in a second of the replicas' CPU", ratio(single, double, micros), least=1.8)
    show("two empty RPC servers / one: what this machine allows", ratio(empty_double, empty_single))
    show("two empty RPC servers / one, by their CPU", ratio(empty_single, empty_double, micros))


class Revoking:
    """Each token once, 64 revocations under way at each replica."""

    def __init__(self, first, rounds):
        self.first = first
        self.left = list(first.tokens)
        assert len(self.left) >= 2 * rounds * REVOCATIONS

    def take(self, count):
        """A file of revocations; the tokens were warm at every replica."""
        taken, self.left = self.left[:count], self.left[count:]
        return self.first.bodies(f"revoke{len(self.left)}", [
            auth_pb2.RevokeRequest(token=token).SerializeToString() for token in taken])

    def at(self, replica, bodies):
        return lambda: measure(replica.pid, lambda: grpc_load(
            replica.grpc_port, "Revoke", bodies, self.first.caller, once=True, connections=4, streams=16, cores=set(CORES)))


def revoking(postgres):
    print(" Revoke, 64 at a time at each replica, each token known to both replicas; both cores for everybody")
    rounds = LONG_ROUNDS
    with Filled(1000, 0, 2 * rounds * REVOCATIONS, cores=None, store=postgres.new_database()) as first, \
            postgres.noting_new() as its_own, Filled(first=first, cores=None) as second:
        its_own = its_own()
        first.warm()
        second.warm()
        revocations = Revoking(first, rounds)
        listening, spent = [], []

        def one():
            run = revocations.at(first, revocations.take(REVOCATIONS))
            before, of_database = cpu(second.pid), cpus(its_own)
            sample, (busy, written) = postgres.spending(run)
            spent.append((busy / REVOCATIONS * 1e6, written / REVOCATIONS))
            more = sum(seconds - of_database[pid] for pid, seconds in cpus(its_own).items() if pid in of_database)
            listening.append([seconds / REVOCATIONS * 1e6 for seconds in (cpu(second.pid) - before, more)])
            return sample

        def together():
            runs = [revocations.at(replica, revocations.take(REVOCATIONS // 2)) for replica in (first, second)]
            _, seconds = at_once(*runs)
            return Sample(REVOCATIONS / seconds, 0)

        single, double = in_turns([one, together], rounds)
    show("revocations acknowledged by one replica", median(rates(single)), "1/s")
    show("revocations acknowledged by two at once, together", median(rates(double)), "1/s")
    show("two / one", ratio(double, single))
    show("Revoke: CPU of the replica", median(map(micros, single)), "us")
    show("Revoke: CPU of PostgreSQL, two listeners included", median([busy for busy, _ in spent]), "us")
    show("Revoke: PostgreSQL's log", median([wal for _, wal in spent]), "B")
    show("a revocation heard: CPU of the replica that listens", median([its for its, _ in listening]), "us")
    show("a revocation heard: CPU of PostgreSQL for that", median([its for _, its in listening]), "us")


def strictness(postgres):
    print(" Introspect with strict = true, 256 at a time; both cores for everybody")
    with Filled(1000, 0, 1000, cores=None, store=postgres.new_database()) as first, \
            Filled(first=first, cores=None, strict="true") as strict:
        samplers = []
        for daemon in (first, strict):
            daemon.warm()
            samplers.append(daemon.introspect(daemon.questions("used"), seconds=2 * SECONDS, cores=set(CORES)))
        easy, checked = in_turns(samplers, LONG_ROUNDS)
    show("Introspect, strict", median(rates(checked)), "requests/s")
    show("Introspect, strict: CPU of the replica a request", median(map(micros, checked)), "us")
    show("strict / not", ratio(checked, easy))


def hearing(postgres):
    print(" how soon a revocation is heard elsewhere: from its acknowledgement to the first answer 'inactive', asked for by one\n"
          " client in Python without pause")
    with Filled(1, 0, HEARD, cores=None, store=postgres.new_database()) as first, Filled(first=first, cores=None) as second:
        second.warm()
        metadata = Daemon.bearer(first.caller)
        waits, asked = [], []
        for token in first.tokens:
            question = auth_pb2.IntrospectRequest(token=token, no_touch=True)
            begin = time.monotonic()
            assert second.auth.Introspect(question, metadata=metadata, timeout=DEADLINE).active
            asked.append((time.monotonic() - begin) * 1000)
            first.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=metadata, timeout=DEADLINE)
            begin = time.monotonic()
            while second.auth.Introspect(question, metadata=metadata, timeout=DEADLINE).active:
                pass
            waits.append((time.monotonic() - begin) * 1000)
    show("one such question by itself: p50", median(asked), "ms")
    for percentile in (50, 99):
        show(f"until a revocation was heard: p{percentile}", statistics.quantiles(waits, n=100)[percentile - 1], "ms")


def using(postgres):
    print(f" {USED:,} tokens, each used once: what storing that costs")
    with Filled(1000, 0, USED, cores=None, store=postgres.new_database(), flush_interval_ms="1000") as replica:
        size = int(postgres.sql("SELECT pg_total_relation_size('token')", replica.settings["store"]))
        replica.warm()
        count, table = replica.table()
        uses = replica.bodies("uses", [auth_pb2.BatchIntrospectRequest(requests=[
            auth_pb2.BatchIntrospectEntry(token=token, api="POST /api/cases") for token in replica.tokens[i:i + 100]]
            ).SerializeToString() for i in range(0, USED, 100)])

        def use():
            grpc_load(replica.grpc_port, "BatchIntrospect", uses, replica.caller, once=True, connections=1, streams=4)
            nonlocal before
            before = cpu(replica.pid)
            while int(postgres.sql("SELECT count(last_api) FROM token", replica.settings["store"])) < USED:
                time.sleep(0.5)
        before = 0.0
        _, (busy, written) = postgres.spending(use)
        after = cpu(replica.pid)
    show("a live token in a replica's table", table / count, "B")
    show("a live token in PostgreSQL, with its indexes", size / USED, "B")
    show("a use stored: CPU of the replica", (after - before) / USED * 1e6, "us")
    show("a use stored: CPU of PostgreSQL", busy / USED * 1e6, "us")
    show("a use stored: PostgreSQL's log", written / USED, "B")


def bench():
    print("replicas on PostgreSQL, all on this machine")
    tempfile.tempdir = options.dir
    with Server(max_connections="100", shared_buffers="128MB") as postgres:
        for part in (warm_table, issuing, scaling, revoking, strictness, hearing, using):
            part(postgres)

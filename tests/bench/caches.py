# SPDX-License-Identifier: Apache-2.0
"""Of bench: answers from the memory of libgatehouse's cache, and what revocation costs that must reach it."""
import contextlib
import re
import subprocess
import sys
import time

from harness import (AUTH, LOAD, LONG_ROUNDS, MANY, QUICK, ROUNDS, SECONDS, Filled, build, cpu, in_turns, median, on, ratio, rates,
                     resident, show)
from gatehouse.v1 import auth_pb2

WATCHERS = (1, 200) if QUICK else (1, 200, 1000)
REVOCATIONS = 100 if QUICK else 500
KEPT, STORM, STORMS = 100, 3000 if QUICK else 10_000, LONG_ROUNDS
WHAT = {"check": "gatehouse_check", "limit": "the limit: a keyed hash and one access to memory", "stub": "a stub", "look": "a stub with no_touch", "introspect": "gatehouse_introspect"}
KINDS = ("check", "limit", "stub", "look", "introspect")


class Sample:
    """Calls a second of CPU, and a second."""

    def __init__(self, line):
        calls, cpu, seconds = map(float, line.split())
        self.rate, self.real = calls / cpu, calls / seconds


class Client:
    """bench_cache, on the load's core."""

    def __init__(self, daemon, count, entries, threads=1, seconds=SECONDS):
        path = daemon.folder + "/texts"
        with open(path, "wb") as file:
            file.write(b"\n".join(token.encode() for token in daemon.tokens))
        self.process = subprocess.Popen(
            [*on(LOAD), build + "/tests/bench/bench_cache", f"127.0.0.1:{daemon.grpc_port}", daemon.caller, path, str(count),
             str(threads), str(seconds), str(entries)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.warm_seconds = float(self.process.stdout.readline().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, kind):
        def run():
            self.process.stdin.write(kind + "\n")
            self.process.stdin.flush()
            return Sample(self.process.stdout.readline())
        return run


def bench_cache():
    print(f"the cache of libgatehouse, one thread, 1,000 tokens and {MANY:,} at random, and the same client without a cache")
    with Filled(1000, 0, MANY, cache_lease_ms=10000) as daemon, contextlib.ExitStack() as stack:
        daemon.warm()
        few, many, none = (stack.enter_context(Client(daemon, count, entries))
                           for count, entries in ((1000, 2000), (MANY, MANY * 2), (1000, 0)))
        show(f"filling the cache with {MANY:,} answers", many.warm_seconds / MANY * 1e6, "us each")
        samples = in_turns([client.ask(kind) for client in (few, many) for kind in KINDS] + [none.ask("introspect")], ROUNDS)
        socket = samples.pop()
        for client, ours in ((1000, samples[:len(KINDS)]), (MANY, samples[len(KINDS):])):
            for kind, of_kind in zip(KINDS, ours):
                goal = {"least": 10e6} if (kind, client) == ("check", 1000) else {}
                show(f"{client:,} tokens, {WHAT[kind]}", median(rates(of_kind)), "a second of CPU", **goal)
            show(f"{client:,} tokens, gatehouse_check / the limit", ratio(ours[0], ours[1]), least=0.3)
        show("gatehouse_introspect over the socket", median([sample.real for sample in socket]), "a second")
        show("gatehouse_check / over the socket", ratio(samples[0], socket, lambda sample: sample.real))
        show("gatehouse_introspect from memory / over the socket", ratio(samples[-1 - len(KINDS)], socket, lambda sample: sample.real))



class Watchers:
    """bench_watchers, on the load's core."""

    def __init__(self, daemon, count):
        self.process = subprocess.Popen([*on(LOAD), build + "/tests/bench/bench_watchers", f"127.0.0.1:{daemon.grpc_port}",
                                         daemon.caller, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.process.stdout.readline() != "trusted\n":
            sys.exit("bench: the caches have no lease")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def revoke(self, token):
        """Milliseconds after the acknowledgement until the last cache had obeyed."""
        self.process.stdin.write(token + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[0]) / 1000


def idle(daemon):
    """Of a core, in percent."""
    before, begin = cpu(daemon.pid), time.monotonic()
    time.sleep(5 * SECONDS)
    return (cpu(daemon.pid) - before) / (time.monotonic() - begin) * 100


def watched_by(count):
    with Filled(1, 0, REVOCATIONS) as daemon:
        before, alone = resident(daemon.pid), idle(daemon)
        with Watchers(daemon, count) as watchers:
            busy, grown = idle(daemon) - alone, resident(daemon.pid) - before
            times = sorted(watchers.revoke(token) for token in daemon.tokens)
    most = {"most": 10} if count == 200 else {}
    show(f"{count:,} caches: from a revocation's answer to the last, p50", times[len(times) // 2], "ms")
    show(f"{count:,} caches: p99", times[len(times) * 99 // 100], "ms", **most)
    if count > 1:
        most = {"most": 0.5} if count == 200 else {}
        show(f"{count:,} caches: the server's CPU while nothing happens", busy, "% of a core", **most)
        show(f"{count:,} caches: the server's memory for each", grown / count / 1024, "KiB", most=16)


class Storm:
    """Introspects some tokens while others are revoked, as fast as 64 calls at a time are."""

    def __init__(self, stack, watchers):
        self.daemon = stack.enter_context(Filled(1, 0, KEPT + STORMS * STORM))
        self.kept, self.rest = self.daemon.tokens[:KEPT], self.daemon.tokens[KEPT:]
        self.daemon.tokens = self.kept
        self.introspect = self.daemon.introspect(self.daemon.questions("kept"))
        self.revoked = []
        if watchers:
            stack.enter_context(Watchers(self.daemon, watchers))

    def __call__(self):
        texts, self.rest = self.rest[:STORM], self.rest[STORM:]
        bodies = self.daemon.bodies("storm", (auth_pb2.RevokeRequest(token=token).SerializeToString() for token in texts))
        load = subprocess.Popen([*on(LOAD), build + "/tests/bench/bench_load", "-c", "1", "-s", "64", "-o", "-t", "60", "-a",
                                 "Bearer " + self.daemon.caller, str(self.daemon.grpc_port), AUTH + "Revoke", bodies],
                                stdout=subprocess.PIPE, text=True)
        sample = self.introspect()
        requests, failed, seconds = re.match(r"requests=(\d+) failed=(\d+) seconds=([\d.]+)", load.communicate()[0]).groups()
        if failed != "0":
            sys.exit("bench: failed requests measure nothing")
        self.revoked.append(int(requests) / float(seconds))
        return sample


def bench_watch():
    print("caches of libgatehouse that watch, all in one process: what reaches them when, and what they cost the server")
    for count in WATCHERS:
        watched_by(count)
    with contextlib.ExitStack() as stack:
        storms = [Storm(stack, 200), Storm(stack, 0)]
        watched, unwatched = in_turns(storms, STORMS)
    show("revocations meanwhile, 200 caches", median(storms[0].revoked), "a second")
    show("Introspect in a storm of revocations: with 200 caches / none", ratio(watched, unwatched), least=0.9)
    show("the same, CPU a request", ratio(unwatched, watched, lambda sample: sample.micros))

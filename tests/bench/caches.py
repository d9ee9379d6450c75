# SPDX-License-Identifier: Apache-2.0
"""Of bench: answers from the memory of libgatehouse's cache, and what revocation costs that must reach it."""
import contextlib
import re
import struct
import subprocess
import sys
import time

import hpack

from harness import (AUTH, LOAD, LONG_ROUNDS, MANY, QUICK, ROUNDS, SECONDS, Filled, before_others, build, cpu, in_turns, median,
                     on, ratio, rates, resident, show)
from gatehouse.v1 import auth_pb2

REVOCATIONS = 100 if QUICK else 500
RESTS = 12  # seconds after which a cache that nobody asks lets the server rest
KEPT, STORM, STORMS = 100, 3000 if QUICK else 10_000, LONG_ROUNDS
WHAT = {"check": "gatehouse_check", "limit": "the limit: a keyed hash and one access to memory", "stub": "a stub",
        "look": "a stub with no_touch", "introspect": "gatehouse_introspect"}
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



def opening(daemon):
    """What a client of Watch says first: HTTP/2's beginning, room for all that may come, the call and a lease."""
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">IBBI", len(payload), kind, flags, stream)[1:] + payload

    room = struct.pack(">I", 1 << 30)
    headers = hpack.Encoder().encode([(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", AUTH + "Watch"),
                                      ("content-type", "application/grpc"), ("te", "trailers"),
                                      ("authorization", "Bearer " + daemon.caller)])
    begin = auth_pb2.WatchRequest(begin=auth_pb2.WatchBegin(lease={"seconds": 1})).SerializeToString()
    return (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(8, 0, 0, room) + frame(1, 4, 1, headers) +
            frame(8, 0, 1, room) + frame(0, 0, 1, struct.pack(">BI", 0, len(begin)) + begin))


class Beside:
    """One of the C programs on the load's core, for as long as it is wanted."""

    def __init__(self, begun, name, *arguments):
        self.begun = begun + "\n"
        self.process = subprocess.Popen([*on(LOAD), f"{build}/tests/bench/bench_{name}", *map(str, arguments)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        if self.process.stdout.readline() != self.begun:
            sys.exit("bench: what is to be beside does not begin")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


class Streams(Beside):
    """That only listen."""

    def __init__(self, daemon, count):
        self.daemon = daemon
        path = daemon.folder + "/opening"
        with open(path, "wb") as file:
            file.write(opening(daemon))
        super().__init__("open", "watchers", daemon.grpc_port, path, count)

    def revoke(self, token):
        """Milliseconds after the acknowledgement until the last stream has been told."""
        self.process.stdin.write("arm\n")
        self.process.stdin.flush()
        self.process.stdout.readline()
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=self.daemon.bearer(self.daemon.caller))
        answered = time.monotonic() * 1000
        return max(0, float(self.process.stdout.readline()) / 1000 - answered)


def idle(daemon):
    """Of a core, in percent."""
    before, begin = cpu(daemon.pid), time.monotonic()
    time.sleep(10)  # one ping of a cache that rests
    return (cpu(daemon.pid) - before) / (time.monotonic() - begin) * 100


def idle_caches(count):
    with Filled(1, 0, 1) as daemon:
        caches = "idle_caches", f"127.0.0.1:{daemon.grpc_port}", daemon.caller
        with Beside("trusted", *caches, 1):
            time.sleep(RESTS)  # what the first brings with it: a thread, and what the store keeps after it has written uses
        before, alone = resident(daemon.pid), idle(daemon)
        with Beside("trusted", *caches, count):
            grown = resident(daemon.pid) - before
            time.sleep(RESTS)
            busy = idle(daemon) - alone
    show(f"{count:,} caches: the server's CPU while nobody asks them", busy, "% of a core", most=0.5)
    show(f"{count:,} caches: the server's memory for each", grown / count / 1024, "KiB", most=16)


def told(count):
    with before_others(), Filled(1, 0, REVOCATIONS) as daemon, Streams(daemon, count) as streams:
        times = sorted(streams.revoke(token) for token in daemon.tokens)
    show(f"{count:,} streams: from a revocation's answer to the last, p50", times[len(times) // 2], "ms")
    show(f"{count:,} streams: p99", times[len(times) * 99 // 100], "ms", **({"most": 10} if count == 200 else {}))


class Storm:
    """Introspects some tokens while others are revoked, as fast as 64 calls at a time are."""

    def __init__(self, stack, watchers):
        self.daemon = stack.enter_context(Filled(1, 0, KEPT + STORMS * STORM))
        self.kept, self.rest = self.daemon.tokens[:KEPT], self.daemon.tokens[KEPT:]
        self.daemon.tokens = self.kept
        self.introspect = self.daemon.introspect(self.daemon.questions("kept"))
        self.revoked = []
        if watchers:
            stack.enter_context(Streams(self.daemon, watchers))

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
    print("what hears of revocations, what it costs the server, and when it is told")
    idle_caches(200)
    for count in (1, 200, 1000):
        told(count)
    with contextlib.ExitStack() as stack:
        storms = [Storm(stack, 200), Storm(stack, 0)]
        watched, unwatched = in_turns(storms, STORMS)
    show("revocations meanwhile, 200 streams", median(storms[0].revoked), "a second")
    show("Introspect in a storm of revocations: 200 streams / none", ratio(watched, unwatched), least=0.9)
    show("the same, CPU a request", ratio(unwatched, watched, lambda sample: sample.micros))

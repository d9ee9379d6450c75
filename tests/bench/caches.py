# SPDX-License-Identifier: Apache-2.0
"""Of bench: answers from the memory of libgatehouse's cache, and what revocation costs that must reach it."""
import contextlib
import subprocess

from harness import LOAD, MANY, ROUNDS, SECONDS, Filled, build, in_turns, median, on, ratio, rates, show

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
                goal = {"least": 10e6} if kind == "check" else {}
                show(f"{client:,} tokens, {WHAT[kind]}", median(rates(of_kind)), "a second of CPU", **goal)
            show(f"{client:,} tokens, gatehouse_check / the limit", ratio(ours[0], ours[1]))
        show("gatehouse_introspect over the socket", median([sample.real for sample in socket]), "a second")
        show("gatehouse_check / over the socket", ratio(samples[0], socket, lambda sample: sample.real))
        show("gatehouse_introspect from memory / over the socket", ratio(samples[-1 - len(KINDS)], socket, lambda sample: sample.real))


WHAT = {"check": "gatehouse_check", "limit": "the limit: a keyed hash and one access to memory", "stub": "a stub", "look": "a stub with no_touch", "introspect": "gatehouse_introspect"}

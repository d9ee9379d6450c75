# SPDX-License-Identifier: Apache-2.0
"""Chaos: test_chaos.py SERVER PROTOSET. Clients that do all that HTTP/2 allows, at random: blocks and messages cut anywhere, windows
opened late and by little, resets, deadlines, half-closed streams, connections that vanish; with answers from another thread, streams
both ways, and at last a server that stops in the middle of it. The seed is printed and can be given as CHAOS_SEED.

What must hold: no client is told of an error of the protocol's, an answer that comes is the right one, every call is ended, and a
sanitizer has nothing to say."""
import os
import random
import ssl
import struct
import threading
import time
import unittest

import grpc
from rpc_harness import SLOW, Authority, Server, message as type_of, stub, wait_until
from frames import (CONTINUATION, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, Closed, Peer, block, data, frame,
                    headers, message, messages, ping, request, reset, settings, window_update)

SECONDS = float(os.environ.get("CHAOS_SECONDS", 6))
CLIENTS = 6
SEED = int(os.environ.get("CHAOS_SEED", random.SystemRandom().randrange(1 << 32)))
PATH = "/echo.v1.EchoService/"
RESETS_A_SECOND = 100  # of one client: far below the limit
Echo, Repeat, Fail = (type_of(f"echo.v1.{name}Request") for name in ("Echo", "Repeat", "Fail"))
EchoResponse = type_of("echo.v1.EchoResponse")


class Client(threading.Thread):
    def __init__(self, port, seed, until, tls):
        super().__init__()
        self.port, self.random, self.until, self.tls = port, random.Random(seed), until, tls
        self.failure = None
        self.ended = self.answered = self.connections = 0
        self.start()

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.connection()
        except (ConnectionError, Closed) as gone:
            if time.monotonic() < self.until:
                self.failure = gone
        except Exception as failure:  # the test tells
            self.failure = failure

    def connection(self):
        some = self.random
        window = some.choice([0, 1, 100, 65535, 1 << 20])
        with Peer(self.port, {INITIAL_WINDOW_SIZE: window, MAX_FRAME_SIZE: some.choice([16384, 1 << 20])}, tls=self.tls) as peer:
            self.connections += 1
            self.open, self.next, self.sends_left, self.resets = {}, 1, {}, 0
            self.expected = {}
            began = time.monotonic()
            for _ in range(some.choice([5, 50, 500])):
                if time.monotonic() > self.until:
                    break
                if self.resets < RESETS_A_SECOND * (time.monotonic() - began) + 100:
                    some.choice([self.begin, self.begin, self.begin, self.go_on, self.go_on, self.cancel, self.open_window, self.change_window, self.probe])(peer)
                else:
                    some.choice([self.begin, self.go_on, self.open_window])(peer)
                self.take(peer, some.choice([0, 0, 0.001, 0.02]))
                if peer.goaway:
                    break
            if some.random() < 0.5:
                self.finish(peer)
            self.check(peer)

    def take(self, peer, wait):
        while peer.has_input(wait) and not peer.goaway:
            peer.read()
            wait = 0
        for stream in [stream for stream in self.open if peer.is_over(stream)]:
            self.close(peer, stream)

    def close(self, peer, stream):
        """The call is over: what was answered is looked at, and forgotten."""
        kind, text = self.open.pop(stream)
        parts = peer.streams.pop(stream)
        self.sends_left.pop(stream, None)
        self.ended += 1
        trailers = [dict(value) for name, value in parts if name == "headers"][-1:]
        if not trailers or "grpc-status" not in trailers[0]:
            assert [value for name, value in parts if name == "reset"][0] in ("CANCEL", "REFUSED_STREAM", "NO_ERROR"), parts
            return
        if trailers[0]["grpc-status"] == "0" and kind in ("Echo", "EchoLater"):
            found = messages(b"".join(value for name, value in parts if name == "data"))
            assert [EchoResponse.FromString(one).text for one in found] == [text], (found, text)
            self.answered += 1

    def begin(self, peer):
        some, stream = self.random, self.next
        if len(self.open) >= 60:
            return
        self.next += 2
        kind = some.choice(["Echo", "EchoLater", "EchoLater", "Repeat", "Chat", "Fail", "None"])
        text = "x" * some.choice([0, 1, 100, 10000])
        wire = b"".join(message(self.request_of(kind, text).SerializeToString()) for _ in range(some.randrange(4) if kind == "Chat" else 1))
        more = [("grpc-timeout", some.choice(["1m", "20m", "1S"]))] if some.random() < 0.2 else []
        fields = block(request(PATH + kind, *more))
        cut = some.randrange(len(fields))
        if some.random() < 0.3:
            peer.send(frame(HEADERS, 0, stream, fields[:cut]), frame(CONTINUATION, END_HEADERS, stream, fields[cut:]))
        else:
            peer.send(headers(stream, fields))
        self.open[stream] = (kind, text)
        self.sends_left[stream] = wire
        if some.random() < 0.7:
            self.send_rest(peer, stream)

    def request_of(self, kind, text):
        some = self.random
        if kind == "Repeat":
            return Repeat(count=some.choice([0, 1, 50, -1]), size=some.choice([0, 100, 20000]))
        if kind == "Fail":
            return Fail(kind=some.choice(["reason", "field", "retry", "silent"]))
        return Echo(text=text, delay_ms=some.choice([0, 1, 5, 50]) if kind == "EchoLater" else 0)

    def send_rest(self, peer, stream):
        wire = self.sends_left.pop(stream, None)
        if wire is None:
            return
        while len(wire) > 16384:
            peer.send(data(stream, wire[:16384]))
            wire = wire[16384:]
        peer.send(data(stream, wire, end=True))

    def go_on(self, peer):
        """A piece of a request, or its end."""
        waiting = list(self.sends_left)
        if not waiting:
            return
        stream = self.random.choice(waiting)
        wire = self.sends_left[stream]
        cut = self.random.randrange(len(wire) + 1)
        if cut == len(wire) or cut > 16000:
            self.send_rest(peer, stream)
            return
        peer.send(data(stream, wire[:cut]))
        self.sends_left[stream] = wire[cut:]

    def cancel(self, peer):
        for stream in self.random.sample(sorted(self.open), min(len(self.open), self.random.choice([1, 1, 5]))):
            peer.send(reset(stream))
            self.resets += 1
            del self.open[stream]
            self.sends_left.pop(stream, None)
            self.ended += 1
            peer.streams.pop(stream, None)

    def open_window(self, peer):
        by = self.random.choice([1, 10, 1000, 100000])
        peer.send(window_update(0, by), *[window_update(stream, by) for stream in self.open])

    def change_window(self, peer):
        peer.send(settings({INITIAL_WINDOW_SIZE: self.random.choice([0, 10, 65535])}))

    def probe(self, peer):
        if self.random.random() < 0.1:  # few: pings have a limit of their own
            peer.send(ping(struct.pack(">Q", self.next)))

    def finish(self, peer):
        """As a client that goes in order: all that is open comes to its end."""
        for stream in list(self.open):
            if self.open[stream][0] in ("Repeat", "Chat"):
                peer.send(reset(stream))
                self.open.pop(stream)
                self.sends_left.pop(stream, None)
            else:
                self.send_rest(peer, stream)
        peer.send(settings({INITIAL_WINDOW_SIZE: 1 << 20}), window_update(0, 1 << 30))
        while self.open and not peer.goaway:
            self.take(peer, 1)

    def check(self, peer):
        if peer.goaway and peer.goaway[0] != "NO_ERROR":
            raise AssertionError(f"{peer.goaway}, after {peer.seen[-5:]}")


class Chaos(unittest.TestCase):
    def storm(self, server, seconds, tls=None):
        print(f"CHAOS_SEED={SEED}", flush=True)
        until = time.monotonic() + seconds
        return [Client(server.port, SEED + i, until, tls) for i in range(CLIENTS)]

    def join(self, clients):
        for client in clients:
            client.join()
        failures = [client.failure for client in clients if client.failure]
        if failures:
            raise failures[0]

    def survives(self, tls, channel, *options):
        server = Server("-s", "100", *options)
        try:
            clients = self.storm(server, SECONDS, tls)
            self.join(clients)
            told = [(client.connections, client.ended, client.answered) for client in clients]
            self.assertGreater(sum(answered for _, _, answered in told), 100, told)
            # Whatever was left open has been ended, and was observed.
            counts, calls = stub(channel(server), "echo.v1.EchoService/GetCounts"), type_of("echo.v1.GetCountsRequest")()
            seen = []

            def is_quiet():
                seen.append(counts(calls, timeout=60 * SLOW).ended)
                return len(seen) > 1 and seen[-1] == seen[-2] + 1  # this call's own

            wait_until(is_quiet, "the calls of those who have gone are ended")
        finally:
            server.close()

    def test_whatever_clients_do_each_is_answered_and_nothing_is_left(self):
        self.survives(None, lambda server: server.channel())

    def test_the_same_by_mutual_tls(self):
        authority = Authority()
        self.addCleanup(authority.directory.cleanup)
        for name in ("server", "client"):
            authority.issue(name, name, "DNS:localhost")
        tls = ssl.create_default_context(cafile=authority.path("ca.pem"))
        tls.set_alpn_protocols(["h2"])
        tls.load_cert_chain(authority.path("client.pem"), authority.path("client.key"))
        credentials = grpc.ssl_channel_credentials(*map(authority.read, ("ca.pem", "client.key", "client.pem")))
        self.survives(tls, lambda server: server.channel(credentials), "-c", authority.path("server.pem"), "-k",
                      authority.path("server.key"), "-m", authority.path("ca.pem"))

    def test_a_server_that_stops_meanwhile_comes_to_an_end(self):
        for grace_ms in (0, 200):
            server = Server("-s", "100")
            try:
                clients = self.storm(server, 60 * SLOW)
                deadline = time.monotonic() + SECONDS / 3
                while time.monotonic() < deadline and not any(client.failure for client in clients):
                    time.sleep(0.05)
                for client in clients:
                    client.until = 0  # from now on it may be cut
                server.order(f"stop {grace_ms}")
                self.join(clients)
            finally:
                server.close()


if __name__ == "__main__":
    import sys
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])

# SPDX-License-Identifier: Apache-2.0
"""Attacks, each a few seconds long, while an honest client calls without a pause: it is answered right and not much later than
before, and the daemon's memory stays what it was. Its latency counts only beside others of the same run, for the machine may be
busy; the factors are wide, for what they are to tell apart is milliseconds from seconds."""
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import unittest

from daemon import LEASH, auth_pb2
from frames import INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, PREFACE, Closed, Peer, call, message, settings
from frames import HEALTH_CHECK, HEALTH_WATCH
from target import resident_kb, serve

INTROSPECT = "/gatehouse.v1.AuthService/Introspect"
SECONDS = 3
GROWTH_KB = 32 * 1024
TYPICAL, SLOWEST = 20, 50  # times as long as before, or as elsewhere
LEAST = 20  # calls, however short the time was
SLICE = 0.02  # seconds: what a scheduler may give to others in one piece, below which nothing is compared
HERE = os.path.dirname(os.path.abspath(__file__))


def attacker(name, port, seconds=SECONDS):
    return subprocess.Popen([*LEASH, sys.executable, HERE + "/attackers.py", name, str(port), str(seconds)],
                            stdout=subprocess.PIPE, text=True)


class Honest(threading.Thread):
    """Introspects the whole time; its latencies, and the most memory that it saw."""

    def __init__(self, daemon, token):
        super().__init__()
        self.target, self.token = daemon, token
        self.latencies, self.most_kb = [], 0
        self.failure = None
        self.is_over = threading.Event()
        self.start()

    def run(self):
        body = message(auth_pb2.IntrospectRequest(token=self.token, api="GET /x").SerializeToString())
        stream = 1
        try:
            with Peer(self.target.grpc_port, source="127.0.0.77") as peer:
                while not self.is_over.wait(0.002) or len(self.latencies) < LEAST:
                    start = time.monotonic()
                    answer = peer.ask(stream, INTROSPECT, body, ("authorization", "Bearer " + self.token))
                    self.latencies.append(time.monotonic() - start)
                    if len(answer.messages) != 1 or not auth_pb2.IntrospectResponse.FromString(answer.messages[0]).active:
                        raise AssertionError(answer)
                    stream += 2
                    peer.forget()
                    if stream % 64 == 1:
                        self.most_kb = max(self.most_kb, resident_kb(self.target))
        except Exception as failure:  # the test tells
            self.failure = failure
        self.most_kb = max(self.most_kb, resident_kb(self.target))

    def stop(self):
        self.is_over.set()
        self.join()
        if self.failure:
            raise self.failure
        self.latencies.sort()
        return self.latencies[len(self.latencies) * 9 // 10], self.latencies[-1]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon, cls.control = (cls.enterClassContext(serve()) for _ in range(2))
        cls.tokens = cls.daemon.admin_token(), cls.control.admin_token()

    def honest(self, daemon):
        return Honest(daemon, self.tokens[daemon is self.control])

    @contextlib.contextmanager
    def harmless(self):
        """What is done meanwhile harms no other client of the daemon: not so much more than a client of another one, which is left
        in peace, feels of the busy machine."""
        client = self.honest(self.daemon)
        attacker("busy", self.daemon.grpc_port, 1).communicate(timeout=120)
        before, before_kb = client.stop(), client.most_kb
        client, control = self.honest(self.daemon), self.honest(self.control)
        try:
            yield
        finally:
            meanwhile, elsewhere = client.stop(), control.stop()
        told = f"before {before}, meanwhile {meanwhile}, elsewhere {elsewhere} s; {before_kb} KB, then {client.most_kb} KB"
        if os.environ.get("GATEHOUSE_TELL"):
            print(self.id().split(".")[-1], told, flush=True)
        typical, slowest = (max(pair + (SLICE,)) for pair in zip(before, elsewhere))
        self.assertLess(meanwhile[0], TYPICAL * typical, told)
        self.assertLess(meanwhile[1], SLOWEST * slowest, told)
        self.assertLess(client.most_kb - before_kb, GROWTH_KB, told)

    def attack(self, name):
        with self.harmless():
            outcome = json.loads(attacker(name, self.daemon.grpc_port).communicate(timeout=120)[0])
        if os.environ.get("GATEHOUSE_TELL"):
            print(name, outcome)
        return outcome

    def is_cut(self, outcome, *codes):
        self.assertGreaterEqual(outcome["cut"], 1, outcome)
        self.assertLessEqual(set(outcome["codes"]), set(codes), outcome)


class Streams(Case):
    def test_rapid_resets_are_cut(self):
        self.is_cut(self.attack("rapid_reset"), "ENHANCE_YOUR_CALM", "INTERNAL_ERROR")

    def test_resets_of_calls_without_a_message_are_cut(self):
        self.is_cut(self.attack("reset_of_headers_alone"), "ENHANCE_YOUR_CALM", "INTERNAL_ERROR")

    def test_a_peer_that_makes_the_server_reset_by_data_after_the_end_is_cut(self):
        self.is_cut(self.attack("made_to_reset_by_data_after_the_end"), "STREAM_CLOSED", "ENHANCE_YOUR_CALM")

    def test_a_peer_that_makes_the_server_reset_by_a_window_overflow_is_held(self):
        self.attack("made_to_reset_by_a_window_overflow")

    def test_a_peer_that_makes_the_server_reset_by_malformed_headers_is_held(self):
        self.attack("made_to_reset_by_a_malformed_header")

    def test_a_peer_that_takes_no_answers_is_held(self):
        self.attack("unread_calls")

    def test_calls_before_the_settings_are_acknowledged_are_limited_too(self):
        with self.harmless():
            peer = self.enterContext(Peer(self.daemon.grpc_port, hello=PREFACE + settings(), handshake=False, acknowledge=False))
            streams = range(1, 3001, 2)
            peer.send(*[call(stream, HEALTH_WATCH, message()) for stream in streams])
            peer.until(lambda: peer.settings)
            limit = peer.settings[MAX_CONCURRENT_STREAMS]
            with contextlib.suppress(Closed):
                peer.until(lambda: sum(map(peer.is_over, streams)) == len(streams) - limit)
            begun = [stream for stream in streams if "headers" in dict(peer.streams[stream])]
            self.assertLessEqual(len(begun), limit)
            refused = {value for stream in streams for kind, value in peer.streams[stream] if kind == "reset"}
            self.assertLessEqual(refused, {"REFUSED_STREAM"})


class HeaderBlocks(Case):
    def test_a_flood_of_continuations_is_cut(self):
        self.is_cut(self.attack("continuation_flood"), "ENHANCE_YOUR_CALM", "INTERNAL_ERROR", "PROTOCOL_ERROR", "COMPRESSION_ERROR")

    def test_a_flood_of_empty_continuations_is_cut(self):
        self.is_cut(self.attack("empty_continuation_flood"), "ENHANCE_YOUR_CALM", "INTERNAL_ERROR", "PROTOCOL_ERROR")

    def test_a_string_of_8_mib_is_cut(self):
        self.is_cut(self.attack("long_string"), "ENHANCE_YOUR_CALM", "INTERNAL_ERROR", "PROTOCOL_ERROR", "COMPRESSION_ERROR")

    def test_an_hpack_bomb_is_cut(self):
        self.is_cut(self.attack("hpack_bomb"), "ENHANCE_YOUR_CALM", "COMPRESSION_ERROR")


class Floods(Case):
    def test_a_flood_of_pings_is_cut(self):
        self.is_cut(self.attack("ping_flood"), "ENHANCE_YOUR_CALM")

    def test_a_flood_of_pings_whose_answers_are_not_read_is_held(self):
        self.attack("ping_flood_unread")

    def test_a_flood_of_settings_is_cut(self):
        self.is_cut(self.attack("settings_flood"), "ENHANCE_YOUR_CALM")

    def test_a_flood_of_settings_whose_answers_are_not_read_is_held(self):
        self.attack("settings_flood_unread")

    def test_a_flood_of_empty_data_is_held(self):
        self.attack("empty_data_flood")

    def test_a_flood_of_data_of_a_call_that_is_over_is_held(self):
        self.attack("data_of_a_call_that_is_over")

    def test_a_flood_of_priorities_is_held(self):
        self.attack("priority_flood")


class Slow(Case):
    def wait_closed(self, *peers):
        for peer in peers:
            peer.close_code()

    def test_a_connection_that_never_says_settings_is_closed(self):
        with self.harmless():
            peers = [self.enterContext(Peer(self.daemon.grpc_port, hello=hello, handshake=False, acknowledge=False))
                     for hello in (b"", PREFACE[:10], PREFACE, PREFACE + settings()[:5]) for _ in range(10)]
            self.wait_closed(*peers)

    def test_a_connection_that_says_a_byte_now_and_then_is_closed(self):
        with self.harmless():
            peers = [self.enterContext(Peer(self.daemon.grpc_port, hello=b"", handshake=False, acknowledge=False))
                     for _ in range(10)]
            for byte in PREFACE + settings():
                for peer in peers:
                    peer.send(bytes([byte]))
                time.sleep(0.5)
            self.wait_closed(*peers)

    def test_answers_whose_window_stays_closed_cost_little(self):
        with self.harmless():
            for _ in range(20):
                peer = self.enterContext(Peer(self.daemon.grpc_port, {INITIAL_WINDOW_SIZE: 0}))
                limit = min(peer.settings[MAX_CONCURRENT_STREAMS], 100)
                peer.send(*[call(stream, HEALTH_CHECK, message()) for stream in range(1, 2 * limit, 2)])
                peer.sync()


class Descriptors(unittest.TestCase):
    def test_out_of_descriptors_old_clients_are_served_and_new_ones_when_there_is_room(self):
        with contextlib.ExitStack() as stack:
            daemon = stack.enter_context(serve(prefix=("prlimit", "--nofile=128:128", "--")))
            old = stack.enter_context(Peer(daemon.grpc_port))
            with contextlib.ExitStack() as crowd:
                peers = [crowd.enter_context(Peer(daemon.grpc_port, handshake=False)) for _ in range(200)]
                for stream in range(1, 401, 2):
                    self.assertEqual(old.ask(stream).messages, [b"\x08\x01"])
                served = 0
                for peer in peers[:50]:  # those came first
                    self.assertEqual(peer.ask(1).messages, [b"\x08\x01"])
                    served += 1
            with Peer(daemon.grpc_port) as late:
                self.assertEqual(late.ask(1).messages, [b"\x08\x01"])
            self.assertIsNone(daemon.process.poll())


class Connections(Case):
    def test_connections_from_one_address_are_limited_and_others_get_in(self):
        with self.harmless():
            peers = []
            for _ in range(3000):
                try:
                    peers.append(self.enterContext(Peer(self.daemon.grpc_port, handshake=False)))
                except ConnectionError:
                    break
            refused = 0
            for peer in peers[::-1]:
                try:
                    peer.until(lambda: peer.settings)
                    break
                except Closed:
                    refused += 1
            self.assertGreaterEqual(refused, 1)
            with Peer(self.daemon.grpc_port, source="127.0.0.78") as other:
                self.assertEqual(other.ask(1).messages, [b"\x08\x01"])


if __name__ == "__main__":
    unittest.main()

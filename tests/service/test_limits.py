# SPDX-License-Identifier: Apache-2.0
"""Each limit of the gRPC port, set low: what the peer is told, that it is counted and logged, and that others go on. Only the
transport on libnghttp2 has them all."""
import re
import select
import socket
import struct
import time
import unittest
import urllib.request

import grpc
from daemon import DEADLINE, Daemon, auth_pb2, error_of

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
ACK, END_STREAM, END_HEADERS = 1, 1, 4
SETTINGS_TIMEOUT, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 4, 7, 8, 11
INITIAL_WINDOW_SIZE = 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CHECK = "/grpc.health.v1.Health/Check"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", INITIAL_WINDOW_SIZE, value) for value in values.values()))


def literal(name, value):
    """Without an index and without Huffman's code; a length below 127, or one that takes more bytes."""
    def text(part):
        if len(part) < 127:
            return bytes([len(part)]) + part
        rest, size = len(part) - 127, b"\x7f"
        while rest >= 128:
            rest, size = rest // 128, size + bytes([128 | rest % 128])
        return size + bytes([rest]) + part
    return b"\0" + text(name.encode()) + text(value.encode())


def call(stream, body=b"\0\0\0\0\0", end=True, more=()):
    fields = [(":method", "POST"), (":scheme", "http"), (":path", CHECK), (":authority", "x"), ("content-type", "application/grpc"), *more]
    return (frame(HEADERS, END_HEADERS, stream, b"".join(literal(*field) for field in fields)) +
            frame(DATA, END_STREAM if end else 0, stream, body))


class Peer:
    def __init__(self, daemon, hello=PREFACE + settings()):
        self.socket = socket.create_connection(("127.0.0.1", daemon.grpc_port), DEADLINE)
        self.buffer = b""
        self.send(hello)

    def send(self, *parts):
        try:
            self.socket.sendall(b"".join(parts))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self, count):
        while len(self.buffer) < count:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                raise EOFError
            self.buffer += more
        result, self.buffer = self.buffer[:count], self.buffer[count:]
        return result

    def next(self):
        head = self.receive(9)
        return *struct.unpack(">BBI", head[3:]), self.receive(int.from_bytes(head[:3], "big"))

    def wait(self, wanted, stream=None):
        """The next frame of this kind: (flags, payload)."""
        while True:
            kind, flags, found, payload = self.next()
            if kind == wanted and stream in (None, found):
                return flags, payload

    def goaway(self):
        """(code, what it says); afterwards the connection is closed."""
        _, payload = self.wait(GOAWAY)
        try:
            self.wait(-1)
        except EOFError:
            pass
        return struct.unpack(">I", payload[4:8])[0], payload[8:].decode()

    def reset(self, stream):
        return struct.unpack(">I", self.wait(RST_STREAM, stream)[1])[0]

    def resets(self):
        """The codes of those among the frames that have come; waits until one has come."""
        codes = []
        while self.buffer or not codes:
            kind, _, _, payload = self.next()
            codes.append(struct.unpack(">I", payload)[0] if kind == RST_STREAM else None)
        return codes

    def fileno(self):
        return self.socket.fileno()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Limits(unittest.TestCase):
    def serve(self, **limits):
        changed = {"grpc_" + key: value for key, value in limits.items()}
        self.daemon = self.enterContext(Daemon({"http_address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", **changed}))
        return self.daemon

    def peer(self, *more):
        return self.enterContext(Peer(self.daemon, *more))

    def tearDown(self):
        """Whatever was met: it is counted, it is in the log, and others are served."""
        self.daemon.admin_token()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=DEADLINE) as answer:
            text = answer.read().decode()
        counted = re.findall(r'^gatehouse_grpc_limited_total\{limit="(\w+)"\} ([1-9]\d*)$', text, re.M)
        logged = re.findall(r"event=grpc_limit limit=(\w+) peer=127\.0\.0\.1", self.daemon.log_text())
        self.assertEqual([name for name, _ in counted], [self.limit], text)
        self.assertEqual(set(logged), {self.limit})  # one line in ten seconds: h2/test_limits.py

    def test_who_does_not_speak_http_2_has_so_long(self):
        self.serve(settings_timeout_ms=1000)
        self.limit = "settings"
        silent, half = self.peer(b""), self.peer(PREFACE)
        self.assertEqual(silent.goaway(), (SETTINGS_TIMEOUT, "no SETTINGS came"))
        self.assertEqual(half.goaway()[0], SETTINGS_TIMEOUT)

    def test_an_answer_waits_so_long_for_its_window(self):
        self.serve(answer_timeout_ms=300)
        self.limit = "answer"
        peer = self.peer(PREFACE + settings(window=0))
        peer.send(call(1))
        self.assertEqual(peer.reset(1), CANCEL)

    def test_a_request_that_does_not_go_on_is_ended(self):
        self.serve(progress_timeout_ms=1000)
        self.limit = "progress"
        peer = self.peer()
        peer.send(call(1, b"\0\0\0\0\5ab", end=False))
        flags, _ = peer.wait(HEADERS, 1)
        self.assertTrue(flags & END_STREAM)

    def test_headers_that_do_not_end_end_the_connection(self):
        self.serve(progress_timeout_ms=1000)
        self.limit = "progress"
        peer = self.peer()
        peer.send(frame(HEADERS, 0, 1, literal(":method", "POST")))
        self.assertEqual(peer.goaway(), (ENHANCE_YOUR_CALM, "headers that do not end"))

    def test_connections_are_so_many(self):
        self.serve(max_connections=2)
        self.daemon.channel.close()
        self.limit = "connections"
        with Peer(self.daemon) as first, Peer(self.daemon) as second:
            for peer in (first, second):
                peer.send(call(1))
                peer.wait(DATA, 1)
            self.assertRaises(EOFError, self.peer().wait, -1)
        self.daemon.channel = self.daemon.open_channel()  # there is room again
        self.daemon.auth = type(self.daemon.auth)(self.daemon.channel)

    def test_resets_are_so_many_a_second(self):
        self.serve(max_resets_per_second=1)
        self.limit = "resets"
        peer = self.peer()
        for stream in range(1, 21, 2):
            peer.send(call(stream, end=False), frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))
        self.assertEqual(peer.goaway(), (ENHANCE_YOUR_CALM, "too many resets"))

    def test_pings_are_so_many_a_second(self):
        self.serve(max_pings_per_second=1)
        self.limit = "pings"
        peer = self.peer()
        peer.send(frame(PING, payload=bytes(8)) * 10)
        self.assertEqual(peer.goaway(), (ENHANCE_YOUR_CALM, "too_many_pings"))

    def test_a_message_is_so_large(self):
        self.serve(max_message_bytes=1024)
        self.limit = "message"
        error = error_of(lambda: self.daemon.auth.Introspect(auth_pb2.IntrospectRequest(token="x" * 2000), timeout=DEADLINE))
        self.assertEqual(error[:2], ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"))

    def test_metadata_is_so_large(self):
        self.serve(max_header_bytes=1024)
        self.limit = "headers"
        peer = self.peer()
        peer.send(call(1, more=[("x", "y" * 2000)]))
        flags, _ = peer.wait(HEADERS, 1)
        self.assertTrue(flags & END_STREAM)

    def test_what_waits_of_a_connection_is_so_much(self):
        self.serve(max_connection_bytes=65536, progress_timeout_ms=600_000)
        self.limit = "memory"
        peer = self.peer()
        for stream in range(1, 41, 2):
            peer.send(call(stream, struct.pack(">BI", 0, 100_000) + bytes(10_000), end=False))
        while REFUSED_STREAM not in peer.resets():
            pass

    def test_what_waits_of_all_connections_is_so_much(self):
        self.serve(max_memory_bytes=1 << 20, progress_timeout_ms=600_000)
        self.limit = "memory"
        peers = [self.peer() for _ in range(20)]
        for peer in peers:
            for stream in range(1, 21, 2):
                peer.send(call(stream, struct.pack(">BI", 0, 100_000) + bytes(14_000), end=False))
        codes = []
        while REFUSED_STREAM not in codes:  # whose it is depends on which of them the server read last
            ready = select.select(peers, [], [], DEADLINE)[0]
            self.assertTrue(ready, "nobody is refused")
            codes = [code for peer in ready for code in peer.resets()]
        for peer in peers:
            peer.socket.close()
        end = time.monotonic() + DEADLINE
        while True:  # what they held is given back
            try:
                self.daemon.admin_token()
                return
            except grpc.RpcError:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)


if __name__ == "__main__":
    unittest.main()

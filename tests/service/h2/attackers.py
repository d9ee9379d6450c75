# SPDX-License-Identifier: Apache-2.0
"""Attackers, each in a process of its own: attackers.py NAME PORT SECONDS. Prints what became of it, as JSON: how many connections
it made, how many of them the server has cut and with which codes. All of it against the loopback and bounded in time."""
import json
import select
import socket
import sys
import time

import frames
from frames import (CONTINUATION, HEADERS, HEALTH_CHECK, HEALTH_WATCH, PREFACE, block, call, data, frame, headers, integer, literal,
                    message, ping, request, reset, settings, window_update)

MOST = 2**31 - 1
BATCH = 100
CONNECTIONS = 50  # an attacker that is cut comes again, but not for ever


class Line:
    """A connection that sends as fast as it can. is_reading: takes what comes, else leaves it where it is."""

    def __init__(self, port, is_reading=True):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setblocking(False)
        self.is_reading = is_reading
        self.received = b""
        self.code = None
        self.is_cut = False

    def take(self):
        try:
            for _ in range(64):  # there may be no end of it
                more = self.socket.recv(65536)
                self.received += more
                self.is_cut = not more
        except BlockingIOError:
            pass
        except ConnectionError:
            self.is_cut = True
        while len(self.received) >= 9:
            size = 9 + int.from_bytes(self.received[:3], "big")
            if len(self.received) < size:
                break
            if self.received[3] == frames.GOAWAY:
                self.code = frames.CODES[int.from_bytes(self.received[13:17], "big")]
            self.received = self.received[size:]

    def send(self, payload, until):
        view = memoryview(payload)
        while view and not self.is_cut and time.monotonic() < until:
            readable, writable, _ = select.select([self.socket] if self.is_reading else [], [self.socket], [], 0.05)
            if readable:
                self.take()
            if writable and not self.is_cut:
                try:
                    view = view[self.socket.send(view):]
                except ConnectionError:
                    self.is_cut = True

    def close(self):
        self.take()
        self.socket.close()


def storm(port, until, batches, is_reading=True):
    """batches: gives for a connection what to send, piece by piece, without end or until it has said all."""
    result = {"connections": 0, "cut": 0, "codes": []}
    while time.monotonic() < until and result["connections"] < CONNECTIONS:
        try:
            line = Line(port, is_reading)
        except OSError:  # not taken any more
            time.sleep(0.05)
            continue
        result["connections"] += 1
        line.send(PREFACE + settings() + settings(flags=frames.ACK), until)
        for payload in batches():
            line.send(payload, until)
            if line.is_cut or time.monotonic() >= until:
                break
        else:
            while not line.is_cut and time.monotonic() < until:
                select.select([line.socket], [], [], 0.05)
                line.take()
        line.close()
        result["cut"] += line.is_cut
        result["codes"] += [line.code] if line.code and line.code not in result["codes"] else []
    return result


def of_streams(one):
    """one(stream): the frames of it."""
    def batches():
        for first in range(1, MOST, 2 * BATCH):
            yield b"".join(one(stream) for stream in range(first, first + 2 * BATCH, 2))
    return batches


def endless(payload):
    def batches():
        while True:
            yield payload
    return batches


def continuation_flood():
    yield frame(HEADERS, 0, 1, block(request(HEALTH_CHECK)))
    while True:
        yield frame(CONTINUATION, 0, 1, literal("x", "y" * 16000)) * 4


def long_string():
    """One value of 8 MiB."""
    yield frame(HEADERS, 0, 1, block(request(HEALTH_CHECK)) + b"\0\x01x" + integer(8 << 20, 7))
    for _ in range(8 << 20 >> 14):
        yield frame(CONTINUATION, 0, 1, b"y" * 16384)
    yield frame(CONTINUATION, frames.END_HEADERS, 1)


def hpack_bomb():
    """4 KB in the dynamic table, named 16,000 times by a byte each."""
    yield headers(1, block(request(HEALTH_CHECK)) + literal("x", "y" * 4000, 0x40), end=True)
    for stream in range(3, 603, 2):
        yield headers(stream, b"\xbe" * 16000, end=True)


WATCH = block(request(HEALTH_WATCH))


def watch(stream):
    return headers(stream, WATCH) + data(stream, message(), end=True)


ATTACKS = {
    "rapid_reset": lambda *where: storm(*where, of_streams(lambda stream: watch(stream) + reset(stream))),
    "reset_of_headers_alone": lambda *where: storm(*where, of_streams(lambda stream: headers(stream, WATCH) + reset(stream))),
    "made_to_reset_by_data_after_the_end": lambda *where: storm(*where, of_streams(lambda stream: watch(stream) + data(stream, b"x"))),
    "made_to_reset_by_a_window_overflow": lambda *where: storm(
        *where, of_streams(lambda stream: watch(stream) + window_update(stream, MOST))),
    "made_to_reset_by_a_malformed_header": lambda *where: storm(
        *where, of_streams(lambda stream: headers(stream, request(HEALTH_CHECK, ("X", "y")), end=True))),
    "continuation_flood": lambda *where: storm(*where, continuation_flood),
    "empty_continuation_flood": lambda *where: storm(*where, lambda: iter(
        [frame(HEADERS, 0, 1, WATCH)] + [frame(CONTINUATION, 0, 1) * 1000] * 1000)),
    "long_string": lambda *where: storm(*where, long_string),
    "ping_flood": lambda *where: storm(*where, endless(ping() * 1000)),
    "ping_flood_unread": lambda *where: storm(*where, endless(ping() * 1000), is_reading=False),
    "settings_flood": lambda *where: storm(*where, endless(settings({4: 65535}) * 1000)),
    "settings_flood_unread": lambda *where: storm(*where, endless(settings({4: 65535}) * 1000), is_reading=False),
    "empty_data_flood": lambda *where: storm(*where, lambda: iter([headers(1, request(HEALTH_CHECK))] + [data(1) * 1000] * 100000)),
    "data_of_a_call_that_is_over": lambda *where: storm(*where, lambda: iter(
        [call(1, HEALTH_CHECK, message()), headers(3, request("/no.Such/Method"))] + [data(3, b"x" * 16384) * 4] * 100000)),
    "priority_flood": lambda *where: storm(*where, endless(b"".join(
        frame(frames.PRIORITY, 0, stream, b"\0\0\0\0\x0f") for stream in range(1, 2001, 2)))),
    "hpack_bomb": lambda *where: storm(*where, hpack_bomb),
    "unread_calls": lambda *where: storm(*where, of_streams(lambda stream: call(stream, HEALTH_CHECK, message())), is_reading=False),
}


def busy(until):
    """No attack: only a process that makes as many frames."""
    while time.monotonic() < until:
        b"".join(watch(stream) + reset(stream) for stream in range(1, 201, 2))
    return {}


if __name__ == "__main__":
    name, port, seconds = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    print(json.dumps(busy(end) if name == "busy" else ATTACKS[name](int(port), end)))

# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand: frames as bytes, and a connection that sends any of them, also those that no library would.

    peer = Peer(port)                                   # preface and SETTINGS are exchanged
    peer.send(call(1, HEALTH_CHECK, message(b"")))      # a whole call
    peer.answer(1).status                               # grpc-status
"""
import collections
import select
import socket
import ssl
import struct
import time

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
CODES = ("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
         "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
         "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65535  # of a connection, and of a stream until SETTINGS say another
HEALTH_CHECK, HEALTH_WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
TIMEOUT = 60

Frame = collections.namedtuple("Frame", "type flags stream payload")
Answer = collections.namedtuple("Answer", "headers messages trailers reset")


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(values=(), flags=0):
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", key, value) for key, value in dict(values).items()))


def ping(payload=b"\0" * 8, flags=0):
    return frame(PING, flags, 0, payload)


def reset(stream, code="CANCEL"):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", CODES.index(code)))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def data(stream, payload=b"", end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def integer(value, bits, first=0):
    """HPACK's, with a prefix of so many bits."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    result, value = bytes([first | limit]), value - limit
    while value >= 128:
        result, value = result + bytes([128 | value % 128]), value // 128
    return result + bytes([value])


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return integer(len(value), 7) + value


def literal(name, value, first=0x00):
    """A header that enters no table; first=0x40: that enters it."""
    return bytes([first]) + text(name) + text(value)


def block(fields):
    return b"".join(literal(*field) for field in fields)


def request(path, *more, without=(), **other):
    """The headers of a gRPC call. without: names to be left out. other: another value, te="gzip"."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "localhost"),
              ("content-type", "application/grpc"), ("te", "trailers")]
    other = {name.replace("_", "-"): value for name, value in other.items()}
    for name in ("method", "scheme", "path", "authority"):
        if name in other:
            other[":" + name] = other.pop(name)
    return [(name, other.get(name, value)) for name, value in fields if name not in without] + list(more)


def headers(stream, fields, end=False, flags=END_HEADERS):
    """fields: a list of pairs, or a header block as bytes."""
    payload = fields if isinstance(fields, bytes) else block(fields)
    return frame(HEADERS, flags | (END_STREAM if end else 0), stream, payload)


def message(payload=b"", flag=0, length=None):
    """Framed as gRPC does it. length: what is announced, if not the truth."""
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


def call(stream, path, body=b"", *more, **other):
    """A call whose client has said all: body is one framed message, or more."""
    return headers(stream, request(path, *more, **other)) + data(stream, body, end=True)


def messages(body):
    found = []
    while body:
        length = struct.unpack(">I", body[1:5])[0]
        assert len(body) >= 5 + length, body
        found.append(body[5:5 + length])
        body = body[5 + length:]
    return found


class Closed(Exception):
    """The server has closed the connection. code: of its GOAWAY, or None where there was none."""

    def __init__(self, code, text=""):
        super().__init__(f"{code} {text}")
        self.code = code


class Peer:
    """first: the client's SETTINGS. hello: what is sent at first instead. handshake: wait for the server's SETTINGS and its ACK.
    acknowledge: the server's SETTINGS are. source: the address that it comes from. tls: an ssl.SSLContext."""

    def __init__(self, port, first=(), hello=None, handshake=True, acknowledge=True, source="127.0.0.1", tls=None):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.acknowledge = acknowledge
        self.socket.settimeout(TIMEOUT)
        self.buffer = b""
        self.decoder = hpack.Decoder()
        self.block = b""
        self.seen = []  # every frame, in order
        self.streams = collections.defaultdict(list)
        self.settings = {}
        self.acks = self.pongs = 0
        self.goaway = None
        self.send(PREFACE + settings(first) if hello is None else hello)
        if handshake:
            while not self.settings or not self.acks:
                self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *parts):
        """What the other side does with it, reading tells."""
        try:
            self.socket.sendall(b"".join(parts))
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            pass

    def receive(self, count):
        while len(self.buffer) < count:
            try:
                more = self.socket.recv(65536)
            except (ConnectionResetError, ssl.SSLEOFError):
                more = b""
            if not more:
                raise Closed(*(self.goaway or (None,)))
            self.buffer += more
        result, self.buffer = self.buffer[:count], self.buffer[count:]
        return result

    def has_input(self, wait):
        """Is there something to read, or will there be in so many seconds?"""
        pending = self.socket.pending() if isinstance(self.socket, ssl.SSLSocket) else 0
        return bool(self.buffer or pending or select.select([self.socket], [], [], wait)[0])

    def read(self):
        """The next frame; notes what it says. Closed: there is none."""
        head = self.receive(9)
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        found = Frame(kind, flags, stream, self.receive(int.from_bytes(head[:3], "big")))
        self.seen.append(found)
        if kind == SETTINGS and flags & ACK:
            self.acks += 1
        elif kind == SETTINGS:
            for at in range(0, len(found.payload), 6):
                key, value = struct.unpack(">HI", found.payload[at:at + 6])
                self.settings[key] = value
            if self.acknowledge:
                self.send(settings(flags=ACK))
        elif kind == PING:
            self.pongs += flags & ACK
            if not flags & ACK:
                self.send(ping(found.payload, ACK))
        elif kind == GOAWAY:
            code = struct.unpack(">I", found.payload[4:8])[0]
            self.goaway = (CODES[code], found.payload[8:].decode(errors="replace"))
        elif kind in (HEADERS, CONTINUATION):
            self.block += found.payload
            if flags & END_HEADERS:
                fields = self.decoder.decode(self.block)
                self.streams[stream].append(("headers", [(str(name), str(value)) for name, value in fields]))
                self.block = b""
        elif kind == DATA:
            self.streams[stream].append(("data", found.payload))
        elif kind == RST_STREAM:
            self.streams[stream].append(("reset", CODES[struct.unpack(">I", found.payload)[0]]))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self.streams[stream].append(("end", None))
        return found

    def until(self, condition):
        """Reads until it holds; its value."""
        end = time.monotonic() + TIMEOUT
        while not (result := condition()):
            if time.monotonic() > end:
                raise AssertionError(f"it did not happen; there came {self.seen[-20:]}")
            self.read()
        return result

    def is_over(self, stream):
        return any(kind in ("end", "reset") for kind, _ in self.streams[stream])

    def answer(self, stream):
        """Waits for the end of a call. Gives the receive windows back."""
        self.until(lambda: self.is_over(stream))
        parts = self.streams[stream]
        body = b"".join(value for kind, value in parts if kind == "data")
        if body:
            self.send(window_update(0, len(body)))
        blocks = [dict(value) for kind, value in parts if kind == "headers"]
        return Answer(blocks[0] if blocks else {}, messages(body), blocks[-1] if blocks else {},
                      next((value for kind, value in parts if kind == "reset"), None))

    def ask(self, stream, path=HEALTH_CHECK, body=message(), *more, **other):
        self.send(call(stream, path, body, *more, **other))
        return self.answer(stream)

    def sync(self):
        """The server has read all that was sent before. It may answer a PING before other things that it has to say."""
        before = self.pongs
        self.send(ping())
        self.until(lambda: self.pongs > before)

    def forget(self):
        """What was noted of calls that are over: for a client that makes very many."""
        self.seen.clear()
        self.streams.clear()

    def close_code(self):
        """Reads until the server has closed; the code of its GOAWAY."""
        try:
            while True:
                self.read()
        except Closed as closed:
            return closed.code

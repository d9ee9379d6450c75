# SPDX-License-Identifier: Apache-2.0
"""Those who hold a server up, or try to: slow.py HOST HTTP_PORT GRPC_PORT HALF_OPEN

A hundred connections that trickle, over TLS, a byte every tenth of a second: heads and bodies, of HTTP/1.1 and of gRPC.
A thousand more a second that begin a TLS ClientHello and never finish it, until there are HALF_OPEN on each port, and
then in place of those that the server closes. And two thousand on each port that never see the server's SYN-ACK:
half-open to the kernel. They come from many addresses, as from many machines. Says "ready" when each has been opened
once; ends with its input.
"""
import collections
import ctypes
import os
import resource
import selectors
import socket
import ssl
import struct
import sys
import time

HOST, HTTP_PORT, GRPC_PORT, HALF_OPEN = sys.argv[1], *map(int, sys.argv[2:])
TRICKLING, TICK, ADDRESSES, AGAIN, DEAF = 100, 0.1, 40, 0.001, 2000
SO_ATTACH_FILTER = 26

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["h2"])


def half_a_hello():
    sent = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), sent).do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = sent.read()
    return hello[:len(hello) // 2]


def frame(kind, flags, stream, length):
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")


def header(name, value):
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


PATH = b"/gatehouse.v1.AuthService/Introspect"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, 0)
CALL = (header(b":method", b"POST") + header(b":scheme", b"https") + header(b":path", PATH)
        + header(b"content-type", b"application/grpc") + header(b"te", b"trailers"))
FORM = b"POST /OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
# What is sent at once, and to which port; the rest trickles.
KINDS = ((HTTP_PORT, b""),
         (HTTP_PORT, FORM + b"Content-Length: 9000\r\n\r\n"),
         (GRPC_PORT, PREFACE + frame(1, 4, 1, 9000)),
         (GRPC_PORT, PREFACE + frame(1, 4, 1, len(CALL)) + CALL + frame(0, 0, 1, 9000)))
TRICKLE = FORM + b"X: " + b"x" * 9000


def source(number):
    return (f"127.0.1.{1 + number % ADDRESSES}" if HOST.startswith("127.") else "", 0)


class Trickler:
    def __init__(self, number):
        self.number, self.socket = number, None
        self.next = time.monotonic() + TICK * number / TRICKLING

    def open(self):
        port, at_once = KINDS[self.number % len(KINDS)]
        plain = socket.create_connection((HOST, port), 5, source(self.number))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.sent = context.wrap_socket(plain), 0
        self.socket.sendall(at_once)

    def step(self):
        try:
            if self.socket is None:
                self.open()
            self.socket.sendall(TRICKLE[self.sent:self.sent + 1])
            self.sent += 1
        except OSError:  # the server has had enough of it
            self.close()
        self.next = max(self.next + TICK, time.monotonic())

    def close(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None


class HalfOpen:
    def __init__(self, selector, number):
        self.selector, self.port = selector, (HTTP_PORT, GRPC_PORT)[number % 2]
        self.from_where = source(number)

    def open(self):
        self.socket = socket.create_connection((HOST, self.port), 5, self.from_where)
        self.socket.sendall(HELLO)
        self.socket.setblocking(False)
        self.selector.register(self.socket, selectors.EVENT_READ, self.read)

    def read(self):
        try:
            if self.socket.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.selector.unregister(self.socket)
        self.socket.close()
        closed.append(self)


# A packet filter of one instruction, which lets nothing through.
nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
LET_NOTHING_IN = struct.pack("HL", 1, ctypes.addressof(nothing))


def deaf(number):
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, LET_NOTHING_IN)
    one.setblocking(False)
    one.bind(source(number))
    one.connect_ex((HOST, (HTTP_PORT, GRPC_PORT)[number % 2]))
    return one


def main():
    # Those who are measured come first on this core.
    is_root = os.sched_getscheduler(0) == os.SCHED_RR
    os.sched_setscheduler(0, os.SCHED_OTHER if is_root else os.SCHED_IDLE, os.sched_param(0))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * (HALF_OPEN + DEAF) + 1000, most))
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ, sys.exit)
    tricklers = [Trickler(number) for number in range(TRICKLING)]
    for trickler in tricklers:
        trickler.step()
    closed.extend(HalfOpen(selector, number) for number in range(2 * HALF_OPEN))
    kept = [deaf(number) for number in range(2 * DEAF)]  # noqa: F841
    opened, due = 0, time.monotonic()
    while True:
        while closed and time.monotonic() >= due:
            closed.popleft().open()
            due = max(due + AGAIN, time.monotonic() - 10 * AGAIN)
            opened += 1
            if opened == 2 * HALF_OPEN:
                print("ready", flush=True)
        for trickler in tricklers:
            if time.monotonic() >= trickler.next:
                trickler.step()
        for key, _ in selector.select(AGAIN):
            key.data()


closed = collections.deque()
HELLO = half_a_hello()
main()

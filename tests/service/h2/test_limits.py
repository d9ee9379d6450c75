# SPDX-License-Identifier: Apache-2.0
"""The limits of the gRPC port, where more than one connection or more than one call has to do with them."""
import contextlib
import datetime
import glob
import itertools
import os
import re
import socket
import threading
import time
import unittest

import grpc
from daemon import DEADLINE
from frames import (HEALTH_CHECK, HEALTH_WATCH, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, REFLECTION, TIMEOUT, WINDOW, Closed, Peer,
                    call, data, headers, message, request, window_update)
from target import serve, serve_tls

SERVING = [b"\x08\x01"]
LIST_SERVICES = b"\x3a\x01*"


def all_sleep(pid):
    """Do all its threads, at this moment?"""
    states = set()
    for path in glob.glob(f"/proc/{pid}/task/*/stat"):
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            states.add(file.read().rpartition(")")[2].split()[0])
    return states == {"S"}


class Case(unittest.TestCase):
    def serve(self, **settings):
        self.daemon = self.enterContext(serve(settings))

    def serve_tls(self, **settings):
        self.daemon, self.tls = serve_tls(settings)
        self.enterContext(self.daemon)

    def peer(self, first=(), **more):
        return self.enterContext(Peer(self.daemon.grpc_port, first, **more))

    def serves(self, peer, stream=1):
        self.assertEqual(peer.ask(stream).messages, SERVING)

    def told(self, limit):
        """In the log, which says it once in ten seconds, for a burst that a slow machine may draw out."""
        text = self.daemon.log_text()
        times = re.findall(rf"(?m)^time=(\S+)Z .*event=grpc_limit limit={limit} peer=127\.0\.0\.1 ", text)
        self.assertTrue(times, text[-3000:])
        for first, second in itertools.pairwise(map(datetime.datetime.fromisoformat, times)):
            self.assertGreater((second - first).total_seconds(), 5, text[-3000:])


class Time(Case):
    def test_a_handshake_that_takes_too_long_is_closed(self):
        self.serve_tls(grpc_handshake_timeout_ms=1000)
        peers = []
        for first in (b"", b"\x16\x03\x01\x02\x00\x01"):
            peers.append(self.enterContext(socket.create_connection(("127.0.0.1", self.daemon.grpc_port), TIMEOUT)))
            peers[-1].sendall(first)
        for plain in peers:
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(4096):
                    pass
        self.told("handshake")

    def test_while_the_rest_of_a_tls_record_does_not_come_the_server_sleeps(self):
        self.serve_tls(grpc_threads=1)
        peer = self.peer(tls=self.tls)
        with socket.socket(fileno=os.dup(peer.socket.fileno())) as below:
            for part in (b"\x17\x03\x03\x00\x40", b"part"):
                below.sendall(part)
                self.serves(self.peer(tls=self.tls))  # by then it has read the part
                end = time.monotonic() + TIMEOUT
                looks = 10
                while looks > 0:
                    looks -= all_sleep(self.daemon.process.pid)
                    self.assertLess(time.monotonic(), end)

    def test_an_answer_that_waits_for_the_connections_window_is_given_up(self):
        self.serve(grpc_answer_timeout_ms=1000)
        peer = self.peer()
        streams = range(1, 401, 2)  # 65,535 bytes are less than their answers
        peer.send(*[call(stream, REFLECTION, message(LIST_SERVICES) * 4) for stream in streams])
        with contextlib.suppress(Closed):
            while not any(kind == "reset" for parts in list(peer.streams.values()) for kind, _ in parts):
                peer.read()
        self.told("answer")
        self.serves(self.peer())

    def test_a_client_that_takes_nothing_is_closed(self):
        """Its windows are wide open, its socket is full: 2,000 small requests have answers of 50 KB each."""
        self.serve(grpc_progress_timeout_ms=1000)
        other = self.peer()
        peer = self.peer({INITIAL_WINDOW_SIZE: 2**31 - 1})
        peer.send(window_update(0, 2**31 - 1 - WINDOW))
        symbol = b"\x22\x1cgatehouse.v1.CredentialAdmin"
        peer.send(*[headers(stream, request(REFLECTION)) + data(stream, message(symbol) * 20) for stream in range(1, 201, 2)])
        end = time.monotonic() + TIMEOUT
        asked = 1
        while "limit=progress" not in self.daemon.log_text():
            self.assertLess(time.monotonic(), end)
            self.serves(other, asked)
            asked += 2
        peer.close_code()
        self.told("progress")
        self.serves(other, asked)

    def test_a_request_that_does_not_go_on_is_given_up_and_its_neighbours_are_not(self):
        self.serve(grpc_progress_timeout_ms=1000)
        peer = self.peer()
        peer.send(call(1, HEALTH_WATCH, message()))
        peer.send(headers(3, request(HEALTH_CHECK)), data(3, message()[:2]))
        answer = peer.answer(3)
        self.assertNotEqual(answer.trailers.get("grpc-status"), "0", answer)
        self.assertFalse(peer.is_over(1))
        self.serves(peer, 5)


class Count(Case):
    def refused(self, peer):
        try:
            peer.until(lambda: peer.settings)
        except Closed:
            return True
        return False

    def test_one_address_has_so_many_connections_and_another_its_own(self):
        self.serve(grpc_max_connections_per_address=10)
        peers = [self.peer() for _ in range(10)]
        for _ in range(20):
            self.assertTrue(self.refused(self.peer(handshake=False)))
        self.serves(self.peer(source="127.0.0.2"))
        for peer in peers:
            self.serves(peer)
        self.told("connections_of_an_address")
        peers[0].socket.close()
        while True:  # as soon as the server has seen that one go
            peer = self.peer(handshake=False)
            if not self.refused(peer):
                break
        self.serves(peer)

    def test_all_together_have_so_many_connections(self):
        self.serve(grpc_max_connections=10)
        peers = [self.peer(source=f"127.0.0.{2 + i}") for i in range(10)]
        for i in range(20):
            self.assertTrue(self.refused(self.peer(handshake=False)))
        for peer in peers:
            self.serves(peer)
        self.told("connections")

    def test_a_connection_has_so_many_calls(self):
        self.serve(grpc_max_calls_per_connection=7)
        peer = self.peer()
        self.assertEqual(peer.settings[MAX_CONCURRENT_STREAMS], 7)

    def test_a_message_may_be_as_long_as_is_set_and_no_longer(self):
        self.serve(grpc_max_message_bytes=65536)
        peer = self.peer()
        for size, expected in ((65536, "5"), (65537, "8")):  # NOT_FOUND: there is no such service; RESOURCE_EXHAUSTED
            name = size - 4
            body = message(b"\x0a" + bytes([128 | name & 127, 128 | name >> 7 & 127, name >> 14]) + b"x" * name)
            assert len(body) == size + 5
            stream = 1 if expected == "5" else 3
            peer.send(headers(stream, request(HEALTH_CHECK)))
            most = min(len(body), peer.settings[INITIAL_WINDOW_SIZE])
            for at in range(0, most, 16384):
                peer.send(data(stream, body[at:min(at + 16384, most)], end=at + 16384 >= len(body)))
            self.assertEqual(peer.answer(stream).trailers["grpc-status"], expected)
        self.serves(peer, 5)


class Age(Case):
    def test_a_connections_streams_are_ended_before_it_is(self):
        self.serve(grpc_connection_age_ms=2000)
        peer = self.peer()
        peer.send(call(1, HEALTH_WATCH, message()))
        answer = peer.answer(1)
        self.assertEqual((answer.reset, answer.trailers.get("grpc-status")), (None, "14"), peer.seen)
        self.assertEqual(peer.close_code(), "NO_ERROR")

    def test_a_client_that_calls_without_a_pause_never_notices(self):
        self.serve(grpc_connection_age_ms=1000)
        failures, done = [], threading.Event()

        def ask(channel):
            check = channel.unary_unary(HEALTH_CHECK)
            while not done.is_set():
                try:
                    check(b"", timeout=DEADLINE)
                except grpc.RpcError as error:
                    failures.append(error)
                    return

        with grpc.insecure_channel(f"127.0.0.1:{self.daemon.grpc_port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            changes = []
            channel.subscribe(changes.append)
            threads = [threading.Thread(target=ask, args=(channel,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(3):  # three connections have reached their age
                watch = channel.unary_stream(HEALTH_WATCH)(b"", timeout=DEADLINE, wait_for_ready=True)
                with self.assertRaises(grpc.RpcError) as caught:
                    list(watch)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE, caught.exception.details())
            done.set()
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])


if __name__ == "__main__":
    unittest.main()

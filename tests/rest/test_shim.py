# SPDX-License-Identifier: Apache-2.0
"""Attacks the shim (rest_test_server.c: a made-up service behind it) with raw bytes: test_shim.py SERVER"""
import base64
import contextlib
import json
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

SERVER = sys.argv.pop(1)
GOOD = b"grant_type=client_credentials&client_id=good&client_secret=x"
SLOW = b"grant_type=client_credentials&client_id=slow&client_secret=x"  # answered once it is released
DEADLINE = 60  # seconds: what has not come by then never comes


class Server:
    """None of its timeouts fires, but for those that are named: request=MS answer=MS write=MS keep_alive=MS."""

    def __init__(self, **arguments):
        self.log = tempfile.NamedTemporaryFile("ab")
        self.process = subprocess.Popen([SERVER, *(f"{name}={value}" for name, value in arguments.items())],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.port, self.metrics_port = map(int, self.process.stdout.readline().split())

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def release(self, count=1):
        self.say(f"release {count}")

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        status = self.process.wait(DEADLINE)
        text = self.log_text()
        self.log.close()
        return status, text

    def log_text(self):
        with open(self.log.name) as file:
            return file.read()

    def connect(self, port=None, source=None):
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=DEADLINE,
                                        source_address=(source, 0) if source else None)

    def metrics(self):
        with self.connect(self.metrics_port) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return read_all(sock).decode()

    def number(self, name):
        return int(re.search(rf"(?m)^{name} (\d+)", self.metrics())[1])

    def wait_until_parked(self, count=1):
        until(lambda: self.number("test_handlers") == count)


def until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not happen")
        time.sleep(0.02)


def read_all(sock):
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except ConnectionResetError:
        data += b"[reset]"
    return data


class Answer:
    def __init__(self, head, body):
        lines = head.decode().split("\r\n")
        self.code = int(lines[0].split()[1])
        self.headers = {}
        for line in lines[1:]:
            name, value = line.split(": ", 1)
            self.headers[name.lower()] = value
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)


def read_answer(sock, head=False):
    """One answer of a connection that stays open."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(1)
        if not piece:
            raise EOFError(data)
        data += piece
    top, _, _ = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", top + b"\r\ncontent-length: 0")[1])
    body = b""
    while len(body) < length and not head:
        body += sock.recv(length - len(body))
    return Answer(top, body)


def form(body, path="/Auth/OAuth/Token", *headers, method="POST"):
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/x-www-form-urlencoded",
             f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def basic(client, secret):
    return "Authorization: Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


class Case(unittest.TestCase):
    def serve(self, **arguments):
        """A server of this test's own."""
        self.server = Server(**arguments)
        self.addCleanup(self.stop)

    def stop(self):
        status, text = self.server.stop()
        self.assertEqual(0, status, text[-8000:])

    def ask(self, request, head=False):
        with self.server.connect() as sock:
            sock.sendall(request)
            return read_answer(sock, head)

    def refused(self, request, code):
        """Answered with this code, as JSON, and the connection closed, whatever else was sent."""
        with self.server.connect() as sock:
            sock.sendall(request)
            data = read_all(sock)
        self.assertTrue(data.startswith(b"HTTP/1.1 %d " % code), (request[:200], data))
        self.assertEqual(1, data.count(b"HTTP/1.1 "), data)
        self.assertIn(b"Connection: close", data)
        self.assertNotIn(b"[reset]", data)
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertIn("error", json.loads(body))

    def still_serves(self):
        self.assertEqual(200, self.ask(form(GOOD)).code)


class Shim(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        status, text = cls.server.stop()
        assert status == 0, (status, text[-4000:])
        for secret in ("gate_at_made_up", "s3cr3t"):
            assert secret not in text, secret + " is in the log"


class Smuggling(Shim):
    def head(self, *lines, body=b"", first="POST /Auth/OAuth/Token HTTP/1.1"):
        return "\r\n".join([first, *lines]).encode("latin-1") + b"\r\n\r\n" + body

    def test_two_lengths_are_refused(self):
        for lengths in (("5", "6"), ("5", "5"), ("5, 5",)):
            lines = ["Host: x"] + ["Content-Length: " + length for length in lengths]
            self.refused(self.head(*lines, body=b"hello"), 400)

    def test_a_length_that_is_no_plain_number_is_refused(self):
        for length in ("+3", "-1", "0x3", "3 3", "", "3a", "\x0b3"):
            self.refused(self.head("Host: x", "Content-Length: " + length, body=b"abc"), 400)

    def test_a_length_beyond_any_number_is_too_large(self):
        for length in ("99999999", "9" * 30, "9" * 300):
            self.refused(self.head("Host: x", "Content-Length: " + length), 413)

    def test_length_with_transfer_encoding_is_refused(self):
        self.refused(self.head("Host: x", "Content-Length: 4", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400)
        self.refused(self.head("Host: x", "Transfer-Encoding: chunked", "Content-Length: 4", body=b"0\r\n\r\n"), 400)

    def test_encodings_other_than_chunked_are_refused(self):
        for encoding in ("gzip, chunked", "chunked, gzip", "identity", "xchunked", "chunked, chunked", ""):
            self.refused(self.head("Host: x", "Transfer-Encoding: " + encoding, body=b"0\r\n\r\n"), 400)

    def test_transfer_encoding_in_http_1_0_is_refused(self):
        self.refused(self.head("Host: x", "Transfer-Encoding: chunked", body=b"0\r\n\r\n",
                               first="POST /Auth/OAuth/Token HTTP/1.0"), 400)

    def test_odd_chunk_sizes_are_refused(self):
        for size in (b"0x3", b"+3", b"-3", b" 3", b"3 ", b"3;x=y", b"", b"g", b"000000003", b"ffffffffffffffff"):
            self.refused(self.head("Host: x", "Transfer-Encoding: chunked", body=size + b"\r\nabc\r\n0\r\n\r\n"), 400)

    def test_chunks_must_end_where_they_said(self):
        for body in (b"3\r\nabcd\r\n0\r\n\r\n", b"3\nabc\r\n0\r\n\r\n", b"3\r\nabc\n0\r\n\r\n", b"0\r\n\n"):
            self.refused(self.head("Host: x", "Transfer-Encoding: chunked", body=body), 400)

    def test_trailers_are_refused(self):
        self.refused(self.head("Host: x", "Transfer-Encoding: chunked",
                               body=b"0\r\nAuthorization: Bearer x\r\n\r\n"), 400)

    def test_host_must_stand_once(self):
        self.refused(self.head("Content-Length: 0"), 400)
        self.refused(self.head("Host: x", "Host: x", "Content-Length: 0"), 400)
        self.refused(self.head("Host:", "Content-Length: 0"), 400)
        self.refused(self.head("Host: x/y", "Content-Length: 0"), 400)
        self.refused(self.head("Host: x y", "Content-Length: 0"), 400)

    def test_authorization_must_not_stand_twice(self):
        self.refused(self.head("Host: x", "Authorization: Basic YTpi", "authorization: Basic YTpi",
                               "Content-Length: 0"), 400)

    def test_content_type_must_not_stand_twice(self):
        self.refused(self.head("Host: x", "Content-Type: text/plain", "Content-Type: text/plain",
                               "Content-Length: 0"), 400)

    def test_folded_headers_are_refused(self):
        self.refused(self.head("Host: x", "X-A: b", " c", "Content-Length: 0"), 400)
        self.refused(self.head(" Host: x", "Content-Length: 0"), 400)

    def test_a_space_before_the_colon_is_refused(self):
        self.refused(self.head("Host: x", "Content-Length : 0"), 400)
        self.refused(self.head("Host: x", "Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), 400)

    def test_bare_line_feeds_and_carriage_returns_are_refused(self):
        self.refused(b"POST /Auth/OAuth/Token HTTP/1.1\nHost: x\nContent-Length: 0\n\n", 400)
        self.refused(b"GET /Auth/livez HTTP/1.1\r\nHost: x\n\r\n", 400)
        self.refused(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\r\n\r\n", 400)
        self.refused(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\n\n", 400)

    def test_nul_and_controls_are_refused(self):
        for byte in (0, 1, 8, 11, 12, 27, 127):
            self.refused(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\nX: a%cb\r\n\r\n" % byte, 400)
            self.refused(b"GET /Auth/li%cvez HTTP/1.1\r\nHost: x\r\n\r\n" % byte, 400)
            self.refused(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\nX%c: a\r\n\r\n" % byte, 400)

    def test_a_method_without_a_body_must_not_have_one(self):
        for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
            self.refused(self.head("Host: x", "Content-Length: 5", body=b"hello",
                                   first=method + " /Auth/livez HTTP/1.1"), 400)
            self.refused(self.head("Host: x", "Transfer-Encoding: chunked", body=b"0\r\n\r\n",
                                   first=method + " /Auth/livez HTTP/1.1"), 400)

    def test_unknown_methods_and_versions_are_refused(self):
        self.refused(self.head("Host: x", first="TRACE / HTTP/1.1"), 501)
        self.refused(self.head("Host: x", first="CONNECT x:1 HTTP/1.1"), 501)
        self.refused(self.head("Host: x", first="get /Auth/livez HTTP/1.1"), 501)
        self.refused(self.head("Host: x", first="GET /Auth/livez HTTP/2.0"), 505)
        self.refused(self.head("Host: x", first="GET /Auth/livez HTTP/1.2"), 505)
        self.refused(self.head("Host: x", first="GET /Auth/livez http/1.1X"), 400)
        self.refused(self.head("Host: x", first="GET /Auth/livez"), 400)
        self.refused(self.head("Host: x", first="GET  /Auth/livez HTTP/1.1"), 400)
        self.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501)

    def test_odd_targets_are_refused(self):
        for target in ("//Auth/livez", "/Auth/livez#x", "/Auth/\\livez", "/Auth/\"", "/Auth/\xe9"):
            self.refused(self.head("Host: x", first=f"GET {target} HTTP/1.1"), 400)

    def test_what_is_no_path_and_no_url_is_refused_in_our_words(self):
        for target in ("a", "*", "?x", "http:/x", "http://", "http://x:99999/", "http://[::1/", "http://[x]/", "ftp://x/",
                       "http://a@b/", "http://x:y/", "mailto:x", "HTTP/1.1"):
            self.refused(self.head("Host: x", first=f"GET {target} HTTP/1.1"), 400)
        self.refused(b"POST /Auth/OAuth/Token HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", 411)

    def test_an_empty_line_between_two_requests_spoils_neither(self):
        get = b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.server.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for pieces in ((b"\r\n" + get,), (get + b"\r\n",), (get,), (b"\r", b"\n", get), (b"\r\nGET", get[3:]),
                           (get + b"\r\n" + get[:9], get[9:])):
                for piece in pieces:
                    sock.sendall(piece)
                    time.sleep(0.05)  # that they come apart is what is tried; nothing depends on it
                for _ in range(b"".join(pieces).count(b"GET")):
                    self.assertEqual(200, read_answer(sock).code)
            sock.sendall(form(GOOD) + b"\r\n" + form(GOOD))
            self.assertEqual([200, 200], [read_answer(sock).code for _ in range(2)])
        self.refused(b"\r\n\r\n" + get, 400)

    def test_a_url_as_the_target_leaves_the_connection_as_it_says(self):
        get = b"GET http://x/Auth/livez HTTP/1.1\r\nHost: x\r\n%s\r\n"
        with self.server.connect() as sock:
            for more in (b"", b"Proxy-Connection: close\r\n", b"Proxy-Connection: keep-alive\r\n"):
                sock.sendall(get % more)
                answer = read_answer(sock)
                self.assertEqual((200, None), (answer.code, answer.headers.get("connection")))
            sock.sendall(get % b"Connection: close\r\nProxy-Connection: keep-alive\r\n")
            self.assertEqual("close", read_answer(sock).headers["connection"])
            self.assertEqual(b"", sock.recv(1))

    def test_a_good_request_before_a_bad_one_does_not_save_the_bad_one(self):
        with self.server.connect() as sock:
            sock.sendall(form(GOOD) + self.head("Host: x", "Content-Length: 1", "Content-Length: 2", body=b"xx"))
            data = read_all(sock)
        codes = re.findall(rb"HTTP/1.1 (\d+)", data)
        self.assertIn(codes, ([b"400"], [b"200", b"400"]), data)

    def test_a_request_hidden_in_a_body_is_not_answered(self):
        hidden = b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.server.connect() as sock:
            sock.sendall(form(hidden) + form(GOOD, "/Auth/OAuth/Token", "Connection: close"))
            data = read_all(sock)
        self.assertEqual([b"400", b"200"], re.findall(rb"HTTP/1.1 (\d+)", data), data)

    def test_tls_bytes_on_a_plain_port_are_refused(self):
        self.refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", 400)


class Limits(Shim):
    def test_too_many_headers_are_refused(self):
        lines = "".join(f"X-{i}: y\r\n" for i in range(500))
        self.refused(f"GET /Auth/livez HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode(), 431)

    def test_headers_too_large_are_refused(self):
        self.refused(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431)
        self.refused(b"GET /Auth/livez?" + b"y" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414)

    def test_an_oversized_body_is_refused_before_it_has_come(self):
        with self.server.connect() as sock:
            sock.sendall(b"POST /Auth/OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
            data = read_all(sock)
        self.assertTrue(data.startswith(b"HTTP/1.1 413 "), data)

    def test_an_oversized_body_that_is_sent_nevertheless_can_read_its_answer(self):
        self.refused(form(b"x" * 300000), 413)
        chunks = b"".join(b"8000\r\n" + b"x" * 0x8000 + b"\r\n" for _ in range(3)) + b"0\r\n\r\n"
        self.refused(b"POST /Auth/OAuth/Token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, 413)

    def test_a_form_over_16_kib_is_refused(self):
        self.assertEqual(413, self.ask(form(b"a=" + b"x" * 20000)).code)

    def test_trickling_connections_do_not_hold_others_up(self):
        trickling = []
        for _ in range(100):
            sock = self.server.connect()
            sock.sendall(b"POST /Auth/OAuth/Tok")
            trickling.append(sock)
        for _ in range(20):
            self.still_serves()
        for sock in trickling:
            sock.close()


class Timeouts(Case):
    def test_a_trickling_head_is_cut_off(self):
        self.serve(request=2000)
        with self.server.connect() as sock:
            sock.sendall(b"GET /Auth/livez HTTP/1.1\r\nX: ")
            for _ in range(2000):  # a byte does not begin the time anew
                try:
                    sock.sendall(b"x")
                except OSError:
                    break
                if select.select([sock], [], [], 0.02)[0]:
                    break
            data = read_all(sock)
        self.assertTrue(data.startswith(b"HTTP/1.1 408 ") or data == b"[reset]", data)

    def test_a_trickling_body_is_cut_off(self):
        self.serve(request=2000)
        with self.server.connect() as sock:
            sock.sendall(form(GOOD)[:-20])
            data = read_all(sock)
        self.assertTrue(data.startswith(b"HTTP/1.1 408 "), data)

    def test_a_connection_that_says_nothing_is_closed(self):
        self.serve(request=300)
        with self.server.connect() as sock:
            self.assertEqual(b"", read_all(sock))

    def test_an_idle_connection_is_closed_later(self):
        self.serve(keep_alive=1000)
        with self.server.connect() as sock:
            begin = time.monotonic()
            sock.sendall(form(GOOD))
            self.assertEqual(200, read_answer(sock).code)
            self.assertEqual(b"", read_all(sock))
            self.assertGreater(time.monotonic() - begin, 0.9)

    def test_a_client_that_does_not_read_holds_nobody_up_and_is_closed(self):
        self.serve(write=500)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # later, the kernel would drop the server's ACKs too
            sock.connect(("127.0.0.1", self.server.port))
            sock.setblocking(False)
            requests = form(GOOD) * 1000
            sent, end = 0, time.monotonic() + DEADLINE
            with self.assertRaises(ConnectionError):
                while time.monotonic() < end:
                    try:
                        sent = (sent + sock.send(requests[sent:])) % len(requests)
                    except BlockingIOError:
                        self.still_serves()

    def test_a_handler_without_an_answer_is_504(self):
        self.serve(answer=300)
        self.assertEqual(504, self.ask(form(SLOW)).code)
        self.assertEqual(1, self.server.number("test_handlers"))
        self.server.release()

    def test_a_handshake_that_stalls_is_closed(self):
        with tempfile.TemporaryDirectory() as folder:
            make_certificate(folder, "first")
            self.serve(cert=folder + "/cert", key=folder + "/key", request=300)
        with self.server.connect() as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00")
            self.assertIn(read_all(sock), (b"", b"[reset]"))


class Crowds(Case):
    def setUp(self):
        self.serve()

    def test_an_address_has_its_most_connections(self):
        def is_closed(sock):
            try:
                return sock.recv(1) == b""
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
        socks = []
        for _ in range(240):
            socks.append(self.server.connect(source="127.0.0.9"))
            socks[-1].setblocking(False)
        until(lambda: sum(map(is_closed, socks)) == 40)
        self.still_serves()  # from another address
        for sock in socks:
            sock.close()

    def test_a_full_server_takes_in_who_has_something_to_say(self):
        def silent(number):
            return self.server.connect(source=f"127.0.0.{20 + number // 100}")

        def idle(number):
            sock = silent(number)
            sock.sendall(form(GOOD))
            read_answer(sock)
            return sock
        for kind in (silent, idle):
            with contextlib.ExitStack() as stack:
                for number in range(700):  # the server takes 300 at a time, of each address 200
                    stack.callback(kind(number).close)
                    if number % 100 == 99:
                        self.still_serves()
        turned_away = self.server.number("gatehouse_http_turned_away_total")
        self.assertGreaterEqual(turned_away, 400)
        self.assertNotIn('http_response_status_code="0"', self.server.metrics())
        told = self.server.log_text()
        self.assertIn("message=\"closed for a newcomer\"", told)
        self.assertLess(told.count("closed for a newcomer"), turned_away)  # and at times that there were more
        until(lambda: "event=http_turned_away count=" in self.server.log_text())

    def test_who_is_being_answered_gives_way_to_nobody(self):
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(self.server.connect())
            first.sendall(form(SLOW))
            self.server.wait_until_parked()
            for number in range(500):
                stack.callback(self.server.connect(source=f"127.0.0.{30 + number // 100}").close)
            until(lambda: self.server.number("gatehouse_http_turned_away_total") >= 200)
            self.server.release()
            self.assertEqual(200, read_answer(first).code)


class Requests(Shim):
    def test_expect_100_continue_is_answered(self):
        with self.server.connect() as sock:
            sock.sendall(form(GOOD, "/Auth/OAuth/Token", "Expect: 100-continue")[:-len(GOOD)])
            self.assertEqual(100, read_answer(sock).code)
            sock.sendall(GOOD)
            self.assertEqual(200, read_answer(sock).code)
        self.refused(form(GOOD, "/Auth/OAuth/Token", "Expect: miracles"), 417)

    def test_a_chunked_body_is_read(self):
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (GOOD[:7], GOOD[7:])) + b"0\r\n\r\n"
        self.assertEqual(200, self.ask(
            b"POST /Auth/OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Transfer-Encoding: Chunked\r\n\r\n" + body).code)

    def test_byte_by_byte_is_as_good_as_at_once(self):
        with self.server.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in form(GOOD):
                sock.sendall(bytes([byte]))
            self.assertEqual(200, read_answer(sock).code)

    def test_pipelined_requests_are_answered_in_order(self):
        with self.server.connect() as sock:
            sock.sendall(form(SLOW) + form(b"grant_type=x") + form(GOOD) + form(SLOW) + form(b""))
            for codes in ([200, 400, 200], [200, 400]):
                self.server.wait_until_parked()
                self.server.release()
                self.assertEqual(codes, [read_answer(sock).code for _ in codes])

    def test_http_1_0_is_served_and_closed(self):
        with self.server.connect() as sock:
            sock.sendall(b"GET /Auth/livez HTTP/1.0\r\n\r\n")
            data = read_all(sock)
        self.assertIn(b" 200 OK\r\n", data)

    def test_an_absolute_target_is_served(self):
        answer = self.ask(b"GET http://x/Auth/livez HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(200, answer.code)

    def test_head_has_no_body_and_its_length(self):
        with self.server.connect() as sock:
            sock.sendall(b"HEAD /Auth/livez HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = read_answer(sock, head=True)
            self.assertEqual((200, b""), (answer.code, answer.body))
            self.assertGreater(int(answer.headers["content-length"]), 0)
            sock.sendall(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 200 "))

    def test_a_client_that_hangs_up_while_parked_is_noticed(self):
        self.server.wait_until_parked(0)
        for ending in ("close", "reset", "half"):  # a FIN may mean either: it is a hint, not an end
            before = self.cancelled()
            sock = self.server.connect()
            sock.sendall(form(SLOW))
            self.server.wait_until_parked()
            if ending == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if ending == "half":
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.close()
            until(lambda: self.cancelled() == before + 1)
            self.server.release()
            if ending == "half":  # and who only says that nothing more comes still gets the answer
                self.assertEqual(200, read_answer(sock).code)
                sock.close()
            self.server.wait_until_parked(0)
        self.still_serves()

    def test_a_fin_is_no_end_of_a_request_for_a_second(self):
        before, begin = self.cancelled(), time.monotonic()
        sock = self.server.connect()
        sock.sendall(form(SLOW))
        sock.shutdown(socket.SHUT_WR)
        self.server.wait_until_parked()
        self.server.release()
        self.assertEqual(200, read_answer(sock).code)
        cancelled = self.cancelled()
        if time.monotonic() < begin + 1:
            self.assertEqual(cancelled, before)
        sock.close()

    def cancelled(self):
        return self.server.number("test_cancelled_total")

    def test_many_parked_requests_are_all_answered(self):
        socks = [self.server.connect() for _ in range(60)]
        for sock in socks:
            sock.sendall(form(SLOW))
        self.server.wait_until_parked(60)
        self.server.release(60)
        for sock in socks:
            self.assertEqual(200, read_answer(sock).code)
            sock.close()

    def test_ready_follows_the_callback(self):
        ready = b"GET /Auth/readyz HTTP/1.1\r\nHost: x\r\n\r\n"
        self.server.wait_until_parked(0)  # another test's handlers
        self.assertEqual(200, self.ask(ready).code)
        with self.server.connect() as sock:
            sock.sendall(form(SLOW))
            self.server.wait_until_parked()
            self.assertEqual(503, self.ask(ready).code)
            self.server.release()
            self.assertEqual(200, read_answer(sock).code)

    def test_metrics_are_on_their_own_port_only(self):
        self.still_serves()
        text = self.server.metrics()
        self.assertIn('http_route="/OAuth/Token",http_response_status_code="200"', text)
        self.assertIn('rpc_system_name="rest",rpc_method="gatehouse.v1.AuthService/IssueToken"', text)
        self.assertEqual(404, self.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").code)
        with self.server.connect(self.server.metrics_port) as sock:
            sock.sendall(form(GOOD))
            self.assertEqual(404, read_answer(sock).code)

    def test_what_a_client_sends_is_no_label(self):
        self.ask(b"GET /Auth/nowhere-to-be-found HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertNotIn("nowhere-to-be-found", self.server.metrics())

    def test_cors_is_for_configured_origins_only(self):
        request = "OPTIONS /Auth/OAuth/Token HTTP/1.1\r\nHost: x\r\nOrigin: %s\r\nAccess-Control-Request-Method: POST\r\n\r\n"
        answer = self.ask((request % "https://console.example").encode())
        self.assertEqual((204, "https://console.example"),
                         (answer.code, answer.headers["access-control-allow-origin"]))
        for name in ("authorization", "content-type", "if-match", "x-request-id", "traceparent"):
            self.assertIn(name, answer.headers["access-control-allow-headers"].lower())
        answer = self.ask((request % "https://evil.example").encode())
        self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertEqual("Origin", answer.headers["vary"])
        answer = self.ask(form(b"", "/Auth/OAuth/Token", "Origin: https://console.example"))
        for name in ("www-authenticate", "retry-after", "x-request-id", "etag"):
            self.assertIn(name, answer.headers["access-control-expose-headers"].lower())

    def test_a_traceparent_and_a_request_id_are_in_the_log(self):
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        answer = self.ask(form(GOOD, "/Auth/OAuth/Token", "Traceparent: " + trace, "X-Request-Id: mine-1"))
        self.assertEqual("mine-1", answer.headers["x-request-id"])
        self.assertRegex(self.server.log_text(), "request_id=mine-1.*" + trace)
        answer = self.ask(form(GOOD, "/Auth/OAuth/Token", "Traceparent: junk", "X-Request-Id: a b"))
        self.assertNotEqual("a b", answer.headers["x-request-id"])
        self.assertNotIn("junk", self.server.log_text())

    def test_only_a_trusted_proxy_names_the_peer(self):
        echo = form(b"grant_type=client_credentials&client_id=echo&client_secret=x", "/Auth/OAuth/Token",
                    "X-Forwarded-For: 6.6.6.6, 192.0.2.7")
        self.assertTrue(self.ask(echo).json["error_description"].endswith("|127.0.0.1"))
        with self.server.connect(source="127.0.0.2") as sock:
            sock.sendall(echo)
            self.assertTrue(read_answer(sock).json["error_description"].endswith("|192.0.2.7"))

    def test_lines_of_a_proxy_below_the_clients_are_one_list(self):
        echo = form(b"grant_type=client_credentials&client_id=echo&client_secret=x", "/Auth/OAuth/Token",
                    "X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 192.0.2.7:4711", "X-Forwarded-For: ::ffff:10.1.2.3")
        with self.server.connect(source="127.0.0.2") as sock:
            sock.sendall(echo)
            self.assertTrue(read_answer(sock).json["error_description"].endswith("|192.0.2.7"))


class OAuth(Shim):
    def token(self, body, *headers, path="/Auth/OAuth/Token"):
        return self.ask(form(body.encode("latin-1"), path, *headers))

    def error(self, answer, code, error):
        self.assertEqual((code, error), (answer.code, answer.json["error"]), answer.body)
        self.assertRegex(answer.json["error_description"], r"\A[\x20-\x21\x23-\x5b\x5d-\x7e]+\Z")
        self.assertEqual("application/json", answer.headers["content-type"])
        self.assertEqual("no-store", answer.headers["cache-control"])

    def test_a_token_is_answered_by_the_letter(self):
        answer = self.token(GOOD.decode())
        self.assertEqual(200, answer.code)
        self.assertEqual({"access_token": "gate_at_made_up", "token_type": "Bearer", "expires_in": 1200,
                          "scope": "team_leader work_creator", "client_secret_expires_at": 0,
                          "credential_expires_at": 0}, answer.json)
        self.assertEqual("application/json", answer.headers["content-type"])
        self.assertEqual("no-store", answer.headers["cache-control"])
        self.assertEqual("no-cache", answer.headers["pragma"])

    def test_the_paths_letter_case_is_ignored(self):
        for path in ("/Auth/oauth/token", "/Auth/OAUTH/TOKEN", "/auth/OAuth/Token"):
            self.assertEqual(200, self.token(GOOD.decode(), path=path).code)
        for path in ("/OAuth/Token", "/Auth/OAuth/Token/", "/Auth/OAuth/Tokens", "/AuthOAuth/Token", "/Auth"):
            self.assertIn(self.token(GOOD.decode(), path=path).code, (404, 405), path)  # 405: the console's pages

    def test_basic_is_form_decoded(self):
        answer = self.token("grant_type=client_credentials", basic("echo", "a%3Ab+c%25"))
        self.assertTrue(answer.json["error_description"].startswith("a:b c%|"), answer.body)

    def test_form_is_decoded(self):
        answer = self.token("client_secret=a%3Ab+c%25%C3%A9&client_id=ec%68o&grant_type=client%5Fcredentials")
        self.assertTrue(answer.json["error_description"].startswith("a:b c%"), answer.body)

    def test_scopes_are_split(self):
        answer = self.token("grant_type=client_credentials&client_id=echo&client_secret=s3cr3t&scope=a+b%20c")
        self.assertIn("|3|", answer.json["error_description"])
        for scope in ("a++b", "+a", "a+", "a%22", "a%5Cb", "%C3%A9"):
            self.error(self.token("grant_type=client_credentials&client_id=good&client_secret=s3cr3t&scope=" + scope),
                       400, "invalid_scope")

    def test_an_empty_parameter_counts_as_omitted(self):
        self.assertEqual(200, self.token(GOOD.decode() + "&scope=").code)
        self.error(self.token("grant_type=&client_id=good&client_secret=x"), 400, "invalid_request")

    def test_unknown_parameters_are_ignored(self):
        self.assertEqual(200, self.token(GOOD.decode() + "&audience=x&resource=y").code)

    def test_repeated_parameters_are_refused(self):
        for extra in ("&scope=a&scope=b", "&client_id=good", "&grant_type=client_credentials"):
            self.error(self.token(GOOD.decode() + extra), 400, "invalid_request")

    def test_missing_parameters_are_refused(self):
        self.error(self.token(""), 400, "invalid_request")
        self.error(self.token("client_id=good&client_secret=x"), 400, "invalid_request")
        for body in ("grant_type=client_credentials", "grant_type=client_credentials&client_id=good",
                     "grant_type=client_credentials&client_secret=x"):
            self.assertIn((self.token(body).code, self.token(body).json["error"]),
                          ((400, "invalid_request"), (401, "invalid_client")))

    def test_unreadable_forms_are_refused(self):
        for body in ("a=%", "a=%4", "a=%zz", "scope=%00", "scope=%ff", "scope=\xff", "scope=%C0%80",
                     "scope=%ED%A0%80", "a\tb=c", "%ff=a",
                     "&".join(f"a{i}=b" for i in range(100))):
            self.error(self.token(GOOD.decode() + "&" + body), 400, "invalid_request")

    def test_other_grants_are_refused(self):
        for grant in ("password", "authorization_code", "Client_Credentials", "client_credentials%20"):
            self.error(self.token(f"grant_type={grant}&client_id=good&client_secret=x"), 400, "unsupported_grant_type")

    def test_both_kinds_of_client_authentication_are_refused(self):
        self.error(self.token(GOOD.decode(), basic("good", "x")), 400, "invalid_request")
        self.error(self.token(GOOD.decode(), "Authorization: Bearer live"), 400, "invalid_request")
        self.error(self.token("grant_type=client_credentials&client_id=other", basic("good", "x")), 400,
                   "invalid_request")
        self.assertEqual(200, self.token("grant_type=client_credentials&client_id=good", basic("good", "x")).code)

    def test_basic_that_fails_is_challenged(self):
        answer = self.token("grant_type=client_credentials", basic("nobody", "x"))
        self.error(answer, 401, "invalid_client")
        self.assertTrue(answer.headers["www-authenticate"].startswith("Basic realm="))
        for value in ("Basic", "Basic !!!", "Basic YQ==", "Basic YTpiOg=", "basic " + "A" * 4000,
                      "Basic " + base64.b64encode(b"a:%zz").decode(), "Basic " + base64.b64encode(b"a:\xff").decode(),
                      "Digest x"):
            answer = self.token("grant_type=client_credentials", "Authorization: " + value)
            self.error(answer, 401, "invalid_client")
            self.assertTrue(answer.headers["www-authenticate"].startswith("Basic "))

    def test_a_form_that_fails_is_challenged_too(self):
        answer = self.token("grant_type=client_credentials&client_id=nobody&client_secret=s3cr3t")
        self.error(answer, 401, "invalid_client")
        self.assertTrue(answer.headers["www-authenticate"].startswith("Basic realm="))

    def test_other_methods_are_refused(self):
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
            for path in ("Token", "Introspect", "Revoke"):
                answer = self.ask(f"{method} /Auth/OAuth/{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), method == "HEAD")
                self.assertEqual((405, "POST"), (answer.code, answer.headers["allow"]))

    def test_other_content_types_are_refused(self):
        for kind in ("application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencodedx",
                     "application/x-www-form-urlencoded; charset=utf-16", ""):
            answer = self.ask(f"POST /Auth/OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
                              f"Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD)
            self.error(answer, 415, "invalid_request")
        for kind in ("application/x-www-form-urlencoded;charset=UTF-8", "APPLICATION/X-WWW-FORM-URLENCODED",
                     "application/x-www-form-urlencoded ; charset=\"utf-8\""):
            answer = self.ask(f"POST /Auth/OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
                              f"Content-Length: {len(GOOD)}\r\n\r\n".encode() + GOOD)
            self.assertEqual(200, answer.code, kind)

    def test_parameters_in_the_url_are_refused(self):
        for path in ("/Auth/OAuth/Token?client_secret=s3cr3t", "/Auth/OAuth/Token?grant_type=client_credentials",
                     "/Auth/OAuth/Revoke?token=live", "/Auth/OAuth/Introspect?token=live"):
            self.error(self.token(GOOD.decode(), "X-A: b", path=path), 400, "invalid_request")

    def test_each_status_has_its_code(self):
        for status, code, error in (("INVALID_ARGUMENT", 400, "invalid_request"),
                                    ("RESOURCE_EXHAUSTED", 429, "temporarily_unavailable"),
                                    ("UNAVAILABLE", 503, "temporarily_unavailable"),
                                    ("INTERNAL", 500, "server_error"), ("DEADLINE_EXCEEDED", 504, "server_error")):
            answer = self.token(f"grant_type=client_credentials&client_id={status}&client_secret=x")
            self.error(answer, code, error)
            self.assertEqual("2" if code in (429, 503) else None, answer.headers.get("retry-after"))

    def test_introspection_needs_a_bearer_or_a_client(self):
        for headers in ((), ("Authorization: Bearer",), ("Authorization: Digest x",), ("Authorization: Bearer other",)):
            answer = self.token("token=live", *headers, path="/Auth/OAuth/Introspect")
            self.error(answer, 401, "invalid_token")
            was_shown = headers == ("Authorization: Bearer other",)
            self.assertEqual('Bearer realm="gatehouse"' + (', error="invalid_token"' if was_shown else ""),
                             answer.headers["www-authenticate"])

    def test_a_client_may_introspect_with_its_secret(self):
        path = "/Auth/OAuth/Introspect"
        for body, headers in (("token=live", (basic("good", "x"),)), ("token=live&client_id=good&client_secret=x", ()),
                              ("token=live&client_id=nobody", ("Authorization: Bearer caller",))):
            answer = self.token(body, *headers, path=path)
            self.assertEqual((200, True), (answer.code, answer.json["active"]))
        answer = self.token("token=live", basic("nobody", "x"), path=path)
        self.error(answer, 401, "invalid_client")
        self.assertEqual('Basic realm="gatehouse", charset="UTF-8"', answer.headers["www-authenticate"])
        answer = self.token("token=live&client_id=nobody&client_secret=x", path=path)
        self.error(answer, 401, "invalid_client")
        self.assertEqual('Basic realm="gatehouse", charset="UTF-8"', answer.headers["www-authenticate"])
        answer = self.token("token=live", basic("other", "x"), path=path)
        self.error(answer, 403, "unauthorized_client")
        self.assertNotIn("www-authenticate", answer.headers)
        self.error(self.token("token=live&client_id=good", path=path), 401, "invalid_token")
        self.error(self.token("token=live", "Authorization: Basic !!!", path=path), 401, "invalid_client")
        for body, headers in (("token=live&client_id=good&client_secret=x", ("Authorization: Bearer caller",)),
                              ("token=live&client_id=good&client_secret=x", (basic("good", "x"),)),
                              ("token=live&client_id=other", (basic("good", "x"),)), ("", (basic("good", "x"),))):
            self.error(self.token(body, *headers, path=path), 400, "invalid_request")

    def test_introspection_answers_by_the_letter(self):
        answer = self.token("token=live&token_type_hint=access_token", "Authorization: Bearer caller",
                            path="/Auth/OAuth/introspect")
        self.assertEqual(200, answer.code)
        self.assertEqual((True, "work_creator", "id", "Bearer", 1000000000),
                         tuple(answer.json[name] for name in ("active", "scope", "client_id", "token_type", "exp")))
        answer = self.token("token=dead", "Authorization: Bearer caller", path="/Auth/OAuth/Introspect")
        self.assertEqual((200, {"active": False}), (answer.code, answer.json))
        self.error(self.token("", "Authorization: Bearer caller", path="/Auth/OAuth/Introspect"), 400,
                   "invalid_request")

    def test_revocation_answers_by_the_letter(self):
        path = "/Auth/OAuth/Revoke"
        for body, headers in (("token=live&client_id=good&client_secret=x", ()), ("token=dead", (basic("good", "x"),)),
                              ("token=live", ("Authorization: Bearer live",))):
            answer = self.token(body, *headers, path=path)
            self.assertEqual((200, b""), (answer.code, answer.body))
        self.error(self.token("token=live", path=path), 401, "invalid_client")
        self.error(self.token("token=live", basic("nobody", "x"), path=path), 401, "invalid_client")
        self.error(self.token("", basic("good", "x"), path=path), 400, "invalid_request")
        self.error(self.token("token=others", basic("good", "x"), path=path), 403, "unauthorized_client")
        self.error(self.token("token=live&client_id=good&client_secret=x", "Authorization: Bearer live", path=path), 400,
                   "invalid_request")

    def test_metadata_names_the_endpoints(self):
        for path in ("/Auth/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/Auth"):
            answer = self.ask(f"GET {path} HTTP/1.1\r\nHost: h:1\r\n\r\n".encode())
            self.assertEqual("http://h:1/Auth", answer.json["issuer"])
            self.assertEqual("http://h:1/Auth/OAuth/Token", answer.json["token_endpoint"])
            self.assertEqual(["client_credentials"], answer.json["grant_types_supported"])
            client = ["client_secret_basic", "client_secret_post"]
            self.assertEqual((client, [*client, "Bearer"], client), tuple(
                answer.json[name + "_endpoint_auth_methods_supported"]
                for name in ("token", "introspection", "revocation")))


class Gateways(Shim):
    def check(self, *headers, query="", method="GET"):
        lines = [f"{method} /Auth/OAuth/Check{query} HTTP/1.1", "Host: x", *headers]
        return self.ask("\r\n".join(lines).encode() + b"\r\n\r\n", method == "HEAD")

    def test_check_answers_200_401_or_403(self):
        live = "Authorization: Bearer live"
        for method in ("GET", "HEAD"):
            self.assertEqual(200, self.check(live, method=method).code)
            self.assertEqual(200, self.check(live, query="?role=work_creator", method=method).code)
            answer = self.check(live, query="?role=team_leader", method=method)
            self.assertEqual(403, answer.code)
            self.assertIn('error="insufficient_scope"', answer.headers["www-authenticate"])
            self.assertNotIn("x-auth-client-id", answer.headers)
            answer = self.check("Authorization: Bearer dead", method=method)
            self.assertEqual(401, answer.code)
            self.assertIn('error="invalid_token"', answer.headers["www-authenticate"])
            answer = self.check(method=method)
            self.assertEqual((401, 'Bearer realm="gatehouse"'), (answer.code, answer.headers["www-authenticate"]))
            self.assertEqual(401, self.check(basic("good", "x"), method=method).code)

    def test_check_tells_who_it_is_in_plain_ascii(self):
        answer = self.check("Authorization: Bearer live")
        self.assertEqual(("id", "work_creator", 'H%C3%A9 "x" 50%25'),
                         tuple(answer.headers["x-auth-" + name] for name in ("client-id", "roles", "client-name")))

    def test_check_takes_the_called_api_from_the_gateway(self):
        for headers, api in ((("X-Original-Method: POST", "X-Original-URI: /api/cases?x=1"), "POST /api/cases"),
                             (("X-Forwarded-Method: PUT", "X-Forwarded-Uri: /a"), "PUT /a")):
            answer = self.check("Authorization: Bearer live", *headers)
            self.assertEqual(api, answer.headers["x-auth-client-name"])

    def test_the_path_behind_checks_own_is_the_one_that_is_called(self):
        for method in ("GET", "POST", "DELETE", "PUT"):
            lines = [f"{method} /Auth/oauth/Check/api/cases/1?role=x&%zz HTTP/1.1", "Host: x", "Authorization: Bearer live",
                     "X-Original-URI: /forged", "X-Original-Method: FORGED", "X-Forwarded-Uri: /forged"]
            if method in ("POST", "PUT"):
                lines.append("Content-Length: 0")
            answer = self.ask("\r\n".join(lines).encode() + b"\r\n\r\n")
            self.assertEqual((200, f"{method} /api/cases/1"), (answer.code, answer.headers["x-auth-client-name"]))
        answer = self.ask(b"POST /Auth/OAuth/Check/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(401, answer.code)
        self.assertEqual(404, self.ask(b"GET /Auth/OAuth/Checked HTTP/1.1\r\nHost: x\r\n\r\n").code)

    def test_a_path_of_many_bytes_is_cut_between_characters(self):
        for size in range(194, 200):
            path = "/" + "a" * size + "\u20ac" * 3
            answer = self.check("Authorization: Bearer live", "X-Original-URI: " + path)
            told = answer.headers["x-auth-client-name"]
            self.assertTrue(told.startswith("/aaa") and len(told) >= size - 3, told)

    def test_other_methods_are_not_checked(self):
        self.assertEqual(405, self.check("Content-Length: 0", method="POST").code)

    def review(self, body):
        body = json.dumps(body).encode() if not isinstance(body, bytes) else body
        return self.ask(b"POST /Auth/k8s/TokenReview HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                        b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def test_a_token_review_is_answered(self):
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "live"}}
        answer = self.review(review)
        self.assertEqual(200, answer.code, answer.body)
        self.assertEqual(("authentication.k8s.io/v1", "TokenReview"), (answer.json["apiVersion"], answer.json["kind"]))
        self.assertTrue(answer.json["status"]["authenticated"])
        self.assertEqual(["work_creator"], answer.json["status"]["user"]["groups"])
        review["spec"]["token"] = "dead"
        self.assertEqual({"authenticated": False}, self.review(review).json["status"])
        for body in (b"", b"{}", b"[]", b"x", b'{"spec":{"token":7}}'):
            self.assertEqual(400, self.review(body).code, body)


def make_certificate(folder, name):
    cert, key = folder + "/cert", folder + "/key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:localhost", "-days", "2",
                    "-keyout", key + ".new", "-out", cert + ".new"], check=True, capture_output=True)
    os.rename(key + ".new", key)
    os.rename(cert + ".new", cert)


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cert = cls.folder.name + "/cert"
        make_certificate(cls.folder.name, "first")
        cls.server = Server(cert=cls.cert, key=cls.folder.name + "/key")

    @classmethod
    def tearDownClass(cls):
        status, text = cls.server.stop()
        cls.folder.cleanup()
        assert status == 0, (status, text[-4000:])

    def open(self, **settings):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        for name, value in settings.items():
            setattr(context, name, value)
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context.wrap_socket(self.server.connect(), server_hostname="localhost")

    def name(self):
        with self.open() as sock:
            der = sock.getpeercert(binary_form=True)
            return b"second" in der

    def test_a_token_over_tls_and_hsts(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.open(minimum_version=version, maximum_version=version) as sock:
                self.assertEqual("http/1.1", sock.selected_alpn_protocol())
                for _ in range(2):
                    sock.sendall(form(GOOD))
                    answer = read_answer(sock)
                    self.assertEqual(200, answer.code)
                until(lambda: self.server.number("test_undelayed") == 2)  # it, and the one that asks for the metrics
                self.assertIn("max-age=", answer.headers["strict-transport-security"])
        self.assertIn('url_scheme="https",http_route="/OAuth/Token"', self.server.metrics())

    def test_old_tls_is_refused(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("DEFAULT@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            context.wrap_socket(self.server.connect()).do_handshake()

    def test_http_on_the_tls_port_gets_no_token(self):
        with self.server.connect() as sock:
            sock.sendall(form(GOOD))
            self.assertNotIn(b"gate_at", read_all(sock))

    def test_refusals_can_be_read_over_tls(self):
        with self.open() as sock:
            sock.sendall(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
            self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 400 "))

    def test_an_answer_that_closes_ends_with_close_notify(self):
        with self.open() as sock:
            sock.sendall(form(GOOD, "/Auth/OAuth/Token", "Connection: close"))
            self.assertIn(b"200 OK", read_all(sock))  # ssl raises SSLEOFError where close_notify is missing

    def test_a_new_certificate_is_taken_without_dropping_a_connection(self):
        with self.open() as sock:
            sock.sendall(form(GOOD))
            self.assertEqual(200, read_answer(sock).code)
            self.assertFalse(self.name())
            make_certificate(self.folder.name, "second")
            self.server.say("reload")
            until(self.name)
            sock.sendall(form(GOOD))
            self.assertEqual(200, read_answer(sock).code)
            with open(self.cert, "w") as file:
                file.write("nonsense")
            self.server.say("reload")
            until(lambda: "certificate_not_reloaded" in self.server.log_text())
            self.assertTrue(self.name())  # the old one stays
        make_certificate(self.folder.name, "second")


class Ending(Case):
    def test_what_is_accepted_is_answered_before_the_end(self):
        self.serve()
        with self.server.connect() as parked, self.server.connect() as idle, self.server.connect() as silent:
            parked.sendall(form(SLOW))
            idle.sendall(form(GOOD))
            read_answer(idle)
            self.server.wait_until_parked()
            self.server.say("end 600000")
            self.assertEqual(b"", read_all(idle))
            self.assertIn(read_all(silent), (b"", b"[reset]"))  # which may not have been taken in yet
            self.server.release()
            answer = read_answer(parked)
            self.assertEqual((200, "close"), (answer.code, answer.headers["connection"]))
            self.assertEqual(0, self.server.process.wait(DEADLINE))

    def test_a_call_that_outlives_its_connection_is_waited_for(self):
        self.serve()
        with self.server.connect() as sock:
            sock.sendall(form(SLOW))
            self.server.wait_until_parked()
            self.server.say("end 100")
            until(lambda: "test: stopped" in self.server.log_text())
            self.server.release()
            self.assertEqual(b"", read_all(sock).replace(b"[reset]", b""))
            self.assertEqual(0, self.server.process.wait(DEADLINE))
        self.assertEqual(["stopped", "answers", "freed"], re.findall("(?m)^test: (.*)", self.server.log_text()))


class Table(unittest.TestCase):
    def test_every_test_that_rfc_md_names_is_there(self):
        folder = os.path.dirname(os.path.abspath(__file__))
        sources = ""
        for name in os.listdir(folder):
            if name.startswith("test_"):
                with open(folder + "/" + name) as file:
                    sources += file.read()
        with open(folder + "/RFC.md") as file:
            names = re.findall(r"`(\w+_\w+_\w+_\w+)`", file.read())
        self.assertGreater(len(names), 50)
        for name in names:
            self.assertRegex(sources, rf"\b(def|void) {name}\(")


if __name__ == "__main__":
    unittest.main()

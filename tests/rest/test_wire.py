# SPDX-License-Identifier: Apache-2.0
"""What hostile or clumsy clients send, byte by byte."""
import re
import socket
import time
import unittest

from shim import ShimTest


class Case(ShimTest):
    def connect(self):
        return socket.create_connection(("127.0.0.1", self.shim.http_port), timeout=60)

    def alive(self):
        self.assertEqual(self.ask("GET", "/livez").code, 200)


class Slow(Case):
    settings = {"http_request_timeout_ms": "1000"}

    def test_a_request_that_trickles_in_is_408_and_closed(self):
        with self.connect() as connection:
            connection.settimeout(0.1)
            answer = b""
            try:
                for byte in b"GET /livez HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 300:  # 30 s and more; it is let go on for 1
                    connection.sendall(bytes([byte]))
                    try:
                        answer = connection.recv(4096)
                        break
                    except socket.timeout:
                        continue
                else:
                    self.fail("it is still listened to")
            except (BrokenPipeError, ConnectionResetError):
                pass
            self.assertTrue(answer == b"" or b" 408 " in answer, answer)
        self.alive()


class Wire(Case):
    settings = {"http_max_connections_per_address": "60"}

    def send(self, data):
        """The whole answer, until the server closes or a minute is over without a byte."""
        with self.connect() as connection:
            connection.sendall(data)
            answer = b""
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
            except (socket.timeout, ConnectionResetError):
                pass
            return answer

    def test_ambiguous_requests_are_400_and_closed(self):
        head = b"POST /OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        smuggled = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
        cases = {
            "two lengths": head + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
            "a signed length": head + b"Content-Length: +3\r\n\r\nabc",
            "length and encoding": head + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "another encoding": head + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "a hexadecimal prefix": head + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
            "no host": b"GET /livez HTTP/1.1\r\n\r\n",
            "two hosts": b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "two authorizations": b"GET /livez HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\nAuthorization: Bearer y\r\n\r\n",
            "a folded header": b"GET /livez HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
            "a bare line feed": b"GET /livez HTTP/1.1\nHost: a\n\n",
            "a NUL": b"GET /livez HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        }
        for name, data in cases.items():
            with self.subTest(name):
                answer = self.send(data + smuggled)
                self.assertTrue(answer.startswith(b"HTTP/1.1 400 "), answer[:200])
                self.assertEqual(answer.count(b"HTTP/1.1 "), 1, "the smuggled request was answered")
        self.alive()

    def test_too_many_and_too_large_headers_are_431(self):
        many = b"".join(b"X-%d: a\r\n" % i for i in range(500))
        for headers in (many, b"X: " + b"a" * 9000 + b"\r\n"):
            self.assertIn(b" 431 ", self.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n")[:40])
        self.alive()

    def test_clients_that_hang_up_leave_nothing_behind(self):
        body = b"grant_type=client_credentials&client_id=x&client_secret=y"
        for _ in range(200):
            connection = self.connect()
            connection.sendall(b"POST /OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                               b"Content-Length: %d\r\n\r\n" % len(body) + body)
            connection.close()
        self.alive()

    def test_clients_that_send_no_more_are_answered(self):
        for _ in range(100):
            with self.connect() as connection:
                connection.sendall(f"GET /v1/roles HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.admin}\r\n\r\n".encode())
                connection.shutdown(socket.SHUT_WR)
                self.assertIn(b" 200 OK\r\n", connection.recv(100))

    def test_connections_of_one_address_are_limited_and_others_go_on(self):
        held = [self.connect() for _ in range(100)]
        try:
            time.sleep(0.3)
        finally:
            for connection in held:
                connection.close()
        deadline = time.monotonic() + 60
        while True:
            try:
                self.alive()
                return
            except (ConnectionError, AssertionError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def test_pipelined_requests_are_answered_in_order(self):
        answer = self.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"
                           b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        codes = re.findall(rb"HTTP/1.1 (\d+) ", answer)
        self.assertEqual(codes, [b"200", b"404", b"200"])

    def answer_on(self, connection, data):
        """(status line, headers, body) of one request; not a byte more is read."""
        connection.sendall(data)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        status, *lines = head.decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body, left = b"", 0 if data.startswith(b"HEAD") else int(headers["content-length"])
        while len(body) < left:
            body += connection.recv(min(left - len(body), 4096))
        return status, headers, body

    def test_each_answer_ends_where_its_head_says(self):
        get = b"GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # so that the server has to wait for room
            connection.settimeout(60)
            connection.connect(("127.0.0.1", self.shim.http_port))
            chunked = (b"POST /OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                       b"Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n")
            status, headers, body = self.answer_on(connection, chunked)
            self.assertEqual((status, body[:1], body[-1:]), ("HTTP/1.1 400 Bad Request", b"{", b"}"))
            self.assertNotIn("connection", headers)
            _, _, large = self.answer_on(connection, get % (b"/openapi.json", b""))
            _, headers, nothing = self.answer_on(connection, b"HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual((int(headers["content-length"]), nothing), (len(large), b""))
            tag = b"If-None-Match: " + headers["etag"].encode() + b"\r\n"
            connection.sendall(get % (b"/openapi.json", tag) + get % (b"/livez", b"Connection: close\r\n"))
            rest = b""
            while chunk := connection.recv(4096):
                rest += chunk
            same, last = rest.split(b"\r\n\r\n", 1)
            self.assertTrue(same.startswith(b"HTTP/1.1 304 "), same)
            self.assertNotIn(b"content-length", same.lower())
            self.assertRegex(last, rb"(?s)^HTTP/1.1 200 OK\r\n.*\r\nConnection: close\r\n\r\nok\n$")

    def test_an_older_client_is_answered_as_it_asks(self):
        with self.connect() as connection:
            for _ in range(2):
                status, headers, body = self.answer_on(connection, b"GET /livez HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
                self.assertEqual((status, headers["connection"], body), ("HTTP/1.0 200 OK", "keep-alive", b"ok\n"))
            _, _, body = self.answer_on(connection, b"GET /livez HTTP/1.0\r\n\r\n")
            self.assertEqual((body, connection.recv(1)), (b"ok\n", b""))

    def test_a_client_that_has_said_all_is_answered(self):
        with self.connect() as connection:
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, body = answer.split(b"\r\n\r\n", 1)
        self.assertEqual(int(re.search(rb"Content-Length: (\d+)", head).group(1)), len(body))


if __name__ == "__main__":
    unittest.main()

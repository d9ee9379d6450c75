# SPDX-License-Identifier: Apache-2.0
"""What the configuration of the shim says is what the daemon does."""
import contextlib
import http.client
import re
import socket
import time
import unittest

from daemon import Daemon, auth_pb2
from shim import ShimTest

TRACE = "00-0af7651916cd43dd8448eb211c80319c-%016x-01"


class Settings(ShimTest):
    settings = {"cors_origins": "https://console.example,https://other.example:8443", "http_prefix": "/Auth",
                "public_url": "https://auth.example/Auth", "trusted_proxies": "127.0.0.2",
                "http_max_header_bytes": "2048", "http_max_body_bytes": "3000", "http_max_connections": "60",
                "http_max_connections_per_address": "20"}

    def connect(self, source=None):
        return socket.create_connection(("127.0.0.1", self.shim.http_port), timeout=60,
                                        source_address=(source, 0) if source else None)

    def origin(self, origin, method="GET", **headers):
        answer = self.ask(method, "/Auth/livez", headers={"Origin": origin, **headers})
        return answer.code, answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]

    def test_only_configured_origins_may_call(self):
        asks = {"Access-Control-Request-Method": "POST"}
        for origin in ("https://console.example", "https://other.example:8443"):
            self.assertEqual(self.origin(origin), (200, origin, "Origin"))
            self.assertEqual(self.origin(origin, "OPTIONS", **asks), (204, origin, "Origin"))
        for origin in ("https://console.example.evil.example", "https://console.example:8443", "http://console.example",
                       "https://CONSOLE.example", "https://other.example", "null", "*", ""):
            self.assertEqual(self.origin(origin), (200, None, "Origin"))
            self.assertEqual(self.origin(origin, "OPTIONS", **asks)[1:], (None, "Origin"))

    def test_everything_is_below_the_prefix_and_the_metadata_says_how_it_is_called(self):
        told = self.ask("GET", "/.well-known/oauth-authorization-server/Auth").json
        self.assertEqual((told["issuer"], told["token_endpoint"]),
                         ("https://auth.example/Auth", "https://auth.example/Auth/OAuth/Token"))
        self.assertEqual(self.form("/Auth/oauth/TOKEN", self.grant()).code, 200)
        self.assertEqual(self.json("GET", "/Auth/v1/settings").code, 200)
        for path in ("/oauth/token", "/v1/settings", "/livez"):
            self.assertEqual(self.ask("GET", path).code, 404)

    def test_headers_and_bodies_are_as_large_as_they_may_be(self):
        self.assertEqual(self.ask("GET", "/Auth/livez", headers={"X": "x" * 1700}).code, 200)
        self.assertEqual(self.ask("GET", "/Auth/livez", headers={"X": "x" * 2100}).code, 431)
        self.assertEqual(self.form("/Auth/OAuth/Token", self.grant(x="x" * 2500)).code, 200)
        self.assertEqual(self.form("/Auth/OAuth/Token", self.grant(x="x" * 3000)).code, 413)

    def test_one_address_has_its_most_connections(self):
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                sock = stack.enter_context(self.connect("127.0.0.3"))
                sock.sendall(b"GET /Auth/livez HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 200 "))
            with self.connect("127.0.0.3") as sock, contextlib.suppress(ConnectionResetError):
                self.assertEqual(sock.recv(1), b"")
            self.assertEqual(self.ask("GET", "/Auth/livez").code, 200)

    def test_a_full_server_takes_in_who_has_something_to_say(self):
        with contextlib.ExitStack() as stack:
            for number in range(100):
                stack.enter_context(self.connect(f"127.0.0.{10 + number // 15}"))
            self.assertEqual(self.ask("GET", "/Auth/livez").code, 200)

    def test_whichever_thread_gets_it(self):
        """Both threads of a server that takes two connections, one of which may have both."""
        with contextlib.ExitStack() as stack:
            settings = {"http_threads": "2", "http_max_connections": "2", "http_address": "127.0.0.1:0"}
            daemon = stack.enter_context(Daemon(settings))
            for _ in range(40):
                for _ in range(2):
                    stack.enter_context(socket.create_connection(("127.0.0.1", daemon.http_port), timeout=60))
                with contextlib.closing(http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=60)) as connection:
                    connection.request("GET", "/livez")
                    self.assertEqual(connection.getresponse().status, 200)

    def test_a_peer_is_whom_a_trusted_proxy_names(self):
        for source, peer in (("127.0.0.2", "192.0.2.77"), ("127.0.0.4", "127.0.0.4")):
            connection = http.client.HTTPConnection("127.0.0.1", self.shim.http_port, timeout=60,
                                                    source_address=(source, 0))
            with contextlib.closing(connection):
                connection.request("POST", "/Auth/OAuth/Token", "grant_type=x", {
                    "Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": "6.6.6.6, 192.0.2.77"})
                self.assertEqual(connection.getresponse().status, 400)
            self.wait_for_line(self.shim, "event=http_request .*route=/OAuth/Token peer=" + re.escape(peer) + " ")

    def wait_for_line(self, process, pattern):
        end = time.monotonic() + 60
        while not re.search(pattern, process.log_text()):
            self.assertLess(time.monotonic(), end, pattern)
            time.sleep(0.02)

    def test_a_trace_is_in_the_lines_of_its_calls(self):
        over_http, over_grpc = TRACE % 1, TRACE % 2
        self.assertEqual(self.form("/Auth/OAuth/Token", self.grant(), {"traceparent": over_http}).code, 200)
        self.wait_for_line(self.shim, "event=http_call .*IssueToken.* traceparent=" + over_http)
        if self.shim is not self.daemon:
            self.wait_for_line(self.daemon, "event=rpc .*IssueToken.* traceparent=" + over_http)
        request = auth_pb2.IssueTokenRequest(client_id=self.daemon.client_id, client_secret=self.daemon.secret)
        self.daemon.auth.IssueToken(request, metadata=(("traceparent", over_grpc),), timeout=60)
        self.wait_for_line(self.daemon, "event=rpc .*IssueToken.* traceparent=" + over_grpc)
        self.form("/Auth/OAuth/Token", self.grant(), {"traceparent": "not-a-trace"})
        self.assertNotIn("not-a-trace", self.shim.log_text())


class Times(ShimTest):
    settings = {"http_keep_alive_ms": "1000", "http_request_timeout_ms": "1500"}

    def closed_after(self, sent):
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.shim.http_port), timeout=60) as sock:
            sock.sendall(sent)
            answer = b""
            while piece := sock.recv(4096):
                answer += piece
            return answer, time.monotonic() - begin

    def test_who_says_nothing_more_is_closed(self):
        answer, waited = self.closed_after(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", answer), [b"200"])
        self.assertGreater(waited, 0.9)  # it is kept alive for as long as it was told
        answer, waited = self.closed_after(b"GET /livez HTTP/1.1\r\nHost")
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", answer), [b"408"])
        self.assertGreater(waited, 1.4)


class OffLoopback(ShimTest):
    settings = {"http_address": "0.0.0.0:0", "insecure": "true"}

    def test_an_issuer_is_not_taken_from_what_a_client_says_the_host_is(self):
        answer = self.ask("GET", "/.well-known/oauth-authorization-server", headers={"Host": "evil.example"})
        self.assertEqual((answer.code, "evil" in answer.text), (404, False))
        self.assertIn("public_url", answer.json["error_description"])


if __name__ == "__main__":
    unittest.main()

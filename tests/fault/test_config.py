# SPDX-License-Identifier: Apache-2.0
"""Starting, configuration, draining."""
import contextlib
import http.client
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import grpc
from daemon import Daemon, auth_pb2

OFF = {"http_address": ""}
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # grpc.health.v1.HealthCheckResponse


class Config(unittest.TestCase):
    def mistakes(self, settings, *arguments):
        with Daemon({**settings}, init=False, start=False) as daemon:
            result = daemon.run("--check-config", *arguments, check=False)
            return result.returncode, result.stderr

    def test_every_mistake_is_told_at_once(self):
        code, text = self.mistakes({"log_level": "loud", "flush_interval_ms": "1", "http_address": "nowhere",
                                    "grpc_cert": "/not/there", "no_such_setting": "1"})
        self.assertEqual(code, 2)
        for sentence in ('log_level cannot be "loud"', "flush_interval_ms is 1", 'http_address: "nowhere"',
                         "the file /not/there cannot be read", "grpc_cert and grpc_key go together",
                         "there is no setting no_such_setting"):
            self.assertIn(sentence, text)

    def test_off_loopback_tls_is_demanded_unless_insecure_is_said(self):
        code, text = self.mistakes({"grpc_address": "0.0.0.0:0", "http_address": "0.0.0.0:0"})
        self.assertEqual(code, 2)
        self.assertIn("demands mutual TLS", text)
        self.assertIn("http_address 0.0.0.0:0 is off loopback: that demands TLS", text)
        self.assertEqual(self.mistakes({"grpc_address": "0.0.0.0:0", "http_address": "0.0.0.0:0", "insecure": "true"})[0], 0)

    def test_only_what_will_work_is_accepted(self):
        for setting, value, sentence in (
                ("http_prefix", "/Auth/", "http_prefix must"), ("http_prefix", "/", "http_prefix must"),
                ("http_prefix", "/a//b", "http_prefix must"), ("http_prefix", "/a/../b", "http_prefix must"),
                ("http_prefix", "/a?b", "http_prefix must"),
                ("public_url", "https://auth.example.com/", "public_url must"), ("public_url", "nonsense", "public_url must"),
                ("public_url", "https://", "public_url must"), ("public_url", "ftp://x", "public_url must"),
                ("public_url", "https://x?y", "public_url must"), ("public_url", "https://x:99999", "public_url must"),
                ("public_url", "https://me@x", "public_url must"),
                ("cors_origins", "https://a.example,https://b.example/", '"https://b.example/" is not an origin'),
                ("cors_origins", "*", "is not an origin"), ("cors_origins", "https://A.example", "is not an origin"),
                ("cors_origins", "https://a.example:443", "is not an origin"), ("cors_origins", "a.example", "is not an origin"),
                ("http_address", "192.0.2.1:8080", "cannot be listened on"), ("http_address", "no.such.name.invalid:80",
                                                                            "not an address of this machine"),
                ("metrics_address", "unix:/tmp/x", "HOST:PORT"), ("http_address", "::1:80", "HOST:PORT"),
                ("metrics_address", "0.0.0.0:9464", "metrics_off_loopback"),
                ("http_max_connections", "999999", "files open"),
                ("trusted_proxies", "proxy.example", "neither an IP address nor a network"),
                ("introspect_identities", '{"a"', "a list is"), ("introspect_identities", 'a"b', "a list is"),
                ("introspect_identities", "a,,b", "a list is"), ("introspect_identities", '{"a"} x', "a list is"),
                ("introspect_identities", '{"a" "b"}', "a list is")):
            with self.subTest(setting=setting, value=value):
                code, text = self.mistakes({setting: value, **({"insecure": "true"} if setting == "http_address" else {})})
                self.assertEqual(code, 2)
                self.assertIn(sentence, text)
        for setting, value in (("http_prefix", ""), ("http_prefix", "/Auth/v1.0"), ("public_url", "https://[::1]:8443/a/b"),
                               ("public_url", "http://localhost"), ("cors_origins", "http://[::1]:3000,https://a-b.example:8443"),
                               ("trusted_proxies", "10.0.0.0/8, ::1"), ("metrics_address", "127.0.0.1:0")):
            self.assertEqual(self.mistakes({setting: value}), (0, ""), (setting, value))
        self.assertEqual(self.mistakes({"metrics_address": "0.0.0.0:9464", "metrics_off_loopback": "true"}), (0, ""))
        people = {"console_user_header": "X-Forwarded-User", "trusted_proxies": "unix"}
        self.assertEqual(self.mistakes(people), (0, ""))
        code, text = self.mistakes({**people, "upstream": "127.0.0.1:50051"})
        self.assertEqual((code, "an edge has no directory" in text), (2, True))
        code, text = self.mistakes({"http_address": "127.0.0.1:18080", "metrics_address": "127.0.0.1:18080"})
        self.assertEqual((code, "cannot share" in text), (2, True))

    def test_an_address_that_somebody_has_already_is_no_mistake(self):
        with Daemon(OFF) as daemon:  # so that the settings of one that runs can be checked
            daemon.settings["grpc_address"] = f"127.0.0.1:{daemon.grpc_port}"
            self.assertEqual(daemon.run("--check-config").returncode, 0)

    def test_a_key_fits_its_certificate(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a", "b"):
                subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                                "-subj", "/CN=" + name, "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"],
                               check=True, capture_output=True)
            with open(folder + "/empty", "w"):
                pass
            for port in ("http", "grpc", "upstream"):
                pair = {port + "_cert": folder + "/a.pem", port + "_key": folder + "/a.key"}
                self.assertEqual(self.mistakes(pair), (0, ""))
                code, text = self.mistakes({**pair, port + "_key": folder + "/b.key"})
                self.assertEqual((code, f"{port}_key: it cannot be used with its certificate" in text), (2, True), text)
                self.assertEqual(self.mistakes({**pair, port + "_cert": folder + "/a.key"})[0], 2)
            code, text = self.mistakes({"grpc_cert": folder + "/a.pem", "grpc_key": folder + "/a.key",
                                        "grpc_client_ca": folder + "/empty"})
            self.assertEqual((code, "grpc_client_ca: there is no certificate" in text), (2, True), text)

    def test_a_list_is_written_alike_everywhere(self):
        with Daemon({}, init=False, start=False) as daemon:
            for text, printed in (('{"a", "b"}', '{"a", "b"}'), ("a,b", '{"a", "b"}'), (" a , b ", '{"a", "b"}'),
                                  ('{a,b}', '{"a", "b"}'), ('{"a, b"}', '{"a, b"}'), ("", "{}"), ("{}", "{}"),
                                  ("{'a',}", '{"a"}')):
                line = f"introspect_identities = {printed}\n"
                self.assertIn(line, daemon.run("--print-config", "--set", "introspect_identities=" + text).stdout)
                daemon.environment["GATEHOUSED_INTROSPECT_IDENTITIES"] = text
                self.assertIn(line, daemon.run("--print-config").stdout)
                del daemon.environment["GATEHOUSED_INTROSPECT_IDENTITIES"]
                if text.startswith("{"):
                    with open(daemon.folder + "/conf", "w") as file:
                        file.write(f"introspect_identities = {text}\n")
                    self.assertIn(line, daemon.run("--print-config", "--config", daemon.folder + "/conf").stdout)

    def test_a_reload_without_certificates_says_nothing_of_certificates(self):
        with Daemon() as daemon:
            daemon.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 60
            while "event=reloaded" not in daemon.log_text():
                self.assertLess(time.monotonic(), end)
                time.sleep(0.02)
            self.assertNotIn("certificate", daemon.log_text())

    def test_a_file_the_environment_and_set_follow_each_other(self):
        with Daemon({}, init=False, start=False) as daemon:
            with open(daemon.folder + "/conf", "w") as file:
                file.write('log_level = "debug"\ngrace_ms = 11\nflush_interval_ms = 11\nadmin_identities = {"a", "b"}\n')
            daemon.environment.update(GATEHOUSED_GRACE_MS="12", GATEHOUSED_FLUSH_INTERVAL_MS="12")
            text = daemon.run("--print-config", "--config", daemon.folder + "/conf", "--set", "flush_interval_ms=13").stdout
            for line in ('log_level = "debug"', "grace_ms = 12", "flush_interval_ms = 13", 'admin_identities = {"a", "b"}'):
                self.assertIn("\n" + line + "\n", text)

    def test_what_print_config_prints_can_be_read_again(self):
        with Daemon({}, init=False, start=False) as daemon:
            text = daemon.run("--print-config").stdout
            with open(daemon.folder + "/conf", "w") as file:
                file.write(text)
            self.assertEqual(daemon.run("--print-config", "--config", daemon.folder + "/conf").stdout, text)

    def test_init_writes_the_secret_to_a_file_of_mode_0600_or_prints_it(self):
        with Daemon(OFF, start=False) as daemon:
            self.assertEqual(stat.S_IMODE(os.stat(daemon.secret_file).st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(daemon.folder + "/gatehouse.db").st_mode), 0o600)
            for path in (daemon.secret_file, daemon.folder + "/absent/secret"):  # is there; cannot be made
                failed = daemon.run("init", "--name", "second", "--secret-file", path, check=False)
                self.assertEqual((failed.returncode, failed.stdout), (1, ""))
            printed = daemon.run("init", "--name", "second").stdout
            self.assertRegex(printed, r"client_secret=gate_sk_[0-9A-Za-z]{49}\n")

    def test_a_port_that_is_taken_is_told(self):
        with Daemon(OFF) as first:
            with self.assertRaisesRegex(RuntimeError, "grpc_cannot_listen"):
                Daemon({**OFF, "grpc_address": f"127.0.0.1:{first.grpc_port}"})


class Drain(unittest.TestCase):
    def test_no_accepted_call_is_dropped_and_health_turns_first(self):
        with Daemon() as daemon:
            seen = []
            watch = daemon.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
            self.assertEqual(next(watch), SERVING)
            failures, done = [], [0]

            def load():
                channel = daemon.open_channel()
                stub = type(daemon.auth)(channel)
                request = auth_pb2.IssueTokenRequest(client_id=daemon.client_id, client_secret=daemon.secret)
                while True:
                    try:
                        stub.IssueToken(request, timeout=60)
                        done[0] += 1
                    except grpc.RpcError as error:
                        # Never accepted: it came when the port was closing. gRPC 1.51 says CANCELLED to some of those.
                        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                            failures.append(error)
                        channel.close()
                        return

            threads = [threading.Thread(target=load) for _ in range(8)]
            for thread in threads:
                thread.start()
            while done[0] < 100:
                time.sleep(0.01)
            daemon.process.terminate()
            with contextlib.suppress(grpc.RpcError):
                for change in watch:
                    seen.append(change)
            for thread in threads:
                thread.join(60)
            self.assertEqual(daemon.process.wait(60), 0)
            self.assertEqual(failures, [])
            self.assertEqual(seen[:1], [NOT_SERVING])
            self.assertIn("event=stopped", daemon.log_text())


class LameDuck(unittest.TestCase):
    def health(self, daemon):
        return daemon.channel.unary_unary("/grpc.health.v1.Health/Check")(b"")

    def get(self, daemon, path):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.http_port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status

    def eventually(self, condition):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_a_lame_duck_serves_on_and_says_that_it_is_not_ready(self):
        with Daemon({"lame_duck_ms": "600000"}) as daemon:
            self.assertEqual((self.get(daemon, "/readyz"), self.health(daemon)), (200, SERVING))
            daemon.process.terminate()
            self.eventually(lambda: self.get(daemon, "/readyz") == 503)
            self.eventually(lambda: self.health(daemon) == NOT_SERVING)
            self.assertEqual(self.get(daemon, "/livez"), 200)
            self.assertTrue(daemon.issue().access_token)
            self.assertIsNone(daemon.process.poll())
            daemon.process.terminate()  # enough of it
            self.assertEqual(daemon.process.wait(60), 0)

    def refuses(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
            return False
        except ConnectionRefusedError:
            return True

    def test_both_ports_are_closed_at_once_while_a_request_is_still_coming_in(self):
        settings = {"grace_ms": "60000", "http_request_timeout_ms": "60000"}
        with Daemon(settings) as daemon, socket.create_connection(("127.0.0.1", daemon.http_port)) as slow:
            body = f"grant_type=client_credentials&client_id={daemon.client_id}&client_secret={daemon.secret}".encode()
            slow.sendall(b"POST /OAuth/Token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                         b"Content-Length: %d\r\n\r\n" % len(body) + body[:10])
            self.eventually(lambda: self.get(daemon, "/livez") == 200)  # it has been read, then
            daemon.process.terminate()
            self.eventually(lambda: self.refuses(daemon.http_port))
            self.eventually(lambda: self.refuses(daemon.grpc_port))
            self.assertIsNone(daemon.process.poll())
            slow.sendall(body[10:])
            answer = b""
            while piece := slow.recv(4096):
                answer += piece
            self.assertIn(b" 200 OK", answer)
            self.assertIn(b"Connection: close", answer)
            self.assertEqual(daemon.process.wait(60), 0)


if __name__ == "__main__":
    unittest.main()

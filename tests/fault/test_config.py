# SPDX-License-Identifier: Apache-2.0
"""Starting, configuration, draining."""
import contextlib
import os
import stat
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

    def test_rest_only_needs_an_upstream(self):
        code, text = self.mistakes({}, "--rest-only")
        self.assertEqual(code, 2)
        self.assertIn("--rest-only needs --upstream", text)

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
                        stub.IssueToken(request, timeout=20)
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
                thread.join(30)
            self.assertEqual(daemon.process.wait(30), 0)
            self.assertEqual(failures, [])
            self.assertEqual(seen[:1], [NOT_SERVING])
            self.assertIn("event=stopped", daemon.log_text())


if __name__ == "__main__":
    unittest.main()

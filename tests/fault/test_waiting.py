# SPDX-License-Identifier: Apache-2.0
"""A store that is away at the start: the daemon is alive and not ready, and serves once the store is there."""
import contextlib
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from daemon import DEADLINE, Daemon, error_of
from postgres import Postgres

ON = {"http_address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", "flush_interval_ms": "100", "log_level": "debug"}


def get(port, path, form=None):
    """(status, Retry-After, body)"""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", form, timeout=DEADLINE) as answer:
            return answer.status, None, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Retry-After"], error.read().decode()


def eventually(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it never happened")
        time.sleep(0.05)


class Waiting(unittest.TestCase):
    def health(self, daemon):
        with daemon.open_channel() as channel:
            ask = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=bytes, response_deserializer=bytes)
            return {b"\x08\x01": "SERVING", b"\x08\x02": "NOT_SERVING"}[ask(b"", timeout=DEADLINE)]

    def assert_waits(self, daemon, why):
        self.assertIn("store=away", daemon.log_text())
        self.assertRegex(daemon.log_text(), f"event=store_away .*{why}")
        self.assertEqual(get(daemon.http_port, "/livez")[0], 200)
        status, _, text = get(daemon.http_port, "/readyz")
        self.assertEqual((status, text.splitlines()[0]), (503, "not ready"))
        self.assertEqual(self.health(daemon), "NOT_SERVING")
        self.assertEqual(error_of(lambda: daemon.issue("x", "y"))[:2], ("UNAVAILABLE", "STORE_UNAVAILABLE"))
        self.assertEqual(error_of(lambda: daemon.introspect("x", "y"))[:2], ("UNAVAILABLE", "STORE_UNAVAILABLE"))
        form = b"grant_type=client_credentials&client_id=x&client_secret=y"
        self.assertEqual(get(daemon.http_port, "/OAuth/Token", form)[:2], (503, "1"))
        self.assertIn("\ngatehouse_store_writable 0\n", get(daemon.metrics_port, "/metrics")[2])

    def assert_serves(self, daemon):
        eventually(lambda: get(daemon.http_port, "/readyz")[0] == 200)
        self.assertIn("event=store_opened", daemon.log_text())
        token = daemon.admin_token()
        self.assertTrue(daemon.introspect(token, token).active)
        eventually(lambda: self.health(daemon) == "SERVING")
        self.assertIn("\ngatehouse_store_writable 1\n", get(daemon.metrics_port, "/metrics")[2])
        self.assertEqual(daemon.log_text().count("event=store_away"), 1)  # not at each try

    def tries(self, daemon):
        """It has tried some times more."""
        before = daemon.log_text().count("event=store_still_away")
        eventually(lambda: daemon.log_text().count("event=store_still_away") >= before + 3)

    def test_a_database_file_that_another_daemon_uses(self):
        with Daemon(ON) as first:
            second = Daemon(ON, folder=first.folder, init=False, start=False)
            second.log_path += "2"
            second.client_id = first.client_id
            with second:
                second.start()
                self.tries(second)
                self.assert_waits(second, "another daemon uses the database")
                self.assertTrue(first.issue().access_token)
                self.assertEqual(first.stop(), 0)
                self.assert_serves(second)
                second.stop()

    def test_a_database_file_that_another_process_has_locked(self):
        with Daemon(ON, start=False) as daemon:
            other = sqlite3.connect(daemon.folder + "/gatehouse.db", isolation_level=None)
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            daemon.start()
            self.assert_waits(daemon, "locked")
            other.close()
            self.assert_serves(daemon)

    def test_a_disk_that_is_full(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small disk needs root")
        folder = tempfile.mkdtemp(prefix="gatehouse-full-start-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
        try:
            with Daemon({**ON, "store": f"sqlite:{folder}/g.db"}) as daemon:
                text = daemon.admin_token()
                daemon.stop()  # its log is in the database now: a start needs room for a new one
                with open(folder + "/filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(4096))
                daemon.start()
                self.assert_waits(daemon, "the disk (of .* )?is full")
                os.unlink(folder + "/filler")
                self.assert_serves(daemon)
                self.assertTrue(daemon.introspect(daemon.admin_token(), text).active)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
            os.rmdir(folder)

    def test_a_postgresql_that_is_not_there_yet(self):
        with Postgres() as postgres, Daemon({**ON, "store": postgres.new_database()}) as daemon:
            token = daemon.admin_token()
            daemon.stop()
            postgres.stop()
            daemon.start()
            self.tries(daemon)
            self.assert_waits(daemon, "the database cannot be used")
            eventually(lambda: self.is_started(postgres))
            self.assert_serves(daemon)
            self.assertTrue(daemon.introspect(daemon.admin_token(), token).active)

    def is_started(self, postgres):
        try:
            postgres.start()
            return True
        except RuntimeError:
            return False

    def test_it_ends_when_it_is_told_so_and_when_waiting_is_in_vain(self):
        with Daemon(ON) as first:
            second = Daemon(ON, folder=first.folder, init=False, start=False)
            second.log_path += "2"
            second.start()
            second.process.send_signal(signal.SIGHUP)
            self.assertEqual(second.stop(), 0)
            second.start()
            with sqlite3.connect(first.folder + "/gatehouse.db") as database:
                database.execute("INSERT INTO schema_version (number, applied) VALUES (9999, 0)")
            database.close()
            first.kill()
            self.assertEqual(second.process.wait(DEADLINE), 1)
            with open(second.log_path) as file:
                self.assertRegex(file.read(), "event=store_cannot_be_opened .*newer than this program")

    def test_what_no_waiting_helps_ends_at_once(self):
        with tempfile.TemporaryDirectory() as folder:
            for store in (f"sqlite:{folder}/absent.db", f"sqlite:{folder}/no-such-folder/g.db", f"sqlite:{folder}"):
                daemon = Daemon({**ON, "store": store}, folder=folder, init=False, start=False)
                with self.assertRaisesRegex(RuntimeError, "store_cannot_be_opened"):
                    daemon.start()
                self.assertEqual(daemon.process.wait(DEADLINE), 1)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Disks that fill up, files that cannot be used: a documented error, nothing lost, and recovery when the cause is gone."""
import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
import unittest
import urllib.request

from daemon import Daemon, error_of
from gatehouse.v1 import credential_admin_pb2 as pb

OFF = {"http_address": "", "flush_interval_ms": "100"}
ON = {"http_address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0"}
UNAVAILABLE = ("UNAVAILABLE", "STORE_UNAVAILABLE", "")


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.status, answer.read().decode()


class Disk(unittest.TestCase):
    def refused_to_start(self, daemon, sentence):
        with self.assertRaisesRegex(RuntimeError, sentence):
            daemon.start()

    def test_a_full_disk_is_unavailable_and_nothing_is_lost(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small disk needs root")
        folder = tempfile.mkdtemp(prefix="gatehouse-full-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=True)
        try:
            with Daemon({**OFF, **ON, "store": f"sqlite:{folder}/g.db"}) as daemon:
                token = daemon.admin_token()
                live = [daemon.issue().access_token for _ in range(20)]
                with open(folder + "/filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
                    while True:
                        filler.write(bytes(4096))
                refused = False
                for number in range(2000):  # what is left in the write-ahead log takes a while
                    try:
                        live.append(daemon.issue().access_token)
                    except Exception:
                        refused = True
                        break
                self.assertTrue(refused, "the disk is full and tokens are still issued")
                self.assertEqual(error_of(daemon.issue), UNAVAILABLE)
                self.assertTrue(all(daemon.introspect(token, text).active for text in live))  # reading goes on
                self.assertEqual(get(daemon.http_port, "/readyz"), (200, "ok, but the store cannot be written\n"))
                self.assertIn("\ngatehouse_store_writable 0\n", get(daemon.metrics_port, "/metrics")[1])
                self.assertFalse(daemon.admin.GetServerStatus(pb.GetServerStatusRequest(), metadata=daemon.bearer(token),
                                                              timeout=60).server_status.writable)
                os.unlink(folder + "/filler")
                end = time.monotonic() + 60
                while True:
                    try:
                        live.append(daemon.issue().access_token)
                        break
                    except Exception:
                        self.assertLess(time.monotonic(), end, "no recovery")
                        time.sleep(0.1)
                self.assertEqual(get(daemon.http_port, "/readyz"), (200, "ok\n"))
                self.assertIn("\ngatehouse_store_writable 1\n", get(daemon.metrics_port, "/metrics")[1])
                daemon.kill()
                daemon.start()
                caller = daemon.admin_token()
                self.assertTrue(all(daemon.introspect(caller, text).active for text in live))
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
            os.rmdir(folder)

    def test_a_database_that_another_process_locks_is_unavailable_until_it_lets_go(self):
        with Daemon(OFF) as daemon:
            token = daemon.admin_token()
            other = sqlite3.connect(daemon.folder + "/gatehouse.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            self.assertEqual(error_of(daemon.issue), UNAVAILABLE)
            self.assertTrue(daemon.introspect(token, token).active)
            other.execute("ROLLBACK")
            other.close()
            self.assertTrue(daemon.issue().access_token)

    def test_a_read_only_file_system_is_told_and_nothing_is_lost(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a disk needs root")
        folder = tempfile.mkdtemp(prefix="gatehouse-read-only-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], check=True)
        try:
            with Daemon({**OFF, "store": f"sqlite:{folder}/g.db"}) as daemon:
                text = daemon.admin_token()
                daemon.stop()
                subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
                self.refused_to_start(daemon, "store_cannot_be_opened.*(read-only|Read-only|readonly|not writable)")
                subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
                daemon.start()
                self.assertTrue(daemon.introspect(text, text).active)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
            os.rmdir(folder)

    def test_a_database_that_is_moved_away_is_noticed_and_nothing_is_lost(self):
        with Daemon({**OFF, **ON}) as daemon:
            text = daemon.admin_token()
            self.assertRegex(get(daemon.metrics_port, "/metrics")[1], r"(?m)^gatehouse_store_wal_bytes [1-9]")
            path = daemon.folder + "/gatehouse.db"
            os.rename(path, path + ".moved")
            self.assertEqual(daemon.process.wait(60), 1)
            self.assertIn("event=store_file_moved", daemon.log_text())
            self.assertFalse(os.path.exists(path))
            os.rename(path + ".moved", path)
            daemon.start()
            self.assertTrue(daemon.introspect(text, text).active)

    def test_a_database_that_is_replaced_is_noticed(self):
        with Daemon(OFF) as daemon:
            path = daemon.folder + "/gatehouse.db"
            shutil.copy(path, path + ".copy")
            os.rename(path + ".copy", path)
            self.assertEqual(daemon.process.wait(60), 1)
            self.assertIn("event=store_file_moved", daemon.log_text())

    def test_a_database_that_is_not_there_is_told_with_what_to_do(self):
        with tempfile.TemporaryDirectory() as folder:
            daemon = Daemon(OFF, folder=folder, init=False, start=False)
            self.refused_to_start(daemon, "gatehoused init")

    def test_a_newer_database_is_refused_in_a_sentence(self):
        with Daemon(OFF, start=False) as daemon:
            with sqlite3.connect(daemon.folder + "/gatehouse.db") as database:
                database.execute("INSERT INTO schema_version (number, applied) VALUES (9999, 0)")
            database.close()
            self.refused_to_start(daemon, "newer than this program")

    def test_a_damaged_or_foreign_file_is_refused(self):
        for content in (b"this is no database" * 1000, b""):
            with tempfile.TemporaryDirectory() as folder:
                with open(folder + "/gatehouse.db", "wb") as file:
                    file.write(content)
                self.refused_to_start(Daemon(OFF, folder=folder, init=False, start=False), "store_cannot_be_opened")

    def test_init_does_not_make_the_same_administrator_twice(self):
        with Daemon(OFF, start=False) as daemon:
            again = daemon.run("init", "--secret-file", daemon.folder + "/again", check=False)
            self.assertEqual(again.returncode, 1)
            self.assertIn("already", again.stderr)
            daemon.start()
            self.assertEqual(len(daemon.admin.ListCredentials(
                pb.ListCredentialsRequest(), metadata=Daemon.bearer(daemon.admin_token())).credentials), 1)


if __name__ == "__main__":
    unittest.main()

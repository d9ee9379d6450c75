# SPDX-License-Identifier: Apache-2.0
"""gatehouse admin backup: while the daemon runs and writes, and restored."""
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from daemon import DEADLINE, Daemon
from gatehouse.v1 import auth_pb2
from gatehouse.v1 import credential_admin_pb2 as pb
from operate import DONE, REFUSED, UNREACHABLE, USAGE, Issuers, end, fill, gatehouse, on_terminal, stop_half_way

OFF = {"http_address": "", "flush_interval_ms": "100"}


class Backup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gatehouse-backup-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.file = self.folder + "/backup.db"

    def ok(self, *arguments):
        answer = gatehouse("admin", "backup", *arguments)
        self.assertEqual((answer.returncode, answer.stderr), (DONE, ""), arguments)
        return answer.stdout

    def fails(self, code, words, *arguments):
        answer = gatehouse("admin", "backup", *arguments)
        self.assertEqual((answer.returncode, answer.stdout), (code, ""), answer.stderr)
        self.assertRegex(answer.stderr, rf"^gatehouse admin backup: .*{words}")
        return answer.stderr

    def is_alone(self, *names):
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(names))

    def restored(self, source, file):
        """A daemon of its own on that file, with the first administrator's secret of the source."""
        daemon = Daemon({**OFF, "store": "sqlite:" + file}, init=False)
        daemon.client_id = source.client_id
        shutil.copy(source.secret_file, daemon.secret_file)
        return daemon

    def revoke(self, daemon, token):
        daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=daemon.bearer(token), timeout=DEADLINE)

    def credentials(self, daemon):
        answer = daemon.admin.ListCredentials(pb.ListCredentialsRequest(), metadata=daemon.bearer(daemon.admin_token()),
                                              timeout=DEADLINE)
        return {(item.client_id, item.name) for item in answer.credentials}

    def test_what_was_acknowledged_before_a_backup_under_load_is_in_it(self):
        with Daemon(OFF) as daemon:
            admin = daemon.admin_token()
            for number in range(20):
                daemon.create(admin, f"Third party {number}")
            before = self.credentials(daemon)
            with Issuers(daemon) as issuers:
                issuers.wait_for(500)
                live = list(issuers.tokens)
                dead = live[:50]
                for token in dead:
                    self.revoke(daemon, token)
                self.ok("--from=sqlite:" + daemon.folder + "/gatehouse.db", self.file)
                issuers.wait_for(len(issuers.tokens) + 100)  # and the daemon goes on
            self.assertEqual(issuers.errors, [])
            self.assertEqual(os.stat(self.file).st_mode & 0o7777, 0o600)
            self.is_alone("backup.db")
            with open(self.file, "rb") as file:
                self.assertEqual(file.read(20)[18:], b"\1\1")  # one that needs no WAL: also readable where nothing can be written
            with self.restored(daemon, self.file) as other:
                self.assertEqual(self.credentials(other), before)
                caller = other.admin_token()
                wrong = [t for t in live if other.introspect(caller, t).active == (t in dead)]
                self.assertEqual(wrong, [])
                answer = other.admin.VerifyAuditLog(pb.VerifyAuditLogRequest(), metadata=other.bearer(caller),
                                                    timeout=DEADLINE)
                self.assertTrue(answer.intact)

    def test_a_backup_that_takes_for_ever_holds_up_no_write_and_is_of_the_moment_it_began(self):
        with Daemon(OFF, start=False) as daemon:
            fill(daemon.folder + "/gatehouse.db", 400_000)
            daemon.start()
            before = [daemon.issue().access_token for _ in range(10)]
            arguments = ("admin", "backup", "--overwrite", "--from=sqlite:" + daemon.folder + "/gatehouse.db", self.file)
            stopped = stop_half_way(arguments, lambda: os.path.exists(self.file + ".partial")
                                    and os.path.getsize(self.file + ".partial") > 1_000_000)
            with Issuers(daemon, threads=8) as issuers:
                issuers.wait_for(3000)
            self.assertEqual(issuers.errors, [])
            stopped.send_signal(signal.SIGCONT)
            output = stopped.communicate(timeout=DEADLINE)
            self.assertEqual(stopped.returncode, DONE, output)
            with self.restored(daemon, self.file) as other:
                caller = other.admin_token()
                self.assertTrue(all(other.introspect(caller, token).active for token in before))
                self.assertFalse(any(other.introspect(caller, token).active for token in issuers.tokens[:100]))

    def test_a_restore_over_a_database_takes_nothing_of_it_along(self):
        with Daemon(OFF) as daemon:
            path = daemon.folder + "/gatehouse.db"
            kept = daemon.issue().access_token
            self.ok("--from=sqlite:" + path, self.file)
            later = [daemon.issue().access_token for _ in range(50)]
            text = self.fails(REFUSED, "a running daemon uses this database", "--from=sqlite:" + self.file, "--overwrite", path)
            self.assertIn(path, text)
            daemon.kill()  # its write-ahead log stays
            self.assertGreater(os.path.getsize(path + "-wal"), 0)
            self.fails(REFUSED, "is there already", "--from=sqlite:" + self.file, path)
            os.rename(path, path + ".old")  # the write-ahead log alone is as dangerous
            self.fails(REFUSED, "a -wal or -journal is there", "--from=sqlite:" + self.file, path)
            self.ok("--from=sqlite:" + self.file, "--overwrite", path)
            self.assertFalse(os.path.exists(path + "-wal"))
            daemon.start()
            caller = daemon.admin_token()
            self.assertTrue(daemon.introspect(caller, kept).active)
            self.assertFalse(any(daemon.introspect(caller, token).active for token in later))

    def test_a_backup_of_a_stopped_or_killed_daemons_database(self):
        with Daemon(OFF) as daemon:
            path = daemon.folder + "/gatehouse.db"
            token = daemon.issue().access_token
            daemon.kill()
            self.ok("--from=sqlite:" + path, self.file)
            daemon.start()
            self.assertTrue(daemon.introspect(daemon.admin_token(), token).active)
            end(daemon)
            self.ok("--from=sqlite:" + path, "--overwrite", self.file)
            with self.restored(daemon, self.file) as other:
                self.assertTrue(other.introspect(other.admin_token(), token).active)

    def test_what_is_there_is_not_overwritten_without_being_told(self):
        with Daemon(OFF) as daemon:
            path = daemon.folder + "/gatehouse.db"
            with open(self.file, "w", encoding="ascii") as file:
                file.write("precious")
            self.fails(REFUSED, "is there already", "--from=sqlite:" + path, self.file)
            with open(self.file, encoding="ascii") as file:
                self.assertEqual(file.read(), "precious")
            self.is_alone("backup.db")
            self.assertEqual(self.ok("-o", "value", "--from=sqlite:" + path, "--overwrite", self.file), self.file + "\n")
            self.fails(REFUSED, "is the database itself", "--from=sqlite:" + path, "--overwrite", path)
            os.symlink(path, self.folder + "/link")
            self.fails(REFUSED, "is the database itself", "--from=sqlite:" + path, "--overwrite", self.folder + "/link")
            self.fails(REFUSED, "is there, and no file", "--from=sqlite:" + path, "--overwrite", self.folder)
            self.assertTrue(daemon.issue().access_token)

    def test_a_source_that_is_none_is_refused_and_nothing_is_left(self):
        path = self.folder + "/source"
        self.fails(REFUSED, "No such file", "--from=sqlite:" + path, self.file)
        with open(path, "wb") as file:
            file.write(os.urandom(8192))
        self.fails(REFUSED, "not a SQLite database", "--from=sqlite:" + path, self.file)
        os.unlink(path)
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE somebody_elses (x)")
        other.close()
        self.fails(REFUSED, "a database of another program", "--from=sqlite:" + path, self.file)
        self.is_alone("source")

    def test_a_damaged_database_is_not_backed_up(self):
        path = self.folder + "/source"
        with Daemon({**OFF, "store": "sqlite:" + path}, start=False):
            fill(path, 20_000)
        with open(path, "r+b") as file:  # a page of tokens
            file.seek(os.path.getsize(path) * 3 // 4 // 4096 * 4096)
            file.write(os.urandom(4096))
        self.fails(REFUSED, "the database is damaged, and so would be the backup", "--from=sqlite:" + path, self.file)
        self.assertFalse([name for name in os.listdir(self.folder) if name.startswith("backup")])

    def test_a_check_reads_all_of_it_while_the_daemon_runs(self):
        path = self.folder + "/source"
        with Daemon({**OFF, "store": "sqlite:" + path}) as daemon:
            answer = gatehouse("admin", "check", "sqlite:" + path)
            self.assertEqual((answer.returncode, answer.stderr), (DONE, ""))
            daemon.admin_token()
        fill(path, 20_000)
        self.assertEqual(gatehouse("admin", "check", "sqlite:" + path).returncode, DONE)
        with open(path, "r+b") as file:  # a page of tokens
            file.seek(os.path.getsize(path) * 3 // 4 // 4096 * 4096)
            file.write(os.urandom(4096))
        answer = gatehouse("admin", "check", "sqlite:" + path)
        self.assertEqual((answer.returncode, answer.stdout), (REFUSED, ""))
        self.assertRegex(answer.stderr, "^gatehouse admin check: .*is damaged")
        self.assertEqual(gatehouse("admin", "check", "postgresql:///gatehouse").returncode, USAGE)
        self.assertEqual(gatehouse("admin", "check", "sqlite:" + path + "-not-there").returncode, REFUSED)

    def test_a_command_line_that_makes_no_sense(self):
        self.fails(USAGE, "--from=sqlite:FILE", self.file)
        self.fails(USAGE, "pg_dump", "--from=postgresql:///gatehouse", self.file)
        self.fails(USAGE, "is not sqlite:FILE", "--from=gatehouse.db", self.file)

    def test_a_full_disk_is_told_and_nothing_is_left(self):
        if os.geteuid() != 0:
            self.skipTest("mounting a small disk needs root")
        small = self.folder + "/small"
        os.mkdir(small)
        with Daemon(OFF, start=False) as daemon:
            fill(daemon.folder + "/gatehouse.db", 30_000)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=True)
            try:
                self.fails(UNREACHABLE, "No space left on device", f"--from=sqlite:{daemon.folder}/gatehouse.db", small + "/b")
                self.assertEqual(os.listdir(small), [])
                self.fails(UNREACHABLE, "No such file", f"--from=sqlite:{daemon.folder}/gatehouse.db", small + "/no/b")
            finally:
                subprocess.run(["umount", "-l", small], check=True)

    def test_one_that_was_killed_or_interrupted_leaves_no_backup_and_hinders_no_other(self):
        partial = self.file + ".partial"
        with Daemon(OFF, start=False) as daemon:
            fill(daemon.folder + "/gatehouse.db", 400_000)
            daemon.start()
            arguments = ("admin", "backup", "--overwrite", "--from=sqlite:" + daemon.folder + "/gatehouse.db", self.file)
            half_way = lambda: os.path.exists(partial) and os.path.getsize(partial) > 1_000_000
            stopped = stop_half_way(arguments, half_way)
            if os.path.exists(self.file):  # of a try that was too quick
                os.unlink(self.file)
            self.fails(UNREACHABLE, "another backup is being written", *arguments[2:])
            stopped.kill()
            stopped.communicate(timeout=DEADLINE)
            self.is_alone("backup.db.partial")
            self.ok(*arguments[2:])
            self.is_alone("backup.db")
            stopped = stop_half_way(arguments, half_way)
            if os.path.exists(self.file):
                os.unlink(self.file)
            stopped.send_signal(signal.SIGINT)
            stopped.send_signal(signal.SIGCONT)
            error = stopped.communicate(timeout=DEADLINE)[1]
            self.assertEqual((stopped.returncode, error),
                             (REFUSED, f"gatehouse admin backup: {self.file}: given up; nothing was written\n"))
            self.is_alone()
            self.ok(*arguments[2:])
            self.is_alone("backup.db")

    def test_progress_is_shown_on_a_terminal_only(self):
        with Daemon(OFF, start=False) as daemon:
            fill(daemon.folder + "/gatehouse.db", 50_000)
            shown = on_terminal("admin", "backup", "--from=sqlite:" + daemon.folder + "/gatehouse.db", self.file)
            self.assertRegex(shown, r"backing up: [\d.]+ MB of [\d.]+ MB, \d+ %")
            self.assertTrue(shown.endswith("\r\033[K"), shown)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""gatehouse admin copy: an installation moves to another store; cut off, repeated, with a daemon on the source."""
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from daemon import DEADLINE, Daemon
from gatehouse.v1 import auth_pb2
from gatehouse.v1 import credential_admin_pb2 as pb
from operate import DONE, REFUSED, UNREACHABLE, USAGE, Issuers, end, fill, gatehouse, on_terminal, start, stop_half_way
from postgres import Postgres

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../services/records/schema.c")
OFF = {"http_address": "", "flush_interval_ms": "100"}


def dump(path):
    """Every row of every table, and no table forgotten; but not what says which daemons run, and of which program."""
    with sqlite3.connect(path) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in names
                if name not in ("schema_version", "process", "token_count")}
    database.close()
    rows["instance"] = [row for row in rows["instance"] if row[0] != "copy"]
    return rows


class Columns(unittest.TestCase):
    """Quick, so that whoever adds a column hears of it."""

    def test_no_column_is_forgotten(self):
        with open(SOURCE, encoding="utf-8") as file:
            listed = {name: set(re.findall(r'"(\w+)"', columns)) for name, columns in
                      re.findall(r'\{"(\w+)",\s*\d+,\s*\d+,\s*\{(.*?)\}\}', file.read(), re.S)}
        with Daemon(OFF, start=False) as daemon, sqlite3.connect(daemon.folder + "/gatehouse.db") as database:
            found = {name: {row[1] for row in database.execute(f"PRAGMA table_info({name})")} for name in listed}
        self.assertEqual(listed, found)
        self.assertGreater(len(found), 10)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gatehouse-copy-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder + "/target.db"
        self.target = "sqlite:" + self.path
        self.temporary = self.folder + "/tmp"
        os.mkdir(self.temporary)

    def copy(self, source, target):
        return gatehouse("admin", "copy", "-o", "json", "--from=" + source, "--to=" + target, TMPDIR=self.temporary)

    def ok(self, source, target, words=""):
        """What was inserted and removed, by table."""
        answer = self.copy(source, target)
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        self.assertRegex(answer.stderr, words or "^$")
        self.assertEqual(os.listdir(self.temporary), [])
        return {row["table"]: (row["inserted"], row["removed"]) for row in json.loads(answer.stdout)["tables"]}

    def fails(self, code, words, source, target):
        answer = self.copy(source, target)
        self.assertEqual((answer.returncode, answer.stdout), (code, ""), answer.stderr)
        self.assertRegex(answer.stderr, "^gatehouse admin copy: .*" + words)
        self.assertEqual(os.listdir(self.temporary), [])

    def on(self, target, source, **more):
        """A daemon on that store, with the first administrator's secret of the source."""
        daemon = Daemon({**OFF, "store": target}, init=False, **more)
        daemon.client_id = source.client_id
        shutil.copy(source.secret_file, daemon.secret_file)
        return daemon

    def populate(self, daemon):
        """Something in every table. Live tokens and dead ones."""
        admin = daemon.admin_token()
        bearer = daemon.bearer(admin)
        ask = lambda method, request: method(request, metadata=bearer, timeout=DEADLINE)
        for user, roles in (("anna@example.com", ["work_creator"]), ("Ärzte/№1", ["work_creator", "team_leader"])):
            ask(daemon.admin.SetUserRoles, pb.SetUserRolesRequest(user=user, roles=roles))
        settings = pb.Settings(max_tokens_per_credential=1_000_000)
        ask(daemon.admin.UpdateSettings,
            pb.UpdateSettingsRequest(settings=settings, update_mask={"paths": ["max_tokens_per_credential"]}))
        ask(daemon.admin.CreateCredential, pb.CreateCredentialRequest(
            credential=pb.Credential(name="Once", contact="Ann", labels={"team": "payments"}), roles=["work_creator"], request_id="once"))
        live, dead = [admin], []
        for number in range(12):
            made = daemon.create(admin, f"Third party {number} \N{SNOWMAN}", owner="anna@example.com" if number == 3 else "",
                                  limits={"max_tokens": 100, "observe_only": ["LIMIT_MAX_TOKENS"]} if number == 5 else None)
            first, second = (daemon.issue(made.credential.client_id, made.secret_key).access_token for _ in range(2))
            live.append(first)
            daemon.introspect(admin, first, api=f"POST /api/cases/{number}")
            daemon.auth.Revoke(auth_pb2.RevokeRequest(token=second), metadata=daemon.bearer(second), timeout=DEADLINE)
            dead.append(second)
            if number % 4 == 0:
                ask(daemon.admin.DeleteCredential, pb.DeleteCredentialRequest(client_id=made.credential.client_id))
                dead.append(live.pop())
        return live, dead

    def check(self, daemon, live, dead):
        caller = daemon.admin_token()
        self.assertEqual([daemon.introspect(caller, token).active for token in live], [True] * len(live))
        self.assertEqual([daemon.introspect(caller, token).active for token in dead], [False] * len(dead))
        answer = daemon.admin.VerifyAuditLog(pb.VerifyAuditLogRequest(), metadata=daemon.bearer(caller), timeout=DEADLINE)
        self.assertTrue(answer.intact)
        self.assertGreater(answer.events_checked, 12)


class Copy(Case):
    def test_a_stopped_daemons_installation_moves_as_a_whole(self):
        with Daemon(OFF) as daemon:
            live, dead = self.populate(daemon)
            end(daemon)
            counts = self.ok(daemon.settings["store"], self.target)
            source = dump(daemon.folder + "/gatehouse.db")
            self.assertEqual(set(counts), set(source))
            self.assertEqual([name for name in counts if counts[name] == (0, 0)], [])
            self.assertEqual(dump(self.path), source)
            self.assertTrue(all(count == (0, 0) for count in self.ok(daemon.settings["store"], self.target).values()))
            with self.on(self.target, daemon) as other:
                self.check(other, live, dead)

    def test_a_live_installation_moves_with_a_last_copy_of_the_difference(self):
        with Daemon(OFF) as daemon:
            live, dead = self.populate(daemon)
            with Issuers(daemon) as issuers:
                issuers.wait_for(200)
                self.ok(daemon.settings["store"], self.target, "a daemon runs on the source, so this is a first copy")
                issuers.wait_for(len(issuers.tokens) + 50)
            self.assertEqual(issuers.errors, [])
            refused = self.on(self.target, daemon, start=False)
            with self.assertRaisesRegex(RuntimeError, "is a copy that is not finished"):
                refused.start()
            for token in issuers.tokens[:60]:  # of these the first copy had some
                daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=daemon.bearer(token), timeout=DEADLINE)
            end(daemon)
            counts = self.ok(daemon.settings["store"], self.target)
            self.assertGreater(counts["token"][0], 0)
            self.assertGreaterEqual(counts["token"][1], 60)
            self.assertEqual(counts["credential_role"], (0, 0))
            with self.on(self.target, daemon) as other:
                self.check(other, live + issuers.tokens[60:], dead + issuers.tokens[:60])

    def test_names_that_changed_hands_between_two_copies(self):
        with Daemon(OFF) as daemon:
            admin = daemon.admin_token()
            made = [daemon.create(admin, name).credential.client_id for name in ("first", "second")]
            self.ok(daemon.settings["store"], self.target, "first copy")
            for client_id, name in zip([*made, made[0]], ["between", "first", "second"]):
                daemon.admin.UpdateCredential(
                    pb.UpdateCredentialRequest(credential=pb.Credential(client_id=client_id, name=name),
                                               update_mask={"paths": ["name"]}),
                    metadata=daemon.bearer(admin), timeout=DEADLINE)
            end(daemon)
            self.assertGreaterEqual(self.ok(daemon.settings["store"], self.target)["credential"], (2, 2))
            self.assertEqual(dump(self.path), dump(daemon.folder + "/gatehouse.db"))

    def test_what_was_killed_half_way_goes_on(self):
        with Daemon(OFF) as daemon:
            live, dead = self.populate(daemon)
            end(daemon)
            fill(daemon.folder + "/gatehouse.db", 60_000)
            arguments = ("admin", "copy", "--from=" + daemon.settings["store"], "--to=" + self.target)

            def is_half_way():
                return os.path.exists(self.path + "-wal") and os.path.getsize(self.path + "-wal") > 2_000_000

            process = stop_half_way(arguments, is_half_way)
            self.fails(UNREACHABLE, "another daemon uses the database", daemon.settings["store"], self.target)
            process.kill()
            process.communicate(timeout=DEADLINE)
            copied = len(dump(self.path)["token"])
            self.assertGreater(copied, 0)
            refused = self.on(self.target, daemon, start=False)
            with self.assertRaisesRegex(RuntimeError, "is a copy that is not finished"):
                refused.start()
            total = len(dump(daemon.folder + "/gatehouse.db")["token"])
            self.assertEqual(self.ok(daemon.settings["store"], self.target)["token"], (total - copied, 0))
            self.assertEqual(dump(self.path), dump(daemon.folder + "/gatehouse.db"))
            with self.on(self.target, daemon) as other:
                self.check(other, live, dead)

    def test_an_interrupted_copy_says_that_it_can_be_repeated(self):
        with Daemon(OFF, start=False) as daemon:
            fill(daemon.folder + "/gatehouse.db", 60_000)
            arguments = ("admin", "copy", "--from=" + daemon.settings["store"], "--to=" + self.target)
            process = stop_half_way(arguments, lambda: os.path.exists(self.path + "-wal")
                                    and os.path.getsize(self.path + "-wal") > 2_000_000)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
            error = process.communicate(timeout=DEADLINE)[1]
            self.assertEqual((process.returncode, error),
                             (REFUSED, "gatehouse admin copy: given up: made again, the copy goes on where it is\n"))
            self.ok(daemon.settings["store"], self.target)

    def test_progress_is_shown_on_a_terminal(self):
        with Daemon(OFF, start=False) as daemon:
            fill(daemon.folder + "/gatehouse.db", 60_000)
            shown = on_terminal("admin", "copy", "--from=" + daemon.settings["store"], "--to=" + self.target)
            self.assertRegex(shown, r"(copying|checking) token: \d+ of 60000, \d+ %")
            self.assertTrue(shown.endswith("\r\033[K"), shown)

    def test_a_copy_in_use_is_never_copied_over(self):
        with Daemon(OFF) as daemon:
            end(daemon)
            self.ok(daemon.settings["store"], self.target)
            with self.on(self.target, daemon) as other:
                token = other.issue().access_token
                self.fails(UNREACHABLE, "another daemon uses the database", daemon.settings["store"], self.target)
                end(other)
                self.fails(REFUSED, "is in use already", daemon.settings["store"], self.target)
                other.start()
                self.assertTrue(other.introspect(other.admin_token(), token).active)

    def test_another_installation_is_never_copied_over(self):
        with Daemon(OFF, start=False) as daemon, Daemon(OFF) as another:
            end(another)  # it has been in use
            self.fails(REFUSED, "has another installation in it", another.settings["store"], daemon.settings["store"])
            before = dump(daemon.folder + "/gatehouse.db")
            self.fails(REFUSED, "has another installation in it", daemon.settings["store"], another.settings["store"])
            self.assertEqual(dump(daemon.folder + "/gatehouse.db"), before)
            self.ok(daemon.settings["store"], self.target)
            self.fails(REFUSED, "has another installation in it", another.settings["store"], self.target)

    def test_a_source_that_is_none(self):
        self.fails(REFUSED, "No such file", f"sqlite:{self.folder}/none", self.target)
        self.assertFalse(os.path.exists(self.path))
        with Daemon(OFF) as daemon:
            self.ok(daemon.settings["store"], self.target, "first copy")
            self.fails(REFUSED, "is a copy that is not finished", self.target, f"sqlite:{self.folder}/next")

    def test_a_command_line_that_makes_no_sense(self):
        for arguments, words in ((("--from=sqlite:a",), "from which store to which"),
                                 (("--to=sqlite:a",), "from which store to which"),
                                 (("--from=sqlite:a", "--to=sqlite:a"), "the same store"),
                                 (("--from=mysql:a", "--to=sqlite:a"), "must begin with "),
                                 (("--from=sqlite:a", "--to=postgresql://u:secret@h/d"), "must not stand on the command line"),
                                 (("--from=sqlite:a", "--to=postgresql://h/d?password=secret"), "must not stand on the")):
            answer = gatehouse("admin", "copy", *arguments)
            self.assertEqual((answer.returncode, answer.stdout), (USAGE, ""), answer.stderr)
            self.assertIn(words, answer.stderr)


class PostgresCopy(Case):
    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres())

    def setUp(self):
        super().setUp()
        self.target = self.postgres.new_database()
        self.back = "sqlite:" + self.path

    def count(self):
        """Tokens that are there so far."""
        try:
            return int(self.postgres.sql("SELECT count(*) FROM token", self.target))
        except subprocess.CalledProcessError:  # no table yet
            return 0

    def test_an_installation_moves_to_postgresql_and_back(self):
        with Daemon(OFF) as daemon:
            live, dead = self.populate(daemon)
            end(daemon)
            source = dump(daemon.folder + "/gatehouse.db")
            self.assertEqual(set(self.ok(daemon.settings["store"], self.target)), set(source))
            self.ok(self.target, self.back)
            self.assertEqual(dump(self.path), source)
            with self.on(self.target, daemon) as other:
                self.check(other, live, dead)
                live.append(other.issue().access_token)
                end(other)
            self.fails(REFUSED, "is in use already", daemon.settings["store"], self.target)
            self.ok(self.target, self.back)
            with self.on(self.back, daemon) as other:
                self.check(other, live, dead)

    def test_a_live_installation_moves_to_postgresql_with_a_last_copy_of_the_difference(self):
        with Daemon(OFF) as daemon:
            live, dead = self.populate(daemon)
            with Issuers(daemon) as issuers:
                issuers.wait_for(200)
                self.ok(daemon.settings["store"], self.target, "a daemon runs on the source, so this is a first copy")
                issuers.wait_for(len(issuers.tokens) + 50)
            refused = self.on(self.target, daemon, start=False)
            with self.assertRaisesRegex(RuntimeError, "is a copy that is not finished"):
                refused.start()
            self.assertEqual(self.references(), 0)
            for token in issuers.tokens[:60]:
                daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=daemon.bearer(token), timeout=DEADLINE)
            end(daemon)
            inserted, removed = self.ok(daemon.settings["store"], self.target)["token"]
            self.assertEqual(self.references(), 6)
            self.assertGreater(inserted, 0)
            self.assertGreaterEqual(removed, 60)
            with self.on(self.target, daemon) as other:
                self.check(other, live + issuers.tokens[60:], dead + issuers.tokens[:60])

    def references(self):
        """Of rows to rows, in the target: none while the copy is under way."""
        return int(self.postgres.sql("SELECT count(*) FROM pg_constraint WHERE contype = 'f'", self.target))

    def revoke(self, daemon, token):
        daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=daemon.bearer(token), timeout=DEADLINE)

    def test_a_copy_from_postgresql_under_running_daemons_is_not_the_last_one(self):
        elsewhere = self.postgres.new_database()
        with Daemon({**OFF, "store": self.target}) as daemon, self.on(self.target, daemon) as other:
            live, dead = self.populate(daemon)
            for target in (self.back, elsewhere):
                for running in (daemon, other):  # both run, then one
                    self.ok(self.target, target, "a daemon runs on the source, so this is a first copy")
                    self.revoke(running, live[-1])
                    dead.append(live.pop())
                    with self.assertRaisesRegex(RuntimeError, "is a copy that is not finished; stop .* `gatehouse admin copy`"):
                        self.on(target, daemon, start=False).start()
                    if running is daemon:
                        end(daemon)
                end(other)
                self.assertGreater(self.ok(self.target, target)["token"][1], 0)  # what was revoked meanwhile
                with self.on(target, daemon) as moved:
                    self.check(moved, live, dead)
                daemon.start()
                other.start()

    def silence(self):
        """As if each daemon that has not said that it ends had said nothing for four minutes."""
        self.postgres.sql("UPDATE process SET seen = seen - 240000000 WHERE lease > 0", self.target)

    def wait_until_it_listens(self, process):
        """The copy is made then, and writes where daemons say that they are there."""
        rows = "SELECT xmin FROM process WHERE lease > 0"
        before = self.postgres.sql(rows, self.target)
        while self.postgres.sql(rows, self.target) == before:
            self.assertIsNone(process.poll(), "it has not listened")

    def test_a_daemon_that_was_silent_for_long_has_the_time_to_speak(self):
        with Daemon({**OFF, "store": self.target}) as daemon:
            live, dead = self.populate(daemon)
            daemon.process.send_signal(signal.SIGSTOP)
            self.silence()
            process = start("admin", "copy", "--from=" + self.target, "--to=" + self.back)
            self.wait_until_it_listens(process)
            daemon.process.send_signal(signal.SIGCONT)
            error = process.communicate(timeout=DEADLINE)[1]
            self.assertEqual(process.returncode, DONE, error)
            self.assertIn("a daemon runs on the source", error)
            self.revoke(daemon, live[-1])
            dead.append(live.pop())
            daemon.process.send_signal(signal.SIGSTOP)
            self.silence()
            process = start("admin", "copy", "--from=" + self.target, "--to=" + self.back)
            self.wait_until_it_listens(process)
            process.send_signal(signal.SIGSTOP)
            daemon.process.send_signal(signal.SIGCONT)
            self.revoke(daemon, live[-1])  # and it ends in order before the copy looks again
            dead.append(live.pop())
            end(daemon)
            process.send_signal(signal.SIGCONT)
            self.assertIn("a daemon runs on the source", process.communicate(timeout=DEADLINE)[1])
            daemon.start()
            daemon.kill()
            self.silence()
            self.ok(self.target, self.back)
            with self.on(self.back, daemon) as moved:
                self.check(moved, live, dead)

    def test_what_was_killed_half_way_to_postgresql_goes_on(self):
        with Daemon(OFF) as daemon:
            live, dead = self.populate(daemon)
            end(daemon)
            fill(daemon.folder + "/gatehouse.db", 60_000)
            total = len(dump(daemon.folder + "/gatehouse.db")["token"])
            arguments = ("admin", "copy", "--from=" + daemon.settings["store"], "--to=" + self.target)
            process = stop_half_way(arguments, lambda: 0 < self.count() < total)
            process.kill()
            process.communicate(timeout=DEADLINE)
            refused = self.on(self.target, daemon, start=False)
            with self.assertRaisesRegex(RuntimeError, "is a copy that is not finished"):
                refused.start()
            copied = self.count()
            self.assertEqual(self.ok(daemon.settings["store"], self.target)["token"], (total - copied, 0))
            with self.on(self.target, daemon) as other:
                self.check(other, live, dead)

    def test_of_two_copies_at_once_to_postgresql_the_later_one_wins(self):
        with Daemon(OFF, start=False) as daemon:
            fill(daemon.folder + "/gatehouse.db", 60_000)
            second = self.folder + "/second.db"
            backup = gatehouse("admin", "backup", "--from=" + daemon.settings["store"], second)
            self.assertEqual(backup.returncode, DONE, backup.stderr)
            arguments = ("admin", "copy", "--from=" + daemon.settings["store"], "--to=" + self.target)
            process = stop_half_way(arguments, lambda: 0 < self.count() < 60_000)
            self.ok("sqlite:" + second, self.target)  # once PostgreSQL has ended the transaction of the first
            process.send_signal(signal.SIGCONT)
            error = process.communicate(timeout=DEADLINE)[1]
            self.assertIn(process.returncode, (REFUSED, UNREACHABLE))
            self.assertRegex(error, "another copy to it has begun" if process.returncode == REFUSED else "UNAVAILABLE|UNKNOWN")
            self.assertTrue(all(count == (0, 0) for count in self.ok("sqlite:" + second, self.target).values()))

    def test_a_database_of_somebody_elses_and_one_that_is_away(self):
        self.postgres.sql("CREATE TABLE somebody_elses (x bigint)", self.target)
        with Daemon(OFF, start=False) as daemon:
            self.fails(REFUSED, "the tables of another program", daemon.settings["store"], self.target)
            away = self.target.replace(self.postgres.folder, self.folder)
            self.fails(UNREACHABLE, "the database cannot be used", daemon.settings["store"], away)


if __name__ == "__main__":
    unittest.main()

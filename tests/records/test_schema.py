#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who brings the schema up to date, with which rights, and which program may use what another one has made of it."""
import contextlib
import os
import re
import sqlite3
import subprocess
import tempfile
import unittest

from daemon import GATEHOUSED, Daemon
from gatehouse.v1 import credential_admin_pb2 as pb
from postgres import Postgres

OFF = {"http_address": ""}
LOCK = 1195463507  # services/store/postgres.c
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../services/records/schema.c"), encoding="utf-8") as source:
    SCHEMA = source.read()
    VERSION = len(re.findall(r"\{\w+, \d+\}", SCHEMA.split("steps[] = {")[1].split("};")[0] + "}"))


def migrate(store, **settings):
    arguments = [f"--set={key}={value}" for key, value in {"store": store, **settings}.items()]
    return subprocess.Popen([GATEHOUSED, *arguments, "migrate"], stderr=subprocess.PIPE, text=True)


BROKEN = [  # what an older fault may have left: an INSERT, its table, and which row
    ("INSERT INTO secret (id, credential, digest, created) VALUES (900, 900, {digest}, 1)", "secret", "credential = 900"),
    ("INSERT INTO credential_role (credential, role, granted) VALUES (900, 0, 1)", "credential_role", "credential = 900"),
    ("INSERT INTO credential_role (credential, role, granted) VALUES (1, 200, 1)", "credential_role", "role = 200"),
    ("INSERT INTO user_role (user_id, role, granted) VALUES ('nobody', 0, 1)", "user_role", "user_id = 'nobody'"),
    ("INSERT INTO user_role (user_id, role, granted) VALUES ('anna', 200, 1)", "user_role", "role = 200"),
]
USER = "INSERT INTO user_account (id, created) VALUES ('anna', 1)"


# Undoes what step 8 did to tables.
STEP_8 = ("DROP INDEX credential_by_announcement", "DROP INDEX secret_by_announcement", "DROP TABLE credential_limit",
          *(f"ALTER TABLE {table} DROP COLUMN {column}" for table, column in
            re.findall(r"ALTER TABLE (\w+) ADD COLUMN (\w+)", SCHEMA.split("char eighth[] =")[1].split("char ninth[]")[0])))


class Broken:
    """For both stores: rows of version 7 that break what version 8 promises."""

    def test_rows_that_name_nothing_are_removed_and_none_comes_again(self):
        with Daemon({"store": self.store, **OFF}):
            pass
        self.undo()
        self.sql(USER)
        for statement, _, _ in BROKEN:
            self.sql(statement.format(digest=self.digest(32)))
        before = int(self.sql("SELECT count(*) FROM credential_role"))
        returncode, said = self.end(migrate(self.store))
        self.assertEqual(returncode, 0, said)
        self.assertEqual([said.count(f"schema_mended table={table} removed=1") for table in ("secret", "credential_role", "user_role")],
                         [1, 2, 2], said)
        self.assertEqual(int(self.sql("SELECT count(*) FROM credential_role")), before - 2)
        self.assertEqual(self.sql("SELECT max(number) FROM schema_version"), str(VERSION))
        for statement, table, which in BROKEN:
            self.assertEqual(self.sql(f"SELECT count(*) FROM {table} WHERE {which}"), "0")
            with self.assertRaises(self.refused, msg=statement):
                self.sql(statement.format(digest=self.digest(32)))
        with self.assertRaises(self.refused):
            self.sql("INSERT INTO secret (id, credential, digest, created) VALUES (900, 1, {}, 1)".format(self.digest(31)))
        with Daemon({"store": self.store, **OFF}, init=False) as daemon:
            self.assertEqual(daemon.run("init", "--name", "another", check=False).returncode, 0 if self.is_shared else 1)

    def test_rows_that_nobody_can_put_right_are_refused_and_named(self):
        with Daemon({"store": self.store, **OFF}):
            pass
        self.undo()
        self.sql("UPDATE secret SET digest = " + self.digest(31))
        returncode, said = self.end(migrate(self.store))
        self.assertEqual(returncode, 1, said)
        self.assertRegex(said, r"of table secret 1 rows are not as they must be: CHECK \(length\(digest\) = 32")
        self.assertEqual(self.sql("SELECT max(number) FROM schema_version"), "8")
        self.sql("UPDATE secret SET digest = " + self.digest(32))
        self.assertEqual(self.end(migrate(self.store))[0], 0)


class OnPostgres(Broken, unittest.TestCase):
    refused, is_shared = subprocess.CalledProcessError, True

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()
        cls.addClassCleanup(cls.postgres.__exit__)

    def setUp(self):
        self.store = self.postgres.new_database()

    def sql(self, text):
        return self.postgres.sql(text, self.store)

    def end(self, process):
        said = process.communicate(timeout=120)[1]
        return process.returncode, said

    def digest(self, length):
        return f"decode(repeat('00', {length}), 'hex')"

    def undo(self):
        """To version 7."""
        for line in self.sql("SELECT conrelid::regclass || ' DROP CONSTRAINT ' || conname FROM pg_constraint WHERE conname ~ '_(fk|check)$'"
                             " AND connamespace = 'public'::regnamespace").splitlines():
            self.sql("ALTER TABLE " + line)
        for statement in STEP_8:
            self.sql(statement)
        self.sql("DELETE FROM schema_version WHERE number > 7")

    def test_rows_are_checked_while_others_write(self):
        self.assertEqual(self.end(migrate(self.store))[0], 0)
        self.undo()
        self.sql("INSERT INTO credential (id, client_id, name, created) VALUES (1, 'id', 'one', 1)")
        writer = subprocess.Popen(["psql", "-q", "-X", "-A", "-t", self.store], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.assertEqual(self.end(migrate(self.store))[0], 0)
        self.sql(f"DELETE FROM schema_version WHERE number = {VERSION}")  # what is left is to check the rows
        writer.stdin.write("BEGIN; UPDATE credential SET name = 'two'; INSERT INTO secret (id, credential, digest, created)"
                           f" VALUES (1, 1, {self.digest(32)}, 1) RETURNING 'written';\n")
        writer.stdin.flush()
        while "written" not in writer.stdout.readline():
            pass
        returncode, said = self.end(migrate(self.store))  # while that transaction is open
        self.assertEqual(returncode, 0, said)
        writer.communicate("COMMIT;\n", timeout=60)
        self.assertEqual(self.sql("SELECT count(*) FROM secret"), "1")

    def test_those_who_start_at_once_make_each_step_once(self):
        for returncode, said in [self.end(process) for process in [migrate(self.store) for _ in range(6)]]:
            self.assertEqual(returncode, 0, said)
        self.assertEqual(self.sql("SELECT string_agg(number::text, ' ' ORDER BY number) FROM schema_version"),
                         " ".join(str(i + 1) for i in range(VERSION)))

    def test_a_step_may_take_longer_than_any_statement(self):
        holder = subprocess.Popen(["psql", "-q", "-X", "-A", "-t", self.store], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        holder.stdin.write(f"BEGIN; SELECT pg_advisory_xact_lock({LOCK}), 'held';\n")
        holder.stdin.flush()
        while "held" not in holder.stdout.readline():
            pass
        process = migrate(self.store, store_timeout_ms=1000)
        holder.stdin.write("SELECT pg_sleep(7); COMMIT;\n")  # lock_timeout is 5 s
        holder.stdin.close()
        returncode, said = self.end(process)
        self.assertEqual(returncode, 0, said)
        holder.wait(60)
        holder.stdout.close()
        self.assertEqual(self.sql("SELECT max(number) FROM schema_version"), str(VERSION))

    def test_a_role_that_may_only_read_and_write_rows_serves(self):
        store = self.store.replace("user=gatehouse", "user=server")
        self.assertEqual(self.end(migrate(self.store))[0], 0)
        self.sql("CREATE ROLE server LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO server")
        with Daemon({"store": store, **OFF}) as daemon:
            token = daemon.admin_token()
            answer = daemon.admin.ListCredentials(pb.ListCredentialsRequest(), metadata=daemon.bearer(token))
            self.assertEqual(answer.total_size, 1)
        self.sql(f"DELETE FROM schema_version WHERE number = {VERSION}")  # as if it were to be made still
        answer = daemon.run("init", "--name", "another", check=False)
        self.assertEqual(answer.returncode, 1)
        self.assertIn("gatehoused migrate", answer.stderr)
        self.sql(f"INSERT INTO schema_version (number, applied) VALUES ({VERSION}, 0)")
        self.assertEqual(daemon.run("init", "--name", "another", check=False).returncode, 0)

    def test_a_program_of_the_version_before_runs_beside_the_next_and_may_be_started(self):
        with Daemon({"store": self.store, **OFF}) as old:
            token = old.admin_token()
            self.sql("ALTER TABLE credential ADD COLUMN next_one BIGINT NOT NULL DEFAULT 0;"
                     f"INSERT INTO schema_version (number, applied, needs) VALUES ({VERSION + 1}, 0, {VERSION})")
            made = old.admin.CreateCredential(
                pb.CreateCredentialRequest(credential=pb.Credential(name="beside"), roles=["work_creator"]),
                metadata=old.bearer(token))
            self.assertTrue(old.issue(made.credential.client_id, made.secret_key).access_token)
            with Daemon({"store": self.store, **OFF}, init=False) as other:
                answer = other.admin.ListCredentials(pb.ListCredentialsRequest(), metadata=other.bearer(token))
                self.assertEqual(answer.total_size, 2)


class OnSqlite(Broken, unittest.TestCase):
    refused, is_shared = sqlite3.IntegrityError, False

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/gatehouse.db"
        self.store = "sqlite:" + self.path

    end = OnPostgres.end

    def digest(self, length):
        return f"zeroblob({length})"

    def sql(self, text):
        with contextlib.closing(sqlite3.connect(self.path)) as database, database:
            database.execute("PRAGMA foreign_keys = ON")
            return "\n".join(str(value) for value, in database.execute(text))

    def undo(self):
        """To version 7."""
        with contextlib.closing(sqlite3.connect(self.path)) as database, database:
            database.execute("PRAGMA writable_schema = ON")
            for name, sql in database.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").fetchall():
                start = sql.find(", CONSTRAINT ")
                if start >= 0:
                    database.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (sql[:start] + sql[sql.rindex(")"):], name))
            database.execute("DELETE FROM schema_version WHERE number > 7")
        for statement in STEP_8:
            self.sql(statement)

    def test_what_only_adds_is_used_and_what_needs_a_newer_program_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/gatehouse.db"
            settings = {"store": "sqlite:" + path, **OFF}
            process = migrate(settings["store"])
            self.assertIn("gatehoused init", process.communicate(timeout=60)[1])  # which makes a file
            self.assertNotEqual(process.returncode, 0)
            self.assertFalse(os.path.exists(path))
            with Daemon(settings):
                pass
            with sqlite3.connect(path) as database:
                database.execute("ALTER TABLE credential ADD COLUMN next_one INTEGER NOT NULL DEFAULT 0")
                database.execute("INSERT INTO schema_version (number, applied, needs) VALUES (?, 0, ?)", (VERSION + 1, VERSION))
            database.close()
            with Daemon(settings, init=False):
                pass
            with sqlite3.connect(path) as database:
                database.execute("INSERT INTO schema_version (number, applied, needs) VALUES (?, 0, 0)", (VERSION + 2,))
            database.close()
            with self.assertRaisesRegex(RuntimeError, "newer than this program"):
                Daemon(settings, init=False)


if __name__ == "__main__":
    unittest.main()

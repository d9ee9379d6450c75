# SPDX-License-Identifier: Apache-2.0
"""gatehouse admin clock: what a store remembers of the time, and how it is put right after a clock was wrong for long."""
import json
import os
import pty
import re
import sqlite3
import subprocess
import time
import unittest

from daemon import DEADLINE, Daemon, error_of
from operate import COMMAND, DONE, ENVIRONMENT, REFUSED, UNREACHABLE, USAGE, end, gatehouse
from postgres import Postgres

OFF = {"http_address": "", "flush_interval_ms": "50"}
YEARS = 15 * 365 * 86400


def remember(daemon, seconds):
    """A clock that was wrong for long leaves this behind."""
    with sqlite3.connect(daemon.folder + "/gatehouse.db") as database:
        database.execute("INSERT OR REPLACE INTO counter (name, value) VALUES ('clock', ?)", (int(seconds * 1_000_000),))
    database.close()


def on_keyboard(typed, *arguments):
    primary, secondary = pty.openpty()
    os.write(primary, typed.encode() + b"\n")
    done = subprocess.run([COMMAND, *arguments], stdin=secondary, capture_output=True, check=False, timeout=DEADLINE,
                          env=ENVIRONMENT)
    os.close(primary), os.close(secondary)
    return done.returncode


def clock(store, *arguments):
    return gatehouse("admin", "clock", store, "-o", "json", *arguments)


class Clock(unittest.TestCase):
    def show(self, store, *arguments):
        answer = clock(store, *arguments)
        self.assertEqual((answer.returncode, answer.stderr), (DONE, ""))
        return json.loads(answer.stdout)

    def fails(self, code, words, store, *arguments):
        answer = clock(store, *arguments)
        self.assertEqual((answer.returncode, answer.stdout), (code, ""), answer.stderr)
        self.assertRegex(answer.stderr, words)

    def test_a_new_store_remembers_no_time(self):
        with Daemon(OFF) as daemon:
            end(daemon)
            shown = self.show(daemon.settings["store"])
            self.assertEqual(set(shown), {"floor", "clock"})
            self.assertIsNone(shown["floor"])
            self.fails(REFUSED, "Nothing was changed", daemon.settings["store"], "--lower=now", "--yes")

    def test_a_time_that_a_wrong_clock_left_is_shown_and_lowered(self):
        with Daemon(OFF, start=False) as daemon:
            remember(daemon, time.time() + YEARS)
            daemon.start()
            expiry = {"seconds": int(time.time()) + 86400}
            make = lambda: daemon.create(daemon.admin_token(), "late", expire_time=expiry)
            self.assertEqual(error_of(make)[0], "INVALID_ARGUMENT")
            self.assertIn("event=clock_behind", daemon.log_text())
            end(daemon)
            store = daemon.settings["store"]
            shown = self.show(store)
            self.assertRegex(shown["behind"], "^547[45]d")
            self.assertGreater(int(shown["floor"][:4]), int(shown["clock"][:4]) + 13)
            table = gatehouse("admin", "clock", store)
            self.assertRegex(table.stdout, "Has certainly passed .*\nThis machine's clock .*\nThe clock is behind by +547")
            self.fails(USAGE, "nobody is at the terminal", store, "--lower=now")
            self.assertEqual(self.show(store)["floor"], shown["floor"])
            after = self.show(store, "--lower=now", "--yes")
            self.assertEqual(after["floor"], after["clock"])
            before = len(daemon.log_text())
            daemon.start()
            self.assertNotIn("event=clock_behind", daemon.log_text()[before:])
            made = make()
            self.assertTrue(daemon.issue(made.credential.client_id, made.secret_key).access_token)

    def test_a_time_beyond_the_calendar_is_shown_and_lowered(self):
        with Daemon(OFF, start=False) as daemon:
            store = daemon.settings["store"]
            for value in (2**62 // 1_000_000, 4_300_000_000):
                remember(daemon, value)
                self.assertRegex(self.show(store)["floor"], r"^(\d+ s since 1970|2106-.*Z)$")
                self.assertEqual(self.show(store, "--lower=2026-11-01T00:00:00Z", "--yes")["floor"], "2026-11-01T00:00:00Z")

    def test_a_person_is_asked(self):
        with Daemon(OFF, start=False) as daemon:
            late = int(time.time() + YEARS)
            for typed, code in (("no", REFUSED), ("lower", DONE)):
                remember(daemon, late)
                self.assertEqual(on_keyboard(typed, "admin", "clock", daemon.settings["store"], "--lower=now"), code)
                behind = self.show(daemon.settings["store"]).get("behind")
                self.assertEqual(behind is None, code == DONE, behind)

    def test_it_is_refused_while_a_daemon_runs(self):
        with Daemon(OFF) as daemon:
            self.fails(UNREACHABLE, "in use|another", daemon.settings["store"])
            self.fails(UNREACHABLE, "in use|another", daemon.settings["store"], "--lower=now", "--yes")

    def test_what_makes_no_sense_is_refused(self):
        with Daemon(OFF, start=False) as daemon:
            for time_text in ("yesterday", "", "-1", "1960-01-01"):
                self.fails(USAGE, "is not a time", daemon.settings["store"], "--lower=" + time_text, "--yes")
            self.fails(USAGE, "password", "postgresql://user:secret@localhost/x")
            self.fails(REFUSED, "No such file", "sqlite:" + daemon.folder + "/no.db")
            self.fails(USAGE, "is neither|no such|nonsense|sqlite", "nonsense")

    def test_on_postgresql_the_databases_clock_is_shown_and_that_daemons_keep_theirs(self):
        with Postgres() as postgres, Daemon({**OFF, "store": postgres.new_database()}) as daemon:
            shown = self.show(daemon.settings["store"])
            self.assertRegex(shown["databaseClock"], r"^20\d\d-.*Z$")
            answer = clock(daemon.settings["store"], "--lower=now", "--yes")
            self.assertEqual((answer.returncode, "Nothing was changed" in answer.stderr), (REFUSED, True))
            end(daemon)
            late = int(time.time() + YEARS) * 1_000_000
            postgres.sql(f"UPDATE counter SET value = {late} WHERE name = 'clock'", daemon.settings["store"])
            answer = clock(daemon.settings["store"], "--lower=now", "--yes")
            self.assertEqual(answer.returncode, DONE)
            self.assertIn("keep their time until they are restarted", answer.stderr)
            shown = json.loads(answer.stdout)
            self.assertEqual(re.sub(r"\..*", "", shown["floor"]), re.sub(r"\..*", "", shown["clock"]))


if __name__ == "__main__":
    unittest.main()

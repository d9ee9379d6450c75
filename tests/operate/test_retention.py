# SPDX-License-Identifier: Apache-2.0
"""The audit log's retention: what is old leaves it, into files where there is a folder, and the rest is verified from there on."""
import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import tempfile
import time
import unittest
import urllib.request

from daemon import DEADLINE, Daemon, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from operate import DONE, end, gatehouse
from postgres import Postgres

DAY = 86_400
FIELDS = ("actor", "action", "subject", "peer", "request_id", "outcome", "detail")
COLUMNS = ("sequence", "at", *FIELDS, "hash")
OFF = {"http_address": "", "flush_interval_ms": "50"}


def chain(before, event):
    """As rules/audit.c has it."""
    fields = "".join(":{}:{}".format(len(event[name].encode()), event[name]) for name in FIELDS)
    return hashlib.sha256(before + f"{event['sequence']}:{event['at']}{fields}".encode()).digest()


class Sqlite:
    def __init__(self, url):
        self.path = url.removeprefix("sqlite:")

    def sql(self, text, values=()):
        with contextlib.closing(sqlite3.connect(self.path, timeout=DEADLINE)) as database, database:
            return database.execute(text, values).fetchall()

    def events(self):
        return [dict(zip(COLUMNS, row)) for row in self.sql(f"SELECT {', '.join(COLUMNS)} FROM audit ORDER BY sequence")]

    def set(self, event):
        self.sql("UPDATE audit SET at = ?, hash = ? WHERE sequence = ?", (event["at"], event["hash"], event["sequence"]))


class OnPostgres:
    def __init__(self, url, postgres):
        self.sql = lambda text: postgres.sql(text, url)

    def events(self):
        rows = json.loads(self.sql(f"SELECT coalesce(json_agg(t), '[]') FROM (SELECT {', '.join(COLUMNS)} FROM audit ORDER BY sequence) t"))
        return [{**row, "hash": bytes.fromhex(row["hash"][2:])} for row in rows]

    def set(self, event):
        self.sql(f"UPDATE audit SET at = {event['at']}, hash = '\\x{event['hash'].hex()}' WHERE sequence = {event['sequence']}")


class Case(unittest.TestCase):
    def setUp(self):
        self.archive = self.enterContext(tempfile.TemporaryDirectory(prefix="gatehouse-archive-"))

    def installation(self, open_store, **settings):
        """With a log whose events so far are ten days old, and may stay for two: made, and stopped."""
        daemon = self.enterContext(Daemon({**OFF, **settings}))
        token = daemon.admin_token()
        for number in range(8):
            daemon.create(token, f'the "{number}." \\ \N{SNOWMAN}')
        end(daemon)
        store = open_store(daemon.settings["store"])
        before = bytes(32)
        for event in store.events():
            event["at"] -= 10 * DAY * 1_000_000
            before = event["hash"] = chain(before, event)
            store.set(event)
        store.sql(f"INSERT INTO setting (name, value) VALUES ('audit_retention', {2 * DAY * 1_000_000})")
        store.sql(f"UPDATE counter SET value = {int(time.time() - 60) * 1_000_000} WHERE name = 'clock'")  # it has rested since
        daemon.settings["audit_archive"] = self.archive
        return daemon, store

    def verify(self, daemon):
        return daemon.admin.VerifyAuditLog(pb.VerifyAuditLogRequest(), metadata=daemon.bearer(daemon.admin_token()), timeout=DEADLINE)

    def wait(self, what, seconds=DEADLINE):
        until = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)

    def archived(self, folder=None):
        """All events in the files of a folder, once each, in order; none is there in two forms."""
        found = {}
        folder = folder or self.archive
        for name in sorted(set(os.listdir(folder)) - {"audit.part"}):  # which is being written
            self.assertRegex(name, r"^audit-\d{12}-\d{12}-[0-9a-f]{8}\.jsonl$")
            with open(folder + "/" + name, encoding="utf-8") as file:
                lines = [json.loads(line) for line in file]
            self.assertEqual([lines[0]["sequence"], lines[-1]["sequence"]], [int(part) for part in name.split("-")[1:3]])
            for line in lines:
                self.assertEqual(found.setdefault(line["sequence"], line), line)
        return [found[sequence] for sequence in sorted(found)]

    def check(self, store, before, folders):
        """Nothing is lost: the files and the log are one chain, from the first event to the last; and what was there is as it was."""
        old = {line["sequence"]: line for folder in folders for line in self.archived(folder)}
        lines = [{**line, "request_id": line["requestId"], "hash": bytes.fromhex(line["hash"])} for _, line in sorted(old.items())]
        place, events = bytes(32), lines + [event for event in store.events() if event["sequence"] not in old]
        self.assertEqual([event["sequence"] for event in events], list(range(1, len(events) + 1)))
        for event in events:
            place = chain(place, event)
            self.assertEqual(place, event["hash"])
        self.assertEqual([{name: event[name] for name in COLUMNS} for event in events[:len(before)]], before)
        return len(lines)


class Retention(Case):
    def test_old_events_go_into_files_and_the_rest_is_verified_from_there(self):
        daemon, store = self.installation(Sqlite, http_address="127.0.0.1:0", metrics_address="127.0.0.1:0")
        before = store.events()
        daemon.start()
        self.wait(lambda: len(store.events()) and store.events()[0]["sequence"] > len(before))
        self.assertEqual(self.check(store, before, [self.archive]), len(before))
        verdict = self.verify(daemon)
        self.assertTrue(verdict.intact)
        self.assertEqual((verdict.first_sequence, verdict.events_checked), (len(before) + 1, verdict.total_size))
        said = store.events()[0]
        name, = os.listdir(self.archive)
        self.assertEqual((said["actor"], said["action"], said["subject"]), ("gatehoused", "TrimAuditLog", name))
        self.assertEqual(said["detail"], f"events up to {len(before)}, which has the hash {before[-1]['hash'].hex()}")
        self.assertEqual(os.stat(f"{self.archive}/{name}").st_mode & 0o777, 0o600)
        environment = {"GATEHOUSE_ADDRESS": f"127.0.0.1:{daemon.grpc_port}", "GATEHOUSE_CLIENT_ID": daemon.client_id,
                       "GATEHOUSE_CLIENT_SECRET_FILE": daemon.secret_file}
        answer = gatehouse("audit", "verify", **environment)
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        self.assertRegex(answer.stdout, rf"From event +{len(before) + 1}\n")
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics", timeout=DEADLINE).read().decode()
        self.assertIn(f"\ngatehouse_audit_events_removed_total {len(before)}\n", metrics)
        # A copy has it all, and is verified as the source is.
        answer = gatehouse("admin", "copy", f"--from={daemon.settings['store']}", f"--to=sqlite:{self.archive}.copy")
        self.addCleanup(os.remove, self.archive + ".copy")
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        copied = Sqlite("sqlite:" + self.archive + ".copy")
        anchor = "SELECT value FROM instance WHERE name = 'audit_anchor'"
        self.assertEqual(copied.sql(anchor), store.sql(anchor))
        self.assertTrue(store.sql(anchor))

    def test_what_was_taken_away_otherwise_is_found(self):
        daemon, store = self.installation(Sqlite)
        daemon.settings["audit_archive"] = ""
        before = store.events()
        daemon.start()
        self.wait(lambda: len(store.events()) and store.events()[0]["sequence"] > len(before))
        token = daemon.admin_token()
        for number in range(4):
            daemon.create(token, f"later {number}")
        first = self.verify(daemon).first_sequence
        anchor = store.sql("SELECT value FROM instance WHERE name = 'audit_anchor'")[0][0]

        def broken(*statements):
            """Where the chain breaks, after these; they are undone."""
            end(daemon)
            copy = self.archive + "/kept"
            with contextlib.closing(sqlite3.connect(store.path)) as source, contextlib.closing(sqlite3.connect(copy)) as kept:
                source.backup(kept)
            for statement in statements:
                store.sql(*statement)
            daemon.start()
            verdict = self.verify(daemon)
            self.assertEqual(verdict.intact, verdict.first_broken_sequence == 0)
            end(daemon)
            with contextlib.closing(sqlite3.connect(copy)) as kept, contextlib.closing(sqlite3.connect(store.path)) as source:
                kept.backup(source)
            daemon.start()
            return verdict.first_broken_sequence

        move = lambda event: (event["sequence"]).to_bytes(8, "big") + event["hash"] + anchor[40:]
        second = store.events()[1]
        self.assertEqual(broken(), 0)
        self.assertEqual(broken(("DELETE FROM audit WHERE sequence = ?", (first,))), first)
        self.assertEqual(broken(("DELETE FROM audit WHERE sequence = ?", (first + 2,))), first + 2)
        self.assertEqual(broken(("DELETE FROM instance WHERE name = 'audit_anchor'",)), 1)
        self.assertEqual(broken(("UPDATE instance SET value = ? WHERE name = 'audit_anchor'",
                                 (anchor[:8] + bytes(32) + anchor[40:],))), first)
        # With an anchor that fits what is left: the log itself says where it went on.
        self.assertEqual(broken(("DELETE FROM audit WHERE sequence <= ?", (second["sequence"],)),
                                ("UPDATE instance SET value = ? WHERE name = 'audit_anchor'", (move(second),))),
                         second["sequence"] + 1)

    def test_what_cannot_be_written_stays_until_it_can(self):
        daemon, store = self.installation(Sqlite, http_address="127.0.0.1:0", metrics_address="127.0.0.1:0")
        before = store.events()
        folder = daemon.settings["audit_archive"] = self.archive + "/below"
        with self.assertRaisesRegex(RuntimeError, "audit_archive: nothing can be written into the folder"):
            daemon.start()
        os.mkdir(folder)
        os.mkdir(folder + "/audit.part")  # no file can be made
        daemon.start()
        self.wait(lambda: "audit_archive_failed" in daemon.log_text())
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics", timeout=DEADLINE).read().decode()
        self.assertRegex(metrics, r"\ngatehouse_audit_archive_failures_total [1-9]")
        self.assertEqual(store.events()[:len(before)], before)
        os.rmdir(folder + "/audit.part")
        self.wait(lambda: store.events()[0]["sequence"] > len(before))
        self.assertEqual(self.check(store, before, [folder]), len(before))

    def test_a_log_that_was_altered_is_left_as_it_is(self):
        daemon, store = self.installation(Sqlite)
        store.sql("UPDATE audit SET detail = 'nothing' WHERE sequence = 3")
        before = store.events()
        daemon.start()
        self.wait(lambda: "audit_log_broken sequence=3" in daemon.log_text())
        self.assertEqual(store.events()[:len(before)], before)
        self.assertEqual(os.listdir(self.archive), [])

    def test_the_setting_is_a_day_at_least_and_off_by_default(self):
        with Daemon(OFF) as daemon:
            token = daemon.admin_token()
            change = lambda seconds: daemon.admin.UpdateSettings(pb.UpdateSettingsRequest(
                settings=pb.Settings(audit_retention=None if seconds is None else Duration(seconds=seconds)),
                update_mask={"paths": ["audit_retention"]}), metadata=daemon.bearer(token), timeout=DEADLINE).settings
            read = lambda: daemon.admin.GetSettings(pb.GetSettingsRequest(), metadata=daemon.bearer(token), timeout=DEADLINE).settings
            self.assertFalse(read().HasField("audit_retention"))
            self.assertEqual(error_of(lambda: change(DAY - 1))[0], "INVALID_ARGUMENT")
            self.assertEqual(change(DAY).audit_retention.seconds, DAY)
            self.assertFalse(change(None).HasField("audit_retention"))


class Replicas(Case):
    """PostgreSQL."""

    def setUp(self):
        super().setUp()
        self.postgres = self.enterContext(Postgres())
        self.url = self.postgres.new_database()

    def test_an_end_between_the_file_and_the_removal_loses_nothing(self):
        daemon, store = self.installation(lambda url: OnPostgres(url, self.postgres), store=self.url)
        before = store.events()
        holder = subprocess.Popen(["psql", "-q", "-X", "-A", "-t", self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        holder.stdin.write("BEGIN; LOCK TABLE audit IN SHARE MODE; SELECT 'held';\n")  # it can be read
        holder.stdin.flush()
        self.assertEqual(holder.stdout.readline(), "held\n")
        daemon.start()
        self.wait(lambda: self.archived())
        daemon.kill()
        holder.communicate("COMMIT;\n", timeout=DEADLINE)
        self.assertEqual(store.events(), before)
        self.assertEqual(self.check(store, before, [self.archive]), len(before))
        other = self.enterContext(tempfile.TemporaryDirectory(prefix="gatehouse-archive-"))
        second = Daemon({**daemon.settings, "audit_archive": other}, init=False, start=False)
        second.client_id, second.secret_file = daemon.client_id, daemon.secret_file
        daemon.start()
        with second:
            second.start()
            self.wait(lambda: store.events()[0]["sequence"] > len(before))
            self.assertEqual(self.check(store, before, [self.archive, other]), len(before))
            for replica in (daemon, second):
                self.assertEqual((self.verify(replica).intact, self.verify(replica).first_sequence), (True, len(before) + 1))
            self.assertEqual(sum(event["action"] == "TrimAuditLog" for event in store.events()), 1)


if __name__ == "__main__":
    unittest.main()

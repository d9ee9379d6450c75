# SPDX-License-Identifier: Apache-2.0
"""What stands in the change log that no program of this version wrote, and what each process says of itself in the store."""
import re
import unittest
import urllib.request

from replicas import Replicas, eventually

SETTINGS = {"http_address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0"}
NEXT = "INSERT INTO change_log (revision, kind, subject, at{0}) SELECT value, {1}, {2}, 0{3} FROM counter WHERE name = 'revision'"


def metric(daemon, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics", timeout=60) as answer:
        return float(re.search(rf"(?m)^{re.escape(name)} (\S+)", answer.read().decode()).group(1))


class Log(unittest.TestCase):
    def setUp(self):
        self.replicas = self.enterContext(Replicas(2, {**SETTINGS, "flush_interval_ms": "100"}))
        self.one, self.other = self.replicas.daemons
        self.caller = self.one.admin_token()
        self.client = self.one.create(self.caller, "client", roles=["work_creator"]).credential.client_id
        eventually(lambda: self.is_active(self.other, self.caller))

    def is_active(self, daemon, token):
        return daemon.introspect(self.caller, token).active

    def resets(self, daemon, cause):
        return metric(daemon, f'gatehouse_resets_total{{cause="{cause}"}}')

    def all_resets(self):
        return [self.resets(daemon, cause) for daemon in self.replicas.daemons for cause in ("history", "cut")]

    def assert_heard(self):
        head = float(self.replicas.sql("SELECT max(revision) FROM change_log"))
        for daemon in self.replicas.daemons:
            eventually(lambda: metric(daemon, "gatehouse_revision") == head)

    def append(self, kind, subject, change_id=None):
        """As another program would, which may know no change ids."""
        column, value = ("", "") if change_id is None else (", change_id", f", {change_id}")
        self.replicas.sql("BEGIN; UPDATE counter SET value = value + 1 WHERE name = 'revision'; "
                          + NEXT.format(column, kind, subject, value) + "; NOTIFY gatehouse; COMMIT")

    def assert_obeyed(self, change, is_so):
        change()
        for daemon in self.replicas.daemons:
            eventually(lambda: is_so(daemon))
            self.assertTrue(self.is_active(daemon, self.caller))  # and it goes on

    def test_what_a_replica_of_the_version_before_changes_is_obeyed_by_all(self):
        token = self.one.admin_token()
        for daemon in self.replicas.daemons:
            self.assertTrue(self.is_active(daemon, token))
        key = self.one.introspect(self.caller, token).accessor

        def revoke():
            self.replicas.sql(f"DELETE FROM token WHERE key = '\\x{key}'")
            self.append(2, f"'\\x{key}'::bytea")
        self.assert_obeyed(revoke, lambda daemon: not self.is_active(daemon, token))

    def test_a_change_without_an_id_is_another_history_until_one_with_an_id_follows(self):
        self.assert_obeyed(lambda: self.append(3, "''::bytea"), lambda daemon: self.resets(daemon, "history") >= 1)
        # One of them writes a change with an id, and then there is nothing to read anew at every look.
        eventually(lambda: self.replicas.sql("SELECT change_id FROM change_log ORDER BY revision DESC LIMIT 1") != "0")
        self.assert_heard()
        before = self.all_resets()
        self.append(3, "''::bytea", 7)
        self.assert_heard()
        self.assertEqual(self.all_resets(), before)

    def test_a_change_that_cannot_be_read_is_another_history(self):
        self.assert_obeyed(lambda: self.append(2, "'\\x0102'::bytea", 7), lambda daemon: self.resets(daemon, "history") >= 1)
        for daemon in self.replicas.daemons:
            self.assertIn("event=another_history", daemon.log_text())

    def test_a_kind_of_change_that_a_newer_program_knows_makes_everything_be_read_anew(self):
        self.assert_obeyed(lambda: self.append(99, "''::bytea", 7), lambda daemon: self.resets(daemon, "cut") >= 1)

    def test_a_position_that_the_log_does_not_have_any_more_is_another_history(self):
        self.assert_obeyed(lambda: self.replicas.sql(
            "UPDATE change_log SET change_id = 12345 WHERE revision = (SELECT max(revision) FROM change_log)"),
            lambda daemon: self.resets(daemon, "history") >= 1)


class Group(unittest.TestCase):
    def test_the_longest_lease_of_the_group_is_known_to_all_and_is_lowered_when_it_has_run_out(self):
        with Replicas(2, {**SETTINGS, "flush_interval_ms": "100", "lease_ms": "1500"}, clock=True) as replicas:
            one, other = replicas.daemons
            name = "gatehouse_group_lease_seconds"
            self.assertEqual([metric(daemon, name) for daemon in replicas.daemons], [1.5, 1.5])
            other.stop()
            other.settings["lease_ms"] = "30000"
            other.start()
            self.assertEqual(metric(other, name), 30)
            one.pass_time(11)  # it says again that it is there, and hears what the others said
            eventually(lambda: metric(one, name) == 30)
            self.assertEqual(replicas.sql("SELECT count(*) FROM process WHERE lease > 0"), "2")
            other.stop()
            self.assertEqual(replicas.sql("SELECT count(*) FROM process WHERE lease > 0"), "1")
            before = replicas.sql("SELECT seen FROM process WHERE lease > 0")
            one.pass_time(11)
            eventually(lambda: replicas.sql("SELECT seen FROM process WHERE lease > 0") != before)
            self.assertEqual(metric(one, name), 30)  # it may be running still, for all that this one knows
            one.pass_time(200)
            eventually(lambda: metric(one, name) == 1.5)
            other.start()


if __name__ == "__main__":
    unittest.main(verbosity=2)

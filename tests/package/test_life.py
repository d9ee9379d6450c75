# SPDX-License-Identifier: Apache-2.0
"""The package `gatehouse` on a machine of its own, under a real systemd: from its installation to its purge."""
import json
import re
import unittest

import packages
from machine import Machine, Root, as_root, run

STATE = "/var/lib/gatehouse"
CONFIGURATION = "/etc/gatehouse/gatehoused.conf"
INIT = ("runuser", "-u", "gatehouse", "--", "gatehoused", "--config", CONFIGURATION, "init")
SECRET = STATE + "/administrator.secret"
TOKEN = "/var/tmp/token"
ENABLED = "/etc/systemd/system/multi-user.target.wants/gatehoused.service"
# What the system writes by itself: package lists, logs, systemd's own.
NOT_OURS = "(" + "|".join(("/var/(log|cache|tmp)", "/var/lib/(dpkg|apt|private)", "/tmp", "/run", "/proc", "/sys", "/dev", "/root",
                           "/var/lib/systemd/(timers|linger|catalog|random-seed|coredump).*",
                           "/etc/(passwd|group|shadow|gshadow|subuid|subgid)-", "/etc/.pwd.lock")) + ")(/.*)?"


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.packages = packages.find()
        cls.root = cls.enterClassContext(Root("package-life"))
        cls.root.install("systemd", *packages.dependencies(cls.packages["gatehouse"]))
        cls.root.run("rm", "/usr/sbin/policy-rc.d")  # here services may start
        for name in ("gatehouse", "older"):
            cls.root.put(cls.packages[name], f"/{name}.deb")
        cls.machine = cls.enterClassContext(Machine(cls.root))

    def files(self):
        return set(self.machine.do("find", "/", "-xdev", "-regextype", "egrep", "-regex", NOT_OURS, "-prune", "-o",
                                   "-print").splitlines())

    def apt(self, *arguments):
        return self.machine.do("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "-q", "--no-install-recommends",
                               *arguments)

    def systemctl(self, *arguments):
        return self.machine.ask("systemctl", *arguments)[1].strip()

    def process(self):
        return self.systemctl("show", "--value", "--property", "MainPID", "gatehoused")

    def command(self, *arguments, check=True):
        return self.machine.ask("env", f"GATEHOUSE_CLIENT_ID={self.client_id}", f"GATEHOUSE_CLIENT_SECRET_FILE={SECRET}",
                                "gatehouse", *arguments, check=check)[1]

    def issue(self, client_id, secret):
        answer = self.machine.over_its_network("curl", "-sS", "--fail-with-body", "--max-time", "60", "-d",
                                               f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}",
                                               "http://127.0.0.1:8080/OAuth/Token")
        return json.loads(answer)["access_token"]

    def is_active(self, token):
        self.root.write(TOKEN, token, "0600")
        return json.loads(self.command("token", "introspect", "--token-file", TOKEN, "-o", "json", check=False)).get("active", False)

    def step_installed_it_waits_for_its_database(self):
        # All that its control file names is there, and all that it needs.
        self.assertIn("0 upgraded, 1 newly installed, 0 to remove", self.apt("install", "/older.deb"))
        self.assertEqual(self.machine.do("stat", "-c", "%U %G %a", STATE).strip(), "gatehouse gatehouse 750")
        self.assertRegex(self.machine.do("getent", "passwd", "gatehouse-client"),
                         r"^gatehouse-client:x:\d+:\d+:.*:/var/lib/gatehouse-client:/usr/sbin/nologin$")
        self.assertRegex(self.machine.do("getent", "passwd", "gatehouse"), rf"^gatehouse:x:\d+:\d+:.*:{STATE}:/usr/sbin/nologin$")
        self.assertEqual((self.systemctl("is-enabled", "gatehoused"), self.systemctl("is-active", "gatehoused")),
                         ("disabled", "inactive"))

    def step_it_does_the_main_job(self):
        said = self.machine.do(*INIT, "--secret-file", SECRET)
        type(self).client_id = re.search(r"client_id=(\S+)", said)[1]
        self.machine.do("systemctl", "enable", "--now", "gatehoused")
        type(self).third_party = self.command("credential", "create", "Acme", "--role", "work_creator", "-o", "value").split()
        type(self).token = self.issue(*self.third_party)
        other = self.issue(*self.third_party)
        self.assertTrue(self.is_active(self.token))
        self.assertTrue(self.is_active(other))
        self.root.write(TOKEN, other, "0600")
        self.command("token", "revoke", "--token-file", TOKEN)
        self.assertFalse(self.is_active(other))

    def step_an_upgrade_restarts_it_and_keeps_data_tokens_and_configuration(self):
        self.machine.do("sh", "-c", f"echo 'log_level = \"debug\"' >>{CONFIGURATION}")
        before = self.process()
        self.apt("install", "/gatehouse.deb")
        self.assertEqual(self.machine.do("dpkg-query", "-W", "-f", "${Version}", "gatehouse"),
                         packages.field(self.packages["gatehouse"], "Version"))
        self.assertNotIn(self.process(), (before, "0"))
        self.assertTrue(self.is_active(self.token))
        self.assertIn("Acme", self.command("credential", "list"))
        self.assertIn('\nlog_level = "debug"\n', self.machine.do("cat", CONFIGURATION))

    def step_an_upgrade_over_an_older_database_brings_it_up_to_date(self):
        def database(statement):
            return run(as_root("sqlite3", f"{self.root.path}{STATE}/gatehouse.db", statement))[1].split()

        versions = database("SELECT number FROM schema_version")
        self.systemctl("stop", "gatehoused")
        # As version 1 left it: what the later steps of services/records/schema.c did is undone.
        self.assertEqual(versions, ["1", "2", "3", "4", "5", "6", "7", "8", "9"], "there is another step: undo it here too")
        # What holds between rows may stay: made again, it is the same.
        for index in database("SELECT name FROM sqlite_schema WHERE type = 'index' AND (name LIKE '%_in_order_of_%'"
                              " OR name LIKE '%_role_by_role' OR name IN ('credential_by_deletion', 'secret_by_end',"
                              " 'request_by_time'))"):
            database(f"DROP INDEX {index}")
        database("DROP TABLE process; DROP TABLE token_count; DROP TABLE credential_limit; ALTER TABLE schema_version DROP COLUMN needs; ALTER TABLE change_log DROP COLUMN change_id;"
                 " ALTER TABLE role DROP COLUMN built_in; DROP INDEX credential_by_announcement; DROP INDEX secret_by_announcement;"
                 " ALTER TABLE credential DROP COLUMN announce; ALTER TABLE credential DROP COLUMN self_rotation;"
                 " ALTER TABLE secret DROP COLUMN announce; ALTER TABLE credential DROP COLUMN suspended;"
                 " ALTER TABLE credential DROP COLUMN resumed; ALTER TABLE credential DROP COLUMN warned; ALTER TABLE credential DROP COLUMN networks;"
                 " ALTER TABLE credential DROP COLUMN networks_observed; ALTER TABLE credential DROP COLUMN last_from;"
                 " ALTER TABLE credential DROP COLUMN contact; ALTER TABLE credential DROP COLUMN labels; ALTER TABLE usage DROP COLUMN observed;"
                 " DELETE FROM role WHERE id IN ('auditor', 'key_manager');"
                 " DELETE FROM schema_version WHERE number >= 2; DELETE FROM counter WHERE name = 'lock'")
        self.apt("install", "--reinstall", "/gatehouse.deb")
        self.assertTrue(self.is_active(self.token))
        self.assertEqual(database("SELECT number FROM schema_version"), versions)
        self.assertEqual(database("SELECT value FROM counter WHERE name = 'lock'"), ["0"])

    def step_removed_it_leaves_data_and_configuration(self):
        before = self.process()
        self.apt("remove", "gatehouse")
        self.assertEqual(self.machine.ask("test", "-e", "/proc/" + before)[0], 1)
        left = self.files() - self.before
        self.assertIn(STATE + "/gatehouse.db", left)
        of_systemd = {path for path in left if path.startswith(("/etc/systemd/", "/var/lib/systemd/deb-systemd-helper-"))}
        of_ours = {path for path in left if not path.startswith(STATE)} - of_systemd
        self.assertEqual(of_ours, {"/etc/gatehouse", CONFIGURATION, "/etc/gatehouse/edge.conf"})

    def step_installed_again_it_goes_on(self):
        self.apt("install", "/gatehouse.deb")
        self.machine.do("systemctl", "start", "gatehoused")
        self.assertTrue(self.is_active(self.token))
        self.assertEqual(self.systemctl("is-enabled", "gatehoused"), "enabled")

    def step_purged_it_leaves_the_data_alone(self):
        self.assertIn(f"{STATE} is kept", self.apt("purge", "gatehouse"))
        left = self.files() - self.before
        self.assertIn(STATE + "/gatehouse.db", left)
        self.assertEqual({path for path in left if not path.startswith(STATE)}, set())
        self.assertEqual(self.machine.ask("dpkg-query", "-W", "gatehouse")[0], 1)
        self.assertEqual(self.machine.do("stat", "-c", "%U", STATE + "/gatehouse.db").strip(), "gatehouse")

    def test_a_package_is_installed_used_upgraded_removed_and_purged(self):
        # Each step begins where the one before ended.
        type(self).before = self.files()
        for step in (self.step_installed_it_waits_for_its_database, self.step_it_does_the_main_job,
                     self.step_an_upgrade_restarts_it_and_keeps_data_tokens_and_configuration,
                     self.step_an_upgrade_over_an_older_database_brings_it_up_to_date,
                     self.step_removed_it_leaves_data_and_configuration, self.step_installed_again_it_goes_on,
                     self.step_purged_it_leaves_the_data_alone):
            with self.subTest(step.__name__):
                step()


if __name__ == "__main__":
    unittest.main(failfast=True)

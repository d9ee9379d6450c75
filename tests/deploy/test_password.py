# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL's password from a file, as secrets are given to containers."""
import os
import subprocess
import unittest

from daemon import Daemon
from postgres import Postgres

ROLE = "CREATE ROLE service LOGIN PASSWORD 'right' CREATEDB; CREATE DATABASE gatehouse OWNER service;"


class Password(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres())
        subprocess.run(["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", cls.postgres.url, "-f", "-"], input=ROLE, text=True,
                       check=True, timeout=60)
        # From now on it wants to know.
        with open(cls.postgres.data + "/pg_hba.conf", "w") as file:
            file.write("local all gatehouse trust\nlocal all service scram-sha-256\n")
        cls.postgres.run("pg_ctl", "reload", "-D", cls.postgres.data)

    def daemon(self, password, **options):
        daemon = Daemon({"store": f"postgresql:///gatehouse?host={self.postgres.folder}&user=service"}, init=False, start=False)
        self.enterContext(daemon)
        with open(daemon.folder + "/password", "w") as file:
            file.write(password)
        os.chmod(daemon.folder + "/password", 0o440)  # libpq's own passfile would be refused
        daemon.settings["store_password_file"] = daemon.folder + "/password"
        return daemon

    def test_the_right_password_opens_the_store_and_only_that(self):
        daemon = self.daemon("right\n")
        self.assertRegex(daemon.run("init", "--secret-file", daemon.secret_file).stdout, "^client_id=")
        wrong = self.daemon("mistaken-7f3a\n").run("init", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("password authentication failed", wrong.stderr)
        self.assertNotIn("mistaken-7f3a", wrong.stdout + wrong.stderr)

    def test_a_file_that_is_not_there_is_a_mistake_of_the_configuration(self):
        daemon = self.daemon("right\n")
        daemon.settings["store_password_file"] = "/not/there"
        result = daemon.run(check=False)
        self.assertEqual(result.returncode, 2)
        self.assertIn("store_password_file: the file /not/there cannot be read", result.stderr)


if __name__ == "__main__":
    unittest.main()

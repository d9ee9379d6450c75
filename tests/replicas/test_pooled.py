# SPDX-License-Identifier: Apache-2.0
"""Replicas behind a real PgBouncer in session pooling."""
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

from gatehouse.v1 import auth_pb2 as auth

from daemon import Daemon
from postgres import LEASH, Postgres, as_user
from replicas import eventually

CONFIGURATION = """[databases]
* = host={socket} user=gatehouse
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = session
default_pool_size = 20
logfile = {folder}/log
"""


class Pooled(unittest.TestCase):
    def setUp(self):
        self.postgres = self.enterContext(Postgres())
        database = self.postgres.new_database().split("?")[0].rsplit("/", 1)[1]
        folder = tempfile.mkdtemp(prefix="gatehouse-pgbouncer-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o777)  # it refuses to run as root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with open(folder + "/ini", "w") as file:
            file.write(CONFIGURATION.format(socket=self.postgres.folder, port=port, folder=folder))
        pooler = subprocess.Popen([*as_user(), *LEASH, "/usr/sbin/pgbouncer", "-q", folder + "/ini"], cwd=folder)
        self.addCleanup(pooler.wait, 60)
        self.addCleanup(pooler.kill)
        self.url = f"postgresql://gatehouse@127.0.0.1:{port}/{database}"
        eventually(lambda: pooler.poll() is None and self.is_answered())

    def is_answered(self):
        return subprocess.run(["psql", "-q", "-X", self.url, "-c", "SELECT 1"], capture_output=True, timeout=60).returncode == 0

    def test_what_one_replica_ends_the_other_hears_at_once(self):
        settings = {"store": self.url, "http_address": "", "lease_ms": "40000"}  # it looks by itself every 10 seconds
        with Daemon(settings) as one, Daemon(settings, init=False) as other:
            caller = one.admin_token()
            client = one.create(caller, "pooled")
            for _ in range(20):
                token = one.issue(client.credential.client_id, client.secret_key).access_token
                self.assertTrue(other.introspect(caller, token).active)
                one.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=60)
                eventually(lambda: not other.introspect(caller, token).active, 7)
            self.assertNotIn("store_without_notifications", one.log_text() + other.log_text())


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""The primary dies and its standby takes over: Patroni's work, done here by hand."""
import re
import unittest

import grpc
from gatehouse.v1 import auth_pb2 as auth

from daemon import Daemon
from postgres import Postgres
from replicas import AWAY, eventually


class Failover(unittest.TestCase):
    def setUp(self):
        self.primary = self.enterContext(Postgres())
        self.store = self.primary.new_database()
        self.standby = self.enterContext(Postgres(standby_of=self.primary))
        self.database = self.store.split("?")[0].rsplit("/", 1)[1]

    def synchronous(self):
        """From here on a commit waits for the standby."""
        self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.sql("SELECT pg_reload_conf()")
        eventually(lambda: self.primary.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1")

    def url(self, *servers):
        hosts = ",".join(server.folder for server in servers)
        return f"postgresql:///{self.database}?host={hosts}&user=gatehouse&target_session_attrs=read-write"

    def start(self, url):
        daemon = Daemon({"store": url, "http_address": ""})
        self.addCleanup(daemon.__exit__)
        return daemon

    def test_a_standby_is_not_asked_for_it_is_behind(self):
        daemon = self.start(self.url(self.primary))
        daemon.stop()
        daemon.settings["store"] = self.url(self.standby).replace("&target_session_attrs=read-write", "")
        daemon.start()  # and waits: it may be promoted
        self.assertFalse(self.is_issuing(daemon))
        eventually(lambda: re.search("event=store_away .*is a standby", daemon.log_text()))
        self.standby.promote()
        eventually(lambda: self.is_issuing(daemon))

    def is_issuing(self, daemon):
        try:
            return daemon.auth.IssueToken(auth.IssueTokenRequest(
                client_id=daemon.client_id, client_secret=daemon.secret), timeout=10)
        except grpc.RpcError as error:
            self.assertIn(error.code(), AWAY)
            return False

    def test_everything_acknowledged_by_the_primary_is_known_after_the_failover(self):
        self.synchronous()
        daemon = self.start(self.url(self.primary, self.standby))
        caller = daemon.admin_token()
        tokens = [daemon.admin_token() for _ in range(60)]
        for token in tokens[:20]:
            daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=60)
        self.primary.process.kill()
        self.primary.process.wait()
        self.standby.promote()
        print(f"issuing again after {eventually(lambda: self.is_issuing(daemon)):.2f} s")
        daemon.stop()
        daemon.start()
        states = [daemon.introspect(caller, token).active for token in tokens]
        self.assertEqual(states, [False] * 20 + [True] * 40)

    def test_a_commit_that_the_standby_did_not_confirm_is_not_acknowledged(self):
        daemon = self.start(self.url(self.primary))
        self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        self.primary.sql("SELECT pg_reload_conf()")
        daemon.stop()
        daemon.settings["store_timeout_ms"] = "500"  # then the server gives up waiting, with a warning and a COMMIT
        daemon.start()
        eventually(lambda: "event=store_away" in daemon.log_text())  # even what it would write at its start
        self.assertFalse(self.is_issuing(daemon))
        self.primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.primary.sql("SELECT pg_reload_conf()")
        eventually(lambda: self.is_issuing(daemon))
        self.primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        self.primary.sql("SELECT pg_reload_conf()")
        eventually(lambda: not self.is_issuing(daemon))
        self.primary.sql("ALTER SYSTEM RESET synchronous_standby_names")
        self.primary.sql("SELECT pg_reload_conf()")
        eventually(lambda: self.is_issuing(daemon))


if __name__ == "__main__":
    unittest.main(verbosity=2)

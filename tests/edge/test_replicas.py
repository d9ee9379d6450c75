# SPDX-License-Identifier: Apache-2.0
"""An edge over two replicas, one of which dies."""
import signal
import unittest

from daemon import DEADLINE, Daemon
from edges import Case, bearer, boot_time, make_edge
from postgres import Postgres


class Replicas(Case):
    def setUp(self):
        store = {"store": self.enterContext(Postgres()).new_database(), "metrics_address": "127.0.0.1:0"}
        self.daemon = self.enterContext(Daemon(store))
        self.other = self.enterContext(Daemon(store, init=False))
        self.admin = self.daemon.admin_token()
        self.server = self.client("server", "resource_server")
        self.caller = self.issue(self.server)
        self.third_party = self.client("Acme", "work_creator")
        both = f"127.0.0.1:{self.daemon.grpc_port},127.0.0.1:{self.other.grpc_port}"
        self.edge = self.enterContext(make_edge(self.daemon, self.client("edge", "resource_server"), upstream=both))
        self.edge.start()

    def await_hit(self, token):
        def is_hit():
            before = self.hits()
            return self.introspect(token).active and self.hits() == before + 2  # its caller's, too
        self.until(is_hit, "a hit")

    def test_a_change_at_either_is_obeyed_and_the_death_of_one_is_ridden_out(self):
        for daemon in (self.daemon, self.other, self.edge) * 3:
            token = self.issue()
            self.await_hit(token)
            self.revoke(daemon, token)
            self.assert_obeyed(token, boot_time())
        kept = self.issue()
        self.await_hit(kept)
        self.daemon.process.send_signal(signal.SIGKILL)
        self.daemon.process.wait(DEADLINE)
        self.until(lambda: self.http("/readyz")[2] == "ok\n", "ready and trusted")
        self.daemon.auth = self.other.auth  # by which tokens are issued from now on
        for daemon in (self.other, self.edge) * 3:
            token = self.issue()
            self.await_hit(token)
            self.revoke(daemon, token)
            self.assert_obeyed(token, boot_time())
        self.assertEqual(self.http("/OAuth/Check", headers=bearer(kept))[0], 200)
        self.daemon.start()


if __name__ == "__main__":
    unittest.main()

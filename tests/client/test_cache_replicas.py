# SPDX-License-Identifier: Apache-2.0
"""The cache of libgatehouse over two replicas: test_cache_replicas.py DRIVER. Changes by either, a history that loses commits, and a
replica that is away from its database."""
import contextlib
import time
import unittest

from driver import Driver, boot_time
from daemon import DEADLINE, Daemon, auth_pb2 as auth
from histories import Failover, Group, Restored
from replicas import Replicas

BOUND = 2.0  # seconds: lease_ms and cache_lease_ms, by default
MEMORY = "from memory"


class Cached:
    """self.one, self.other, self.caller"""

    def begin(self):
        made = self.one.create(self.caller, "server", ["resource_server"])
        self.server = made.credential.client_id, made.secret_key
        made = self.one.create(self.caller, "Acme")
        self.client = made.credential.client_id, made.secret_key

    def issue(self, daemon=None):
        return (daemon or self.one).issue(*self.client).access_token

    def driver(self, *daemons):
        ports = ",".join(f"127.0.0.1:{daemon.grpc_port}" for daemon in daemons)
        return Driver(daemons[0], *self.server, ADDRESS=f"ipv4:{ports}", CACHE_ENTRIES="1000", TIMEOUT_MS="1000")

    def await_hit(self, driver, token):
        end = time.monotonic() + DEADLINE
        while not (said := driver.ask("cached", token)).endswith(MEMORY):
            self.assertLess(time.monotonic(), end, said)
            time.sleep(0.005)

    def revoke(self, daemon, token):
        """Gives when it was acknowledged."""
        daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.caller), timeout=DEADLINE)
        return boot_time()

    def assert_obeyed(self, driver, token, acknowledged):
        while True:
            begun = boot_time()
            said = driver.ask("cached", token)
            if begun > acknowledged + BOUND:
                self.assertFalse(said.startswith("active"), said)
            if said.startswith("inactive"):
                return
            time.sleep(0.002)


class Lost(Cached):
    KIND = None

    def setUp(self):
        stack = self.enterContext(contextlib.ExitStack())
        self.group = Group(stack, self.KIND, {})
        self.one, self.other = self.group.daemons
        self.caller = self.group.caller
        self.begin()

    def test_what_a_lost_history_left_in_the_cache_can_be_ended(self):
        kept = [self.issue() for _ in range(3)]
        self.group.catch_up(self.other)
        with self.driver(self.one, self.other) as driver:
            lost = []

            def writes():
                lost.extend(self.issue() for _ in range(3))
                for number in range(3):  # the new history comes to these revisions with other changes
                    self.one.create(self.caller, f"lost {number}")
                for token in *lost, *kept:
                    self.await_hit(driver, token)
            self.group.lose(writes)
            for token in lost[0], kept[0], lost[1], kept[1]:
                self.assert_obeyed(driver, token, self.revoke(self.other, token))
            self.await_hit(driver, kept[2])
            self.assert_obeyed(driver, lost[2], self.revoke(self.one, lost[2]))
            stats = driver.stats()
            self.assertGreater(stats["unknown"] + stats["history"], 1)


class AfterFailover(Lost, unittest.TestCase):
    KIND = Failover


class AfterRestore(Lost, unittest.TestCase):
    KIND = Restored


class Together(Cached, unittest.TestCase):
    def setUp(self):
        self.replicas = self.enterContext(Replicas(2, {"http_address": ""}))
        self.one, self.other = self.replicas.daemons
        self.caller = self.one.admin_token()
        self.begin()

    def test_what_either_ends_is_obeyed(self):
        with self.driver(self.one, self.other) as driver:
            for number in range(20):
                token = self.issue(self.replicas.daemons[number % 2])
                self.await_hit(driver, token)
                self.assert_obeyed(driver, token, self.revoke(self.replicas.daemons[number // 2 % 2], token))

    def test_a_replica_that_is_away_from_its_database_proves_nothing(self):
        with self.driver(self.other) as driver:
            token = self.issue()
            self.await_hit(driver, token)
            self.replicas.networks[1].set("hole")
            acknowledged = self.revoke(self.one, token)
            while (begun := boot_time()) <= acknowledged + BOUND + 1:
                said = driver.ask("cached", token)
                if begun > acknowledged + BOUND:
                    self.assertFalse(said.startswith("active"), said)
            self.replicas.networks[1].set("pass")
            self.assert_obeyed(driver, token, acknowledged)
            self.await_hit(driver, self.issue())


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Replicas whose clocks differ: what one wrong clock must not do to all, and what they agree on when time passes."""
import struct
import time
import unittest

from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from daemon import Daemon
from replicas import Replicas, eventually

MINUTE, DAY = 60, 86400
ROUNDS = 65  # of the flusher: it tidies in every thirtieth


def admin(daemon, caller, method, **fields):
    return getattr(daemon.admin, method)(getattr(pb, method + "Request")(**fields), metadata=Daemon.bearer(caller), timeout=60)


def set_durations(daemon, caller, **seconds):
    settings = pb.Settings(**{name: Duration(seconds=value) for name, value in seconds.items()})
    admin(daemon, caller, "UpdateSettings", settings=settings, update_mask=FieldMask(paths=list(seconds)))


class Ahead(unittest.TestCase):
    """One replica's clock is ahead for some seconds, and then right again."""

    def setUp(self):
        self.replicas = self.enterContext(Replicas(3, {"http_address": "", "flush_interval_ms": "10"}, clock=True))
        self.wrong, self.one, self.other = self.replicas.daemons
        self.caller = self.one.admin_token()
        self.client = self.one.create(self.caller, "client")
        self.tokens = [self.issue(self.client) for _ in range(50)]
        for daemon in (self.one, self.other):
            self.assertEqual(self.live(daemon), 50)

    def issue(self, client):
        return self.one.issue(client.credential.client_id, client.secret_key).access_token

    def live(self, daemon, api="GET /"):
        requests = [auth.BatchIntrospectEntry(token=token, api=api) for token in self.tokens]
        answer = daemon.auth.BatchIntrospect(auth.BatchIntrospectRequest(requests=requests),
                                             metadata=Daemon.bearer(self.caller), timeout=60)
        return [response.active for response in answer.responses].count(True)

    def count(self, text):
        return int(self.replicas.sql("SELECT coalesce(sum(allowed), 0) FROM usage WHERE api = '" + text + "'"))

    def be_ahead(self, seconds):
        self.wrong.move_clock(seconds)
        caller = self.wrong.admin_token()
        before = self.count("GET /ahead")
        for number in range(ROUNDS):  # in each, the replica whose clock is wrong stores something, then removes what is dead
            self.assertTrue(self.wrong.introspect(caller, caller, api="GET /ahead").active)
            eventually(lambda: self.count("GET /ahead") > before + number)
            if number % 10 == 0:
                self.assertEqual(self.live(self.one), 50, "ended by another replica's clock")
        self.wrong.move_clock(-seconds)

    def assert_all_is_well(self):
        for daemon in (self.one, self.other):
            self.assertEqual(self.live(daemon), 50)
        self.assertEqual(self.replicas.sql("SELECT count(*) FROM token t JOIN credential c ON c.id = t.credential"
                                           " WHERE c.name = 'client'"), "50")
        for daemon in (self.one, self.other):
            daemon.stop()
            daemon.start()
            self.assertEqual(self.live(daemon), 50, "after a restart")
        for token in self.tokens[:25]:
            self.one.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.caller), timeout=60)
        self.assertEqual(self.live(self.one), 25)
        eventually(lambda: self.live(self.other) == 25, 20)

    def test_tokens_and_deleted_credentials_are_still_there(self):
        set_durations(self.one, self.caller, deletion_retention=10 * MINUTE)
        deleted = self.one.create(self.caller, "deleted")
        admin(self.one, self.caller, "DeleteCredential", client_id=deleted.credential.client_id)
        self.be_ahead(25 * MINUTE)
        self.assert_all_is_well()
        admin(self.one, self.caller, "UndeleteCredential", client_id=deleted.credential.client_id)
        self.assertTrue(self.issue(deleted))

    def test_usage_and_the_change_log_are_still_there(self):
        set_durations(self.one, self.caller, usage_retention=DAY)
        self.live(self.one, "GET /before")
        eventually(lambda: self.count("GET /before") == 50)
        changes = int(self.replicas.sql("SELECT count(*) FROM change_log"))
        self.be_ahead(2 * DAY)
        self.assertEqual(self.count("GET /before"), 50)
        self.assertGreaterEqual(int(self.replicas.sql("SELECT count(*) FROM change_log")), changes)
        self.assert_all_is_well()


class Idle(unittest.TestCase):
    """With the longest interval between flushes that is allowed."""

    def setUp(self):
        self.replicas = self.enterContext(Replicas(2, {"http_address": "", "flush_interval_ms": "60000"}, clock=True))
        self.one, self.other = self.daemons = self.replicas.daemons
        self.started = time.monotonic()
        self.caller = self.one.admin_token()
        self.client = self.one.create(self.caller, "client")
        self.token = self.one.issue(self.client.credential.client_id, self.client.secret_key).access_token

    def pass_time(self, seconds):
        for daemon in self.daemons:
            daemon.pass_time(seconds)
        self.caller = self.one.admin_token()

    def is_active(self, daemon):
        """Without a use. An active answer never says that it is over."""
        asked = time.time() + struct.unpack("q", daemon.shift[:8])[0] / 1e6
        answer = daemon.introspect(self.caller, self.token, no_touch=True)
        if answer.active:
            self.assertGreater(answer.expire_time.ToNanoseconds() / 1e9, asked, "active, and expired")
        return answer.active

    def states(self):
        return [self.is_active(daemon) for daemon in self.daemons]

    def test_a_token_is_inactive_at_every_replica_after_its_idle_timeout(self):
        self.assertEqual(self.states(), [True, True])
        self.pass_time(20 * MINUTE - 15)
        self.assertEqual(self.states(), [True, True])
        for _ in range(4):
            self.pass_time(5)
            self.states()
        self.assertEqual(self.states(), [False, False])

    def test_a_token_that_is_used_at_one_replica_only_is_live_at_all(self):
        set_durations(self.one, self.caller, idle_session_timeout=MINUTE)
        eventually(lambda: self.other.introspect(self.caller, self.token, no_touch=True).idle_timeout.seconds == MINUTE)
        self.assertEqual(self.states(), [True, True])
        used = 0
        while time.monotonic() < self.started + 125:  # the second flush is over
            now = time.monotonic()
            if now > used + 10:
                used = now
                self.caller = self.one.admin_token()
                self.assertTrue(self.one.introspect(self.caller, self.token, api="GET /").active)
            self.assertEqual(self.states(), [True, True], f"used {now - used:.1f} s ago")
            time.sleep(0.25)
        self.pass_time(MINUTE + 1)
        self.assertEqual(self.states(), [False, False])


if __name__ == "__main__":
    unittest.main(verbosity=2)

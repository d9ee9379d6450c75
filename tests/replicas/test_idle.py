# SPDX-License-Identifier: Apache-2.0
"""Idle timeouts and settings over several replicas, whose clocks are moved together."""
import time
import unittest

from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from daemon import Daemon
from replicas import Replicas, eventually

MINUTE = 60
FLUSH = 0.2  # seconds


class Idle(unittest.TestCase):
    def setUp(self):
        self.replicas = self.enterContext(Replicas(
            3, {"http_address": "", "flush_interval_ms": str(int(FLUSH * 1000))}, clock=True))
        self.daemons = self.replicas.daemons
        self.one = self.daemons[0]
        self.caller = self.one.admin_token()
        self.client = self.one.create(self.caller, "client")
        self.token = self.issue()

    def issue(self):
        return self.one.issue(self.client.credential.client_id, self.client.secret_key).access_token

    def move(self, seconds):
        for daemon in self.daemons:
            daemon.move_clock(seconds)

    def look(self, daemon):
        """Without a use."""
        return daemon.introspect(self.caller, self.token, no_touch=True).active

    def stored_use(self):
        """When the store thinks that it was used last, of all tokens the latest but the caller's."""
        return int(self.replicas.sql("SELECT max(t.last_used) FROM token t JOIN credential c ON c.id = t.credential"
                                     " WHERE c.name = 'client'"))

    def stored(self, token):
        """The same of one token."""
        accessor = self.one.introspect(self.caller, token, no_touch=True).accessor
        return int(self.replicas.sql(f"SELECT last_used FROM token WHERE encode(key, 'hex') = '{accessor}'"))

    def use(self, daemon):
        """A use that is worth a write."""
        self.move(MINUTE + 1)
        before = self.stored_use()
        self.assertTrue(daemon.introspect(self.caller, self.token, api="GET /").active)
        eventually(lambda: self.stored_use() > before)
        self.caller = self.one.admin_token()  # which sleeps through no minutes either

    def test_a_token_used_on_any_replica_is_live_on_all(self):
        for daemon in self.daemons:
            self.assertTrue(self.look(daemon))  # all have it in memory
        for round_ in range(6):
            self.move(15 * MINUTE)
            self.caller = self.one.admin_token()
            self.use(self.daemons[round_ % 3])
            for daemon in self.daemons:
                self.assertTrue(self.look(daemon), round_)

    def test_a_use_that_was_not_worth_a_write_is_stored_before_others_would_call_the_token_idle(self):
        for daemon in self.daemons:
            self.assertTrue(self.look(daemon))
        issued = self.stored_use()
        self.move(30)
        self.assertTrue(self.one.introspect(self.caller, self.token, api="GET /").active)
        marker = self.issue()  # another one's use, a flush later, shows that there was a flush
        self.move(MINUTE)
        self.one.introspect(self.caller, marker, api="GET /")
        eventually(lambda: self.stored_use() > issued + MINUTE * 1_000_000)
        self.assertEqual(self.stored(self.token), issued)
        self.move(17 * MINUTE)  # 18:30 since its issue
        self.caller = self.one.admin_token()
        eventually(lambda: self.stored(self.token) > issued)
        self.move(100)  # 20:10, and 19:40 since its use
        self.caller = self.one.admin_token()
        self.assertEqual([self.look(daemon) for daemon in self.daemons], [True] * 3)
        self.move(30)
        self.caller = self.one.admin_token()
        self.assertEqual([self.look(daemon) for daemon in self.daemons], [False] * 3)

    def test_a_token_used_on_none_dies_on_all(self):
        for daemon in self.daemons:
            self.use(daemon)
        self.move(20 * MINUTE - 5)
        self.caller = self.one.admin_token()
        self.assertEqual([self.look(daemon) for daemon in self.daemons], [True] * 3)
        self.move(5 + FLUSH)
        self.caller = self.one.admin_token()
        self.assertEqual([self.look(daemon) for daemon in self.daemons], [False] * 3)

    def set_idle(self, daemon, minutes):
        daemon.admin.UpdateSettings(
            pb.UpdateSettingsRequest(settings=pb.Settings(idle_session_timeout=Duration(seconds=minutes * MINUTE)),
                                     update_mask=FieldMask(paths=["idle_session_timeout"])),
            metadata=Daemon.bearer(self.caller), timeout=60)

    def test_a_shorter_timeout_holds_on_all_within_the_bound_and_a_longer_one_brings_nothing_back(self):
        for daemon in self.daemons:
            self.assertTrue(self.look(daemon))
        self.move(5 * MINUTE)
        self.caller = self.one.admin_token()
        self.set_idle(self.one, 3)
        time.sleep(1)
        self.assertEqual([self.look(daemon) for daemon in self.daemons], [False] * 3)
        self.set_idle(self.daemons[1], 20)
        time.sleep(1)
        self.assertEqual([self.look(daemon) for daemon in self.daemons], [False] * 3)
        self.token = self.issue()
        self.move(5 * MINUTE)
        self.caller = self.one.admin_token()
        self.assertEqual([self.look(daemon) for daemon in self.daemons], [True] * 3)

    def test_a_replica_that_slept_through_the_log_reads_everything_anew(self):
        sleeper = self.daemons[2]
        other = self.one.create(self.caller, "other")
        tokens = [self.issue() for _ in range(5)]
        for token in tokens:
            self.assertTrue(sleeper.introspect(self.caller, token, api="GET /").active)
        self.replicas.networks[2].set("hole")
        for token in tokens[:3]:
            self.one.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=60)
        self.one.admin.DeleteCredential(pb.DeleteCredentialRequest(client_id=other.credential.client_id),
                                        metadata=Daemon.bearer(self.caller), timeout=60)
        self.replicas.sql("DELETE FROM change_log; " + "".join(
            f"DELETE FROM {table} WHERE credential IN (SELECT id FROM credential WHERE name = 'other'); "
            for table in ("secret", "credential_role")) + "DELETE FROM credential WHERE name = 'other'")
        self.replicas.networks[2].set("pass")
        eventually(lambda: not sleeper.introspect(self.caller, tokens[0]).active)
        self.assertEqual([sleeper.introspect(self.caller, token).active for token in tokens], [False] * 3 + [True] * 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)

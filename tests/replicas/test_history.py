# SPDX-License-Identifier: Apache-2.0
"""A database that goes back: a standby that missed the last commits takes over, a backup is restored under running replicas.

What the daemons have in memory, and have acknowledged, then never was. They must notice, forget all of it, and obey what is
done from there on, whatever numbers the lost and the new have in common.
"""
import contextlib
import signal
import time
import unittest

import grpc
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from daemon import error_of
from histories import Deaf, Failover, Group, Renamed, Restored, resets
from replicas import AWAY

REFUSED = ("UNAUTHENTICATED", "INVALID_CLIENT", "")
ROLES = ["team_leader", "work_creator"]


class Base:
    KIND, SETTINGS, COUNT = Failover, {}, 2
    BOUND = 1.0  # seconds: lease_ms, by default

    def setUp(self):
        self.group = Group(self.enterContext(contextlib.ExitStack()), self.KIND, self.SETTINGS, self.COUNT)
        self.one, self.other = self.group.daemons[0], self.group.daemons[-1]
        self.client = self.one.create(self.group.caller, "client", roles=ROLES)

    def issue(self, daemon, client=None):
        client = client or self.client
        return daemon.issue(client.credential.client_id, client.secret_key)

    def token(self):
        """In the memory of both."""
        token = self.issue(self.one).access_token
        for daemon in self.group.daemons:
            self.assert_heard(lambda: self.group.is_active(daemon, token))
        return token

    def admin(self, daemon, method, **fields):
        return self.group.admin(daemon, method, **fields)

    def change(self, daemon, method, **fields):
        return self.admin(daemon, method, client_id=self.client.credential.client_id, **fields)

    def rename(self, daemon, name):
        self.admin(daemon, "UpdateCredential", update_mask=FieldMask(paths=["name"]),
                   credential=pb.Credential(client_id=self.client.credential.client_id, name=name))

    def create_role(self, daemon, role_id):
        self.admin(daemon, "CreateRole", role=pb.Role(role_id=role_id, name=role_id.title(), group="Own"))

    def set_idle(self, daemon, minutes):
        self.admin(daemon, "UpdateSettings", settings=pb.Settings(idle_session_timeout=Duration(seconds=minutes * 60)),
                   update_mask=FieldMask(paths=["idle_session_timeout"]))

    def assert_heard(self, is_so):
        """Of what is asked from now on, no question that is sent after the bound is answered as before."""
        ended = time.monotonic()
        while True:
            sent = time.monotonic()
            try:
                if is_so():
                    return
            except grpc.RpcError as error:
                self.assertIn(error.code(), AWAY)
                self.assertLess(sent, ended + 60, "no answer")
                continue
            self.assertLess(sent, ended + self.BOUND, "not so after the bound")
            time.sleep(0.1)  # failures to authenticate are counted

    def assert_noticed(self, *daemons):
        for daemon in daemons or self.group.daemons:
            self.assertTrue("event=another_history" in daemon.log_text(), "it did not notice")
            self.assertGreater(resets(daemon), 0)

    def assert_ended(self, token):
        """It was ended through `other`."""
        self.assertFalse(self.group.is_active(self.other, token), "active where it was ended")
        self.assert_heard(lambda: not self.group.is_active(self.one, token))

    def is_refused(self, daemon, client=None):
        client = client or self.client
        try:
            daemon.issue(client.credential.client_id, client.secret_key)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            return True
        return False

    def scopes(self, daemon):
        return [] if self.is_refused(daemon) else sorted(self.issue(daemon).scopes)


class Basics(Base):
    def test_what_is_ended_afterwards_is_ended_everywhere(self):
        tokens = [self.token() for _ in range(3)]

        def lost():
            for number in range(4):
                self.one.create(self.group.caller, f"lost {number}")
        self.group.lose(lost)
        self.group.revoke(self.other, tokens[0])
        self.assert_ended(tokens[0])
        self.change(self.other, "EndTokens")
        self.assert_ended(tokens[1])
        self.assert_ended(tokens[2])
        self.assert_noticed()
        self.token()  # and all goes on

    def test_changes_of_a_credential_that_lost_some_are_obeyed(self):
        token = self.token()
        self.group.lose(lambda: [self.rename(self.other, f"lost {number}") for number in range(4)])
        self.change(self.other, "RevokeRoles", roles=["team_leader"])
        self.assert_ended(token)
        self.assertEqual(self.scopes(self.other), ["work_creator"])
        self.assert_heard(lambda: self.scopes(self.one) == ["work_creator"])
        token = self.token()
        self.change(self.other, "DeleteCredential")
        self.assert_ended(token)
        self.assertTrue(self.is_refused(self.other), "a token for a credential that is deleted")
        self.assert_heard(lambda: self.is_refused(self.one))
        self.assert_noticed()


class Histories(Basics):
    def test_a_deletion_that_was_lost_is_undone_and_can_be_made_again(self):
        def lost():
            self.change(self.one, "RevokeRoles", roles=["team_leader"])
            self.change(self.other, "DeleteCredential")
        self.group.lose(lost)
        for daemon in self.group.daemons:
            self.assert_heard(lambda: self.scopes(daemon) == ROLES)
        token = self.token()
        self.change(self.other, "DeleteCredential")
        self.assert_ended(token)
        self.assertTrue(self.is_refused(self.other), "a token for a credential that is deleted")
        self.assert_heard(lambda: self.is_refused(self.one))
        self.assert_noticed()

    def test_a_credential_that_was_lost_is_unknown_and_not_taken_for_another_of_the_same_number(self):
        lost = []

        def make_lost():
            made = self.other.create(self.group.caller, "lost", roles=["team_leader"])
            token = self.issue(self.other, made).access_token
            for daemon in self.group.daemons:
                self.assert_heard(lambda: self.group.is_active(daemon, token))
            lost.extend((made, token))
        self.group.lose(make_lost)
        new = self.other.create(self.group.caller, "new", roles=["work_creator"])
        token = self.issue(self.other, new).access_token
        for daemon in self.group.daemons:
            self.assert_heard(lambda: self.is_refused(daemon, lost[0]))
            self.assert_heard(lambda: not self.group.is_active(daemon, lost[1]))
            self.assert_heard(lambda: not self.is_refused(daemon, new))
            got = daemon.introspect(self.group.caller, token)
            self.assertEqual((got.client_id, got.credential_name, list(got.roles)), (new.credential.client_id, "new", ["work_creator"]))
        self.assertEqual(error_of(lambda: self.admin(self.one, "GetCredential", client_id=lost[0].credential.client_id))[0],
                         "NOT_FOUND")
        self.assert_noticed()

    def test_roles_of_both_histories_are_not_mixed_up(self):
        def lost():
            self.create_role(self.one, "lost_first")
            self.create_role(self.other, "lost_second")
        self.group.lose(lost)
        self.create_role(self.other, "new_first")
        self.create_role(self.one, "new_second")
        made = self.other.create(self.group.caller, "new", roles=["new_second"])
        for daemon in self.group.daemons:
            roles = [role.role_id for role in self.admin(daemon, "ListRoles").roles]
            self.assertEqual([role for role in roles if role.startswith(("lost", "new"))], ["new_first", "new_second"])
            self.assert_heard(lambda: not self.is_refused(daemon, made))
            self.assertEqual(list(self.issue(daemon, made).scopes), ["new_second"])
            self.assertEqual(error_of(lambda: daemon.create(self.group.caller, "none", roles=["lost_first"]))[0],
                             "NOT_FOUND")
        self.assert_noticed()

    def test_settings_that_were_lost_hold_no_longer_and_later_ones_do(self):
        token = self.token()
        self.group.lose(lambda: [self.set_idle(self.one, minutes) for minutes in (30, 40, 50)])

        def holds(daemon, minutes):
            return daemon.introspect(self.group.caller, token).idle_timeout.seconds == minutes * 60
        for daemon in self.group.daemons:
            self.assert_heard(lambda: holds(daemon, 20))
        self.set_idle(self.other, 10)
        for daemon in self.group.daemons:
            self.assert_heard(lambda: holds(daemon, 10))
        self.assert_noticed()

    def test_a_token_whose_issue_was_lost_can_be_revoked_everywhere(self):
        tokens = []
        self.group.lose(lambda: tokens.extend(self.token() for _ in range(3)))
        for token in tokens:
            self.group.revoke(self.other, token)
            self.assert_ended(token)
        self.token()

    def test_a_revocation_that_was_lost_can_be_made_again(self):
        tokens = [self.token() for _ in range(3)]

        def lost():
            for token in tokens:
                self.group.revoke(self.one, token)
        self.group.lose(lost)
        for token in tokens:
            self.group.revoke(self.other, token)
            self.assert_ended(token)
        self.assert_noticed()

    def test_a_history_that_reaches_the_old_revision_is_still_another_one(self):
        tokens = [self.token() for _ in range(4)]
        self.group.store.keep()
        for number in range(3):
            self.create_role(self.other, f"lost_{number}")
        for daemon in self.group.daemons:
            self.group.catch_up(daemon)
        old = self.revision()
        self.one.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.one.process.send_signal, signal.SIGCONT)
        self.group.store.go_back()
        self.group.go_on(self.other)
        for token in tokens[:3]:
            self.group.revoke(self.other, token)
        self.assertEqual(self.revision(), old)
        self.one.process.send_signal(signal.SIGCONT)
        for token in tokens[:3]:
            self.assert_ended(token)
        self.assert_heard(lambda: self.group.is_active(self.one, tokens[3]))
        self.assert_noticed()

    def revision(self):
        return int(self.group.store.sql("SELECT value FROM counter WHERE name = 'revision'"))


class OwnCommits(Base, unittest.TestCase):
    """What a replica did itself it obeys at once, and reads in the log only later: if that is lost in between, its position
    in the log is right, and its memory is not."""
    KIND, SETTINGS, BOUND = Deaf, {"lease_ms": "20000"}, 20

    def test_own_changes_that_were_lost_before_they_were_read_are_forgotten(self):
        token = self.token()
        client_id = self.client.credential.client_id
        self.group.store.keep()
        for daemon in self.group.daemons:
            self.group.catch_up(daemon)
        with self.group.store.locked():
            calls = [self.other.admin.UpdateCredential.future(
                pb.UpdateCredentialRequest(credential=pb.Credential(client_id=client_id, name=f"lost {number}"),
                                           update_mask=FieldMask(paths=["name"])),
                metadata=self.other.bearer(self.group.caller), timeout=60) for number in range(8)]
            for _ in range(2):  # behind these, all of them have looked at the log and wait for the lock
                self.group.catch_up(self.other)
        for call in calls:
            call.result()
        self.group.store.go_back()
        self.group.go_on(self.one)
        self.change(self.one, "RevokeRoles", roles=["team_leader"])
        self.group.go_on(self.other)
        self.assertFalse(self.group.is_active(self.other, token), "active after its credential's roles were changed")
        self.assertEqual(self.scopes(self.other), ["work_creator"])
        self.change(self.one, "DeleteCredential")
        self.group.go_on(self.other)
        self.assertTrue(self.is_refused(self.other), "a token for a credential that is deleted")
        self.assert_noticed(self.other)


class AfterFailover(Histories, unittest.TestCase):
    pass


class AfterFailoverStrict(Basics, unittest.TestCase):
    SETTINGS, BOUND = {"strict": "true"}, 0


class AfterFailoverAlone(Basics, unittest.TestCase):
    COUNT, BOUND = 1, 0


class AfterRestore(Histories, unittest.TestCase):
    KIND = Restored


class AfterRename(Histories, unittest.TestCase):
    KIND = Renamed


if __name__ == "__main__":
    unittest.main(verbosity=2)

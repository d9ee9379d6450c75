# SPDX-License-Identifier: Apache-2.0
"""A credential is suspended and resumed, by hand and for disuse: no token of it is active, none is issued, nothing is forgotten."""
import json
import sqlite3
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from daemon import Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

DAY = 24 * 3600
SUSPENDED = ("UNAUTHENTICATED", "CREDENTIAL_SUSPENDED")


class Case(unittest.TestCase):
    clock = False

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({"flush_interval_ms": "20", "metrics_address": "127.0.0.1:0"}, clock=cls.clock)
        cls.addClassCleanup(cls.daemon.__exit__)
        cls.token = cls.daemon.admin_token()

    def admin(self, method, token=None, **fields):
        return getattr(self.daemon.admin, method)(getattr(pb, method + "Request")(**fields),
                                                  metadata=Daemon.bearer(token or self.token))

    def fails(self, outcome, method, **fields):
        self.assertEqual(error_of(lambda: self.admin(method, **fields))[:2], outcome)

    def make(self, name, roles=("work_creator",), **fields):
        answer = self.daemon.create(self.token, name, roles, **fields)
        return answer.credential.client_id, answer.secret_key

    def get(self, client_id):
        return self.admin("GetCredential", client_id=client_id).credential

    def is_active(self, text):
        return self.daemon.introspect(self.token, text, no_touch=True).active

    def events(self, client_id, action):
        return self.admin("ListAuditEvents", filter=f"subject={client_id} AND action={action} AND outcome=OK").events


class ByHand(Case):
    def test_its_tokens_end_none_is_issued_and_nothing_is_forgotten(self):
        client_id, secret = self.make("by hand")
        token = self.daemon.issue(client_id, secret).access_token
        self.daemon.introspect(self.token, token, api="GET /cases")
        before = self.get(client_id)

        answer = self.admin("SuspendCredential", client_id=client_id, validate_only=True)
        self.assertEqual(answer.impact.tokens_ended, 1)
        self.assertEqual([row.api for row in answer.impact.recent_usage], ["GET /cases"])
        self.assertTrue(self.is_active(token))

        answer = self.admin("SuspendCredential", client_id=client_id, everywhere=True)
        self.assertEqual((answer.impact.tokens_ended, answer.credential.status), (1, pb.CREDENTIAL_STATUS_SUSPENDED))
        self.assertTrue(answer.credential.HasField("suspend_time") and answer.HasField("everywhere_after"))
        self.assertFalse(self.is_active(token))
        self.assertEqual(error_of(lambda: self.daemon.issue(client_id, secret))[:2], SUSPENDED)
        self.assertEqual(error_of(lambda: self.daemon.issue(client_id, "gate_sk_wrong"))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))
        self.assertEqual([event.detail for event in self.events(client_id, "SuspendCredential")],
                         ["suspended: no -> yes; tokens ended: 1"])

        self.admin("ResumeCredential", client_id=client_id)
        self.assertFalse(self.is_active(token))
        self.assertTrue(self.is_active(self.daemon.issue(client_id, secret).access_token))
        after = self.get(client_id)
        for field in ("name", "roles", "effective_roles", "status", "create_time", "created_by"):
            self.assertEqual(getattr(after, field), getattr(before, field), field)
        self.assertEqual([each.secret_id for each in after.secrets], [each.secret_id for each in before.secrets])
        self.assertEqual([event.detail for event in self.events(client_id, "ResumeCredential")], ["suspended: yes -> no"])

    def test_a_token_issued_after_it_is_resumed_ends_when_it_is_suspended_again(self):
        client_id, secret = self.make("again")
        for _ in range(3):
            token = self.daemon.issue(client_id, secret).access_token
            self.assertTrue(self.is_active(token))
            self.assertEqual(self.admin("SuspendCredential", client_id=client_id).impact.tokens_ended, 1)
            self.assertFalse(self.is_active(token))
            self.assertEqual(self.admin("SuspendCredential", client_id=client_id).impact.tokens_ended, 0)
            self.admin("ResumeCredential", client_id=client_id)
            self.admin("ResumeCredential", client_id=client_id)
        self.assertEqual(len(self.events(client_id, "SuspendCredential")), 3)  # what changed nothing is no event
        self.assertEqual(len(self.events(client_id, "ResumeCredential")), 3)

    def test_it_is_deleted_expired_and_edited_while_it_is_suspended(self):
        client_id, secret = self.make("meanwhile")
        token = self.daemon.issue(client_id, secret).access_token
        self.admin("SuspendCredential", client_id=client_id)
        for seconds in (1, int(time.time()) + 3600):
            expiry = pb.Credential(client_id=client_id)
            expiry.expire_time.seconds = seconds
            self.admin("UpdateCredential", credential=expiry, update_mask=FieldMask(paths=["expire_time"]))
            self.assertEqual(self.get(client_id).status, pb.CREDENTIAL_STATUS_SUSPENDED)
        self.admin("GrantRoles", client_id=client_id, roles=["team_leader"])
        self.admin("DeleteCredential", client_id=client_id)
        for method in ("SuspendCredential", "ResumeCredential"):
            self.fails(("FAILED_PRECONDITION", "CREDENTIAL_DELETED"), method, client_id=client_id)
        self.assertEqual(error_of(lambda: self.daemon.issue(client_id, secret))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))
        self.admin("UndeleteCredential", client_id=client_id)
        self.assertEqual(self.get(client_id).status, pb.CREDENTIAL_STATUS_SUSPENDED)
        self.admin("ResumeCredential", client_id=client_id)
        self.assertFalse(self.is_active(token))
        self.assertEqual(sorted(self.daemon.issue(client_id, secret).scopes), ["team_leader", "work_creator"])

    def test_nobody_suspends_himself_nor_the_last_administrator(self):
        self.fails(("FAILED_PRECONDITION", "OWN_CREDENTIAL"), "SuspendCredential", client_id=self.daemon.client_id)
        other, secret = self.make("second administrator", ["user_manager"])
        token = self.daemon.issue(other, secret).access_token
        self.admin("SuspendCredential", token, client_id=self.daemon.client_id)
        with self.subTest("by a mutual-TLS identity it could be, so only one that is left counts"):
            self.assertEqual(error_of(lambda: self.admin("DeleteCredential", token, client_id=other))[:2],
                             ("FAILED_PRECONDITION", "LAST_ADMINISTRATOR"))
        self.admin("ResumeCredential", token, client_id=self.daemon.client_id)
        type(self).token = self.daemon.admin_token()
        self.admin("DeleteCredential", client_id=other)

    def test_the_list_tells_the_suspended_apart(self):
        client_id, _ = self.make("listed")
        self.admin("SuspendCredential", client_id=client_id)

        def listed(status):
            return client_id in [each.client_id for each in self.admin("ListCredentials", filter=f"status={status}").credentials]
        self.assertEqual([listed(status) for status in ("active", "expired", "suspended", "deleted", "any")],
                         [False, False, True, False, True])
        self.fails(("INVALID_ARGUMENT", "INVALID_FIELD"), "ListCredentials", filter="status=asleep")

    def test_over_rest_it_is_the_same_and_oauth_says_why(self):
        client_id, secret = self.make("over rest")

        def post(path, body, kind="application/json"):
            request = urllib.request.Request(f"http://127.0.0.1:{self.daemon.http_port}/{path}", body.encode(), {
                "Content-Type": kind, **({"Authorization": "Bearer " + self.token} if kind.endswith("json") else {})})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret})
        self.assertEqual(post(f"v1/credentials/{client_id}:suspend", "{}")[1]["credential"]["status"], "CREDENTIAL_STATUS_SUSPENDED")
        code, answer = post("oauth/token", form, "application/x-www-form-urlencoded")
        self.assertEqual((code, answer["error"]), (401, "invalid_client"))
        self.assertIn("suspended", answer["error_description"])
        self.assertEqual(post(f"v1/credentials/{client_id}:resume", "{}")[1]["credential"]["status"], "CREDENTIAL_STATUS_ACTIVE")
        self.assertEqual(post("oauth/token", form, "application/x-www-form-urlencoded")[0], 200)

    def test_one_that_introspects_with_its_own_secret_key_does_so_no_more(self):
        client_id, secret = self.make("resource server", ["resource_server"])
        request = auth_pb2.IntrospectRequest(token="x", client_id=client_id, client_secret=secret)
        self.daemon.auth.Introspect(request)
        self.admin("SuspendCredential", client_id=client_id)
        self.assertEqual(error_of(lambda: self.daemon.auth.Introspect(request))[:2], SUSPENDED)


class AcrossARestart(Case):
    def test_what_is_suspended_stays_so_over_a_crash(self):
        client_id, secret = self.make("restarted")
        token = self.daemon.issue(client_id, secret).access_token
        self.admin("SuspendCredential", client_id=client_id)
        self.daemon.kill()
        self.daemon.start()
        self.assertFalse(self.is_active(token))
        self.assertEqual(error_of(lambda: self.daemon.issue(client_id, secret))[:2], SUSPENDED)


class ForDisuse(Case):
    clock = True

    def pass_days(self, days):
        """All who are there are looked at, as of then. The administrator signs in, as people do."""
        for _ in range(2):  # what has certainly passed is told ten minutes later (clock_settled)
            self.daemon.pass_time(days * DAY / 2)
            type(self).token = self.daemon.admin_token()

    def wait_for(self, condition):
        end = time.monotonic() + 60
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def metric(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=60) as answer:
            return [float(line.split()[1]) for line in answer.read().decode().splitlines()
                    if line.startswith("gatehouse_credentials_unused_announced ")][0]

    def test_it_is_announced_first_and_once_and_a_use_takes_it_back(self):
        unused, _ = self.make("unused")
        used, secret = self.make("used in time")
        introspects, key = self.make("introspects with its key", ["resource_server"])
        manager, _ = self.make("another administrator", ["user_manager"])
        settings = pb.Settings()
        settings.suspend_unused_after.seconds = 30 * DAY
        self.admin("UpdateSettings", settings=settings, update_mask=FieldMask(paths=["suspend_unused_after"]))

        self.pass_days(22)
        self.assertFalse(self.get(unused).HasField("unused_suspend_time"))
        self.pass_days(2)
        self.wait_for(lambda: self.get(unused).HasField("unused_suspend_time") and self.metric() == 4)
        at = self.get(unused)
        self.assertEqual(at.status, pb.CREDENTIAL_STATUS_ACTIVE)
        left = at.unused_suspend_time.seconds - at.create_time.seconds
        self.assertTrue(30 * DAY <= left < 32 * DAY, left)

        self.daemon.issue(used, secret)
        self.daemon.auth.Introspect(auth_pb2.IntrospectRequest(token="x", client_id=introspects, client_secret=key))
        self.wait_for(lambda: self.metric() == 2)
        self.assertFalse(self.get(used).HasField("unused_suspend_time"))

        self.pass_days(8)
        self.wait_for(lambda: self.get(unused).status == pb.CREDENTIAL_STATUS_SUSPENDED)
        self.wait_for(lambda: self.get(manager).status == pb.CREDENTIAL_STATUS_SUSPENDED)
        self.assertEqual([event.actor for event in self.events(unused, "SuspendCredential")], ["gatehoused"])
        self.assertEqual(len(self.events(unused, "SuspensionAnnounced")), 1)
        self.assertEqual(self.events(used, "SuspendCredential"), self.events(used, "nothing"))
        for client_id in (used, introspects, self.daemon.client_id):
            self.assertEqual(self.get(client_id).status, pb.CREDENTIAL_STATUS_ACTIVE)

        self.admin("ResumeCredential", client_id=unused)  # and disuse counts from then
        self.pass_days(2)
        self.assertEqual(self.get(unused).status, pb.CREDENTIAL_STATUS_ACTIVE)
        self.assertFalse(self.get(unused).HasField("unused_suspend_time"))


@unittest.skipIf("GATEHOUSE_TEST_STORE" in __import__("os").environ, "looks into the SQLite file")
class BesideAnOlderProgram(Case):
    def test_nothing_is_suspended_while_it_serves(self):
        client_id, secret = self.make("beside")
        with sqlite3.connect(self.daemon.folder + "/gatehouse.db", timeout=60) as database:
            database.execute("INSERT INTO process (id, lease, seen) VALUES (1, 1000, ?)", (time.time_ns() // 1000,))
        database.close()
        self.fails(("FAILED_PRECONDITION", "OLDER_SERVER"), "SuspendCredential", client_id=client_id)
        self.assertTrue(self.daemon.issue(client_id, secret).access_token)


if __name__ == "__main__":
    unittest.main()

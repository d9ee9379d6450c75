# SPDX-License-Identifier: Apache-2.0
"""What the audit log tells: who was refused what, and what a change changed."""
import base64
import json
import unittest
import urllib.error
import urllib.request
import uuid

from daemon import DEADLINE, Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp


class Case(unittest.TestCase):
    def setUp(self):
        self.daemon = self.enterContext(Daemon({"trusted_proxies": "127.0.0.1"}, clock=True))
        self.token = self.daemon.admin_token()

    def admin(self, method, token=None, **fields):
        request = getattr(pb, method + "Request")(**fields)
        return getattr(self.daemon.admin, method)(request, metadata=Daemon.bearer(token or self.token), timeout=DEADLINE)

    def create(self, name, *roles, **fields):
        made = self.daemon.create(self.token, name, roles or ("work_creator",), **fields)
        return made.credential.client_id, made.secret_key

    def events(self, filter=""):
        """Oldest first."""
        events, page = [], ""
        while True:
            answer = self.admin("ListAuditEvents", filter=filter, page_size=1000, page_token=page)
            events += answer.events
            page = answer.next_page_token
            if not page:
                return events[::-1]

    def details(self, action):
        return [event.detail for event in self.events(f"action={action} AND outcome=OK")]

    def pass_minute(self):
        self.daemon.pass_time(61)


class Refused(Case):
    def test_refused_acts_keep_their_methods(self):
        token = self.daemon.issue(*self.create("Acme")).access_token
        refused = [("ListCredentials", {}), ("ListCredentials", {}), ("CreateCredential", {}), ("GetSettings", {})]
        for method, fields in refused:
            self.assertEqual(error_of(lambda: self.admin(method, token, **fields))[1], "CALLER_NOT_ALLOWED")
        self.events()
        self.pass_minute()
        details = "; ".join(event.detail for event in self.events("action=CallerRefused"))
        for method, _ in refused:
            self.assertIn(f"/gatehouse.v1.CredentialAdmin/{method}", details)

    def test_wanting_to_end_anothers_token_is_an_event(self):
        mine, other = self.create("Mine"), self.create("Other")
        token = self.daemon.issue(*other).access_token
        accessor = self.admin("ListTokens", client_id=other[0]).tokens[0].accessor
        bearer = Daemon.bearer(self.daemon.issue(*mine).access_token)
        self.assertEqual(error_of(lambda: self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=bearer))[:2],
                         ("PERMISSION_DENIED", "NOT_YOUR_TOKEN"))
        found = [(e.actor, e.subject, e.outcome, e.peer) for e in self.events("action=Revoke")]
        self.assertEqual(found, [(mine[0], accessor, "PERMISSION_DENIED", "127.0.0.1")])
        request = auth_pb2.RevokeRequest(token=token, client_id=mine[0], client_secret=mine[1])
        self.assertEqual(error_of(lambda: self.daemon.auth.Revoke(request))[:2], ("PERMISSION_DENIED", "NOT_YOUR_TOKEN"))
        self.pass_minute()
        self.assertEqual(len(self.events("action=Revoke")), 2)
        self.assertTrue(self.daemon.introspect(self.token, token).active)

    def refuse(self, address, client_id=None):
        """A wrong secret from there: the HTTP status."""
        pair = base64.b64encode(f"{client_id or uuid.uuid4()}:wrong".encode()).decode()
        request = urllib.request.Request(self.daemon.http + "/OAuth/Token", b"grant_type=client_credentials",
                                         {"Authorization": "Basic " + pair, "X-Forwarded-For": address})
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=DEADLINE)
        caught.exception.close()
        return caught.exception.code

    def test_strangers_cost_no_administrator_his_event_and_few_rows(self):
        before = len(self.events())
        for number in range(1500):
            self.assertEqual(self.refuse(f"198.51.{number // 250}.{number % 250 + 1}"), 401)
        self.assertEqual(error_of(lambda: self.admin("DeleteCredential", client_id="nobody"))[1], "NO_SUCH_CREDENTIAL")
        for _ in range(30):  # and one of them goes on
            self.refuse("198.51.0.1")
        self.pass_minute()
        events = self.events()[before:]
        self.assertEqual([e.outcome for e in events if e.action == "DeleteCredential"], ["NOT_FOUND"])
        self.assertFalse([e for e in events if "not kept" in e.detail])
        self.assertIn("others", {e.peer for e in events})
        self.assertLess(len([e for e in events if e.peer == "198.51.0.1"]), 5)
        self.assertLess(len(events), 1100)

    def test_what_is_still_counted_is_stored_at_the_end(self):
        for _ in range(3):
            self.refuse("203.0.113.7", "0b9f8f0c-5c5b-4f5e-8f0e-1f1f1f1f1f1f")
            self.events()
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        told = [e.detail for e in self.events("peer=203.0.113.7")]
        self.assertEqual(len(told), 2)
        self.assertTrue(told[1].endswith("; 2 times"), told)


class Names(Case):
    def test_who_and_which_are_told_and_found_by_name(self):
        found, _ = self.create("Nameable 50%")
        other, _ = self.create("Another")
        administrator = self.admin("GetCredential", client_id=self.events()[-1].actor).credential
        told = [(event.actor_name, event.subject_name) for event in self.events(f"subject={found}")]
        self.assertEqual(told, [(administrator.name, "Nameable 50%")])
        subjects = lambda filter: {event.subject for event in self.events(filter)}
        self.assertEqual(subjects('subject:"ABLE 50%"'), {found})
        self.assertEqual(subjects("subject:" + found[:13]), {found})
        self.assertEqual(subjects('subject:"able_50"'), set())
        self.assertLessEqual({found, other}, subjects(f'actor:"{administrator.name[:5]}" AND action=CreateCredential'))
        self.assertEqual(subjects(f'actor:"{administrator.name}" AND subject:another'), {other})
        self.assertEqual(subjects("actor:nobody"), set())
        credential = self.admin("GetCredential", client_id=found).credential
        credential.name = "Renamed"
        self.admin("UpdateCredential", credential=credential, update_mask={"paths": ["name"]})
        self.assertEqual({event.subject_name for event in self.events("subject:renam")}, {"Renamed"})


class SignIn(Case):
    def sign_in(self, secret):
        form = f"grant_type=client_credentials&client_id={self.daemon.client_id}&client_secret={secret}&scope=user_manager"
        with urllib.request.urlopen(self.daemon.http + "/OAuth/Token", form.encode(), timeout=DEADLINE) as answer:
            return json.load(answer)["access_token"]

    def test_a_sign_in_to_the_console_is_an_event(self):
        self.assertEqual(self.events("action=SignIn"), [])
        self.sign_in(self.daemon.secret)
        found = [(e.actor, e.subject, e.outcome, e.peer) for e in self.events("action=SignIn")]
        self.assertEqual(found, [(self.daemon.client_id, self.daemon.client_id, "OK", "127.0.0.1")])
        self.assertRaises(urllib.error.HTTPError, self.sign_in, "wrong")
        self.assertEqual([e.outcome for e in self.events("action=ClientRefused")], ["UNAUTHENTICATED"])
        self.daemon.issue(*self.create("Acme"))
        self.assertEqual(len(self.events("action=SignIn")), 1)
        # Told with the token, not later: it survives what kills the daemon.
        self.sign_in(self.daemon.secret)
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(len(self.events("action=SignIn")), 2)


class Changes(Case):
    def update(self, client_id, *paths, **fields):
        return self.admin("UpdateCredential", credential=pb.Credential(client_id=client_id, **fields),
                          update_mask=FieldMask(paths=paths)).credential

    def test_a_credential(self):
        client_id, _ = self.create("Acme")
        late = Timestamp(seconds=4102444800)
        self.admin("SetUserRoles", user="ann", roles=["work_creator"])
        self.update(client_id, "name", "owner", "expire_time", name="Acme billing", owner="ann", expire_time=late)
        self.update(client_id, "name", "expire_time", name="Acme billing")
        self.assertEqual(self.details("UpdateCredential"), [
            'name: "Acme" -> "Acme billing"; owner: "" -> "ann"; expires: never -> 2100-01-01T00:00:00Z',
            "expires: 2100-01-01T00:00:00Z -> never"])

    def test_what_changes_nothing_is_no_event(self):
        client_id, _ = self.create("Acme")
        etag = self.admin("GetCredential", client_id=client_id).credential.etag
        settings = self.admin("GetSettings").settings
        role = self.admin("ListRoles").roles[0]
        self.admin("SetUserRoles", user="ann", roles=["work_creator"])
        count = len(self.events())
        self.assertEqual(self.update(client_id, "name", "expire_time", name="Acme").etag, etag)
        self.admin("GrantRoles", client_id=client_id, roles=["work_creator"])
        self.admin("RevokeRoles", client_id=client_id, roles=["team_leader"])
        self.admin("SetUserRoles", user="ann", roles=["work_creator"])
        self.admin("UpdateSettings", settings=settings, update_mask=FieldMask(paths=["idle_session_timeout"]))
        self.admin("UpdateRole", role=role, update_mask=FieldMask(paths=["name", "description", "retired"]))
        self.assertEqual(len(self.events()), count)
        self.assertEqual(self.admin("GetCredential", client_id=client_id).credential.etag, etag)
        self.assertEqual(self.admin("GetSettings").settings.etag, settings.etag)

    def test_roles(self):
        client_id, _ = self.create("Acme", "work_creator")
        self.admin("GrantRoles", client_id=client_id, roles=["work_creator", "team_leader"])
        self.admin("RevokeRoles", client_id=client_id, roles=["work_creator"])
        self.assertEqual(self.details("GrantRoles") + self.details("RevokeRoles"),
                         ["granted: team_leader", "revoked: work_creator"])
        self.admin("SetUserRoles", user="ann", roles=["work_creator"])
        self.admin("SetUserRoles", user="ann", roles=["team_leader"])
        self.admin("DeleteUser", user="ann")
        self.assertEqual(self.details("SetUserRoles") + self.details("DeleteUser"),
                         ["granted: work_creator", "granted: team_leader; revoked: work_creator", "revoked: team_leader"])
        role = pb.Role(role_id="night_auditor", name="Auditor", group="Other", description="Reads.")
        self.admin("CreateRole", role=role)
        role.description, role.retired = "Reads all.", True
        self.admin("UpdateRole", role=role, update_mask=FieldMask(paths=["name", "description", "retired"]))
        self.assertEqual(self.details("UpdateRole"), ['description: "Reads." -> "Reads all."; retired: no -> yes'])

    def test_secret_keys_by_their_hints(self):
        client_id, first = self.create("Acme")
        self.daemon.issue(client_id, first)
        second = self.admin("RegenerateSecret", client_id=client_id, overlap=Duration(seconds=60)).secret_key
        third = self.admin("RegenerateSecret", client_id=client_id).secret_key
        hints = {s.secret_id: s.hint for s in self.admin("GetCredential", client_id=client_id).credential.secrets}
        self.assertEqual([hint for hint in hints.values()], [third[-4:]])
        self.assertEqual(self.details("RegenerateSecret"), [
            f"new key: ...{second[-4:]}; overlap: 0 s -> 60 s",
            f"new key: ...{third[-4:]}; ended key: ...{second[-4:]}; ended key: ...{first[-4:]}; tokens ended: 1"])
        self.admin("EndSecret", client_id=client_id, secret_id=next(iter(hints)))
        self.assertEqual(self.details("EndSecret"), [f"ended key: ...{third[-4:]}"])
        everything = str(self.events())
        for secret in (first, second, third):
            self.assertNotIn(secret[:-6], everything)

    def test_settings(self):
        settings = pb.Settings(idle_session_timeout=Duration(seconds=600), max_tokens_per_credential=7)
        mask = FieldMask(paths=["idle_session_timeout", "max_tokens_per_credential", "usage_retention"])
        self.admin("UpdateSettings", settings=settings, update_mask=mask)
        self.assertEqual(self.details("UpdateSettings"),
                         ["idle_session_timeout: 1200 s -> 600 s; max_tokens_per_credential: 0 -> 7"])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Tokens over gRPC: issued, looked at, slid, ended."""
import time
import unittest

from daemon import DEADLINE, Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb

OFF = {"http_address": ""}
NOTHING = auth_pb2.IntrospectResponse()


class Base(unittest.TestCase):
    def setUp(self):
        self.daemon = self.enterContext(Daemon(OFF, clock=True))
        self.caller = self.daemon.admin_token()

    def make(self, name, roles=("work_creator",), **fields):
        made = self.daemon.create(self.caller, name, roles, **fields)
        return made.credential.client_id, made.secret_key

    def ask(self, token, **fields):
        return self.daemon.introspect(self.caller, token, **fields)

    def admin(self, method, request):
        return getattr(self.daemon.admin, method)(request, metadata=Daemon.bearer(self.caller))

    def later(self, seconds):
        self.daemon.pass_time(seconds)
        self.caller = self.daemon.admin_token()

    def settings(self, **fields):
        self.admin("UpdateSettings", pb.UpdateSettingsRequest(settings=pb.Settings(**fields),
                                                              update_mask={"paths": list(fields)}))


class Callers(Base):
    def test_who_is_unknown_or_not_allowed_is_refused_before_existence(self):
        client, secret = self.make("plain")
        plain = self.daemon.issue(client, secret).access_token
        for text in (plain, "gate_at_" + "0" * 55, ""):
            ask = auth_pb2.IntrospectRequest(token=text)
            self.assertEqual(error_of(lambda: self.daemon.auth.Introspect(ask))[:2], ("UNAUTHENTICATED", "CALLER_UNKNOWN"))
            self.assertEqual(error_of(lambda: self.daemon.introspect(plain, text))[:2],
                             ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"))

    def test_callers_in_turns_on_one_connection_are_each_who_they_are(self):
        allowed, other = (self.daemon.issue(*self.make(name, ("resource_server",))).access_token for name in ("one", "another"))
        denied = self.daemon.issue(*self.make("plain")).access_token

        def refusal(caller):
            return error_of(lambda: self.daemon.introspect(caller, denied))[0]
        for _ in range(2):
            for caller in (allowed, other, other):
                self.assertTrue(self.daemon.introspect(caller, denied).active)
            self.assertEqual(refusal(denied), "PERMISSION_DENIED")
            self.assertEqual(refusal(allowed[:-1] + "-"), "UNAUTHENTICATED")
            self.assertTrue(self.daemon.introspect(allowed, denied).active)
            self.assertEqual(refusal(allowed + "x"), "UNAUTHENTICATED")
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=allowed), metadata=Daemon.bearer(allowed), timeout=DEADLINE)
        self.assertEqual(refusal(allowed), "UNAUTHENTICATED")
        self.assertTrue(self.daemon.introspect(other, denied).active)

    def test_a_caller_may_show_its_secret_instead_of_a_token(self):
        client, secret = self.make("by secret", ("resource_server",))
        plain, plain_secret = self.make("not by secret")
        text = self.daemon.issue(plain, plain_secret).access_token

        def ask(**fields):
            return self.daemon.auth.Introspect(auth_pb2.IntrospectRequest(token=text, **fields), timeout=60)
        self.assertEqual(ask(client_id=client, client_secret=secret).client_id, plain)
        for fields, error in (({"client_id": plain, "client_secret": plain_secret}, ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")),
                              ({"client_id": client, "client_secret": "wrong"}, ("UNAUTHENTICATED", "INVALID_CLIENT")),
                              ({"client_id": client}, ("UNAUTHENTICATED", "INVALID_CLIENT")),
                              ({"client_secret": secret}, ("UNAUTHENTICATED", "INVALID_CLIENT"))):
            self.assertEqual(error_of(lambda: ask(**fields))[:2], error)
        batch = auth_pb2.BatchIntrospectRequest(requests=[
            auth_pb2.BatchIntrospectEntry.FromString(auth_pb2.IntrospectRequest(
                token=text, client_id=client, client_secret=secret).SerializeToString())])
        self.assertEqual(error_of(lambda: self.daemon.auth.BatchIntrospect(batch, timeout=60)),
                         ("UNAUTHENTICATED", "CALLER_UNKNOWN", ""))
        self.admin("RevokeRoles", pb.RevokeRolesRequest(client_id=client, roles=["resource_server"]))
        self.assertEqual(error_of(lambda: ask(client_id=client, client_secret=secret))[:2],
                         ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"))

    def test_revoking_is_for_the_client_the_bearer_and_an_administrator(self):
        client, secret = self.make("one")
        other, other_secret = self.make("two")
        revoke = self.daemon.auth.Revoke
        text = self.daemon.issue(client, secret).access_token
        foreign = self.daemon.issue(other, other_secret).access_token
        for call in (lambda: revoke(auth_pb2.RevokeRequest(token=text, client_id=other, client_secret=other_secret)),
                     lambda: revoke(auth_pb2.RevokeRequest(token=text), metadata=Daemon.bearer(foreign))):
            self.assertEqual(error_of(call)[:2], ("PERMISSION_DENIED", "NOT_YOUR_TOKEN"))
        self.assertEqual(error_of(lambda: revoke(auth_pb2.RevokeRequest(token=text)))[:2],
                         ("UNAUTHENTICATED", "CALLER_UNKNOWN"))
        self.assertTrue(self.ask(text).active)
        for how in (lambda t: revoke(auth_pb2.RevokeRequest(token=t, client_id=client, client_secret=secret)),
                    lambda t: revoke(auth_pb2.RevokeRequest(token=t), metadata=Daemon.bearer(t)),
                    lambda t: revoke(auth_pb2.RevokeRequest(token=t), metadata=Daemon.bearer(self.caller))):
            text = self.daemon.issue(client, secret).access_token
            how(text)
            self.assertEqual(self.ask(text), NOTHING)


class Life(Base):
    def test_a_use_slides_the_timeout_and_a_look_does_not(self):
        client, secret = self.make("slides")
        used, looked = (self.daemon.issue(client, secret).access_token for _ in range(2))
        self.later(15 * 60)
        self.assertTrue(self.ask(used).active and self.ask(looked, no_touch=True).active)
        self.later(10 * 60)
        self.assertTrue(self.ask(used).active)
        self.assertEqual(self.ask(looked), NOTHING)

    def test_a_use_that_is_reported_late_slides_to_when_it_was(self):
        client, secret = self.make("late")
        text = self.daemon.issue(client, secret).access_token
        self.later(15 * 60)
        self.assertTrue(self.ask(text, used_ago={"seconds": 600}).active)
        self.later(11 * 60)
        self.assertEqual(self.ask(text), NOTHING)

    def test_a_setting_applies_to_live_tokens_and_the_dead_stay_dead(self):
        client, secret = self.make("setting")
        text = self.daemon.issue(client, secret).access_token
        self.later(5 * 60)
        self.settings(idle_session_timeout={"seconds": 60})
        self.assertEqual(self.ask(text), NOTHING)
        self.settings(idle_session_timeout={"seconds": 3600})
        self.assertEqual(self.ask(text), NOTHING)

    def test_expiry_and_caps(self):
        self.settings(max_token_life={"seconds": 1800}, max_tokens_per_credential=2)
        client, secret = self.make("capped")
        texts = [self.daemon.issue(client, secret).access_token for _ in range(2)]
        self.assertEqual(error_of(lambda: self.daemon.issue(client, secret))[:2], ("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS"))
        self.settings(max_tokens_per_credential=0)  # it holds for the administrator's credential too
        for _ in range(2):
            self.later(14 * 60)
            self.assertTrue(self.ask(texts[0]).active)
        self.later(3 * 60)
        self.assertEqual(self.ask(texts[0]), NOTHING)

    def test_deletion_and_a_new_secret_end_tokens_at_once(self):
        client, secret = self.make("deleted")
        text = self.daemon.issue(client, secret).access_token
        fresh = self.admin("RegenerateSecret", pb.RegenerateSecretRequest(client_id=client)).secret_key
        self.assertEqual(self.ask(text), NOTHING)
        self.assertEqual(error_of(lambda: self.daemon.issue(client, secret))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))
        text = self.daemon.issue(client, fresh).access_token
        self.admin("DeleteCredential", pb.DeleteCredentialRequest(client_id=client))
        self.assertEqual(self.ask(text), NOTHING)


class Roles(Base):
    def test_an_effective_change_ends_all_tokens_and_none_ends_none(self):
        client, secret = self.make("roles", ("work_creator", "team_leader"), owner="ann")
        self.assertEqual(list(self.daemon.issue(client, secret).scopes), [])
        self.admin("SetUserRoles", pb.SetUserRolesRequest(user="ann", roles=["work_creator"]))
        issued = self.daemon.issue(client, secret)
        text = issued.access_token
        self.assertEqual(list(issued.scopes), ["work_creator"])
        self.admin("GrantRoles", pb.GrantRolesRequest(client_id=client, roles=["team_leader"]))
        self.admin("SetUserRoles", pb.SetUserRolesRequest(user="ann", roles=["work_creator", "work_assigner"]))
        self.admin("RevokeRoles", pb.RevokeRolesRequest(client_id=client, roles=["team_leader"]))
        self.assertTrue(self.ask(text).active)
        self.admin("SetUserRoles", pb.SetUserRolesRequest(user="ann", roles=[]))
        self.assertEqual(self.ask(text), NOTHING)

    def test_scopes_narrow_and_what_is_not_held_is_refused(self):
        client, secret = self.make("scopes", ("work_creator", "team_leader"))
        text = self.daemon.issue(client, secret, ["team_leader"]).access_token
        answer = self.ask(text, required_roles=["team_leader", "work_creator", "no_such"])
        self.assertEqual((answer.allowed, list(answer.roles), list(answer.missing_roles)),
                         (False, ["team_leader"], ["work_creator", "no_such"]))
        self.assertEqual(error_of(lambda: self.daemon.issue(client, secret, ["user_manager"]))[:2],
                         ("INVALID_ARGUMENT", "INVALID_SCOPE"))


class Edges(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({"http_address": ""})
        cls.admin = cls.daemon.admin_token()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def test_a_token_is_not_said_to_live_longer_than_its_credential(self):
        made = self.daemon.create(self.admin, "short", expire_time={"seconds": int(time.time()) + 300})
        answer = self.daemon.issue(made.credential.client_id, made.secret_key)
        told = self.daemon.introspect(self.admin, answer.access_token)
        self.assertLessEqual(answer.expires_in.seconds, 300)
        self.assertGreater(answer.expires_in.seconds, 200)
        self.assertEqual(told.expire_time.seconds, made.credential.expire_time.seconds)

    def test_a_client_id_in_capitals_is_the_same_everywhere(self):
        made = self.daemon.create(self.admin, "capitals", roles=("work_creator", "resource_server"))
        loud, small = made.credential.client_id.upper(), made.credential.client_id
        me = dict(metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)
        token = self.daemon.issue(loud, made.secret_key).access_token
        self.assertEqual(self.daemon.introspect(self.admin, token).client_id, small)
        asked = self.daemon.auth.Introspect(auth_pb2.IntrospectRequest(
            token=token, client_id=loud, client_secret=made.secret_key, api="GET /capitals"), timeout=DEADLINE)
        self.assertTrue(asked.active)
        admin = self.daemon.admin
        self.assertEqual(admin.GetCredential(pb.GetCredentialRequest(client_id=loud), **me).credential.client_id, small)
        self.assertEqual(len(admin.ListTokens(pb.ListTokensRequest(client_id=loud), **me).tokens), 1)
        rows = admin.QueryUsage(pb.QueryUsageRequest(client_id=loud), **me).rows
        self.assertEqual({row.client_id for row in rows}, {small})
        listed = admin.ListCredentials(pb.ListCredentialsRequest(filter="client_id=" + loud), **me).credentials
        self.assertEqual([credential.client_id for credential in listed], [small])
        admin.GrantRoles(pb.GrantRolesRequest(client_id=loud, roles=["team_leader"]), **me)
        self.assertEqual(error_of(lambda: self.daemon.issue(loud, "wrong"))[1], "INVALID_CLIENT")
        events = admin.ListAuditEvents(pb.ListAuditEventsRequest(filter="subject=" + loud), **me).events
        self.assertEqual({(event.action, event.subject) for event in events},
                         {("CreateCredential", small), ("GrantRoles", small), ("ClientRefused", small)})
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token, client_id=loud, client_secret=made.secret_key),
                                timeout=DEADLINE)
        self.assertFalse(self.daemon.introspect(self.admin, token).active)

    def test_a_name_is_found_in_any_letter_case_of_any_script(self):
        for name in ("ÉCOLE Žluťoučký", "Ωμέγας", "ПРИВЕТ"):
            self.daemon.create(self.admin, name)
        for part, name in (("école", "ÉCOLE Žluťoučký"), ("žLUŤOUČKÝ", "ÉCOLE Žluťoučký"), ("ΩΜΈΓΑΣ", "Ωμέγας"),
                           ("привет", "ПРИВЕТ"), ("ИВ", "ПРИВЕТ")):
            listed = self.daemon.admin.ListCredentials(pb.ListCredentialsRequest(filter=f'name:"{part}"'),
                                                       metadata=self.daemon.bearer(self.admin), timeout=DEADLINE).credentials
            self.assertEqual([credential.name for credential in listed], [name])



class Uses(unittest.TestCase):
    def test_a_callers_own_use_is_told_at_once(self):
        """Of what it called, however long until uses are stored by themselves."""
        with Daemon({**OFF, "flush_interval_ms": "60000"}) as daemon:
            admin = daemon.admin_token()
            made = daemon.create(admin, "one that leaves")
            token = daemon.issue(made.credential.client_id, made.secret_key).access_token
            ask = pb.QueryUsageRequest(client_id=made.credential.client_id, include_internal=True)
            uses = lambda: [(row.api, row.allowed) for row in daemon.admin.QueryUsage(
                ask, metadata=daemon.bearer(admin), timeout=DEADLINE).rows]
            self.assertEqual(uses(), [])
            daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=daemon.bearer(token), timeout=DEADLINE)
            self.assertEqual(uses(), [("/gatehouse.v1.AuthService/Revoke", 1)])


if __name__ == "__main__":
    unittest.main()

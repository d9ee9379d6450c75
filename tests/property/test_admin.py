# SPDX-License-Identifier: Apache-2.0
"""CredentialAdmin over gRPC: credentials, secret keys, roles, users, tokens, settings; what is refused and how."""
import datetime
import unittest

import grpc
from daemon import Daemon, error_of
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from support import NOBODY, AdminTest, looks_into_sqlite

INVALID = ("INVALID_ARGUMENT", "INVALID_FIELD")
NO_CREDENTIAL = ("NOT_FOUND", "NO_SUCH_CREDENTIAL")
DAY = 86400


def in_future(**delta):
    time = Timestamp()
    time.FromDatetime(datetime.datetime.utcnow() + datetime.timedelta(**delta))
    return time


class Callers(AdminTest):
    EXAMPLES = {name[:-len("Request")]: {} for name in dir(pb) if name.endswith("Request")
                and name != "GetCallerRequest"}  # whoever is known may ask that

    def test_every_method_refuses_who_is_unknown_or_lacks_user_manager(self):
        self.assertEqual(len(self.EXAMPLES), 28)
        credential, secret = self.create("no administrator", ("resource_server", "work_creator"))
        token = self.issue(credential, secret).access_token
        for method in self.EXAMPLES:
            with self.subTest(method):
                request = getattr(pb, method + "Request")()
                self.assertEqual(error_of(lambda: getattr(self.daemon.admin, method)(request))[:2],
                                 ("UNAUTHENTICATED", "CALLER_UNKNOWN"))
                self.refused(method, ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"), token)

    def test_permission_is_decided_before_existence(self):
        credential, secret = self.create("curious", ("work_creator",))
        token = self.issue(credential, secret).access_token
        for client_id in (NOBODY, credential.client_id):
            self.refused("GetCredential", ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"), token, client_id=client_id)


class Credentials(AdminTest):
    @looks_into_sqlite
    def test_a_secret_key_is_in_the_one_answer_and_nowhere_else(self):
        credential, secret = self.create("once")
        again = self.admin("RegenerateSecret", client_id=credential.client_id, overlap=Duration(seconds=60))
        everything = [self.get(credential), self.admin("ListCredentials"), self.admin("ListAuditEvents"),
                      self.admin("ListTokens", client_id=credential.client_id)]
        with open(self.daemon.folder + "/gatehouse.db", "rb") as file:
            stored = file.read()
        try:
            with open(self.daemon.folder + "/gatehouse.db-wal", "rb") as file:
                stored += file.read()
        except FileNotFoundError:
            pass
        for key in (secret, again.secret_key):
            self.assertRegex(key, r"^gate_sk_[A-Za-z0-9]{49}$")
            self.assertNotIn(key, "".join(map(str, everything)))
            self.assertNotIn(key, self.daemon.log_text())
            self.assertNotIn(key.encode(), stored)
        self.assertIn(credential.client_id.encode(), stored)

    def test_names_are_unique_among_the_living_only(self):
        first, _ = self.create("unique")
        self.refused("CreateCredential", ("ALREADY_EXISTS", "NAME_TAKEN"), credential=pb.Credential(name="unique"),
                     roles=["work_creator"])
        self.admin("DeleteCredential", client_id=first.client_id)
        second, _ = self.create("unique")
        self.refused("UndeleteCredential", ("ALREADY_EXISTS", "NAME_TAKEN"), client_id=first.client_id)
        self.update(second, "name", name="unique no more")
        self.assertEqual(self.admin("UndeleteCredential", client_id=first.client_id).credential.name, "unique")
        self.refused("UndeleteCredential", ("FAILED_PRECONDITION", "NOT_DELETED"), client_id=first.client_id)

    def test_a_wrong_field_is_named(self):
        cases = [
            ("credential.name", dict(credential=pb.Credential(name=""), roles=["work_creator"])),
            ("credential.name", dict(credential=pb.Credential(name="ü" * 101), roles=["work_creator"])),
            ("credential.name", dict(credential=pb.Credential(name="a\nb"), roles=["work_creator"])),
            ("credential.name", dict(credential=pb.Credential(name="a\u0085b"), roles=["work_creator"])),
            ("credential.owner", dict(credential=pb.Credential(name="n", owner="o" * 257), roles=["work_creator"])),
            ("roles", dict(credential=pb.Credential(name="n"), roles=[])),
            ("roles", dict(credential=pb.Credential(name="n"), roles=["Not A Role"])),
            ("roles", dict(credential=pb.Credential(name="n"), roles=["work_creator"] * 65)),
            ("credential.expire_time", dict(credential=pb.Credential(name="n", expire_time=Timestamp(seconds=1)),
                                 roles=["work_creator"])),
            ("credential.expire_time", dict(credential=pb.Credential(name="n", expire_time=Timestamp(seconds=1 << 50)),
                                 roles=["work_creator"])),
            ("request_id", dict(credential=pb.Credential(name="n"), roles=["work_creator"], request_id="a b")),
            ("credential", dict(roles=["work_creator"])),
        ]
        for field, fields in cases:
            with self.subTest(field=field, fields=str(fields)[:80]):
                self.refused("CreateCredential", (*INVALID, field), **fields)
        self.create("ü" * 100)
        self.assertEqual(self.admin("ListCredentials", filter="name:n").total_size,
                         sum("n" in c.name for c in self.admin("ListCredentials").credentials))

    def test_what_does_not_exist_is_not_found(self):
        for method, fields in [("GetCredential", {}), ("DeleteCredential", {}), ("UndeleteCredential", {}),
                               ("RegenerateSecret", {}), ("EndSecret", dict(secret_id=1)), ("ListTokens", {}),
                               ("GrantRoles", dict(roles=["work_creator"])), ("EndTokens", {}),
                               ("RevokeRoles", dict(roles=["work_creator"])), ("QueryUsage", {})]:
            with self.subTest(method):
                self.refused(method, NO_CREDENTIAL, client_id=NOBODY, **fields)
        self.refused("UpdateCredential", NO_CREDENTIAL, credential=pb.Credential(client_id=NOBODY),
                     update_mask=FieldMask(paths=["owner"]))

    def test_an_expiry_date_that_passed_ends_tokens_and_one_moved_on_does_not_bring_them_back(self):
        credential, secret = self.create("dated", expire_time=in_future(days=1))
        old = self.issue(credential, secret).access_token
        for past in (Timestamp(seconds=0), Timestamp(seconds=1), in_future(seconds=-1)):
            with self.subTest(past=past.seconds):
                self.update(credential, "expire_time")
                token = self.issue(credential, secret).access_token
                impact = self.update(credential, "expire_time", expire_time=past).impact
                self.assertGreaterEqual(impact.tokens_ended, 1)
                self.assertFalse(self.is_active(token))
                self.assertEqual(self.get(credential).status, pb.CREDENTIAL_STATUS_EXPIRED)
                self.assertEqual(error_of(lambda: self.issue(credential, secret))[:2],
                                 ("UNAUTHENTICATED", "INVALID_CLIENT"))
                self.update(credential, "expire_time", expire_time=in_future(days=2))
                self.assertEqual(self.get(credential).status, pb.CREDENTIAL_STATUS_ACTIVE)
                self.assertFalse(self.is_active(token) or self.is_active(old))

    def test_clearing_the_date_means_never(self):
        credential, secret = self.create("cleared", expire_time=in_future(days=1))
        token = self.issue(credential, secret).access_token
        answer = self.update(credential, "expire_time")
        self.assertFalse(answer.credential.HasField("expire_time"))
        self.assertEqual(answer.impact.tokens_ended, 0)
        self.assertTrue(self.is_active(token))

    def test_an_update_needs_a_mask_of_what_can_be_changed(self):
        credential, _ = self.create("masked")
        for paths in ([], ["status"], ["name", "nonsense"]):
            self.refused("UpdateCredential", (*INVALID, "update_mask"), update_mask=FieldMask(paths=paths),
                         credential=pb.Credential(client_id=credential.client_id, name="x"))
        self.assertEqual(self.get(credential), self.get(credential))

    def test_nothing_but_undelete_is_done_to_a_deleted_credential(self):
        credential, secret = self.create("deleted")
        token = self.issue(credential, secret).access_token
        self.assertEqual(self.admin("DeleteCredential", client_id=credential.client_id).impact.tokens_ended, 1)
        self.assertFalse(self.is_active(token))
        for method, fields in [("DeleteCredential", {}), ("RegenerateSecret", {}),
                               ("GrantRoles", dict(roles=["team_leader"])),
                               ("RevokeRoles", dict(roles=["work_creator"]))]:
            self.refused(method, ("FAILED_PRECONDITION", "CREDENTIAL_DELETED"), client_id=credential.client_id,
                         **fields)
        self.assertEqual(error_of(lambda: self.issue(credential, secret))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))
        self.admin("UndeleteCredential", client_id=credential.client_id)
        self.assertFalse(self.is_active(token))
        self.assertTrue(self.is_active(self.issue(credential, secret).access_token))


class WhatIf(AdminTest):
    clock = True

    def test_validate_only_says_what_would_happen_and_changes_nothing(self):
        credential, secret = self.create("what if", ("work_creator", "team_leader"), owner="what@if")
        self.admin("SetUserRoles", user="what@if", roles=["work_creator", "team_leader"])
        tokens = [self.issue(credential, secret).access_token for _ in range(3)]
        for api, times in (("GET /often", 5), ("GET /seldom", 1)):
            for _ in range(times):
                self.daemon.introspect(self.token, tokens[0], api=api)
        client_id, settings = credential.client_id, self.admin("GetSettings")
        before = self.get(credential)
        cases = [
            ("DeleteCredential", dict(client_id=client_id), 3), ("RegenerateSecret", dict(client_id=client_id), 3),
            ("RegenerateSecret", dict(client_id=client_id, overlap=Duration(seconds=9)), 0),
            ("RevokeRoles", dict(client_id=client_id, roles=["team_leader"]), 3),
            ("RevokeRoles", dict(client_id=client_id, roles=["work_assigner"]), 0),
            ("GrantRoles", dict(client_id=client_id, roles=["work_assigner"]), 0),
            ("EndTokens", dict(client_id=client_id), 3),
            ("UpdateCredential", dict(credential=pb.Credential(client_id=client_id, name="else"),
                                      update_mask=FieldMask(paths=["name"])), 0),
            ("UpdateCredential", dict(credential=pb.Credential(client_id=client_id, expire_time=Timestamp(seconds=1)),
                                      update_mask=FieldMask(paths=["expire_time"])), 3),
        ]
        for method, fields, ended in cases:
            with self.subTest(method, fields=str(fields)):
                impact = self.admin(method, validate_only=True, **fields).impact
                self.assertEqual((impact.tokens_ended, impact.credentials_affected), (ended, ended > 0))
                self.assertEqual([(row.api, row.allowed) for row in impact.recent_usage],
                                 [("GET /often", 5), ("GET /seldom", 1)])
        self.one_of_many(credential, tokens)
        self.assertEqual(self.admin("CreateCredential", credential=pb.Credential(name="never"), roles=["team_leader"],
                                    validate_only=True).secret_key, "")
        self.set_settings(dry=True, idle_session_timeout=60)
        after = self.get(credential)
        after.secrets[0].ClearField("last_use_time"), before.secrets[0].ClearField("last_use_time")
        self.assertEqual(after, before)
        self.assertEqual(self.admin("GetSettings"), settings)
        self.assertEqual(self.admin("ListCredentials", filter="name:never").total_size, 0)
        self.assertTrue(all(map(self.is_active, tokens)))
        self.assertTrue(self.issue(credential, secret).access_token)
        self.assertEqual(self.admin("GetUser", user="what@if").user.roles, ["team_leader", "work_creator"])

    def one_of_many(self, credential, tokens):
        """What ends tokens of more than one credential names each, with what it called."""
        other, secret = self.create("what else", ("work_creator",), owner="what@if")
        self.create("what is untouched", ("work_assigner",), owner="what@if")
        token = self.issue(other, secret).access_token
        for _ in range(3):
            self.daemon.introspect(self.token, token, api="GET /often")
        accessor = self.admin("ListTokens", client_id=other.client_id).tokens[0].accessor
        of_other = [("what else", "GET /often", 3)]
        of_both = [("what if", "GET /often", 5), *of_other, ("what if", "GET /seldom", 1)]
        cases = [("SetUserRoles", dict(user="what@if"), 4, 2, of_both),
                 ("SetUserRoles", dict(user="what@if", roles=["team_leader"]), 4, 2, of_both),
                 ("SetUserRoles", dict(user="what@if", roles=["team_leader", "work_creator"]), 0, 0, []),
                 ("DeleteUser", dict(user="what@if"), 4, 2, of_both),
                 ("EndToken", dict(accessor=accessor), 1, 1, of_other),
                 ("EndToken", dict(accessor="0" * 64), 0, 0, [])]
        self.daemon.pass_time(120)
        for seconds, ended, affected, recent in ((60, 4, 2, of_both), (600, 0, 0, [])):
            cases.append(("UpdateSettings", dict(settings=pb.Settings(idle_session_timeout=Duration(seconds=seconds)),
                                                 update_mask=FieldMask(paths=["idle_session_timeout"])), ended, affected, recent))
        for method, fields, ended, affected, recent in cases:
            with self.subTest(method, fields=str(fields)):
                impact = self.admin(method, validate_only=True, **fields).impact
                self.assertEqual((impact.tokens_ended, impact.credentials_affected), (ended, affected))
                names = {row.credential_name for row in impact.recent_usage}
                self.assertEqual([(row.credential_name if affected > 1 else "what else", row.api, row.allowed)
                                  for row in impact.recent_usage], recent)
                self.assertIn(names, [{"what if", "what else"}, {""}, set()])
        self.admin("DeleteCredential", client_id=other.client_id)

    def test_validate_only_fails_as_the_act_itself_would(self):
        self.refused("DeleteCredential", ("FAILED_PRECONDITION", "LAST_ADMINISTRATOR"), validate_only=True,
                     client_id=self.daemon.client_id)
        self.refused("CreateCredential", ("ALREADY_EXISTS", "NAME_TAKEN"), validate_only=True, roles=["team_leader"],
                     credential=pb.Credential(name="administrator"))


class Secrets(AdminTest):
    clock = True

    def test_with_an_overlap_both_keys_work_until_it_ends(self):
        credential, first = self.create("overlapping")
        token = self.issue(credential, first).access_token
        answer = self.admin("RegenerateSecret", client_id=credential.client_id, overlap=Duration(seconds=3600))
        second = answer.secret_key
        self.assertEqual(answer.impact.tokens_ended, 0)
        self.assertEqual([s.hint for s in answer.credential.secrets], [second[-4:], first[-4:]])
        self.assertFalse(answer.credential.secrets[0].HasField("expire_time"))
        self.assertTrue(self.is_active(token))
        self.issue(credential, first), self.issue(credential, second)
        third = self.admin("RegenerateSecret", client_id=credential.client_id,
                           overlap=Duration(seconds=3600)).secret_key
        self.refuse_secret(credential, first)
        self.issue(credential, second), self.issue(credential, third)
        self.assertEqual(len(self.get(credential).secrets), 2)
        self.daemon.pass_time(3601)
        type(self).token = self.daemon.admin_token()
        self.refuse_secret(credential, second)
        self.issue(credential, third)
        self.assertEqual([s.hint for s in self.get(credential).secrets], [third[-4:]])

    def refuse_secret(self, credential, secret):
        self.assertEqual(error_of(lambda: self.issue(credential, secret))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))

    def test_with_no_overlap_the_old_key_and_the_tokens_end_at_once(self):
        credential, first = self.create("at once")
        tokens = [self.issue(credential, first).access_token for _ in range(4)]
        answer = self.admin("RegenerateSecret", client_id=credential.client_id)
        self.assertEqual(answer.impact.tokens_ended, 4)
        self.assertFalse(any(map(self.is_active, tokens)))
        self.refuse_secret(credential, first)
        self.issue(credential, answer.secret_key)
        self.refused("RegenerateSecret", (*INVALID, "overlap"), client_id=credential.client_id,
                     overlap=Duration(seconds=30 * DAY + 1))

    def test_one_secret_key_can_be_ended_early_and_tokens_go_on(self):
        credential, first = self.create("early")
        token = self.issue(credential, first).access_token
        second = self.admin("RegenerateSecret", client_id=credential.client_id,
                            overlap=Duration(seconds=3600))
        ids = [secret.secret_id for secret in second.credential.secrets]
        answer = self.admin("EndSecret", client_id=credential.client_id, secret_id=ids[1])
        self.assertEqual([secret.secret_id for secret in answer.credential.secrets], ids[:1])
        self.refuse_secret(credential, first)
        self.issue(credential, second.secret_key)
        self.assertTrue(self.is_active(token))
        for secret_id in (ids[1], 0, 999999):
            self.refused("EndSecret", ("NOT_FOUND", "NO_SUCH_SECRET"), client_id=credential.client_id,
                         secret_id=secret_id)

    def test_the_daemon_starts_after_many_keys_ended_in_one_second(self):
        credential, _ = self.create("many keys")
        for _ in range(4):
            secret = self.admin("RegenerateSecret", client_id=credential.client_id).secret_key
        self.daemon.kill()
        self.daemon.start()
        self.issue(credential, secret)
        self.assertEqual(len(self.get(credential).secrets), 1)


class Roles(AdminTest):
    def test_the_catalogue_begins_with_the_nine(self):
        roles = self.admin("ListRoles").roles[:9]
        self.assertEqual([(role.role_id, role.group) for role in roles], [
            ("service_agent", "Access Rights"), ("self_service_user", "Access Rights"),
            ("work_creator", "Access Rights"), ("work_assigner", "Access Rights"), ("team_leader", "Access Rights"),
            ("user_manager", "Access to Builder"), ("master_builder", "Access to Builder"),
            ("release_manager", "Access to Builder"), ("resource_server", "Gatehouse")])
        self.assertTrue(all(role.built_in and role.description for role in roles))

    def test_a_retired_role_is_not_granted_anew_and_who_holds_it_keeps_it(self):
        self.admin("CreateRole", role=pb.Role(role_id="retiring", name="R", group="G"))
        credential, secret = self.create("holder", ("retiring",))
        token = self.issue(credential, secret).access_token
        self.admin("UpdateRole", role=pb.Role(role_id="retiring", retired=True),
                   update_mask=FieldMask(paths=["retired"]))
        self.assertNotIn("retiring", [role.role_id for role in self.admin("ListRoles").roles])
        self.assertIn("retiring", [role.role_id for role in self.admin("ListRoles", show_retired=True).roles])
        other, _ = self.create("other")
        retired = ("FAILED_PRECONDITION", "ROLE_RETIRED")
        self.refused("GrantRoles", retired, client_id=other.client_id, roles=["retiring"])
        self.refused("CreateCredential", retired, credential=pb.Credential(name="new"), roles=["retiring"])
        self.assertTrue(self.is_active(token))
        self.assertEqual(list(self.issue(credential, secret).scopes), ["retiring"])

    def test_what_is_wrong_with_a_role_is_said(self):
        for role in ("user_manager", "resource_server"):
            self.refused("UpdateRole", ("FAILED_PRECONDITION", "BUILT_IN_ROLE"),
                         role=pb.Role(role_id=role, retired=True), update_mask=FieldMask(paths=["retired"]))
        self.refused("CreateRole", ("ALREADY_EXISTS", "ROLE_EXISTS"),
                     role=pb.Role(role_id="team_leader", name="T", group="G"))
        self.refused("UpdateRole", ("NOT_FOUND", "NO_SUCH_ROLE"), role=pb.Role(role_id="nothing"),
                     update_mask=FieldMask(paths=["retired"]))
        for field, role in [("role_id", pb.Role(role_id="9x", name="N", group="G")),
                            ("role_id", pb.Role(role_id="x" * 65, name="N", group="G")),
                            ("name", pb.Role(role_id="x", group="G")), ("group", pb.Role(role_id="x", name="N")),
                            ("description", pb.Role(role_id="x", name="N", group="G", description="d" * 501))]:
            self.refused("CreateRole", (*INVALID, "role." + field), role=role)
        etag = self.admin("ListRoles").roles[0].etag
        self.refused("UpdateRole", ("ABORTED", "STALE_ETAG"), update_mask=FieldMask(paths=["name"]),
                     role=pb.Role(role_id="service_agent", name="X", etag=etag + "0"))
        self.assertEqual(self.admin("ListRoles").roles[0].name, "Service Agent")


class AllRoles(AdminTest):
    def test_a_credential_can_hold_every_role_of_a_full_catalogue(self):
        for i in range(256 - len(self.admin("ListRoles").roles)):
            self.admin("CreateRole", role=pb.Role(role_id=f"role_{i}", name="N", group="G"))
        self.refused("CreateRole", ("RESOURCE_EXHAUSTED", "TOO_MANY_ROLES"),
                     role=pb.Role(role_id="one_more", name="N", group="G"))
        roles = [role.role_id for role in self.admin("ListRoles").roles]
        credential, secret = self.create("everything", roles[:1])
        for i in range(0, 256, 64):
            self.admin("GrantRoles", client_id=credential.client_id, roles=roles[i:i + 64])
        self.assertEqual(list(self.get(credential).effective_roles), sorted(roles))
        token = self.issue(credential, secret)
        self.assertEqual(list(token.scopes), sorted(roles))
        self.daemon.kill()
        self.daemon.start()
        self.assertEqual(list(self.daemon.introspect(self.token, token.access_token).roles), sorted(roles))
        self.admin("SetUserRoles", user="all", roles=roles)
        self.assertEqual(list(self.admin("GetUser", user="all").user.roles), sorted(roles))


class Users(AdminTest):
    def test_users_page_and_filter(self):
        names = sorted(f"user {i:03}@Example.com" for i in range(250))
        for i, name in enumerate(names):
            self.admin("SetUserRoles", user=name, roles=["team_leader"] * (i % 2))
        got = [user.user for user in self.pages("ListUsers", "users", page_size=7, filter='user:"user "')]
        self.assertEqual(got, names)
        answer = self.admin("ListUsers", filter='role=team_leader AND user:"example"', page_size=1000)
        self.assertEqual(([user.user for user in answer.users], answer.total_size), (names[1::2], 125))
        self.assertEqual(self.admin("ListUsers", filter="role=no_such_role").total_size, 0)
        self.assertEqual(self.admin("ListUsers", filter='user:"%"').total_size, 0)
        first = self.admin("ListUsers", page_size=7)
        self.refused("ListUsers", ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"), filter="user:x",
                     page_token=first.next_page_token)

    def test_a_change_of_an_owners_roles_ends_only_the_tokens_of_those_it_concerns(self):
        self.admin("SetUserRoles", user="owner", roles=["work_creator", "team_leader"])
        made = {roles: self.create("of owner " + " ".join(roles), roles, owner="owner")
                for roles in (("work_creator",), ("team_leader",), ("work_creator", "team_leader"), ("work_assigner",))}
        tokens = {roles: self.issue(*credential).access_token for roles, credential in made.items()}
        stranger = self.issue(*self.create("stranger", ("team_leader",), owner="another")).access_token
        self.assertEqual(self.admin("SetUserRoles", user="owner",
                                    roles=["team_leader", "work_creator"]).impact.tokens_ended, 0)
        impact = self.admin("SetUserRoles", user="owner", roles=["work_creator"]).impact
        self.assertEqual((impact.tokens_ended, impact.credentials_affected), (2, 2))
        self.assertEqual({roles: self.is_active(token) for roles, token in tokens.items()},
                         {roles: "team_leader" not in roles for roles in tokens})
        self.assertTrue(self.is_active(stranger))
        state = {role.role: role.state for role in self.get(made["work_creator", "team_leader"][0]).roles}
        self.assertEqual(state["team_leader"], pb.GRANTED_ROLE_STATE_REVOKED_FROM_OWNER)
        self.assertEqual(self.admin("DeleteUser", user="owner").impact.tokens_ended, 1)
        self.refused("GetUser", ("NOT_FOUND", "NO_SUCH_USER"), user="owner")
        self.refused("DeleteUser", ("NOT_FOUND", "NO_SUCH_USER"), user="owner")

    def test_a_users_etag(self):
        user = self.admin("SetUserRoles", user="etag", roles=[]).user
        self.admin("SetUserRoles", user="etag", roles=["team_leader"], etag=user.etag)
        for method in ("SetUserRoles", "DeleteUser"):
            self.refused(method, ("ABORTED", "STALE_ETAG"), user="etag", etag=user.etag)
        self.assertEqual(list(self.admin("GetUser", user="etag").user.roles), ["team_leader"])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Three roles of administrators: what each may do, method by method and field by field, and that a key_manager cannot make
itself more. A method or a field that is new and has no answer here fails."""
import sqlite3
import unittest

from daemon import DEADLINE, Daemon, auth_pb2, credential_admin_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.api import field_behavior_pb2

GRADES = ("auditor", "key_manager", "user_manager")
# The least of them that a method is for.
METHODS = {
    "nobody": {"GetCaller"},  # it tells of the caller alone
    "auditor": {"GetCredential", "ListCredentials", "ListRoles", "GetUser", "ListUsers", "ListTokens", "GetSettings",
                "QueryUsage", "ListAuditEvents", "VerifyAuditLog", "GetServerStatus"},
    "key_manager": {"UpdateCredential", "SuspendCredential", "ResumeCredential", "RegenerateSecret", "EndSecret", "EndToken", "EndTokens"},
    "user_manager": {"CreateCredential", "DeleteCredential", "UndeleteCredential", "GrantRoles", "RevokeRoles", "CreateRole",
                     "UpdateRole", "SetUserRoles", "DeleteUser", "UpdateSettings"},
}
# The same of the fields of a credential that can be changed.
FIELDS = {"key_manager": {"expire_time"}, "user_manager": {"name", "owner", "self_rotation", "contact", "labels", "addresses", "limits"}}
FIXED = {"client_id", "etag"}
DENIED = ("PERMISSION_DENIED", "ADMINISTRATOR_CREDENTIAL", "")


def request_of(method):
    return getattr(credential_admin_pb2, method.input_type.name)()


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon({"http_address": ""}))
        cls.top = cls.daemon.admin_token()
        cls.holders = {role: cls.daemon.create(cls.top, "The " + role, [role]) for role in GRADES}
        cls.tokens = {role: cls.token_of(made) for role, made in cls.holders.items()}

    @classmethod
    def token_of(cls, made):
        return cls.daemon.issue(made.credential.client_id, made.secret_key).access_token

    def ask(self, method, request, token=None):
        return getattr(self.daemon.admin, method)(request, metadata=Daemon.bearer(token or self.top), timeout=DEADLINE)

    def refused(self, method, request, role="key_manager"):
        return error_of(lambda: self.ask(method, request, self.tokens[role]))

    def touches(self, made, token):
        """Each way in which a key_manager could get at this credential."""
        client = made.credential.client_id
        return {
            "RegenerateSecret": pb.RegenerateSecretRequest(client_id=client, overlap={"seconds": 60}),
            "EndSecret": pb.EndSecretRequest(client_id=client, secret_id=made.credential.secrets[0].secret_id),
            "SuspendCredential": pb.SuspendCredentialRequest(client_id=client),
            "ResumeCredential": pb.ResumeCredentialRequest(client_id=client),
            "EndTokens": pb.EndTokensRequest(client_id=client),
            "EndToken": pb.EndTokenRequest(accessor=token.accessor),
            "UpdateCredential": pb.UpdateCredentialRequest(credential={"client_id": client},
                                                           update_mask={"paths": ["expire_time"]}),
        }


class Walk(Base):
    def test_every_method_is_for_the_role_that_is_said_here(self):
        methods = pb.DESCRIPTOR.services_by_name["CredentialAdmin"].methods
        self.assertEqual({each.name for each in methods}, set().union(*METHODS.values()), "say for whom it is")
        plain = self.token_of(self.daemon.create(self.top, "Nobody"))
        for method in methods:
            least = next(role for role, names in METHODS.items() if method.name in names)
            for role, token in {"nobody": plain, **self.tokens}.items():
                may = least == "nobody" or (role != "nobody" and GRADES.index(role) >= GRADES.index(least))
                try:
                    reason = ""
                    self.ask(method.name, request_of(method), token)
                except Exception as error:  # noqa: BLE001 - which one is what is asked
                    reason = error_of(lambda error=error: (_ for _ in ()).throw(error))[1]
                self.assertEqual(reason == "CALLER_NOT_ALLOWED", not may, f"{role} {method.name}: {reason}")

    def test_every_field_of_a_credential_is_for_the_role_that_is_said_here(self):
        fields = {field.name for field in pb.Credential.DESCRIPTOR.fields if field_behavior_pb2.OUTPUT_ONLY not in
                  field.GetOptions().Extensions[field_behavior_pb2.field_behavior]} - FIXED
        self.assertEqual(fields, set().union(*FIELDS.values()), "say for whom it is")
        made = self.daemon.create(self.top, "Fields")
        for name in fields:
            request = pb.UpdateCredentialRequest(credential={"client_id": made.credential.client_id, "name": "Fields"},
                                                 update_mask={"paths": ["expire_time", name]}, validate_only=True)
            self.ask("UpdateCredential", request, self.tokens["user_manager"])
            if name in FIELDS["key_manager"]:
                self.ask("UpdateCredential", request, self.tokens["key_manager"])
            else:
                self.assertEqual(self.refused("UpdateCredential", request),
                                 ("PERMISSION_DENIED", "FIELD_NOT_ALLOWED", "credential." + name))
        for name in ("nothing", "client_id"):
            request.update_mask.paths[:] = ["expire_time", name]
            self.assertIn(self.refused("UpdateCredential", request)[1], ("INVALID_FIELD", "FIELD_NOT_ALLOWED"))

    def test_the_three_roles_cannot_be_retired(self):
        for role in GRADES:
            request = pb.UpdateRoleRequest(role={"role_id": role, "retired": True}, update_mask={"paths": ["retired"]})
            self.assertEqual(error_of(lambda request=request: self.ask("UpdateRole", request))[:2],
                             ("FAILED_PRECONDITION", "BUILT_IN_ROLE"))


class Escalation(Base):
    def test_a_key_manager_does_its_work(self):
        made = self.daemon.create(self.top, "A system")
        client, manager = made.credential.client_id, self.tokens["key_manager"]
        token = self.daemon.issue(client, made.secret_key)
        self.ask("EndToken", pb.EndTokenRequest(accessor=token.accessor), manager)
        self.assertFalse(self.daemon.introspect(self.top, token.access_token).active)
        text = self.daemon.issue(client, made.secret_key).access_token
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=text), metadata=Daemon.bearer(manager), timeout=DEADLINE)
        self.assertFalse(self.daemon.introspect(self.top, text).active)
        again = self.ask("RegenerateSecret", pb.RegenerateSecretRequest(client_id=client), manager)
        self.daemon.issue(client, again.secret_key)
        self.ask("EndTokens", pb.EndTokensRequest(client_id=client), manager)
        self.ask("UpdateCredential", pb.UpdateCredentialRequest(
            credential={"client_id": client, "expire_time": {"seconds": 4000000000}},
            update_mask={"paths": ["expire_time"]}), manager)

    def test_a_key_manager_changes_no_administrators_credential(self):
        owned = self.daemon.create(self.top, "Not yet one", ["work_creator", "user_manager"], owner="bob")
        self.ask("SetUserRoles", pb.SetUserRolesRequest(user="bob", roles=["work_creator"]))
        self.assertEqual(list(self.ask("GetCredential", pb.GetCredentialRequest(
            client_id=owned.credential.client_id)).credential.effective_roles), ["work_creator"])
        for made in (*self.holders.values(), owned):  # its own is among them
            token = self.daemon.issue(made.credential.client_id, made.secret_key)
            for method, request in self.touches(made, token).items():
                is_own = method == "RegenerateSecret" and made is self.holders["key_manager"]
                self.assertEqual(self.refused(method, request), ("PERMISSION_DENIED", "NO_SELF_ROTATION", "") if is_own else DENIED,
                                 f"{method} {made.credential.name}")
            self.assertEqual(error_of(lambda text=token.access_token: self.daemon.auth.Revoke(
                auth_pb2.RevokeRequest(token=text), metadata=Daemon.bearer(self.tokens["key_manager"]))), DENIED)
            self.assertTrue(self.daemon.introspect(self.top, token.access_token).active)
        self.ask("RevokeRoles", pb.RevokeRolesRequest(client_id=owned.credential.client_id, roles=["user_manager"]))
        self.ask("EndTokens", pb.EndTokensRequest(client_id=owned.credential.client_id), self.tokens["key_manager"])
        found = self.ask("ListAuditEvents", pb.ListAuditEventsRequest(
            filter="outcome=PERMISSION_DENIED AND action=RegenerateSecret")).events
        self.assertEqual(len(found), 4)
        self.assertIn("only a user_manager may change", found[0].detail)

    def test_a_key_manager_grants_nothing(self):
        client = self.daemon.create(self.top, "Grants").credential.client_id
        for method, request in (
                ("GrantRoles", pb.GrantRolesRequest(client_id=client, roles=["user_manager"])),
                ("SetUserRoles", pb.SetUserRolesRequest(user="bob", roles=["user_manager"])),
                ("CreateCredential", pb.CreateCredentialRequest(credential={"name": "Mine"}, roles=["work_creator"])),
                ("UndeleteCredential", pb.UndeleteCredentialRequest(client_id=client))):
            for role in ("key_manager", "auditor"):
                self.assertEqual(self.refused(method, request, role)[:2], ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"))

    def test_a_token_carries_only_the_grade_that_it_was_issued_for(self):
        made = self.daemon.create(self.top, "Two of them", ["auditor", "user_manager"])
        token = self.daemon.issue(made.credential.client_id, made.secret_key, ["auditor"]).access_token
        self.ask("ListUsers", pb.ListUsersRequest(), token)
        self.assertEqual(error_of(lambda: self.ask("EndTokens", pb.EndTokensRequest(
            client_id=made.credential.client_id), token))[1], "CALLER_NOT_ALLOWED")

    def test_an_operators_own_role_of_such_a_name_gives_no_right(self):
        with Daemon({"http_address": "", "store": "sqlite:/"}, init=False, start=False) as daemon:
            path = daemon.folder + "/gatehouse.db"  # SQLite, whatever the others run on
            daemon.settings["store"] = "sqlite:" + path
            daemon.client_id = daemon.run("init", "--secret-file", daemon.secret_file).stdout.split("client_id=")[1].split()[0]
            with sqlite3.connect(path) as database:  # as an older program left it
                database.execute("UPDATE role SET built_in = 0 WHERE id = 'auditor'")
                database.execute("DELETE FROM role WHERE id = 'key_manager'")
            daemon.start()
            top = daemon.admin_token()
            self.assertIn("event=role_name_taken role=auditor", daemon.log_text())
            roles = {role.role_id: role.built_in for role in daemon.admin.ListRoles(
                pb.ListRolesRequest(), metadata=Daemon.bearer(top)).roles}
            self.assertEqual((roles["auditor"], roles["key_manager"], roles["user_manager"]), (False, True, True))
            made = daemon.create(top, "Their own auditor", ["auditor"])
            token = daemon.issue(made.credential.client_id, made.secret_key).access_token
            self.assertEqual(error_of(lambda: daemon.admin.ListUsers(
                pb.ListUsersRequest(), metadata=Daemon.bearer(token)))[1], "CALLER_NOT_ALLOWED")


class Audit(Base):
    def events(self, token, **fields):
        events, page = [], ""
        while True:
            answer = self.ask("ListAuditEvents", pb.ListAuditEventsRequest(page_token=page, **fields), token)
            events += answer.events
            page = answer.next_page_token
            if not page:
                return events

    def test_a_key_manager_sees_what_was_done_to_what_it_may_change(self):
        client = self.daemon.create(self.top, "Seen").credential.client_id
        for _ in range(3):
            self.ask("EndTokens", pb.EndTokensRequest(client_id=client))
        self.ask("EndTokens", pb.EndTokensRequest(client_id=self.holders["user_manager"].credential.client_id))
        self.refused("RegenerateSecret", pb.RegenerateSecretRequest(client_id=self.daemon.client_id))
        self.assertEqual(len(self.events(self.tokens["auditor"])), len(self.events(self.top)))
        mine = self.holders["key_manager"].credential.client_id
        seen = self.events(self.tokens["key_manager"])
        self.assertEqual({(event.subject, event.actor) for event in seen},
                         {(client, self.daemon.client_id), (self.daemon.client_id, mine)})
        self.assertEqual([event.action for event in seen if event.subject == client],
                         ["EndTokens", "EndTokens", "EndTokens", "CreateCredential"])
        in_pages = self.events(self.tokens["key_manager"], page_size=2)
        self.assertEqual([event.sequence for event in in_pages], [event.sequence for event in seen])
        both = self.daemon.create(self.top, "Both", ["auditor", "key_manager"])
        self.assertGreater(len(self.events(self.token_of(both))), len(seen))


if __name__ == "__main__":
    unittest.main()

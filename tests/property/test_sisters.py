# SPDX-License-Identifier: Apache-2.0
"""Every method that changes something is like its sisters: a dry run changes nothing, a repetition does nothing again, and a stale
etag is refused. The list of methods is the contract's, so that a new one is tried too."""
import unittest

from daemon import Daemon, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf import descriptor_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from support import AdminTest

SERVICE = pb.DESCRIPTOR.services_by_name["CredentialAdmin"]
MAKES = {"CreateCredential", "CreateRole"}  # what is made has no etag yet
NO_ETAG = MAKES | {"EndToken"}  # a token is not changed, it ends


def changing():
    for method in SERVICE.methods:
        if method.GetOptions().idempotency_level != descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS:
            yield method


class Sisters(AdminTest):
    def make(self, method, number):
        """A request that has something to change, and the etag of what it changes."""
        if method == "CreateCredential":
            return dict(credential=pb.Credential(name=f"made {number}"), roles=["work_creator"]), None
        if method == "CreateRole":
            return dict(role=pb.Role(role_id=f"sister_{number}", name="N", group="G")), None
        if method == "UpdateRole":
            self.admin("CreateRole", role=pb.Role(role_id=f"old_{number}", name="N", group="G"))
            role = self.admin("ListRoles").roles[-1]
            return dict(role=pb.Role(role_id=role.role_id, name="M"), update_mask=FieldMask(paths=["name"])), role.etag
        if method == "UpdateSettings":
            return (dict(settings=pb.Settings(max_tokens_per_credential=100 + number),
                         update_mask=FieldMask(paths=["max_tokens_per_credential"])), self.admin("GetSettings").settings.etag)
        if method in ("SetUserRoles", "DeleteUser"):
            user = self.admin("SetUserRoles", user=f"user {number}", roles=["work_creator"]).user
            return dict(user=user.user, **({"roles": ["team_leader"]} if method == "SetUserRoles" else {})), user.etag
        credential, secret = self.create(f"changed {number}")
        token = self.issue(credential, secret)
        if method == "EndToken":
            return dict(accessor=token.accessor), None
        if method == "UndeleteCredential":
            credential = self.admin("DeleteCredential", client_id=credential.client_id).credential
        if method == "ResumeCredential":
            credential = self.admin("SuspendCredential", client_id=credential.client_id).credential
        fields = dict(client_id=credential.client_id)
        if method == "UpdateCredential":
            fields = dict(credential=pb.Credential(client_id=credential.client_id, name=f"named {number}"),
                          update_mask=FieldMask(paths=["name"]))
        elif method in ("GrantRoles", "RevokeRoles"):
            fields["roles"] = ["team_leader" if method == "GrantRoles" else "work_creator"]
        elif method == "EndSecret":
            fields["secret_id"] = credential.secrets[0].secret_id
        return fields, credential.etag

    def everything(self):
        """All that a change could change, but for the log of it."""
        credentials = self.admin("ListCredentials", filter="status=any", page_size=1000).credentials
        for credential in credentials:
            for used in (credential, *credential.secrets):
                used.ClearField("last_use_time")  # it is told some seconds later
        return (list(credentials), list(self.admin("ListRoles", show_retired=True).roles), list(self.admin("ListUsers").users),
                self.admin("GetSettings").settings,
                [list(token.accessor for token in self.admin("ListTokens", client_id=each.client_id).tokens) for each in credentials])

    def events(self, method):
        return len(self.admin("ListAuditEvents", filter=f"action={method} AND outcome=OK", page_size=1000).events)

    def put_etag(self, fields, etag):
        for name in ("credential", "role", "settings"):
            if name in fields:
                changed = type(fields[name])()
                changed.CopyFrom(fields[name])
                changed.etag = etag
                return {**fields, name: changed}
        return {**fields, "etag": etag}

    def test_each_has_the_fields(self):
        for method in changing():
            names = set(method.input_type.fields_by_name)
            self.assertLessEqual({"validate_only", "request_id"}, names, method.name)
            if method.name not in NO_ETAG:
                inner = [field.message_type.fields_by_name for field in method.input_type.fields if field.message_type]
                self.assertTrue("etag" in names or any("etag" in each for each in inner), method.name)

    def test_a_dry_run_changes_nothing(self):
        for number, method in enumerate(changing()):
            with self.subTest(method.name):
                fields, _ = self.make(method.name, number)
                before, events = self.everything(), self.events(method.name)
                answer = self.admin(method.name, validate_only=True, **fields)
                self.assertEqual(getattr(answer, "secret_key", ""), "")
                self.assertEqual(self.everything(), before)
                self.assertEqual(self.events(method.name), events)
                self.assertNotEqual(self.admin(method.name, **fields), None)  # it could have been done
                self.assertNotEqual(self.everything(), before)

    def test_a_repetition_does_nothing_again(self):
        for number, method in enumerate(changing()):
            with self.subTest(method.name):
                fields, etag = self.make(method.name, 100 + number)
                if etag is not None:
                    fields = self.put_etag(fields, etag)  # it is stale when it comes again, and was right
                request_id = f"again-{method.name}"
                first = self.admin(method.name, request_id=request_id, **fields)
                before, events = self.everything(), self.events(method.name)
                again = self.admin(method.name, request_id=request_id, **fields)
                self.assertEqual(self.everything(), before)
                self.assertEqual(self.events(method.name), events)
                self.assertEqual(getattr(again, "secret_key", ""), "")
                for part in ("credential", "role", "user", "settings"):
                    if hasattr(first, part):
                        self.assertEqual(getattr(again, part).etag, getattr(first, part).etag)
                other = {**self.make(method.name, 200 + number)[0], "request_id": request_id}
                self.refused(method.name, ("ABORTED", "REQUEST_ID_REUSED"), **other)

    def test_a_stale_etag_is_refused(self):
        for number, method in enumerate(changing()):
            if method.name in NO_ETAG:
                continue
            with self.subTest(method.name):
                fields, etag = self.make(method.name, 300 + number)
                before = self.everything()
                self.refused(method.name, ("ABORTED", "STALE_ETAG"), **self.put_etag(fields, etag + "0"))
                self.assertEqual(self.everything(), before)
                self.admin(method.name, **self.put_etag(fields, etag))

    def test_the_catalogue_pages(self):
        roles, seen, page = [role.role_id for role in self.admin("ListRoles").roles], [], ""
        while True:
            answer = self.admin("ListRoles", page_size=4, page_token=page)
            self.assertLessEqual(len(answer.roles), 4)
            seen += [role.role_id for role in answer.roles]
            page = answer.next_page_token
            if not page:
                break
        self.assertEqual(seen, roles)
        first = self.admin("ListRoles", page_size=4).next_page_token
        self.refused("ListRoles", ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN", "page_token"), page_token=first, show_retired=True)
        self.assertEqual(self.admin("ListRoles", page_size=len(roles)).next_page_token, "")

    def test_an_hour_is_no_day(self):
        both = [pb.USAGE_GROUPING_DAY, pb.USAGE_GROUPING_HOUR]
        for group_by in (both, both[::-1]):
            self.refused("QueryUsage", ("INVALID_ARGUMENT", "INVALID_FIELD", "group_by"), group_by=group_by)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""A credential's contact and labels: kept as they were sent, found by ListCredentials, told of in the audit log, and refused where they
are none. They concern no token."""
import json
import os
import time
import unittest
import urllib.error
import urllib.request

from daemon import DEADLINE, Daemon, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

MARKUP = '<img src=x onerror="alert(1)"> & \'Søren\' \\ =;% \U0001f600'
INVALID = ("INVALID_ARGUMENT", "INVALID_FIELD")


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon({"flush_interval_ms": "20"}))
        cls.token = cls.daemon.admin_token()

    def admin(self, method, daemon=None, **fields):
        return getattr((daemon or self.daemon).admin, method)(getattr(pb, method + "Request")(**fields),
                                                              metadata=Daemon.bearer(self.token), timeout=DEADLINE)

    def fails(self, outcome, method, **fields):
        self.assertEqual(error_of(lambda: self.admin(method, **fields)), outcome)

    def make(self, name, **fields):
        answer = self.daemon.create(self.token, name, **fields)
        return answer.credential.client_id, answer.secret_key

    def get(self, client_id):
        return self.admin("GetCredential", client_id=client_id).credential

    def update(self, client_id, *paths, **fields):
        etag = fields.pop("etag", "")
        return self.admin("UpdateCredential", credential=pb.Credential(client_id=client_id, etag=etag, **fields),
                          update_mask=FieldMask(paths=paths))

    def found(self, text, daemon=None):
        return sorted(each.name for each in self.admin("ListCredentials", daemon, filter=text).credentials)

    def detail(self, client_id, action):
        return self.admin("ListAuditEvents", filter=f"subject={client_id} AND action={action}", page_size=1).events[0].detail

    def rest(self, verb, path, body=None):
        asked = urllib.request.Request(f"{self.daemon.http}/v1/{path}", body.encode() if body else None, method=verb, headers={
            "Authorization": "Bearer " + self.token, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=DEADLINE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)["error"]["message"]


class Kept(Case):
    def test_they_are_what_was_sent_over_grpc_and_http_and_a_restart(self):
        labels = {"team": "payments", "env/tier": "prod=1;\"x\"", "a": "", "0": MARKUP[:63]}
        client_id, _ = self.make("kept", contact=MARKUP, labels=labels)

        def check():
            got = self.get(client_id)
            self.assertEqual((got.contact, dict(got.labels)), (MARKUP, labels))
            answer = self.rest("GET", f"credentials/{client_id}")[1]["credential"]
            self.assertEqual((answer["contact"], answer["labels"]), (MARKUP, labels))
            self.assertEqual(list(answer["labels"]), sorted(labels))  # each time in the same order
            self.assertEqual(self.found('labels.env/tier="prod=1;\\"x\\""'), ["kept"])
        check()
        self.daemon.kill()
        self.daemon.start()
        check()

    def test_a_change_replaces_all_labels_and_ends_no_token(self):
        client_id, secret = self.make("replaced", contact="Ann", labels={"team": "payments", "env": "prod"})
        text = self.daemon.issue(client_id, secret).access_token
        before = self.get(client_id)
        self.update(client_id, "labels", labels={"env": "test", "tier": "1"}, contact="not named, so not taken")
        after = self.get(client_id)
        self.assertEqual((dict(after.labels), after.contact), ({"env": "test", "tier": "1"}, "Ann"))
        self.assertEqual(self.detail(client_id, "UpdateCredential"),
                         'label env: "prod" -> "test"; label team: "payments" -> none; label tier: none -> "1"')
        self.assertNotEqual(after.etag, before.etag)
        self.fails(("ABORTED", "STALE_ETAG", ""), "UpdateCredential", credential=pb.Credential(
            client_id=client_id, etag=before.etag, labels={"team": "payments"}), update_mask=FieldMask(paths=["labels"]))

        self.update(client_id, "labels", "contact", etag=after.etag)  # named and empty: cleared
        after = self.get(client_id)
        self.assertEqual((dict(after.labels), after.contact), ({}, ""))
        self.assertEqual(self.detail(client_id, "UpdateCredential"),
                         'contact: "Ann" -> ""; label env: "test" -> none; label tier: "1" -> none')
        self.assertEqual(self.update(client_id, "labels", "contact").credential.etag, after.etag)  # it is so already
        self.assertTrue(self.daemon.introspect(self.token, text, no_touch=True).active)

    def test_making_one_and_trying_out_a_change_tell_and_keep_what_they_should(self):
        client_id, _ = self.make("told", contact="Ann", labels={"team": "payments"})
        self.assertIn('contact: "" -> "Ann"; label team: none -> "payments"', self.detail(client_id, "CreateCredential"))
        answer = self.admin("UpdateCredential", credential=pb.Credential(client_id=client_id, contact="Ben", labels={"a": "b"}),
                            update_mask=FieldMask(paths=["labels", "contact"]), validate_only=True)
        self.assertEqual((answer.credential.contact, dict(answer.credential.labels)), ("Ben", {"a": "b"}))
        self.assertEqual((answer.impact.tokens_ended, self.get(client_id).contact), (0, "Ann"))
        self.assertEqual(self.found("labels.a=b"), [])

    def test_whoever_names_a_value_writes_no_second_change_into_the_audit_log(self):
        client_id, _ = self.make("quoted", contact='a"; owner: "x', labels={"a": '\\" -> "'})
        self.update(client_id, "labels", "contact")
        self.assertEqual(self.detail(client_id, "UpdateCredential"),
                         r'contact: "a\"; owner: \"x" -> ""; label a: "\\\" -> \"" -> none')

    def test_they_are_there_when_it_was_deleted_and_brought_back(self):
        client_id, _ = self.make("back", labels={"back": "1"})
        self.admin("DeleteCredential", client_id=client_id)
        self.assertEqual((self.found("labels.back=1"), self.found("labels.back=1 AND status=deleted")), ([], ["back"]))
        self.admin("UndeleteCredential", client_id=client_id)
        self.assertEqual(self.found("labels.back=1"), ["back"])


class Found(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, contact, labels in (("one", "Zoë, Payments", {"team": "payments", "env": "prod"}),
                                      ("two", "payments@example.com", {"team": "payments-eu"}),
                                      ("three", "", {"teams": "payments", "env": ""}), ("four", "nobody", {})):
            cls.daemon.create(cls.token, name, contact=contact, labels=labels)

    def test_by_contact_and_by_label(self):
        for text, names in (("contact:PAYMENTS", ["one", "two"]), ("contact:zoË", ["one"]), ('contact:"Zoë, P"', ["one"]),
                            ("labels.team=payments", ["one"]), ("labels.team:payments", ["one", "two"]), ("labels.team=PAYMENTS", []),
                            ('labels.env:""', ["one", "three"]), ('labels.env=""', ["three"]), ("labels.tea=payments", []),
                            ("labels.team:EU AND contact:example", ["two"]), ("labels.team=payments AND name:one AND labels.env=prod", ["one"]),
                            ("labels.no-such/key=x", [])):
            with self.subTest(text):
                self.assertEqual(self.found(text), names)

    def test_what_is_no_such_term_is_refused(self):
        for text in ("contact=Zoë", "labels=payments", "labels:team", "labels.=x", "labels.team<x", "labels.Team=x", "name.x:y", "labels.team"):
            with self.subTest(text):
                self.fails((*INVALID, "filter"), "ListCredentials", filter=text)

    def test_in_pages_and_in_each_order_each_is_found_once(self):
        for number in range(5):
            self.make(f"paged {number}", labels={"paged": "yes"})
        for order in ("name", "create_time desc", "expire_time", "last_use_time desc"):
            names, token = [], ""
            while True:
                page = self.admin("ListCredentials", filter="labels.paged=yes", order_by=order, page_size=2, page_token=token)
                names += [each.name for each in page.credentials]
                self.assertEqual(page.total_size, 0 if token else 5)
                token = page.next_page_token
                if not token:
                    break
            self.assertEqual(sorted(names), [f"paged {number}" for number in range(5)], order)


class Refused(Case):
    def both(self, field, **fields):
        """Where one is made, and where one is changed."""
        client_id = self.admin("ListCredentials", filter="name:administrator").credentials[0].client_id
        with self.subTest(field=field, **{name: str(value)[:40] for name, value in fields.items()}):
            self.fails((*INVALID, field), "CreateCredential", credential=pb.Credential(name="x", **fields), roles=["work_creator"])
            self.fails((*INVALID, field), "UpdateCredential", credential=pb.Credential(client_id=client_id, **fields),
                       update_mask=FieldMask(paths=list(fields)))

    def test_what_is_no_contact_and_no_label(self):
        for contact in ("x" * 201, "a\nb", "a\x7fb", " ", "a\u202eb"):
            self.both("credential.contact", contact=contact)
        for key in ("", "Team", "-a", "a b", "a=b", "ä", "a" * 64, "a\n"):
            self.both("credential.labels.key", labels={key: "x"})
        for value in ("x" * 64, "\U0001f600" * 64, "a\nb", "a\u202eb"):
            self.both("credential.labels.value", labels={"a": value})
        self.both("credential.labels", labels={f"k{number}": "" for number in range(17)})

    def test_the_most_that_there_may_be_is_taken(self):
        labels = {f"{number:02}" + "k" * 61: "\U0001f600" * 63 for number in range(16)}
        client_id, _ = self.make("largest", contact="\U0001f600" * 200, labels=labels)
        got = self.get(client_id)
        self.assertEqual((got.contact, dict(got.labels)), ("\U0001f600" * 200, labels))
        self.update(client_id, "labels")
        self.assertGreater(len(self.detail(client_id, "UpdateCredential")), 16 * 63)

    def test_a_part_of_the_labels_cannot_be_named(self):
        client_id, _ = self.make("masked")
        for path in ("labels.team", "labels.key", "labels[team]"):
            self.fails((*INVALID, "update_mask"), "UpdateCredential", credential=pb.Credential(client_id=client_id),
                       update_mask=FieldMask(paths=[path]))

    def test_json_that_is_no_map_of_texts(self):
        client_id, _ = self.make("json")
        for text, why in (('{"a": "1", "a": "2"}', "a name twice"), ('{"": "1"}', "is empty"), ('{"a": 1}', "must be text"),
                          ('{"a": null}', "must be text"), ('[{"key": "a", "value": "b"}]', "must be an object"), ('"a=b"', "must be an object"),
                          ('{"a": {"b": "c"}}', "must be text"), ('{"a\\u0000": "b"}', "")):
            code, message = self.rest("PATCH", f"credentials/{client_id}", '{"credential": {"labels": %s}, "updateMask": "labels"}' % text)
            self.assertEqual(code, 400, text)
            self.assertIn(why, message)
        self.assertEqual(dict(self.get(client_id).labels), {})
        self.assertEqual(self.rest("PATCH", f"credentials/{client_id}", '{"credential": {"labels": null}, "updateMask": "labels"}')[0], 200)

    def test_a_key_that_comes_twice_over_grpc_counts_as_protobuf_says(self):
        client_id, _ = self.make("twice", labels={"x": "y"})

        def entry(key, value):
            return pb.Credential(labels={key: value}).SerializeToString()
        credential = pb.Credential(client_id=client_id).SerializeToString() + entry("a", "1") + entry("b", "2") + entry("a", "3")
        request = b"\x0a" + bytes([len(credential)]) + credential + pb.UpdateCredentialRequest(
            update_mask=FieldMask(paths=["labels"])).SerializeToString()
        self.daemon.channel.unary_unary("/gatehouse.v1.CredentialAdmin/UpdateCredential")(
            request, metadata=Daemon.bearer(self.token), timeout=DEADLINE)
        self.assertEqual(dict(self.get(client_id).labels), {"a": "3", "b": "2"})

    def test_a_request_that_is_repeated_with_its_labels_in_another_order_is_the_same(self):
        def create(*labels):
            credential = pb.Credential(name="repeated").SerializeToString() + b"".join(
                pb.Credential(labels=dict([label])).SerializeToString() for label in labels)
            request = b"\x0a" + bytes([len(credential)]) + credential + pb.CreateCredentialRequest(
                roles=["work_creator"], request_id="repeated").SerializeToString()
            return pb.CreateCredentialResponse.FromString(self.daemon.channel.unary_unary(
                "/gatehouse.v1.CredentialAdmin/CreateCredential")(
                    request, metadata=Daemon.bearer(self.token), timeout=DEADLINE)).credential
        first = create(("a", "1"), ("b", "2"), ("c", "3"))
        self.assertEqual(create(("c", "3"), ("b", "2"), ("a", "1")), first)
        self.assertEqual(error_of(lambda: create(("a", "1"), ("b", "2"), ("c", "4")))[:2], ("ABORTED", "REQUEST_ID_REUSED"))

    def test_a_holder_that_rotates_its_key_learns_of_neither(self):
        client_id, secret = self.make("holder", contact="Ann", labels={"team": "payments"}, self_rotation=True)
        own = self.daemon.issue(client_id, secret).access_token
        answer = self.daemon.admin.RegenerateSecret(pb.RegenerateSecretRequest(client_id=client_id, overlap={"seconds": 60}),
                                                    metadata=Daemon.bearer(own), timeout=DEADLINE)
        self.assertEqual((answer.credential.contact, dict(answer.credential.labels)), ("", {}))
        self.assertEqual(dict(self.get(client_id).labels), {"team": "payments"})


@unittest.skipUnless("GATEHOUSE_TEST_STORE" in os.environ, "replicas want PostgreSQL")
class OnAnotherReplica(Case):
    def test_what_one_was_told_the_other_finds(self):
        with Daemon({**self.daemon.settings, "grpc_address": "127.0.0.1:0", "http_address": "127.0.0.1:0"}, init=False) as other:
            client_id, _ = self.make("elsewhere", labels={"where": "here"}, contact="Ann")
            self.update(client_id, "labels", labels={"where": "there"})
            end = time.monotonic() + DEADLINE
            while self.found("labels.where=there AND contact:ann", other) != ["elsewhere"]:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.05)
            self.assertEqual(self.found("labels.where=here", other), [])


if __name__ == "__main__":
    unittest.main()

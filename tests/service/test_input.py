# SPDX-License-Identifier: Apache-2.0
"""Bad input: a documented error, and the next request is answered as if nothing had happened."""
import unittest

from daemon import Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb

INVALID = "INVALID_ARGUMENT"


class Input(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({"http_address": ""})
        cls.token = cls.daemon.admin_token()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def tearDown(self):
        self.assertTrue(self.daemon.introspect(self.token, self.token).active)

    def raw(self, method, message):
        return error_of(lambda: self.daemon.channel.unary_unary("/gatehouse.v1." + method)(
            message, metadata=Daemon.bearer(self.token)))[:2]

    def create(self, **fields):
        roles = fields.pop("roles", ["work_creator"])
        return error_of(lambda: self.daemon.create(self.token, fields.pop("name", "x"), roles, **fields))

    def test_names(self):
        for name in ("", " ", "\u3000\u00a0 ", "\u200b", "Acme\u202e", "\u2066Acme\u2069", "Ac\u200fme", "a" * 101, "é" * 101, "a\nb", "a\x7fb", "\u0085"):
            self.assertEqual(self.create(name=name), (INVALID, "INVALID_FIELD", "credential.name"), repr(name))
        self.daemon.create(self.token, "é" * 100)
        for fields in ({"name": " "}, {"group": "\u2003"}, {"description": "x\u202dy"}, {"name": "\u061cx"}):
            role = pb.Role(**{"role_id": "readable", "name": "Readable", "group": "Own", "description": "d", **fields})
            self.assertEqual(error_of(lambda: self.daemon.admin.CreateRole(
                pb.CreateRoleRequest(role=role), metadata=Daemon.bearer(self.token))), (INVALID, "INVALID_FIELD", *("role." + name for name in fields)))
        for name in ("שלום", "مرحبا", "  Acme  ", "👩‍👩‍👧"):  # text of any script, joined as it must be
            self.daemon.create(self.token, name)
        self.assertEqual(self.create(name="a\0b")[:2], (INVALID, "UNREADABLE_MESSAGE"))

    def test_bytes_that_are_no_utf8(self):
        for text in (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\x80"):
            field = bytes([0x0a, len(text)]) + text
            self.assertEqual(self.raw("AuthService/Introspect", field), (INVALID, "UNREADABLE_MESSAGE"))
            inner = bytes([0x12, len(text)]) + text  # credential.name
            self.assertEqual(self.raw("CredentialAdmin/CreateCredential", bytes([0x0a, len(inner)]) + inner),
                             (INVALID, "UNREADABLE_MESSAGE"))

    def test_messages_that_are_none(self):
        for message in (b"\x0a\x7f", b"\x0b", b"\xff" * 20, b"\x0a\xff\xff\xff\xff\x0f"):
            self.assertEqual(self.raw("AuthService/Introspect", message), (INVALID, "UNREADABLE_MESSAGE"))
        self.assertEqual(self.raw("AuthService/Introspect", b"\x0a" + b"\x80" * 400000)[0], "RESOURCE_EXHAUSTED")
        self.assertEqual(self.raw("AuthService/Nothing", b"")[0], "UNIMPLEMENTED")

    def test_roles_and_dates(self):
        self.assertEqual(self.create(roles=["no_such_role"])[:2], ("NOT_FOUND", "NO_SUCH_ROLE"))
        self.assertEqual(self.create(roles=["No Role"]), (INVALID, "INVALID_FIELD", "roles"))
        self.assertEqual(self.create(roles=[]), (INVALID, "INVALID_FIELD", "roles"))
        self.assertEqual(self.create(roles=["work_creator"] * 65), (INVALID, "INVALID_FIELD", "roles"))
        for seconds in (1, -1, 1 << 60):
            self.assertEqual(self.create(expire_time={"seconds": seconds}), (INVALID, "INVALID_FIELD", "credential.expire_time"))

    def test_client_ids_and_secrets(self):
        issue = self.daemon.auth.IssueToken
        for client_id, secret, wanted in (
                ("", "", ("UNAUTHENTICATED", "INVALID_CLIENT")),
                ("x", "y", ("UNAUTHENTICATED", "INVALID_CLIENT")),
                (self.daemon.client_id, "", ("UNAUTHENTICATED", "INVALID_CLIENT")),
                ("x" * 65, "y", (INVALID, "INVALID_FIELD")),
                ("x", "y" * 129, (INVALID, "INVALID_FIELD")),
                ("x\n", "y", (INVALID, "INVALID_FIELD")),
                (self.daemon.client_id, self.daemon.secret + "\n", (INVALID, "INVALID_FIELD"))):
            request = auth_pb2.IssueTokenRequest(client_id=client_id, client_secret=secret)
            self.assertEqual(error_of(lambda: issue(request))[:2], wanted)
        request = auth_pb2.IssueTokenRequest(client_id=self.daemon.client_id, client_secret=self.daemon.secret,
                                             scopes=["user_manager"] * 65)
        self.assertEqual(error_of(lambda: issue(request)), (INVALID, "INVALID_FIELD", "scopes"))

    def test_tokens_and_apis(self):
        for fields, field in (({"token": ""}, "token"), ({"api": "x" * 257}, "api"),
                              ({"api": "a\nb"}, "api"), ({"required_roles": ["x"] * 33}, "required_roles"),
                              ({"use_count": -1}, "use_count"), ({"use_count": 1000001}, "use_count"),
                              ({"used_ago": {"seconds": -1}}, "used_ago"), ({"used_ago": {"seconds": 1201}}, "used_ago")):
            fields.setdefault("token", self.token)
            text = fields.pop("token")
            self.assertEqual(error_of(lambda: self.daemon.introspect(self.token, text, **fields)),
                             (INVALID, "INVALID_FIELD", field))

    def test_tokens_that_are_not_ours_are_inactive_and_revoked_without_an_error(self):
        jwt = "eyJhbGciOiJSUzI1NiJ9." + "e30" * 3000 + ".c2ln"
        for text in ("x", "gate_at_" + "0" * 55, self.token[:-1] + "_", self.token + "0", jwt, self.token + "\n",
                     "a\x01b", "\u0085", "é" * 600, " " + self.token):
            answer = self.daemon.introspect(self.token, text)
            self.assertEqual(answer, auth_pb2.IntrospectResponse())
            answer = self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=text), metadata=Daemon.bearer(self.token))
            self.assertEqual(answer, auth_pb2.RevokeResponse())
        batch = self.daemon.auth.BatchIntrospect(auth_pb2.BatchIntrospectRequest(requests=[
            auth_pb2.BatchIntrospectEntry(token=jwt), auth_pb2.BatchIntrospectEntry(token=self.token)]),
            metadata=Daemon.bearer(self.token))
        self.assertEqual([answer.active for answer in batch.responses], [False, True])

    def test_batches(self):
        ask = lambda requests: self.daemon.auth.BatchIntrospect(
            auth_pb2.BatchIntrospectRequest(requests=requests), metadata=Daemon.bearer(self.token))
        good = auth_pb2.BatchIntrospectEntry(token=self.token)
        self.assertEqual(error_of(lambda: ask([])), (INVALID, "INVALID_FIELD", "requests"))
        self.assertEqual(error_of(lambda: ask([good] * 101)), (INVALID, "INVALID_FIELD", "requests"))
        largest = auth_pb2.BatchIntrospectEntry(token="x" * 512, api="y" * 256, required_roles=["z" * 64] * 32)
        self.assertEqual([r.active for r in ask([largest] * 99 + [good]).responses], [False] * 99 + [True])

    def test_a_wrong_entry_of_a_batch_fails_alone(self):
        """Whatever is wrong with the others: each good one is answered, and counted, as if it were alone."""
        entry, used = auth_pb2.BatchIntrospectEntry, lambda seconds: {"seconds": seconds}
        wrong = [(entry(), "token"), (entry(token="x", api="y" * 257), "api"), (entry(token="x", api="a\nb"), "api"),
                 (entry(token="x", required_roles=["z"] * 33), "required_roles"), (entry(token="x", use_count=-1), "use_count"),
                 (entry(token=self.token, used_ago=used(1201)), "used_ago"), (entry(token=self.token, used_ago=used(-1)), "used_ago"),
                 (entry(token=self.token, used_ago=used(1 << 40)), "used_ago")]
        good = entry(token=self.token, api="GET /alone")
        requests = [each for one, _ in wrong for each in (one, good)]
        answers = self.daemon.auth.BatchIntrospect(auth_pb2.BatchIntrospectRequest(requests=requests),
                                                   metadata=Daemon.bearer(self.token)).responses
        for (_, field), bad, fine in zip(wrong, answers[::2], answers[1::2]):
            self.assertEqual((bad.error.reason, bad.error.field), ("INVALID_FIELD", field))
            self.assertTrue(bad.error.message.startswith(field + " "))
            bad.ClearField("error")
            self.assertEqual(bad, auth_pb2.IntrospectResponse())
            self.assertTrue(fine.active and not fine.HasField("error"))
        rows = self.daemon.admin.QueryUsage(pb.QueryUsageRequest(api="GET /alone"), metadata=Daemon.bearer(self.token)).rows
        self.assertEqual([row.allowed for row in rows], [len(wrong)])

    def test_pages_and_filters(self):
        ask = lambda **fields: error_of(lambda: self.daemon.admin.ListCredentials(
            pb.ListCredentialsRequest(**fields), metadata=Daemon.bearer(self.token)))
        for text in ("x", "00", "0" * 64, "0" * 2049):
            self.assertEqual(ask(page_token=text)[0], INVALID)
        self.assertEqual(ask(page_token="00" * 20), (INVALID, "INVALID_PAGE_TOKEN", "page_token"))
        self.assertEqual(ask(page_size=-1), (INVALID, "INVALID_FIELD", "page_size"))
        for text in ("x", "name", "nothing=1", 'name:"a', "name:a name:b", "name:a OR name:b", "expires<soon",
                     "status=asleep", "a" * 1025):
            self.assertEqual(ask(filter=text), (INVALID, "INVALID_FIELD", "filter"), text)
        self.assertEqual(ask(order_by="colour"), (INVALID, "INVALID_FIELD", "order_by"))

    def test_times_at_both_ends_of_the_calendar_and_beyond(self):
        made = self.daemon.create(self.token, "times")
        client_id, bearer = made.credential.client_id, Daemon.bearer(self.token)
        mask = lambda path: {"paths": [path]}
        setting = lambda name: lambda value: self.daemon.admin.UpdateSettings(
            pb.UpdateSettingsRequest(settings=pb.Settings(**{name: value}), update_mask=mask(name), validate_only=True),
            metadata=bearer)
        query = lambda name: lambda value: self.daemon.admin.QueryUsage(pb.QueryUsageRequest(**{name: value}), metadata=bearer)
        update = lambda value: self.daemon.admin.UpdateCredential(
            pb.UpdateCredentialRequest(credential=pb.Credential(client_id=client_id, expire_time=value),
                                       update_mask=mask("expire_time")), metadata=bearer).credential
        times = {"credential.expire_time": [lambda value: self.daemon.create(self.token, "never made", expire_time=value), update],
                 "start_time": [query("start_time")], "end_time": [query("end_time")]}
        durations = {"used_ago": [lambda value: self.daemon.introspect(self.token, self.token, used_ago=value)],
                     "overlap": [lambda value: self.daemon.admin.RegenerateSecret(
                         pb.RegenerateSecretRequest(client_id=client_id, overlap=value), metadata=bearer)],
                     **{"settings." + name: [setting(name)] for name in ("idle_session_timeout", "max_token_life", "deletion_retention",
                                                           "usage_retention")}}
        wrong = [(-2**63, 0), (2**63 - 1, 0), (-1, 0), (2**60, 999999999), (60, -1), (60, 10**9), (60, 2**31 - 1), (60, -2**31)]
        for fields, more in ((times, [(253402300800, 0), (-62135596800, 0)]), (durations, [(315576000001, 0), (0, -1)])):
            for field, asks in fields.items():
                for ask in asks:
                    for seconds, nanos in wrong + more:
                        self.assertEqual(error_of(lambda: ask({"seconds": seconds, "nanos": nanos})),
                                         (INVALID, "INVALID_FIELD", field), (seconds, nanos))
        for seconds in (2**31 - 1, 2**31, 2**32 - 1, 2**32, 253402300799):  # 2038, 2106, 9999
            self.daemon.create(self.token, f"expires {seconds}", expire_time={"seconds": seconds, "nanos": 999999999})
            answer = update({"seconds": seconds, "nanos": 999999999})
            self.assertEqual((answer.expire_time.seconds, answer.expire_time.nanos), (seconds, 999999000))
            self.assertEqual(answer.status, pb.CREDENTIAL_STATUS_ACTIVE)
            query("start_time")({"seconds": seconds}), query("end_time")({"seconds": seconds})
            self.assertTrue(self.daemon.issue(client_id, made.secret_key).access_token)
        for seconds in (0, 1):  # not: never
            self.assertEqual(update({"seconds": seconds}).status, pb.CREDENTIAL_STATUS_EXPIRED)

    def test_times_in_filters(self):
        ask = lambda text: self.daemon.admin.ListCredentials(pb.ListCredentialsRequest(filter=text),
                                                             metadata=Daemon.bearer(self.token))
        for text in ("9999-12-31T23:59:59.999999999Z", "2106-02-07T06:28:16Z", "1970-01-01T00:00:00+23:59"):
            ask("expires<" + text)
        for text in ("10000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2106-13-01T00:00:00Z", "99999999999999999999"):
            self.assertEqual(error_of(lambda: ask("expires<" + text)), (INVALID, "INVALID_FIELD", "filter"), text)


if __name__ == "__main__":
    unittest.main()

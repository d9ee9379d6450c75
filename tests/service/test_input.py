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
        for name in ("", "a" * 101, "é" * 101, "a\nb", "a\x7fb", "\u0085"):
            self.assertEqual(self.create(name=name), (INVALID, "INVALID_FIELD", "name"), repr(name))
        self.daemon.create(self.token, "é" * 100)
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
            self.assertEqual(self.create(expire_time={"seconds": seconds}), (INVALID, "INVALID_FIELD", "expire_time"))

    def test_client_ids_and_secrets(self):
        issue = self.daemon.auth.IssueToken
        for client_id, secret, wanted in (
                ("", "", ("UNAUTHENTICATED", "INVALID_CLIENT")),
                ("x", "y", ("UNAUTHENTICATED", "INVALID_CLIENT")),
                (self.daemon.client_id, "", ("UNAUTHENTICATED", "INVALID_CLIENT")),
                ("x" * 65, "y", (INVALID, "INVALID_FIELD")),
                ("x", "y" * 129, (INVALID, "INVALID_FIELD")),
                ("x\n", "y", (INVALID, "INVALID_FIELD"))):
            request = auth_pb2.IssueTokenRequest(client_id=client_id, client_secret=secret)
            self.assertEqual(error_of(lambda: issue(request))[:2], wanted)
        request = auth_pb2.IssueTokenRequest(client_id=self.daemon.client_id, client_secret=self.daemon.secret,
                                             scopes=["user_manager"] * 65)
        self.assertEqual(error_of(lambda: issue(request)), (INVALID, "INVALID_FIELD", "scopes"))

    def test_tokens_and_apis(self):
        for fields, field in (({"token": ""}, "token"), ({"token": "x" * 513}, "token"), ({"api": "x" * 257}, "api"),
                              ({"api": "a\nb"}, "api"), ({"required_roles": ["x"] * 33}, "required_roles"),
                              ({"use_count": -1}, "use_count"), ({"use_count": 1000001}, "use_count"),
                              ({"used_ago": {"seconds": -1}}, "used_ago"), ({"used_ago": {"seconds": 1201}}, "used_ago")):
            fields.setdefault("token", self.token)
            text = fields.pop("token")
            self.assertEqual(error_of(lambda: self.daemon.introspect(self.token, text, **fields)),
                             (INVALID, "INVALID_FIELD", field))
        for text in ("x", "gate_at_" + "0" * 55, self.token[:-1] + "_", self.token + "0"):
            answer = self.daemon.introspect(self.token, text)
            self.assertEqual(answer, auth_pb2.IntrospectResponse())

    def test_batches(self):
        ask = lambda requests: self.daemon.auth.BatchIntrospect(
            auth_pb2.BatchIntrospectRequest(requests=requests), metadata=Daemon.bearer(self.token))
        good = auth_pb2.IntrospectRequest(token=self.token)
        self.assertEqual(error_of(lambda: ask([])), (INVALID, "INVALID_FIELD", "requests"))
        self.assertEqual(error_of(lambda: ask([good] * 101)), (INVALID, "INVALID_FIELD", "requests"))
        self.assertEqual(error_of(lambda: ask([good, auth_pb2.IntrospectRequest()]))[:2], (INVALID, "INVALID_FIELD"))
        largest = auth_pb2.IntrospectRequest(token="x" * 512, api="y" * 256, required_roles=["z" * 64] * 32)
        self.assertEqual([r.active for r in ask([largest] * 99 + [good]).responses], [False] * 99 + [True])

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


if __name__ == "__main__":
    unittest.main()

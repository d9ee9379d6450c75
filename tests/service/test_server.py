# SPDX-License-Identifier: Apache-2.0
"""What a server tells of itself, and a caller of the caller."""
import json
import socket
import time
import unittest
import urllib.request

from daemon import DEADLINE, Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon(clock=True))
        cls.token = cls.daemon.admin_token()

    def ask(self, method, token=None):
        metadata = Daemon.bearer(token) if token else ()
        return getattr(self.daemon.admin, method)(getattr(pb, method + "Request")(), metadata=metadata, timeout=DEADLINE)

    def get(self, path, token):
        request = urllib.request.Request(self.daemon.http + path, headers={"Authorization": "Bearer " + token})
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return json.load(answer)


class Server(Case):
    def status(self):
        return self.ask("GetServerStatus", self.token).server_status

    def test_one_server_on_a_file(self):
        status = self.status()
        self.assertEqual((status.store, status.writable, status.schema), ("sqlite", True, 9))
        self.assertEqual(status.version, self.daemon.run("--version").stdout.split()[-1])
        self.assertLessEqual(status.start_time.ToMicroseconds(), status.time.ToMicroseconds())
        self.assertEqual((status.clock_ahead.ToMicroseconds(), status.clock_jump.ToMicroseconds()), (0, 0))
        self.assertEqual(len(status.replicas), 1)
        replica = status.replicas[0]
        self.assertEqual((replica.host, replica.version, replica.answers, replica.leads),
                         (socket.gethostname(), status.version, True, True))
        self.assertEqual(replica.revision, status.position.revision)

    def test_its_position_moves_with_a_change_that_ends_tokens(self):
        before = self.status().position
        made = self.daemon.create(self.token, "Moves")
        ended = self.daemon.admin.DeleteCredential(pb.DeleteCredentialRequest(client_id=made.credential.client_id),
                                                   metadata=Daemon.bearer(self.token), timeout=DEADLINE)
        after = self.status().position
        self.assertGreater(after.revision, before.revision)
        self.assertEqual(after, ended.position)

    def test_a_jump_of_the_clock_is_told(self):
        self.daemon.pass_time(700)  # what has certainly passed is known then
        self.token = self.daemon.admin_token()
        before = self.status().time.ToSeconds()
        self.daemon.move_clock(-40)
        try:
            status = self.status()
            self.assertAlmostEqual(status.clock_jump.ToSeconds(), -40, delta=2)
            self.assertGreater(status.clock_ahead.ToSeconds(), 30)
            self.assertGreater(status.time.ToSeconds(), before - 2)  # and not 40 s back
        finally:
            self.daemon.move_clock(40)

    def test_over_http_it_is_the_same(self):
        told = self.get("/v1/serverStatus", self.token)["serverStatus"]
        self.assertEqual((told["store"], told["schema"], told["replicas"][0]["answers"]), ("sqlite", 9, True))


class Caller(Case):
    def test_an_administrator(self):
        token = self.daemon.issue()
        told = self.ask("GetCaller", token.access_token)
        self.assertEqual((told.credential.client_id, told.token.client_id), (self.daemon.client_id,) * 2)
        self.assertEqual((told.token.accessor, list(told.token.roles)), (token.accessor, list(token.scopes)))
        self.assertEqual((told.administers_as, told.may_introspect, told.identity), ("user_manager", "resource_server" in token.scopes, ""))
        self.assertRegex(told.address, r"127\.0\.0\.1")
        self.assertTrue(told.HasField("time"))

    def test_a_holder_learns_what_its_token_may_and_nothing_of_those_who_administer(self):
        expires = int(time.time()) + 3600
        made = self.daemon.create(self.token, "Holder", ["work_creator", "auditor"], expire_time={"seconds": expires})
        narrowed = self.daemon.issue(made.credential.client_id, made.secret_key, ["work_creator"])
        told = self.ask("GetCaller", narrowed.access_token)
        self.assertEqual((told.credential.name, told.credential.expire_time.seconds), ("Holder", expires))
        self.assertEqual((list(told.token.roles), told.administers_as, told.may_introspect), (["work_creator"], "", False))
        self.assertEqual(list(told.credential.effective_roles), ["auditor", "work_creator"])
        self.assertLessEqual({field.name for field, _ in told.credential.ListFields()},
                             {"client_id", "name", "owner", "expire_time", "effective_roles", "status"})
        whole = self.daemon.issue(made.credential.client_id, made.secret_key)
        self.assertEqual(self.ask("GetCaller", whole.access_token).administers_as, "auditor")
        self.assertEqual(self.get("/v1/caller", whole.access_token)["credential"]["name"], "Holder")

    def test_whoever_is_not_known_is_refused(self):
        ended = self.daemon.issue(scopes=["user_manager"]).access_token
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=ended), metadata=Daemon.bearer(ended), timeout=DEADLINE)
        for token in (None, "gate_at_nonsense", ended):
            self.assertEqual(error_of(lambda token=token: self.ask("GetCaller", token))[:2], ("UNAUTHENTICATED", "CALLER_UNKNOWN"))


if __name__ == "__main__":
    unittest.main()

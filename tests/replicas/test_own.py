# SPDX-License-Identifier: Apache-2.0
"""What a credential may by limits and networks of its own (C14, C15), where two replicas serve: changed at one, obeyed at the other
by the bound; and tokens are counted together, whichever of them issues."""
import time
import unittest

from gatehouse.v1 import credential_admin_pb2 as pb

from daemon import DEADLINE, Daemon, auth_pb2, error_of
from replicas import Replicas

BOUND = 1.0  # seconds: lease_ms by default


class Own(unittest.TestCase):
    def setUp(self):
        self.replicas = self.enterContext(Replicas(2, {"http_address": ""}))
        self.one, self.other = self.replicas.daemons
        self.caller = self.one.admin_token()

    def update(self, client_id, path, value):
        self.one.admin.UpdateCredential(
            pb.UpdateCredentialRequest(credential=pb.Credential(client_id=client_id, **{path: value}), update_mask={"paths": [path]}),
            metadata=Daemon.bearer(self.caller), timeout=DEADLINE)
        return time.monotonic()

    def is_active(self, token, peer):
        request = auth_pb2.IntrospectRequest(token=token, peer=peer)
        return self.other.auth.Introspect(request, metadata=Daemon.bearer(self.caller), timeout=DEADLINE).active

    def issue(self, daemon, made):
        return daemon.issue(made.credential.client_id, made.secret_key).access_token

    def test_networks_that_change_at_one_are_obeyed_at_the_other_by_the_bound(self):
        made = self.one.create(self.caller, "bound")
        token = self.issue(self.one, made)
        self.assertTrue(self.is_active(token, "192.0.2.1"))
        for networks, is_active in ((["10.0.0.0/8"], False), (["192.0.2.0/24"], True), (["2001:db8::/32"], False)):
            changed = self.update(made.credential.client_id, "addresses", {"networks": networks})
            while True:
                begun = time.monotonic()
                if self.is_active(token, "192.0.2.1") == is_active:
                    break
                self.assertLess(begun, changed + (DEADLINE if is_active else BOUND), networks)  # the bound is of what ends
        changed = self.update(made.credential.client_id, "addresses", {"networks": ["192.0.2.0/24"]})  # 127.0.0.1 gets no token
        while error_of(lambda: self.issue(self.other, made))[1] != "SOURCE_ADDRESS_REFUSED":
            self.assertLess(time.monotonic(), changed + DEADLINE)

    def test_tokens_an_hour_are_counted_together(self):
        made = self.one.create(self.caller, "few", limits={"max_tokens_per_hour": 5})
        for i in range(5):
            self.issue((self.one, self.other)[i % 2], made)
        for daemon in (self.one, self.other):
            self.assertEqual(error_of(lambda: self.issue(daemon, made))[:2], ("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS_PER_HOUR"))

    def test_live_tokens_are_counted_together(self):
        made = self.one.create(self.caller, "live", limits={"max_tokens": 3})
        tokens = [self.issue((self.one, self.other)[i % 2], made) for i in range(3)]
        self.assertEqual(error_of(lambda: self.issue(self.other, made))[:2], ("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS"))
        self.one.auth.Revoke(auth_pb2.RevokeRequest(token=tokens[1]), metadata=Daemon.bearer(self.caller), timeout=DEADLINE)
        self.issue(self.other, made)
        self.assertEqual(error_of(lambda: self.issue(self.one, made))[:2], ("RESOURCE_EXHAUSTED", "TOO_MANY_TOKENS"))


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""A relative of PostgreSQL that knows neither LISTEN nor NOTIFY: the bound holds without them."""
import time
import unittest

from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb

from daemon import Daemon
from replicas import Replicas

BOUND = 1.0  # seconds: lease_ms, by default


class Deaf(unittest.TestCase):
    MODE, REASON = "deaf", "syntax error"

    def setUp(self):
        self.replicas = self.enterContext(Replicas(2, {"http_address": ""}, mode=self.MODE))
        self.one, self.other = self.replicas.daemons
        self.caller = self.one.admin_token()
        self.client = self.one.create(self.caller, "unheard")

    def live_token(self):
        token = self.one.issue(self.client.credential.client_id, self.client.secret_key).access_token
        self.assertTrue(self.other.introspect(self.caller, token).active)
        return token

    def assert_heard(self, token):
        """Asked from now on, no question that is sent after the bound is answered "active"."""
        ended = time.monotonic()
        while True:
            sent = time.monotonic()
            if self.other.introspect(self.caller, token) == auth.IntrospectResponse():
                return
            self.assertLess(sent, ended + BOUND, "active after the bound")

    def test_the_log_says_that_there_are_no_notifications(self):
        for daemon in self.replicas.daemons:
            for who in ("following", "writes"):
                self.assertRegex(daemon.log_text(), f"event=store_without_notifications for={who} reason=.*{self.REASON}")

    def test_what_is_ended_is_acknowledged_and_heard_elsewhere_within_the_bound(self):
        for _ in range(10):
            token = self.live_token()
            self.one.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=60)
            self.assert_heard(token)
        token = self.live_token()
        self.one.admin.DeleteCredential(pb.DeleteCredentialRequest(client_id=self.client.credential.client_id),
                                        metadata=Daemon.bearer(self.caller), timeout=60)
        self.assert_heard(token)


class Dumb(Deaf):
    """It knows the words, and warns that they do nothing."""
    MODE, REASON = "dumb", "no transaction in progress"


if __name__ == "__main__":
    unittest.main(verbosity=2)

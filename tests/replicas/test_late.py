# SPDX-License-Identifier: Apache-2.0
"""A token that is read from a store that answers slowly: when the answer comes, much may have happened."""
import contextlib
import time
import unittest

import grpc
from gatehouse.v1 import auth_pb2 as auth

from daemon import Daemon
from replicas import AWAY, Replicas, eventually

BOUND = 1.0  # seconds: lease_ms, by default
READING = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT %FROM token WHERE key%'"


class Late(unittest.TestCase):
    def is_there(self, daemon, caller):
        try:
            return daemon.introspect(caller, caller).active
        except grpc.RpcError as error:
            self.assertIn(error.code(), AWAY)
            return False

    def test_what_was_read_longer_ago_than_the_bound_is_not_called_active(self):
        with Replicas(2, {"http_address": ""}) as replicas:
            one, other = replicas.daemons
            caller = one.admin_token()
            self.assertTrue(other.introspect(caller, caller).active)
            answers = []
            for _ in range(3):
                token = one.admin_token()  # which `other` does not have in memory
                read = replicas.sql(f"SELECT max(query_start) {READING}")
                before = f"AND query_start > '{read}'" if read else ""
                replicas.networks[1].set("late")
                call = other.auth.Introspect.future(auth.IntrospectRequest(token=token), metadata=Daemon.bearer(caller),
                                                    timeout=60)
                with contextlib.suppress(AssertionError):  # it looks at the log first, where the lease has just run out
                    eventually(lambda: replicas.sql(f"SELECT count(*) {READING} {before}") != "0", 5)
                one.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(caller), timeout=60)
                ended = time.monotonic()
                time.sleep(2 * BOUND)  # nothing else shows that the bound is over
                replicas.networks[1].set("pass")
                try:
                    answer = call.result()
                    self.assertGreater(time.monotonic(), ended + BOUND)
                    answers.append(answer.active)
                except grpc.RpcError as error:
                    self.assertIn(error.code(), AWAY)
                eventually(lambda: self.is_there(other, caller))
            print(answers)
            self.assertNotIn(True, answers, "active after the bound")


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""What ends is announced once, by whichever replica does it, also when that one has gone."""
import socket
import time
import unittest

from gatehouse.v1 import credential_admin_pb2 as pb
from replicas import Replicas, eventually

DAY = 86400


class Announced(unittest.TestCase):
    def hosts(self, daemon, caller):
        """Of each server on the database: which one it is, does it answer, does it lead?"""
        status = daemon.admin.GetServerStatus(pb.GetServerStatusRequest(), metadata=daemon.bearer(caller), timeout=60).server_status
        self.assertEqual((status.store, status.writable, len(status.replicas)), ("postgresql", True, 2))
        for replica in status.replicas:
            self.assertEqual((replica.host, replica.version), (socket.gethostname(), status.version))
            self.assertLessEqual(replica.revision, status.position.revision)
            self.assertGreaterEqual(replica.lag.ToMicroseconds(), 0)
        return sorted(("other" if replica.answers else "killed", replica.answers, replica.leads) for replica in status.replicas)

    def test_each_end_is_told_once_by_one_of_them_or_the_next(self):
        replicas = self.enterContext(Replicas(2, {"http_address": "", "flush_interval_ms": "10"}, clock=True))
        one, other = replicas.daemons
        caller = one.admin_token()
        self.assertEqual([leads for *_, leads in self.hosts(one, caller)].count(True), 1)
        for daemon in replicas.daemons:
            daemon.pass_time(700)  # what has certainly passed is known then

        def due(name):
            made = other.create(caller, name, expire_time={"seconds": int(time.time()) + 6 * DAY})
            replicas.sql(f"UPDATE credential SET announce = 1 WHERE name = '{name}'")
            return made.credential.client_id

        def told(client):
            return replicas.sql("SELECT string_agg(detail, ' ') FROM audit WHERE action = 'CredentialExpires'"
                                f" AND actor = 'gatehoused' AND subject = '{client}'")
        first = due("first")
        eventually(lambda: told(first))
        one.kill()  # it may have been the one that does this
        second = due("second")
        eventually(lambda: told(second))
        self.assertEqual(self.hosts(other, caller), [("killed", False, False), ("other", True, True)])
        self.assertEqual(told(second).count("within 7 days"), 1)
        self.assertEqual(told(first).count("within"), 1)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""What ends is announced once, by whichever replica does it, also when that one has gone."""
import time
import unittest

from replicas import Replicas, eventually

DAY = 86400


class Announced(unittest.TestCase):
    def test_each_end_is_told_once_by_one_of_them_or_the_next(self):
        replicas = self.enterContext(Replicas(2, {"http_address": "", "flush_interval_ms": "10"}, clock=True))
        one, other = replicas.daemons
        caller = one.admin_token()
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
        replicas.sql("UPDATE process SET seen = 1")  # as if it had been silent for three minutes; the other says that it is there
        second = due("second")
        eventually(lambda: told(second), 240)
        self.assertEqual(told(second).count("within 7 days"), 1)
        self.assertEqual(told(first).count("within"), 1)


if __name__ == "__main__":
    unittest.main()

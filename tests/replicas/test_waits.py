# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom, and that nothing is done for callers who have left. What is slow here waits for a lock that the test
holds, so it is slow for as long as the test wants."""
import http.client
import unittest

import grpc
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb

from daemon import DEADLINE, Daemon
from postgres import Postgres
from replicas import eventually
from session import Session

QUICK = 0.3  # seconds: a deadline that is to pass


class Waits(unittest.TestCase):
    def setUp(self):
        self.postgres = self.enterContext(Postgres())
        self.store = self.postgres.new_database()
        self.daemon = self.enterContext(Daemon({"store": self.store}))
        self.caller = self.daemon.admin_token()
        self.client = self.daemon.create(self.caller, "waits")

    def waiting(self):
        """Statements of the daemon that wait for a lock."""
        return int(self.postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gatehoused'"
                                     " AND wait_event_type = 'Lock'", self.store))

    def stopped(self):
        """Statements that the server was asked to stop."""
        with open(self.postgres.folder + "/log") as log:
            return log.read().count("canceling statement due to user request")

    def verify(self, **options):
        return self.daemon.admin.VerifyAuditLog.future(pb.VerifyAuditLogRequest(), metadata=Daemon.bearer(self.caller),
                                                       **options)

    def issue(self, **options):
        return self.daemon.auth.IssueToken.future(auth.IssueTokenRequest(
            client_id=self.client.credential.client_id, client_secret=self.client.secret_key), **options)

    def tokens(self):
        return int(self.postgres.sql("SELECT count(*) FROM token t JOIN credential c ON c.id = t.credential"
                                     f" WHERE c.client_id = '{self.client.credential.client_id}'", self.store))

    def test_an_introspection_from_the_store_waits_for_no_report(self):
        token = self.issue().result().access_token
        self.daemon.stop()
        self.daemon.start()  # and knows no token
        with Session(self.store, "LOCK TABLE audit IN ACCESS EXCLUSIVE MODE"):
            reports = [self.verify(timeout=DEADLINE) for _ in range(6)]
            lists = [self.daemon.admin.ListAuditEvents.future(pb.ListAuditEventsRequest(), timeout=DEADLINE,
                                                              metadata=Daemon.bearer(self.caller)) for _ in range(6)]
            eventually(lambda: self.waiting() >= 4)  # all that may be under way
            self.assertTrue(self.daemon.introspect(self.caller, token).active)
            self.assertFalse(any(report.done() for report in reports + lists))
            for report in reports + lists:
                report.cancel()

    def test_the_database_works_for_nobody_who_has_left(self):
        with Session(self.store, "LOCK TABLE audit IN ACCESS EXCLUSIVE MODE"):
            reports = [self.verify(timeout=DEADLINE) for _ in range(2)]
            eventually(lambda: self.waiting() == 2)
            for report in reports:
                report.cancel()
            eventually(lambda: self.waiting() == 0)
            self.assertEqual(self.stopped(), 2)
            with self.assertRaises(grpc.RpcError) as failure:
                self.verify(timeout=QUICK).result()
            self.assertEqual(failure.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            eventually(lambda: self.stopped() == 3)
        self.assertTrue(self.verify(timeout=DEADLINE).result().intact)

    def test_nor_for_one_who_hung_up(self):
        with Session(self.store, "LOCK TABLE audit IN ACCESS EXCLUSIVE MODE"):
            connection = http.client.HTTPConnection("127.0.0.1", self.daemon.http_port, timeout=DEADLINE)
            connection.request("GET", "/v1/audit:verify", headers={"Authorization": "Bearer " + self.caller})
            eventually(lambda: self.waiting() == 1)
            connection.close()
            eventually(lambda: self.waiting() == 0)
            self.assertEqual(self.stopped(), 1)

    def test_no_token_is_made_after_its_caller_was_told_that_the_deadline_has_passed(self):
        with Session(self.store, "SELECT value FROM counter WHERE name = 'lock' FOR UPDATE"):
            before = self.daemon.admin.CreateRole.future(pb.CreateRoleRequest(role=pb.Role(role_id="held_up")), timeout=DEADLINE,
                                                         metadata=Daemon.bearer(self.caller))
            eventually(lambda: self.waiting() == 1)  # the one writer
            late = [self.issue(timeout=QUICK) for _ in range(3)]
            left = [self.issue(timeout=DEADLINE) for _ in range(3)]
            for call in late:
                self.assertEqual(call.exception().code(), grpc.StatusCode.DEADLINE_EXCEEDED)
            for call in left:
                call.cancel()
            kept = self.issue(timeout=DEADLINE)
        before.exception()  # it may have waited for too long
        self.assertTrue(kept.result().access_token)
        self.assertEqual(self.tokens(), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)

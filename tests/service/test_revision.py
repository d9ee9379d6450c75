# SPDX-License-Identifier: Apache-2.0
"""The position of an answer promises what the answer has seen, also while the token is being revoked."""
import contextlib
import sqlite3
import threading
import unittest

from gatehouse.v1 import auth_pb2 as auth

from daemon import Daemon

CALLERS = 3
REVOCATIONS = 1500
TOGETHER = 100  # introspections of the token in one call
INACTIVE = b"\n\0"  # the end of an answer of which the last is inactive: an empty message


class Caller(threading.Thread):
    """Asks for one token after the other, each until it is inactive, and notes the greatest revision of an active answer."""

    def __init__(self, daemon, caller, barrier, tokens):
        super().__init__()
        self.daemon_under_test, self.caller, self.barrier, self.tokens = daemon, caller, barrier, tokens
        self.greatest, self.asked, self.error = [], 0, None
        self.start()

    def run(self):
        try:
            with self.daemon_under_test.open_channel() as channel:
                # Bytes, so that the server and not this program is what is busy.
                self.ask_for_all(channel.unary_unary("/gatehouse.v1.AuthService/BatchIntrospect"))
        except Exception as error:  # the main thread tells it
            self.error = error
            self.barrier.abort()

    def ask_for_all(self, ask):
        for token in self.tokens:
            request = auth.BatchIntrospectRequest(
                requests=[auth.BatchIntrospectEntry(token=token, no_touch=True)] * TOGETHER).SerializeToString()
            before, answer = b"", ask(request, metadata=Daemon.bearer(self.caller), timeout=60)
            self.barrier.wait(60)  # all have asked: now it is revoked
            while not answer.endswith(INACTIVE):
                before, answer = answer, ask(request, metadata=Daemon.bearer(self.caller), timeout=60)
                self.asked += TOGETHER
            self.greatest.append(max(self.revisions(before) + self.revisions(answer), default=0))

    @staticmethod
    def revisions(answer):
        return [one.position.revision for one in auth.BatchIntrospectResponse.FromString(answer).responses if one.active]


class Revision(unittest.TestCase):
    def test_no_active_answer_claims_to_have_seen_the_revocation_of_its_token(self):
        with Daemon({"http_address": ""}) as daemon:
            caller = daemon.admin_token()
            client = daemon.create(caller, "raced")
            tokens = [daemon.issue(client.credential.client_id, client.secret_key).access_token for _ in range(REVOCATIONS)]
            barrier = threading.Barrier(CALLERS + 1)
            callers = [Caller(daemon, caller, barrier, tokens) for _ in range(CALLERS)]
            with contextlib.suppress(threading.BrokenBarrierError):
                for token in tokens:
                    barrier.wait(60)
                    daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=60)
            for thread in callers:
                thread.join()
                self.assertIsNone(thread.error)
            with contextlib.closing(sqlite3.connect(f"file:{daemon.folder}/gatehouse.db?mode=ro", uri=True)) as database:
                log = [row[0] for row in database.execute("SELECT revision FROM change_log ORDER BY revision")]
            revocations = log[-REVOCATIONS:]  # nothing else has changed since
            wrong = [thread.greatest[i] - revision for i, revision in enumerate(revocations) for thread in callers
                     if thread.greatest[i] >= revision]
            print(f"asked {sum(thread.asked for thread in callers)} times; {len(wrong)} answers were too new")
            self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""The table of tokens does not grow without end: what is dead is removed, a few at a time, and nothing that is live."""
import sqlite3
import time
import unittest

from daemon import Daemon, auth_pb2
from gatehouse.v1 import credential_admin_pb2 as pb


class Reaper(unittest.TestCase):
    def rows(self, daemon):
        with sqlite3.connect(f"file:{daemon.folder}/gatehouse.db?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM token").fetchone()[0]

    def wait_for(self, daemon, wanted):
        end = time.monotonic() + 60
        while self.rows(daemon) != wanted:
            self.assertLess(time.monotonic(), end, f"{self.rows(daemon)} rows, not {wanted}")
            time.sleep(0.05)

    def issue_many(self, daemon, made, count):
        request = auth_pb2.IssueTokenRequest(client_id=made.credential.client_id, client_secret=made.secret_key)
        calls = [daemon.auth.IssueToken.future(request) for _ in range(count)]
        return [call.result().access_token for call in calls]

    def test_idle_tokens_are_removed_and_live_ones_stay(self):
        with Daemon({"http_address": "", "flush_interval_ms": "20"}, clock=True) as daemon:
            made = daemon.create(daemon.admin_token(), "many")
            self.issue_many(daemon, made, 2500)
            daemon.pass_time(15 * 60)
            caller, kept = daemon.admin_token(), self.issue_many(daemon, made, 10)
            daemon.pass_time(10 * 60)  # the first are dead for more than a minute, the others idle for ten
            self.wait_for(daemon, 11)
            self.assertTrue(all(daemon.introspect(caller, text, no_touch=True).active for text in kept))

    def test_tokens_of_an_earlier_epoch_and_of_purged_credentials_are_removed(self):
        with Daemon({"http_address": "", "flush_interval_ms": "20"}) as daemon:
            token = daemon.admin_token()
            made = daemon.create(token, "epoch")
            self.issue_many(daemon, made, 100)
            daemon.admin.EndTokens(pb.EndTokensRequest(client_id=made.credential.client_id), metadata=Daemon.bearer(token))
            self.wait_for(daemon, 1)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Writes are impossible for longer than the idle timeout, while tokens are used from memory all the time: none of them is
lost for it, and each can still be revoked. And rows that vanish while their tokens are in use are noticed."""
import contextlib
import os
import sqlite3
import struct
import subprocess
import tempfile
import time
import unittest

from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from daemon import Daemon

MINUTE = 60
TOKENS = 9900  # the reaper looks at 1,000 in a round: which come next is chance, hardly the 1,000 that are stored first
SETTINGS = {"http_address": "", "flush_interval_ms": "50"}


def wait_for(test, seconds=60):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise AssertionError("it never happened")
        time.sleep(0.02)


class InUse:
    """A daemon with an idle timeout of a minute and tokens in its memory, which are used whenever time passes."""

    def __init__(self, daemon, path, count):
        self.daemon, self.path = daemon, path
        for _ in range(3):  # until its clock is trusted, whatever it was set to at the start
            self.daemon.pass_time(11 * MINUTE)
            self.caller = daemon.admin_token()
        daemon.admin.UpdateSettings(
            pb.UpdateSettingsRequest(settings=pb.Settings(idle_session_timeout=Duration(seconds=MINUTE)),
                                     update_mask=FieldMask(paths=["idle_session_timeout"])),
            metadata=Daemon.bearer(self.caller), timeout=60)
        self.client = daemon.create(self.caller, "in use")
        request = auth.IssueTokenRequest(client_id=self.client.credential.client_id, client_secret=self.client.secret_key)
        calls = [daemon.auth.IssueToken.future(request, timeout=60) for _ in range(count)]
        self.tokens = [call.result().access_token for call in calls]

    def ask(self, tokens, **fields):
        states = []
        for i in range(0, len(tokens), 100):
            some = [auth.BatchIntrospectEntry(token=token, **fields) for token in tokens[i:i + 100]]
            states += [answer.active for answer in self.daemon.auth.BatchIntrospect(
                auth.BatchIntrospectRequest(requests=some), metadata=Daemon.bearer(self.caller), timeout=60).responses]
        return states

    def use(self):
        assert all(self.ask(self.tokens, api="GET /")), "a token in use is inactive"

    def use_for(self, minutes):
        for _ in range(2 * minutes):
            self.daemon.pass_time(MINUTE / 2)
            self.use()

    def restart(self, how):
        how()
        self.daemon.start()
        self.caller = self.daemon.admin_token()

    def stored_before(self, when):
        """How many rows there are, and how many of them were used last before that."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as database:
            return database.execute(
                "SELECT count(*), coalesce(sum(t.last_used < ?), 0) FROM token t JOIN credential c ON c.id = t.credential"
                " WHERE c.name = 'in use'", (when,)).fetchone()

    def flush(self):
        """Until a use of each is stored, of those that have a row: one that is worth a write."""
        self.daemon.pass_time(MINUTE / 20 + 1)
        when = int(time.time() * 1_000_000) + struct.unpack("q", self.daemon.shift[:8])[0]
        self.use()
        wait_for(lambda: self.stored_before(when)[1] == 0)

    def failures(self):
        return self.daemon.log_text().count("event=flush_failed")

    def fail_to_flush(self):
        """Until a flush has failed that began after this."""
        before = self.failures()
        wait_for(lambda: self.failures() >= before + 2)


class Outage:
    """What holds after an outage of any kind; outage() is a context in which nothing can be written."""
    def setUp(self):
        self.folder = self.enterContext(self.place())
        self.daemon = self.enterContext(Daemon({**SETTINGS, "store": f"sqlite:{self.folder}/g.db"}, clock=True))
        self.used = InUse(self.daemon, self.folder + "/g.db", TOKENS)
        with self.outage():
            self.used.use_for(minutes=3)  # the timeout, the minute that the reaper waits, and one more
            self.used.fail_to_flush()

    def place(self):
        return tempfile.TemporaryDirectory(prefix="gatehouse-outage-")

    def assert_all_live(self):
        self.assertEqual(self.used.ask(self.used.tokens, no_touch=True).count(False), 0, "tokens in use were lost")

    def test_every_token_that_was_in_use_is_still_live_also_after_a_restart(self):
        self.used.flush()
        self.assertEqual(self.used.stored_before(0)[0], TOKENS, "rows of tokens in use were removed")
        self.assert_all_live()
        self.used.restart(self.daemon.kill)
        self.assert_all_live()
        self.used.restart(self.daemon.stop)
        self.assert_all_live()

    def test_revoking_any_of_them_ends_it_at_once_and_for_good(self):
        self.used.flush()
        revoked = self.used.tokens[::99]
        for token in revoked:
            self.daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=60)
        self.assertEqual(self.used.ask(revoked).count(True), 0, "revoked, and active")
        self.used.restart(self.daemon.kill)
        self.assertEqual(self.used.ask(revoked).count(True), 0, "revoked, and active after a restart")


@contextlib.contextmanager
def locked(path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


class Killed(unittest.TestCase):
    """The daemon ends before it could store anything: the uses are lost (.github/SECURITY.md), and nothing else is."""

    def test_tokens_are_idle_by_what_was_stored_and_what_had_ended_stays_so(self):
        daemon = self.enterContext(Daemon(SETTINGS, clock=True))
        path = daemon.folder + "/gatehouse.db"
        used = InUse(daemon, path, 100)
        revoked = used.tokens.pop()
        daemon.auth.Revoke(auth.RevokeRequest(token=revoked), metadata=Daemon.bearer(revoked), timeout=60)
        with locked(path):
            used.use_for(minutes=3)
            used.fail_to_flush()
            daemon.kill()
        daemon.start()
        used.caller = daemon.admin_token()
        self.assertEqual(used.ask([*used.tokens, revoked], api="GET /").count(True), 0)
        fresh = daemon.issue(used.client.credential.client_id, used.client.secret_key).access_token
        self.assertEqual(used.ask([fresh], api="GET /"), [True])


class Locked(Outage, unittest.TestCase):
    def outage(self):
        return locked(self.folder + "/g.db")


@unittest.skipIf(os.geteuid() != 0, "mounting a small disk needs root")
class Full(Outage, unittest.TestCase):
    @contextlib.contextmanager
    def place(self):
        folder = tempfile.mkdtemp(prefix="gatehouse-outage-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
            os.rmdir(folder)

    @contextlib.contextmanager
    def outage(self):
        reader = sqlite3.connect(f"file:{self.folder}/g.db?mode=ro", uri=True, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM token").fetchone()  # from now on the write-ahead log cannot begin anew
        with open(self.folder + "/filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        while self.used.failures() == 0:
            self.used.use()
        yield
        reader.close()
        os.unlink(self.folder + "/filler")


class Gone(unittest.TestCase):
    """A row that is deleted behind the daemon's back while its token is in memory."""

    def setUp(self):
        self.daemon = self.enterContext(Daemon(SETTINGS, clock=True))
        self.used = InUse(self.daemon, self.daemon.folder + "/gatehouse.db", 20)
        self.used.flush()
        with contextlib.closing(sqlite3.connect(self.daemon.folder + "/gatehouse.db", timeout=60)) as database, database:
            database.execute("DELETE FROM token WHERE credential = (SELECT id FROM credential WHERE name = 'in use')")

    def test_a_token_in_use_whose_row_is_gone_is_inactive_soon_and_the_log_says_so(self):
        before = self.daemon.log_text()
        wait_for(lambda: not any(self.used.ask(self.used.tokens, api="GET /")), 20)
        said = self.daemon.log_text()[len(before):]
        self.assertIn("level=warn", said)
        self.assertFalse([token for token in self.used.tokens if token in said])

    def test_revoking_a_token_whose_row_is_gone_ends_it_at_once(self):
        for token in self.used.tokens:
            self.daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.used.caller), timeout=60)
            self.assertEqual(self.daemon.introspect(self.used.caller, token), auth.IntrospectResponse())


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""A clock that jumps: ahead, back, before a start, for a second, for long, out of the calendar."""
import re
import sqlite3
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import grpc
from daemon import DEADLINE, Daemon, error_of
from gatehouse.v1 import credential_admin_pb2 as pb

OFF = {"http_address": "", "flush_interval_ms": "50"}
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400
SETTLES = 10 * MINUTE + 1


def get(url, body=None):
    with urllib.request.urlopen(url, body, timeout=DEADLINE) as answer:
        return answer.read().decode()


class Case(unittest.TestCase):
    def start(self, settings=None, **more):
        return self.enterContext(Daemon({**OFF, **(settings or {})}, clock=True, **more))

    def settle(self, daemon):
        """The time that the clock shows now has stayed for long enough, and the store knows it."""
        for _ in range(2):  # what is left of a window, and a whole one
            daemon.admin_token()  # asks for the time: who does not look does not know
            daemon.pass_time(SETTLES)
            daemon.admin_token()
        self.flush(daemon)

    def flush(self, daemon):
        """A flush that began now is over: a use is in the store."""
        made = daemon.create(daemon.admin_token(), f"flush {time.monotonic_ns()}")
        daemon.issue(made.credential.client_id, made.secret_key)
        end = time.monotonic() + DEADLINE
        while not self.secret_use(daemon, made.credential.client_id):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    @staticmethod
    def secret_use(daemon, client_id):
        found = daemon.admin.GetCredential(pb.GetCredentialRequest(client_id=client_id),
                                           metadata=daemon.bearer(daemon.admin_token()), timeout=DEADLINE)
        return found.credential.secrets[0].HasField("last_use_time")

    def short(self, daemon, name="short", ends=HOUR):
        """A credential that expires in an hour."""
        now = self.now_of(daemon)
        return daemon.create(daemon.admin_token(), name, expire_time={"seconds": now + ends})

    @staticmethod
    def now_of(daemon):
        """By its wall clock."""
        return int(time.time()) + int.from_bytes(daemon.shift[:8], "little", signed=True) // 1_000_000

    @staticmethod
    def is_served(daemon, made):
        try:
            return bool(daemon.issue(made.credential.client_id, made.secret_key).access_token)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                return False
            raise

    def count(self, daemon, event):
        return daemon.log_text().count(f"event={event} ")


class Ahead(Case):
    def test_two_hours_ahead_for_a_second_leave_nothing_behind(self):
        for is_settled in (False, True):
            daemon = self.start()
            if is_settled:
                self.settle(daemon)
            made = self.short(daemon)
            self.assertTrue(self.is_served(daemon, made))
            daemon.move_clock(2 * HOUR)
            self.assertFalse(self.is_served(daemon, made))
            self.flush(daemon)
            daemon.move_clock(-2 * HOUR)
            self.assertTrue(self.is_served(daemon, made))
            self.flush(daemon)
            daemon.stop()
            daemon.start()
            self.assertTrue(self.is_served(daemon, made))
            self.assertNotIn("event=clock_behind", daemon.log_text())

    def test_nor_where_it_was_put_right_while_the_daemon_was_off(self):
        daemon = self.start()
        made = self.short(daemon)
        daemon.move_clock(2 * HOUR)
        self.assertFalse(self.is_served(daemon, made))
        self.flush(daemon)
        daemon.stop()
        daemon.move_clock(-2 * HOUR)
        daemon.start()
        self.assertTrue(self.is_served(daemon, made))

    def test_nor_does_a_kill_while_it_is_ahead(self):
        daemon = self.start()
        made = self.short(daemon)
        daemon.move_clock(2 * HOUR)
        self.flush(daemon)
        daemon.kill()
        daemon.move_clock(-2 * HOUR)
        daemon.start()
        self.assertTrue(self.is_served(daemon, made))

    def test_a_start_fifteen_years_ahead_leaves_nothing_behind(self):
        for is_new in (True, False):
            daemon = self.start(start=not is_new, init=not is_new)
            if not is_new:
                self.settle(daemon)
                daemon.stop()
            daemon.move_clock(15 * YEAR)
            if is_new:
                output = daemon.run("init", "--secret-file", daemon.secret_file).stdout
                daemon.client_id = re.search(r"client_id=(\S+)", output).group(1)
            daemon.start()
            self.flush(daemon)
            daemon.stop()
            daemon.move_clock(-15 * YEAR)
            daemon.start()
            self.assertTrue(self.is_served(daemon, self.short(daemon)))

    def test_what_stays_for_ten_minutes_is_the_time(self):
        daemon = self.start()
        made = self.short(daemon)
        daemon.move_clock(2 * HOUR)
        self.settle(daemon)
        daemon.move_clock(-2 * HOUR)
        self.assertFalse(self.is_served(daemon, made))
        self.flush(daemon)
        daemon.stop()
        daemon.start()
        self.assertFalse(self.is_served(daemon, made))
        self.assertIn("event=clock_behind", daemon.log_text())


    def admin(self, daemon, method, request):
        return getattr(daemon.admin, method)(request, metadata=daemon.bearer(daemon.admin_token()), timeout=DEADLINE)

    def rename(self, daemon, made):
        """What is in memory is made anew."""
        self.admin(daemon, "UpdateCredential", pb.UpdateCredentialRequest(
            credential=pb.Credential(client_id=made.credential.client_id, name="new " + made.credential.name),
            update_mask={"paths": ["name"]}))

    def regenerate(self, daemon, made, **fields):
        return self.admin(daemon, "RegenerateSecret", pb.RegenerateSecretRequest(client_id=made.credential.client_id, **fields))

    def test_a_secret_key_that_was_ended_while_it_was_ahead_stays_so(self):
        daemon = self.start()
        self.settle(daemon)
        leaked, early = (daemon.create(daemon.admin_token(), name) for name in ("leaked", "early"))
        self.regenerate(daemon, early, overlap={"seconds": DAY})
        daemon.move_clock(2 * HOUR)
        self.regenerate(daemon, leaked)
        self.admin(daemon, "EndSecret", pb.EndSecretRequest(client_id=early.credential.client_id,
                                                            secret_id=early.credential.secrets[0].secret_id))
        daemon.move_clock(-2 * HOUR)
        for made in (leaked, early):
            self.assertFalse(self.is_served(daemon, made))
            self.rename(daemon, made)
            self.assertFalse(self.is_served(daemon, made))
        daemon.stop()
        daemon.start()
        for made in (leaked, early):
            self.assertFalse(self.is_served(daemon, made))

    def test_a_secret_key_with_an_overlap_is_found_again(self):
        """Also where memory was made anew, or the daemon started, while the clock was ahead of its end."""
        daemon = self.start()
        self.settle(daemon)
        made = daemon.create(daemon.admin_token(), "overlap")
        self.regenerate(daemon, made, overlap={"seconds": HOUR})
        client_id, ids = made.credential.client_id, lambda: len(self.admin(
            daemon, "GetCredential", pb.GetCredentialRequest(client_id=client_id)).credential.secrets)
        for is_start in (False, True):
            self.assertEqual((self.is_served(daemon, made), ids()), (True, 2))
            daemon.move_clock(2 * HOUR)
            self.rename(daemon, made)
            if is_start:
                daemon.stop()
                daemon.start()
            self.assertEqual((self.is_served(daemon, made), ids()), (False, 1))
            daemon.move_clock(-2 * HOUR)
            self.assertEqual((self.is_served(daemon, made), ids()), (True, 2))
        daemon.pass_time(HOUR)
        self.assertEqual((self.is_served(daemon, made), ids()), (False, 1))

    def test_a_wrong_secret_is_told_so_after_a_jump_as_before(self):
        daemon = self.start()
        wrong = lambda: error_of(lambda: daemon.issue(secret="wrong"))[:2]
        unknown = lambda: error_of(lambda: daemon.introspect("nobody", "x"))[:2]
        for seconds in (2 * HOUR, -2 * HOUR):
            daemon.move_clock(seconds)
            self.assertEqual(wrong(), ("UNAUTHENTICATED", "INVALID_CLIENT"))
            self.assertEqual(unknown(), ("UNAUTHENTICATED", "CALLER_UNKNOWN"))


class Back(Case):
    """Nothing idle lives longer than by the settled time."""

    def test_set_back_an_hour_while_running_nothing_lives_longer(self):
        daemon = self.start()
        self.settle(daemon)
        token = daemon.admin_token()
        daemon.pass_time(5 * MINUTE)
        daemon.move_clock(-60 * MINUTE)
        self.assertTrue(daemon.introspect(daemon.admin_token(), token, no_touch=True).active)
        daemon.pass_time(16 * MINUTE)
        self.assertFalse(daemon.introspect(daemon.admin_token(), token).active)

    def test_what_is_idle_stays_so_when_it_is_set_back(self):
        daemon = self.start()
        self.settle(daemon)
        token = daemon.admin_token()
        daemon.pass_time(21 * MINUTE)
        caller = daemon.admin_token()
        daemon.move_clock(-60 * MINUTE)
        self.assertFalse(daemon.introspect(caller, token).active)
        self.assertTrue(daemon.introspect(caller, caller).active)

    def test_nor_when_it_is_set_back_over_a_restart(self):
        daemon = self.start()
        self.settle(daemon)
        token = daemon.admin_token()
        daemon.pass_time(21 * MINUTE)
        caller = daemon.admin_token()
        self.flush(daemon)
        daemon.stop()
        daemon.move_clock(-60 * MINUTE)
        daemon.start()
        self.assertFalse(daemon.introspect(caller, token).active)
        self.assertTrue(daemon.introspect(caller, caller).active)
        self.assertIn("event=clock_behind", daemon.log_text())

    def test_an_expired_credential_stays_expired(self):
        daemon = self.start()
        self.settle(daemon)
        made = self.short(daemon)
        daemon.pass_time(2 * HOUR)
        caller = daemon.admin_token()
        daemon.move_clock(-2 * HOUR)
        self.assertFalse(self.is_served(daemon, made))
        self.assertTrue(daemon.introspect(caller, caller).active)


class Rest(Case):
    def test_a_month_of_rest_raises_no_question_and_ends_at_once_what_expired_meanwhile(self):
        daemon = self.start({"http_address": "127.0.0.1:0"})
        self.settle(daemon)
        made = self.short(daemon, ends=20 * DAY)
        later = self.short(daemon, "later", ends=40 * DAY)
        token = daemon.issue(later.credential.client_id, later.secret_key).access_token
        self.assertTrue(self.is_served(daemon, made))
        daemon.stop()
        daemon.pass_time(30 * DAY)
        before = len(daemon.log_text())
        daemon.start()
        self.assertFalse(self.is_served(daemon, made))
        self.assertTrue(self.is_served(daemon, later))
        self.assertFalse(daemon.introspect(daemon.admin_token(), token).active)
        self.assertEqual(get(daemon.http + "/readyz"), "ok\n")
        log = daemon.log_text()[before:]
        self.assertIn("event=rested seconds=2592", log)
        self.assertNotIn("event=clock_", log)


class OutOfTheCalendar(Case):
    """No token tells a time after February 2106; nothing else ends there, nor in 2038."""

    def remember(self, daemon, seconds):
        with sqlite3.connect(daemon.folder + "/gatehouse.db") as database:
            database.execute("INSERT OR REPLACE INTO counter (name, value) VALUES ('clock', ?)", (seconds,))
        database.close()

    def is_refused(self, daemon):
        answer = error_of(daemon.issue)
        self.assertEqual(answer[:2], ("UNAVAILABLE", "CLOCK_OUT_OF_RANGE"))
        body = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": daemon.client_id,
                                       "client_secret": daemon.secret}).encode()
        with self.assertRaises(urllib.error.HTTPError) as told:
            get(daemon.http + "/OAuth/Token", body)
        self.assertEqual((told.exception.code, told.exception.headers["Retry-After"]), (503, "60"))
        told.exception.close()

    def test_the_wall_clock_beyond_2038_is_a_time_as_any(self):
        daemon = self.start()
        daemon.move_clock(2**31 - time.time() + DAY)
        token = daemon.admin_token()
        answer = daemon.introspect(token, token)
        self.assertTrue(answer.active)
        self.assertGreater(answer.issue_time.seconds, 2**31)
        self.assertTrue(self.is_served(daemon, self.short(daemon)))

    def test_the_wall_clock_beyond_2106_gives_no_token_until_it_is_put_right(self):
        daemon = self.start({"http_address": "127.0.0.1:0"})
        token = daemon.admin_token()
        ahead = int(2**32 - time.time() + DAY)
        daemon.move_clock(ahead)
        self.is_refused(daemon)
        for identity in (token, "x"):
            self.assertEqual(error_of(lambda: daemon.introspect(identity, token))[1], "CALLER_UNKNOWN")
        daemon.move_clock(YEAR * 7000)  # 9100, and no further than the calendar of protocol buffers
        self.is_refused(daemon)
        daemon.move_clock(-YEAR * 7000 - ahead)
        self.assertTrue(daemon.admin_token())

    def test_so_does_a_stored_clock_that_is_there(self):
        daemon = self.start({"http_address": "127.0.0.1:0"})
        for seconds in (2**32 * 1_000_000, 2**32 * 60_000_000, 2**63 - 1):
            daemon.stop()
            self.remember(daemon, seconds)
            daemon.start()
            self.is_refused(daemon)
        daemon.stop()
        self.assertIn("event=clock_behind", daemon.log_text())
        for nothing in (-(2**63), -1, 0):
            self.remember(daemon, nothing)
            daemon.start()
            self.assertTrue(daemon.admin_token())
            daemon.stop()


class Said(Case):
    """In the log, the metrics and /readyz."""

    def setUp(self):
        self.daemon = self.start({"http_address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0"})
        self.settle(self.daemon)

    def metric(self, name):
        text = get(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics")
        return round(float(re.search(rf"(?m)^gatehouse_clock_{name} (\S+)$", text).group(1)))

    def metrics(self):
        """Jumps; minutes that are not settled; minutes behind."""
        return (self.metric("jumps_total"), self.metric("unsettled_seconds") // MINUTE, self.metric("ahead_seconds") // MINUTE)

    def ready(self):
        return get(self.daemon.http + "/readyz")

    def test_a_jump_ahead_and_that_it_is_put_right(self):
        daemon = self.daemon
        self.assertEqual((self.metrics(), self.ready()), ((0, 0, 0), "ok\n"))
        daemon.move_clock(4)  # a leap second, a clock that is set now and then
        self.assertEqual((self.metrics(), self.ready()), ((0, 0, 0), "ok\n"))
        daemon.move_clock(120 * MINUTE)
        self.assertEqual(self.metrics()[::2], (1, 0))
        self.assertIn(self.metrics()[1], (120, 121))
        self.assertRegex(self.ready(), r"^ok\nclock: jumped by \+720\d s; 0 s behind [a-zA-Z ]+\n$")
        self.assertRegex(daemon.log_text(), r"level=warn event=clock_jumped seconds=720\d way=ahead message=")
        daemon.move_clock(-120 * MINUTE)
        self.assertEqual((self.metrics(), self.ready()), ((2, 0, 0), "ok\n"))
        self.assertRegex(daemon.log_text(), r"level=info event=clock_right seconds=7[12]\d\d way=back message=")
        self.assertEqual([self.count(daemon, event) for event in ("clock_jumped", "clock_right", "clock_stays")], [1, 1, 0])

    def test_a_jump_that_stays_and_is_put_right_too_late(self):
        daemon = self.daemon
        daemon.move_clock(120 * MINUTE)
        self.settle(daemon)
        self.assertEqual((self.metrics(), self.ready()), ((1, 0, 0), "ok\n"))
        self.assertEqual([self.count(daemon, event) for event in ("clock_jumped", "clock_stays")], [1, 1])
        daemon.move_clock(-120 * MINUTE)
        self.assertIn(self.metrics(), ((2, 0, 119), (2, 0, 120)))
        self.assertRegex(self.ready(), r"^ok\nclock: jumped by -7\d{3} s; 7\d{3} s behind [a-zA-Z ]+\n$")
        self.assertEqual([self.count(daemon, event) for event in ("clock_jumped", "clock_right")], [2, 0])
        self.settle(daemon)
        self.assertRegex(self.ready(), r"^ok\nclock: jumped by \+0 s; 7\d{3} s behind [a-zA-Z ]+\n$")

    def test_a_jump_back(self):
        self.daemon.move_clock(-30 * MINUTE)
        self.assertIn(self.metrics(), ((1, 0, 29), (1, 0, 30)))
        self.assertRegex(self.daemon.log_text(), r"level=warn event=clock_jumped seconds=1[78]\d\d way=back message=")
        self.daemon.move_clock(30 * MINUTE)
        self.assertEqual((self.metrics(), self.ready()), ((2, 0, 0), "ok\n"))

    def test_nobody_need_ask_for_the_time(self):
        self.daemon.move_clock(-30 * MINUTE)
        end = time.monotonic() + DEADLINE
        while not self.count(self.daemon, "clock_jumped"):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)


if __name__ == "__main__":
    unittest.main()

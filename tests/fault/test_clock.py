# SPDX-License-Identifier: Apache-2.0
"""A clock that is set back: nothing idle lives longer for it."""
import time
import unittest

from daemon import Daemon, error_of

OFF = {"http_address": "", "flush_interval_ms": "50"}
MINUTES = 60


class Clock(unittest.TestCase):
    def test_set_back_an_hour_while_running_nothing_lives_longer(self):
        with Daemon(OFF, clock=True) as daemon:
            token = daemon.admin_token()
            daemon.move_clock(-60 * MINUTES)
            self.assertTrue(daemon.introspect(token, token).active)
            daemon.move_clock(60 * MINUTES + 21 * MINUTES)
            caller = daemon.admin_token()
            self.assertFalse(daemon.introspect(caller, token).active)

    def test_a_token_that_died_stays_dead_when_the_clock_is_set_back(self):
        with Daemon(OFF, clock=True) as daemon:
            token = daemon.admin_token()
            daemon.move_clock(21 * MINUTES)
            caller = daemon.admin_token()
            self.assertFalse(daemon.introspect(caller, token).active)
            daemon.move_clock(-60 * MINUTES)
            self.assertFalse(daemon.introspect(caller, token).active)
            self.assertTrue(daemon.introspect(caller, caller).active)

    def test_nor_when_it_is_set_back_over_a_restart(self):
        with Daemon(OFF, clock=True) as daemon:
            token = daemon.admin_token()
            daemon.move_clock(21 * MINUTES)
            caller = daemon.admin_token()
            self.assertFalse(daemon.introspect(caller, token).active)
            daemon.stop()
            daemon.move_clock(-60 * MINUTES)
            daemon.start()
            self.assertFalse(daemon.introspect(caller, token).active)
            self.assertTrue(daemon.introspect(caller, caller).active)
            self.assertIn("event=clock_behind", daemon.log_text())

    def test_an_expired_credential_stays_expired(self):
        with Daemon(OFF, clock=True) as daemon:
            made = daemon.create(daemon.admin_token(), "short", expire_time={"seconds": int(time.time()) + 3600})
            daemon.move_clock(2 * 3600)
            caller = daemon.admin_token()
            daemon.move_clock(-2 * 3600)
            self.assertEqual(error_of(lambda: daemon.issue(made.credential.client_id, made.secret_key))[:2],
                             ("UNAUTHENTICATED", "INVALID_CLIENT"))
            self.assertTrue(daemon.introspect(caller, caller).active)


if __name__ == "__main__":
    unittest.main()

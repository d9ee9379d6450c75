# SPDX-License-Identifier: Apache-2.0
"""Watch on several replicas of one database: the same history everywhere, one that loses commits, and one that is away."""
import contextlib
import time
import unittest

from gatehouse.v1 import auth_pb2 as auth

from daemon import DEADLINE, Daemon, error_of
from histories import Failover, Group, Restored
from replicas import Replicas
from watcher import HISTORY, TOKEN, UNKNOWN, Ended, Watcher

BOUND = 1.0  # seconds: lease_ms, by default


def make_server(daemon, caller):
    made = daemon.create(caller, "service", roles=["resource_server"])
    return daemon.issue(made.credential.client_id, made.secret_key).access_token


class Lost:
    """Commits that were acknowledged never were."""

    KIND = None

    def setUp(self):
        stack = self.enterContext(contextlib.ExitStack())
        self.group = Group(stack, self.KIND, {})
        self.one, self.other = self.group.daemons
        self.server = make_server(self.one, self.group.caller)
        made = self.one.create(self.group.caller, "client")
        self.issued = [self.one.issue(made.credential.client_id, made.secret_key) for _ in range(3)]
        self.group.catch_up(self.other)
        self.watchers = [stack.enter_context(Watcher(daemon, self.server)) for daemon in self.group.daemons]

    def lose(self):
        """Gives what was lost, the last position of all."""
        lost = []

        def writes():
            for number in range(3):
                lost.append(self.one.create(self.group.caller, f"lost {number}").position)
            for watcher in self.watchers:
                watcher.reach(lost[-1])
        self.group.lose(writes)
        return lost[-1]

    def test_every_stream_is_reset_before_it_is_told_of_the_new_history(self):
        lost = self.lose()
        answer = self.other.auth.Revoke(auth.RevokeRequest(token=self.issued[0].access_token),
                                        metadata=Daemon.bearer(self.group.caller), timeout=DEADLINE)
        for watcher in self.watchers:
            while not watcher.events or watcher.events[-1].accessor != self.issued[0].accessor:
                watcher.next()  # which fails where a revision does not follow the one before
            self.assertEqual(watcher.resets, [UNKNOWN, HISTORY])
            self.assertEqual(watcher.events[-1].position, answer.position)
            self.assertNotIn(lost.change_id, [event.position.change_id for event in watcher.events])
            watcher.ping()

    def test_a_position_of_the_lost_history_is_known_nowhere(self):
        lost = self.lose()
        for daemon in self.group.daemons:
            for _ in range(4):  # the new history comes as far, and farther
                self.one.create(self.group.caller, f"new {time.monotonic()}")
                with Watcher(daemon, self.server, since=lost) as watcher:
                    self.assertEqual(watcher.resets, [UNKNOWN])
        for daemon in self.group.daemons:
            self.assertEqual(error_of(lambda: daemon.introspect(self.server, self.issued[0].access_token, min_position=lost))[:2],
                             ("FAILED_PRECONDITION", "CHANGE_LOST"))


class AfterFailover(Lost, unittest.TestCase):
    KIND = Failover


class AfterRestore(Lost, unittest.TestCase):
    KIND = Restored


class Together(unittest.TestCase):
    def setUp(self):
        self.replicas = self.enterContext(Replicas(2, {"http_address": ""}))
        self.one, self.other = self.replicas.daemons
        self.admin = self.one.admin_token()
        self.server = make_server(self.one, self.admin)
        self.made = self.one.create(self.admin, "client")

    def issue(self):
        return self.one.issue(self.made.credential.client_id, self.made.secret_key)

    def revoke(self, daemon, token):
        return daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.admin), timeout=DEADLINE).position

    def test_all_tell_the_same_and_one_goes_on_for_another(self):
        first, second = Watcher(self.one, self.server), Watcher(self.other, self.server)
        for watcher in first, second:
            watcher.reach(self.made.position)
            watcher.events.clear()
        issued = [self.issue() for _ in range(20)]
        for number, one in enumerate(issued):
            position = self.revoke(self.replicas.daemons[number % 2], one.access_token)
        for watcher in first, second:
            watcher.reach(position)
            self.assertEqual([(event.kind, event.accessor) for event in watcher.events], [(TOKEN, one.accessor) for one in issued])
        self.assertEqual([event.position for event in first.events], [event.position for event in second.events])
        later = self.revoke(self.one, self.issue().access_token)
        second.hang_up()
        with Watcher(self.other, self.server, since=first.position) as third:
            self.assertEqual(third.first.WhichOneof("kind"), "resumed")
            third.reach(later)
        first.hang_up()

    def test_a_replica_looks_for_a_position_that_another_has_told(self):
        for _ in range(50):
            issued = self.issue()
            self.assertTrue(self.other.introspect(self.server, issued.access_token).active)
            position = self.revoke(self.one, issued.access_token)
            self.assertFalse(self.other.introspect(self.server, issued.access_token, min_position=position).active)
            with Watcher(self.other, self.server, since=position) as watcher:  # which is ahead of it
                self.assertEqual(watcher.first.WhichOneof("kind"), "resumed")

    def test_a_replica_that_cannot_look_gives_no_proof(self):
        with Watcher(self.other, self.server) as watcher:
            watcher.ping()
            self.replicas.networks[1].set("hole")
            cut = time.monotonic()
            issued = self.issue()
            self.revoke(self.one, issued.access_token)
            try:
                while True:
                    sent = time.monotonic()
                    watcher.ping()
                    self.assertLess(sent, cut + BOUND, "a proof that it cannot have")
                    time.sleep(0.05)
            except Ended as ended:
                self.assertEqual(ended.code.name, "UNAVAILABLE")
            self.assertNotIn(issued.accessor, [event.accessor for event in watcher.events])
            self.replicas.networks[1].set("pass")
        with Watcher(self.one, self.server, since=watcher.position) as watcher:
            while issued.accessor not in [event.accessor for event in watcher.events]:
                watcher.next()


if __name__ == "__main__":
    unittest.main(verbosity=2)

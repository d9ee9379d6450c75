# SPDX-License-Identifier: Apache-2.0
"""What a credential may by limits and networks of its own (C14, C15), at an edge that remembers its token: as at the server, and when it
changes, by the bound."""
import unittest

from edges import Case, boot_time

MINUTE, IDLE = 60, 20 * 60  # the setting


def seconds(**limits):
    return {name: {"seconds": value} for name, value in limits.items()}


class Own(Case):
    has_one_clock = True

    def change(self, **fields):
        (path, value), = fields.items()
        self.manage(self.daemon, "UpdateCredential", update_mask={"paths": [path]},
                    credential={"client_id": self.third_party[0], path: value})
        return boot_time()

    def remembered(self, **fields):
        """A new token, which the edge answers for."""
        token = self.issue()
        self.await_hit(lambda: self.introspect(token, no_touch=True, **fields))
        return token

    def both(self, token, **fields):
        """What the edge says, which is what the server says."""
        ours, theirs = (self.introspect(token, one, no_touch=True, **fields) for one in (self.edge, self.daemon))
        self.assertEqual((ours.active, ours.refusal, ours.idle_timeout), (theirs.active, theirs.refusal, theirs.idle_timeout))
        return ours

    def pass_time(self, amount):
        self.daemon.pass_time(amount)
        self.until(lambda: self.http("/readyz")[2] == "ok\n", "ready and trusted")

    def observed(self):
        rows = self.manage(self.daemon, "QueryUsage", client_id=self.third_party[0], group_by=["USAGE_GROUPING_API"]).rows
        return {row.api: (row.allowed, row.observed) for row in rows}

    def test_an_idle_timeout_ends_what_is_remembered_and_a_use_there_slides_it(self):
        self.change(limits=seconds(idle_timeout=MINUTE))
        token = self.remembered()
        self.assertEqual(self.both(token).idle_timeout.seconds, MINUTE)
        self.pass_time(30)
        self.assertTrue(self.introspect(token).active)
        self.until(lambda: self.metric(self.edge, "gatehouse_cache_uses_unreported") == 0, "a report")
        self.pass_time(40)
        self.assertTrue(self.both(token).active)
        self.pass_time(MINUTE)
        self.assertFalse(self.both(token).active)

    def test_a_life_ends_what_is_remembered(self):
        self.change(limits=seconds(max_token_life=5 * MINUTE))
        token = self.remembered()
        for _ in range(2):
            self.pass_time(2 * MINUTE)
            self.await_hit(lambda: self.introspect(token, no_touch=True))
            self.assertTrue(self.both(token).active)
        self.pass_time(MINUTE + 1)
        self.assertFalse(self.both(token).active)

    def test_what_is_only_observed_ends_nothing(self):
        self.change(limits={**seconds(idle_timeout=MINUTE, max_token_life=MINUTE),
                            "observe_only": ["LIMIT_IDLE_TIMEOUT", "LIMIT_MAX_TOKEN_LIFE"]})
        token = self.remembered()
        self.pass_time(2 * MINUTE)
        self.assertEqual((self.both(token).active, self.both(token).idle_timeout.seconds), (True, IDLE))
        with self.subTest("and is counted by the server where the edge reports it"):
            self.await_hit(lambda: self.introspect(token, no_touch=True))
            for _ in range(3):
                self.assertTrue(self.introspect(token, api="GET /observed").active)
            self.until(lambda: self.observed() == {"GET /observed": (3, 3)})
            self.change(limits=None)
            self.change(addresses={"networks": ["192.0.2.0/24"], "observe_only": True})
            self.remembered(peer="192.0.2.1")
            self.assertTrue(self.introspect(token, api="GET /outside", peer="198.51.100.1", use_count=2).active)
            self.assertTrue(self.introspect(token, api="GET /inside", peer="192.0.2.1").active)
            self.until(lambda: self.observed() == {"GET /observed": (3, 3), "GET /outside": (2, 2), "GET /inside": (1, 0)})

    def test_a_limit_that_changes_is_obeyed_by_the_bound_and_brings_nothing_back(self):
        for name in ("idle_timeout", "max_token_life"):
            with self.subTest(name):
                token = self.remembered()
                self.pass_time(2 * MINUTE)
                self.await_hit(lambda: self.introspect(token, no_touch=True))
                self.assert_obeyed(token, self.change(limits=seconds(**{name: MINUTE})))
                self.change(limits=None)
                self.remembered()
                self.assertFalse(self.both(token).active)

    def test_networks_that_change_are_obeyed_by_the_bound(self):
        peer = {"peer": "192.0.2.1"}
        token = self.remembered(**peer)
        for networks in (["198.51.100.0/24"], ["192.0.2.0/24"], ["2001:db8::/32"]):
            is_within = networks == ["192.0.2.0/24"]
            changed = self.change(addresses={"networks": networks})
            if is_within:
                self.await_hit(lambda: self.introspect(token, no_touch=True, **peer))
            else:
                self.assert_obeyed(token, changed, **peer)
            self.assertEqual(self.both(token, **peer).active, is_within)


if __name__ == "__main__":
    unittest.main()

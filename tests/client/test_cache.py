# SPDX-License-Identifier: Apache-2.0
"""The cache of libgatehouse against the real daemon: test_cache.py DRIVER. What comes from memory, what ends it, and by when."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.request

from driver import Driver, boot_time
from daemon import DEADLINE, LEASH, Daemon, auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf import timestamp_pb2

LEASE, REPLICAS = 1.0, 1.0  # seconds: cache_lease_ms and lease_ms by default
MEMORY, SERVER = "from memory", "from the server"
HERE = os.path.dirname(os.path.abspath(__file__))


class Relay:
    """Between the driver and the daemon."""

    def __init__(self, port):
        self.port, self.own = port, 0
        self.start()

    def start(self):
        self.process = subprocess.Popen([*LEASH, sys.executable, HERE + "/relay.py", str(self.own), str(self.port)],
                                        stdout=subprocess.PIPE, text=True)
        self.own = int(self.process.stdout.readline())

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()


class Case(unittest.TestCase):
    SETTINGS = {"http_address": ""}

    def setUp(self):
        self.daemon = self.enterContext(Daemon(dict(self.SETTINGS), clock=True))
        self.daemon.settings["grpc_address"] = f"127.0.0.1:{self.daemon.grpc_port}"  # also after a restart
        self.admin = self.daemon.admin_token()
        self.server = self.client("server", "resource_server")
        self.third_party = self.client("Acme", "work_creator", "work_assigner")
        self.token = self.issue()

    def client(self, name, *roles, **fields):
        made = self.daemon.create(self.admin, name, roles or ("work_creator",), **fields)
        return made.credential.client_id, made.secret_key

    def issue(self, client=None):
        return self.daemon.issue(*(client or self.third_party)).access_token

    def manage(self, method, **fields):
        request = getattr(pb, method + "Request")(**fields)
        return getattr(self.daemon.admin, method)(request, metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)

    def is_replica(self):
        return self.daemon.settings["store"].startswith("postgresql:")

    def revoke(self, token):
        return self.daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.admin), timeout=DEADLINE)

    def driver(self, client=None, **environment):
        environment = {"CACHE_ENTRIES": "1000", **environment}
        return Driver(self.daemon, *(client or self.server), **environment)

    def until(self, ask, wanted, what=None):
        """Asks until the answer is as wanted; gives it."""
        end = time.monotonic() + DEADLINE
        while not wanted(said := ask()):
            self.assertLess(time.monotonic(), end, f"{what or ''} never, but {said}")
        return said

    def bind(self, *networks, observe_only=False):
        credential = pb.Credential(client_id=self.third_party[0], addresses={"networks": networks, "observe_only": observe_only})
        return self.manage("UpdateCredential", credential=credential, update_mask={"paths": ["addresses"]})

    def await_hit(self, driver, token):
        return self.until(lambda: driver.ask("cached", token), lambda said: said.endswith(MEMORY), "a hit")

    def await_trust(self, driver):
        self.until(lambda: driver.stats()["trusted"], bool, "trust")

    def burst(self, driver, *words, is_stopped_meanwhile=False, is_stopped=False):
        """What is said of each; none is answered while the server is stopped."""
        if is_stopped or is_stopped_meanwhile:
            self.daemon.process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self.daemon.process.pid, os.WSTOPPED | os.WNOWAIT)
        try:
            self.assertEqual(driver.ask("burst", *words), "asked")
            if is_stopped:
                return driver.read()
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        return driver.read()

    def assert_obeyed(self, driver, token, acknowledged):
        """From the lease's end on, that of a replica and its own, no call that begins is told active; ordinarily it is much
        sooner."""
        bound = LEASE + (REPLICAS if self.is_replica() else 0)
        while True:
            begun = boot_time()
            said = driver.ask("cached", token)
            if begun > acknowledged + bound:
                self.assertFalse(said.startswith("active"), said)
            if said.startswith("inactive"):
                return
            time.sleep(0.001)


class Hits(Case):
    def test_an_answer_comes_from_memory_and_is_what_the_server_says(self):
        with self.driver() as driver, self.driver(CACHE_ENTRIES="0") as plain:
            self.assertEqual(self.await_hit(driver, self.token), f"active allowed Acme {MEMORY}")
            self.assertEqual(driver.ask("stub", self.token), f"active allowed Acme {MEMORY}")
            self.assertEqual(driver.ask("look", self.token), f"active allowed Acme {MEMORY}")
            for roles in ([], ["work_creator"], ["work_creator", "work_assigner"], ["resource_server"], ["no_such_role"],
                          ["work_creator", "team_leader", "work_assigner", "none"], ["work_creator"] * 32):
                ours, theirs = (one.ask("cached", self.token, "/x", *roles) for one in (driver, plain))
                self.assertEqual((ours.removesuffix(MEMORY), ours[-len(MEMORY):]), (theirs.removesuffix(SERVER), MEMORY))
            self.assertEqual(driver.ask("cached", "nonsense"), f"inactive {SERVER}")
            self.assertEqual(driver.ask("cached", "nonsense"), f"inactive {SERVER}")  # which is not kept
            self.assertEqual(plain.stats(), dict.fromkeys(plain.stats(), 0))

    def test_a_check_is_answered_as_an_introspection_is(self):
        client_id = self.third_party[0]
        with self.driver() as driver, self.driver(CACHE_ENTRIES="0") as plain:
            self.await_hit(driver, self.token)
            for roles, said in (([], "allowed"), (["work_creator", "work_assigner"], "allowed"), (["team_leader"], "denied"),
                                (["work_creator", "no_such_role"], "denied"), (["work_creator"] * 32, "allowed")):
                for _ in range(2):
                    self.assertEqual(driver.ask("check", self.token, "/x", *roles), f"active {said} {client_id} {MEMORY}")
                self.assertEqual(plain.ask("check", self.token, "/x", *roles), f"active {said} {client_id} {SERVER}")
            for one in (driver, plain):
                self.assertEqual(one.ask("check", "nonsense"), f"inactive denied  {SERVER}")
                self.assertEqual(one.ask("check", self.token, "/x", *["work_creator"] * 33), "error INVALID_ARGUMENT INVALID_FIELD")
                self.assertEqual(one.ask("check", self.token, "x" * 257), "error INVALID_ARGUMENT INVALID_FIELD")
                self.assertRegex(one.ask("check", "NULL"), "^(error|inactive denied)")
            self.revoke(self.token)
            self.until(lambda: driver.ask("check", self.token), lambda said: said == f"inactive denied  {SERVER}")

    def test_what_is_not_for_the_cache_goes_to_the_server(self):
        other = self.issue(self.client("another", "resource_server"))
        with self.driver() as driver:
            self.await_hit(driver, self.token)
            before = driver.stats()["passed"]
            self.assertTrue(driver.ask("as", other, self.token).endswith(SERVER))
            self.assertEqual(driver.ask("as", self.token, self.token), "error PERMISSION_DENIED CALLER_NOT_ALLOWED")
            self.assertTrue(driver.ask("counted", "5", self.token).endswith(SERVER))
            self.assertEqual(driver.ask("cached", self.token, "/x", *["work_creator"] * 33), "error INVALID_ARGUMENT INVALID_FIELD")
            self.assertEqual(driver.ask("cached", self.token, "x" * 257), "error INVALID_ARGUMENT INVALID_FIELD")
            self.assertRegex(driver.ask("nothing"), "^(error|inactive)")
            self.assertEqual(driver.stats()["passed"], before + 6)
            self.assertEqual(driver.ask("batch", self.token), "active allowed Acme")

    def test_networks_are_judged_as_the_server_judges_them(self):
        inside, outside = ("10.1.2.3", "10.9.9.9:80", "[2001:db8::1]:443", "::ffff:10.0.0.1"), ("192.0.2.1", "2001:db9::1", "9.255.0.1:1")
        self.bind("10.0.0.0/8", "2001:db8::/32")
        with self.driver() as driver:
            self.await_hit(driver, self.token)
            for ask in ("from", "checkfrom"):
                for peer in inside:
                    self.assertRegex(driver.ask(ask, peer, self.token), "^active .*from memory$", peer)
                for peer in outside:
                    self.assertEqual(driver.ask(ask, peer, self.token), f"inactive {SERVER}", peer)
                for peer in ("nonsense", "10.1.2", "10.0.0.1/8"):
                    self.assertEqual(driver.ask(ask, peer, self.token), "error INVALID_ARGUMENT INVALID_FIELD", peer)
            self.assertTrue(driver.ask("cached", self.token).endswith(MEMORY))  # a stranger's attempt ends nobody's answer
            # What is only observed is judged by the server, too: it counts.
            self.bind("10.0.0.0/8", observe_only=True)
            self.until(lambda: driver.ask("from", "192.0.2.1", self.token), lambda said: said == f"active allowed Acme {SERVER}")
            self.until(lambda: driver.ask("from", "10.1.2.3", self.token), lambda said: said == f"active allowed Acme {MEMORY}")
            before = self.observed()
            for _ in range(3):
                self.assertEqual(driver.ask("from", "192.0.2.1", self.token), f"active allowed Acme {SERVER}")
            self.assertEqual(self.observed() - before, 3)

    def observed(self):
        rows = self.manage("QueryUsage", client_id=self.third_party[0], group_by=["USAGE_GROUPING_API"], page_size=1000).rows
        return sum(row.observed for row in rows)

    def test_a_miss_that_waits_for_others_keeps_its_peer(self):
        self.bind("10.0.0.0/8")
        free = self.issue(self.client("free"))
        with self.driver(BURST_PEER="192.0.2.1") as driver:
            self.await_trust(driver)
            self.assertEqual(self.burst(driver, "40", self.token, free, is_stopped_meanwhile=True), "-+" * 40)
            self.await_hit(driver, self.token)
            self.await_hit(driver, free)
            self.assertEqual(driver.ask("together", self.token, free), f"inactive, active {SERVER}")
            self.assertGreater(driver.stats()["batched"], 0)

    def test_a_caller_that_may_not_ask_has_no_answer_from_memory(self):
        with self.driver(self.third_party) as driver:
            for _ in range(3):
                self.assertEqual(driver.ask("cached", self.token), "error PERMISSION_DENIED CALLER_NOT_ALLOWED")
            self.assertEqual(driver.stats()["trusted"], 0)

    def test_memory_is_bounded(self):
        tokens = [self.issue() for _ in range(20)]
        with self.driver(CACHE_ENTRIES="8") as driver:
            self.await_trust(driver)
            for token in tokens:
                self.assertTrue(driver.ask("cached", token).startswith("active"))
            stats = driver.stats()
            self.assertLessEqual(stats["entries"], 8)
            self.assertGreater(stats["evicted"], 0)

    def test_a_position_that_the_stream_has_reached_is_a_hit_and_no_other(self):
        with self.driver(TIMEOUT_MS="1000") as driver:
            self.await_hit(driver, self.token)
            position = self.revoke(self.issue()).position
            after = ("after", str(position.revision), str(position.change_id), self.token)
            self.until(lambda: driver.ask(*after), lambda said: said.endswith(MEMORY), "the position")
            self.assertEqual(driver.ask("after", str(position.revision), "1", self.token),
                             "error FAILED_PRECONDITION CHANGE_LOST")
            self.assertRegex(driver.ask("after", str(position.revision + 1), "1", self.token), "^error (UNAVAILABLE|DEADLINE)")

    def test_a_child_has_no_cache_and_its_parent_keeps_it(self):
        with self.driver() as driver:
            self.await_hit(driver, self.token)
            self.assertIn("status 9", driver.ask("fork", self.token))
            self.assertEqual(driver.read(), "child exit 0")
            self.assertTrue(driver.ask("cached", self.token).endswith(MEMORY))

    def test_a_lease_that_makes_no_sense_is_refused(self):
        for lease in "49", "10001":
            with self.assertRaises((AssertionError, BrokenPipeError)):
                with self.driver(CACHE_LEASE_MS=lease) as driver:
                    driver.process.wait(DEADLINE)


class Ends(Case):
    """A revocation reaches the cache, by whatever it was made."""

    def check(self, driver, token, change):
        self.await_hit(driver, token)
        change()
        self.assert_obeyed(driver, token, boot_time())

    def test_each_rpc_that_ends_tokens(self):
        self.manage("SetUserRoles", user="owner", roles=["work_creator", "work_assigner"])
        with self.driver() as driver:
            self.check(driver, token := self.issue(), lambda: self.revoke(token))
            issued = self.daemon.issue(*self.third_party)
            self.check(driver, issued.access_token, lambda: self.manage("EndToken", accessor=issued.accessor))
            self.check(driver, self.issue(), lambda: self.manage("EndTokens", client_id=self.third_party[0]))
            self.check(driver, self.issue(), lambda: self.manage("RevokeRoles", client_id=self.third_party[0], roles=["work_assigner"]))
            self.check(driver, self.issue(), lambda: self.manage("GrantRoles", client_id=self.third_party[0], roles=["work_assigner"]))
            self.check(driver, self.issue(), lambda: self.manage("DeleteCredential", client_id=self.third_party[0]))
            owned = self.client("owned", "work_creator", "work_assigner", owner="owner")
            self.check(driver, self.issue(owned), lambda: self.manage("SetUserRoles", user="owner", roles=["work_creator"]))
            self.check(driver, self.issue(owned), lambda: self.manage("DeleteUser", user="owner"))
            third = self.client("third")
            past = timestamp_pb2.Timestamp(seconds=int(time.time()) - 10)
            self.check(driver, self.issue(third), lambda: self.manage(
                "UpdateCredential", credential=pb.Credential(client_id=third[0], expire_time=past),
                update_mask={"paths": ["expire_time"]}))

    def test_after_everywhere_no_call_that_begins_is_told_active(self):
        with self.driver() as driver:
            for _ in range(3):
                token = self.issue()
                self.await_hit(driver, token)
                self.manage("EndTokens", client_id=self.third_party[0], everywhere=True)
                self.assertEqual(driver.ask("cached", token), f"inactive {SERVER}")

    def test_its_own_revocation_is_obeyed_at_once(self):
        with self.driver() as driver:
            for _ in range(20):
                token = self.issue()
                self.await_hit(driver, token)
                self.assertEqual(driver.ask("revoke", token, *self.third_party), "revoked")
                self.assertEqual(driver.ask("cached", token), f"inactive {SERVER}")

    def test_a_change_of_settings_ends_all_answers_and_they_come_back(self):
        with self.driver() as driver:
            self.await_hit(driver, self.token)
            self.manage("UpdateSettings", settings=pb.Settings(idle_session_timeout={"seconds": 777}),
                        update_mask={"paths": ["idle_session_timeout"]})
            self.until(lambda: driver.stats(), lambda stats: stats["removed"] == 1, "the event")
            self.await_hit(driver, self.token)

    def test_networks_that_change_are_obeyed_by_the_bound(self):
        with self.driver() as driver:
            for networks, says in ((["10.0.0.0/8"], "inactive"), ([], "active"), (["10.0.0.0/8"], "inactive"), (["0.0.0.0/0"], "active")):
                self.await_hit(driver, self.token)
                self.manage("UpdateCredential", update_mask={"paths": ["addresses"]},
                            credential=pb.Credential(client_id=self.third_party[0], addresses={"networks": networks}))
                acknowledged = boot_time()
                while True:
                    begun = boot_time()
                    said = driver.ask("from", "192.0.2.1", self.token)
                    if said.startswith(says):
                        break
                    self.assertLess(begun, acknowledged + LEASE + (REPLICAS if self.is_replica() else 0), said)

    def test_a_credential_that_expires_ends_its_tokens_in_memory(self):
        # The driver's clocks are the daemon's.
        clock = {"LD_PRELOAD": os.environ["CLOCKSHIFT"], "CLOCKSHIFT_FILE": self.daemon.folder + "/clock"}
        soon = timestamp_pb2.Timestamp(seconds=int(time.time()) + 600)
        client = self.client("brief", expire_time=soon)
        token = self.issue(client)
        with self.driver(**clock) as driver:
            self.await_hit(driver, token)
            for _ in range(9):
                self.daemon.pass_time(60)
                self.await_trust(driver)
                self.assertTrue(driver.ask("cached", token).startswith("active"))
            self.daemon.pass_time(65)
            self.await_trust(driver)
            self.assertEqual(driver.ask("cached", token), f"inactive {SERVER}")

    def limit(self, **seconds):
        limits = {name: {"seconds": value} for name, value in seconds.items()}
        self.manage("UpdateCredential", credential=pb.Credential(client_id=self.third_party[0], limits=limits),
                    update_mask={"paths": ["limits"]})

    def test_limits_of_a_credentials_own_hold_in_memory(self):
        clock = {"LD_PRELOAD": os.environ["CLOCKSHIFT"], "CLOCKSHIFT_FILE": self.daemon.folder + "/clock"}
        with self.driver(**clock) as driver:
            def after(seconds, token):
                self.daemon.pass_time(seconds)
                self.await_trust(driver)
                self.until(lambda: driver.stats()["unreported"], lambda count: count == 0, "a report")
                return driver.ask("cached", token)

            self.limit(max_token_life=600, idle_timeout=300)
            token = self.issue()
            self.await_hit(driver, token)
            for _ in range(4):
                self.assertTrue(after(140, token).startswith("active"))  # it is in use
            self.assertEqual(after(50, token), f"inactive {SERVER}")
            token = self.issue()
            self.await_hit(driver, token)
            self.assertEqual(after(305, token), f"inactive {SERVER}")
            token = self.issue()
            self.await_hit(driver, token)
            self.assertTrue(after(120, token).startswith("active"))
            self.limit(max_token_life=60)
            self.assert_obeyed(driver, token, boot_time())
            self.limit()  # which brings nothing back
            self.await_hit(driver, self.issue())
            self.assertEqual(driver.ask("cached", token), f"inactive {SERVER}")

    def test_any_number_of_threads_never_gets_a_wrong_answer_while_their_caller_is_ended(self):
        rounds = 5
        with self.driver() as driver:
            driver.send("storm", "8", str(rounds), self.token)
            for _ in range(rounds):
                self.assertEqual(driver.read(), "ready")
                self.manage("EndTokens", client_id=self.server[0])
                driver.send("ended")
            self.assertEqual(driver.read(), "all right")
            self.assertGreater(driver.stats()["hits"], 0)

    def test_the_callers_own_end_ends_its_answers(self):
        with self.driver() as driver:
            self.await_hit(driver, self.token)
            self.manage("EndTokens", client_id=self.server[0])  # it gets another token, and trust with it
            self.until(lambda: driver.stats(), lambda stats: stats["streams"] > 1 and stats["trusted"], "another stream")
            self.await_hit(driver, self.token)
            self.manage("RevokeRoles", client_id=self.server[0], roles=["resource_server"])
            revoked = boot_time()
            while True:
                begun = boot_time()
                said = driver.ask("cached", self.token)
                if begun > revoked + LEASE:
                    self.assertFalse(said.startswith("active"), said)
                if said.startswith("error"):
                    break
            self.assertEqual(said, "error PERMISSION_DENIED CALLER_NOT_ALLOWED")


class LongLease(Case):
    SETTINGS = {"http_address": "", "cache_lease_ms": "10000"}

    def test_what_its_pings_say_ends_the_waiting_for_everywhere(self):
        if self.is_replica():
            self.skipTest("of several, the leases are waited for")
        self.daemon.pass_time(11)  # leases of a process before this one
        with self.driver(CACHE_LEASE_MS="10000") as driver:
            self.await_hit(driver, self.token)
            self.assertEqual(driver.stats()["lease"], 10000)
            answer = self.manage("EndTokens", client_id=self.third_party[0], everywhere=True)
            self.assertLess(answer.everywhere_after.seconds, 10)  # its lease, which is waited for where no ping says more
            self.assertEqual(driver.ask("cached", self.token), f"inactive {SERVER}")


class Away(Case):
    """Whatever fails between the two, nothing is active for longer than the lease."""

    def setUp(self):
        super().setUp()
        self.relay = self.enterContext(Relay(self.daemon.grpc_port))
        self.near = {"ADDRESS": f"127.0.0.1:{self.relay.own}", "TIMEOUT_MS": "200"}

    def assert_hits_end(self, driver, token, since):
        """There is nobody to be asked: from the lease's end on, no answer."""
        while True:
            begun = boot_time()
            said = driver.ask("cached", token)
            if begun > since + LEASE:
                self.assertRegex(said, "^error (UNAVAILABLE|DEADLINE_EXCEEDED)")
                return
            self.assertTrue(said.endswith(MEMORY) or said.startswith("error"), said)

    def await_end(self, driver, token):
        self.until(lambda: driver.ask("cached", token), lambda said: said.startswith("inactive"), "the end")

    def test_a_proxy_that_stops(self):
        with self.driver(**self.near) as driver:
            live = self.issue()
            self.await_hit(driver, self.token)
            self.await_hit(driver, live)
            self.relay.send(signal.SIGSTOP)
            self.revoke(self.token)
            self.assert_hits_end(driver, self.token, boot_time())
            self.assertGreater(driver.stats()["unanswered"], 0)
            self.relay.send(signal.SIGCONT)
            self.await_end(driver, self.token)
            self.await_hit(driver, live)

    def test_a_connection_that_is_half_open_is_left_behind(self):
        """The relay stays as it is; the next one, on the same port, is whole."""
        with self.driver(**self.near) as driver:
            live = self.issue()
            self.await_hit(driver, self.token)
            old = self.relay.process
            self.relay.send(signal.SIGSTOP)
            self.revoke(self.token)
            self.assert_hits_end(driver, self.token, boot_time())
            streams = driver.stats()["streams"]
            self.until(lambda: driver.stats()["streams"], lambda count: count > streams, "another stream")
            old.send_signal(signal.SIGCONT)
            self.await_end(driver, self.token)
            self.await_hit(driver, live)

    def test_a_server_that_stops(self):
        with self.driver(**self.near) as driver:
            self.await_hit(driver, self.token)
            self.daemon.process.send_signal(signal.SIGSTOP)
            try:
                self.assert_hits_end(driver, self.token, boot_time())
            finally:
                self.daemon.process.send_signal(signal.SIGCONT)
            self.await_hit(driver, self.token)
            self.revoke(self.token)
            self.assert_obeyed(driver, self.token, boot_time())

    def test_a_cut_is_gone_on_from_without_a_reset(self):
        with self.driver(**self.near) as driver:
            others = [self.issue() for _ in range(5)]
            for token in self.token, *others:
                self.await_hit(driver, token)
            for number, token in enumerate(others):
                self.relay.kill()
                self.revoke(token)
                revoked = boot_time()
                self.assert_hits_end(driver, token, revoked)
                self.relay.start()
                self.await_end(driver, token)
                self.until(lambda: driver.stats()["trusted"], bool, "trust")
            stats = driver.stats()
            self.assertEqual((stats["unknown"], stats["behind"], stats["history"]), (1, 0, 0))  # the first stream's
            self.assertGreater(stats["streams"], len(others))
            misses = stats["misses"]
            self.assertTrue(driver.ask("cached", self.token).endswith(MEMORY))  # it was kept all the time
            self.assertEqual(driver.stats()["misses"], misses)

    def test_a_restored_backup_resets(self):
        if self.is_replica():
            self.skipTest("its backup is a file; tests/watch has histories that PostgreSQL loses")
        with self.driver(**self.near) as driver:
            self.daemon.stop()
            files = [name for name in os.listdir(self.daemon.folder) if name.startswith("gatehouse.db")]
            for name in files:
                shutil.copy(f"{self.daemon.folder}/{name}", f"{self.daemon.folder}/kept-{name}")
            self.daemon.start()
            lost = self.issue()  # of which the backup does not know
            self.await_hit(driver, lost)
            self.await_hit(driver, self.token)
            self.revoke(self.issue())
            self.until(lambda: driver.stats()["events"], bool, "an event")
            before = driver.stats()["unknown"]
            self.daemon.kill()
            for name in os.listdir(self.daemon.folder):
                if name.startswith("gatehouse.db"):
                    os.remove(f"{self.daemon.folder}/{name}")
            for name in files:
                shutil.copy(f"{self.daemon.folder}/kept-{name}", f"{self.daemon.folder}/{name}")
            self.daemon.start()
            self.assert_obeyed(driver, lost, boot_time())
            self.until(lambda: driver.stats()["unknown"], lambda count: count > before, "a reset")
            self.await_hit(driver, self.token)

    def test_a_daemon_that_starts_again_is_ridden_out(self):
        with self.driver(**self.near) as driver:
            self.await_hit(driver, self.token)
            self.assertEqual(self.daemon.stop(), 0)
            self.daemon.start()
            self.until(lambda: driver.stats()["streams"], lambda count: count > 1, "another stream")
            self.await_trust(driver)
            self.await_hit(driver, self.token)
            self.revoke(self.token)
            self.assert_obeyed(driver, self.token, boot_time())

    def test_closing_where_nobody_answers_does_not_last(self):
        with self.driver(**self.near) as driver:
            self.await_hit(driver, self.token)
            self.relay.kill()  # the use is known only here


class Misses(Case):
    def test_many_at_once_go_together_and_each_has_its_own_answer(self):
        tokens = [self.issue() for _ in range(10)]
        self.revoke(tokens[3])
        with self.driver() as driver:
            self.await_trust(driver)
            said = self.burst(driver, "30", *tokens, "nonsense", is_stopped_meanwhile=True)
            stats = driver.stats()
        self.assertEqual(said, "+++-++++++-" * 30)
        self.assertEqual(stats["hits"] + stats["misses"], len(said))
        self.assertGreater(stats["batched"], 100)
        self.assertLess(stats["batched"], stats["misses"])
        counted = self.manage("QueryUsage", client_id=self.third_party[0], group_by=["USAGE_GROUPING_API"]).rows
        self.assertEqual({row.api: row.allowed for row in counted}, {"/burst": said.count("+")})

    def test_each_is_answered_when_its_time_is_over_or_the_server_goes_on(self):
        with self.driver(TIMEOUT_MS="3000") as driver:
            self.await_trust(driver)
            self.assertEqual(self.burst(driver, "40", self.token, is_stopped=True), "d" * 40)
            self.assertEqual(self.burst(driver, "40", self.token), "+" * 40)

    def test_what_the_server_refuses_is_told_to_each(self):
        with self.driver(self.third_party) as driver:
            self.assertEqual(self.burst(driver, "40", self.token), "!" * 40)


class Together(Case):
    """BatchIntrospect, entry by entry."""

    def test_what_memory_knows_is_not_asked_of_the_server(self):
        known, other, new = self.token, self.issue(), self.issue()
        with self.driver() as driver:
            for token in (known, other):
                self.await_hit(driver, token)
            before = driver.stats()
            self.assertEqual(driver.ask("together", known, other + "/team_leader", known + "/work_creator"),
                             f"active, active denied, active {MEMORY}")
            stats = driver.stats()
            self.assertEqual((stats["hits"] - before["hits"], stats["misses"], stats["passed"]),
                             (3, before["misses"], before["passed"]))
            said = driver.ask("together", "nonsense", known, "WRONG", new, other + "/team_leader", new + "/team_leader")
            self.assertEqual(said, f"inactive, active, INVALID_FIELD, active, active denied, active denied {SERVER}")
            last = driver.stats()
            self.assertEqual([last[name] - stats[name] for name in ("hits", "misses", "passed")], [2, 3, 1])
            self.assertEqual(driver.ask("cached", new), f"active allowed Acme {MEMORY}")  # what came was learnt
            self.assertEqual(driver.ask("together"), "error INVALID_ARGUMENT INVALID_FIELD")
            self.assertEqual(driver.ask("together", *[known] * 101), "error INVALID_ARGUMENT INVALID_FIELD")
        counted = self.manage("QueryUsage", client_id=self.third_party[0], group_by=["USAGE_GROUPING_API"]).rows
        counted = {row.api: (row.allowed, row.denied) for row in counted}
        self.assertEqual(counted["/together"], (4, 3))  # each use once, from wherever it was answered

    def test_a_token_that_has_ended_is_active_in_no_batch(self):
        kept = self.issue()
        with self.driver() as driver:
            for _ in range(10):
                token = self.issue()
                for each in (token, kept):
                    self.await_hit(driver, each)
                self.assertEqual(driver.ask("revoke", token, *self.third_party), "revoked")
                self.assertTrue(driver.ask("together", kept, token).startswith("active, inactive"))
            self.manage("EndTokens", client_id=self.third_party[0], everywhere=True)
            self.assertEqual(driver.ask("together", kept, token), f"inactive, inactive {SERVER}")

    def test_a_caller_that_may_not_ask_and_a_server_that_is_away(self):
        with self.driver(self.third_party) as driver:
            self.assertEqual(driver.ask("together", self.token), "error PERMISSION_DENIED CALLER_NOT_ALLOWED")
        with self.driver(TIMEOUT_MS="500") as driver:
            self.await_hit(driver, self.token)
            self.daemon.kill()
            said = driver.ask("together", self.token, "nonsense")
            self.assertRegex(said, "^error (UNAVAILABLE|DEADLINE_EXCEEDED)")


class Uses(Case):
    SETTINGS = {"metrics_address": "127.0.0.1:0"}

    def setUp(self):
        super().setUp()
        self.clock = {"LD_PRELOAD": os.environ["CLOCKSHIFT"], "CLOCKSHIFT_FILE": self.daemon.folder + "/clock"}

    def counted(self, client=None):
        rows = self.manage("QueryUsage", client_id=(client or self.third_party)[0], group_by=["USAGE_GROUPING_API"], page_size=1000).rows
        return {row.api: (row.allowed, row.denied) for row in rows}

    def test_a_token_that_is_used_only_through_the_cache_lives_and_is_counted(self):
        self.manage("UpdateSettings", settings=pb.Settings(idle_session_timeout={"seconds": 300}),
                    update_mask={"paths": ["idle_session_timeout"]})
        asked = 0
        with self.driver(**self.clock) as driver:
            while True:
                asked += 1
                if driver.ask("cached", self.token, "/x").endswith(MEMORY):
                    break
            misses = driver.stats()["misses"]
            for _ in range(20):  # four times its idle timeout
                self.daemon.pass_time(60)
                self.await_trust(driver)
                self.until(lambda: driver.stats()["unreported"], lambda count: count == 0, "a report")
                self.assertEqual(driver.ask("cached", self.token, "/x"), f"active allowed Acme {MEMORY}")
                asked += 1
            self.assertEqual(driver.stats()["misses"], misses)
        self.admin = self.daemon.admin_token()  # which was idle meanwhile
        self.assertEqual(self.counted(), {"/x": (asked, 0)})
        self.daemon.pass_time(290)  # less than the idle timeout since the last hit
        self.assertTrue(self.daemon.introspect(self.admin_server(), self.token, no_touch=True).active)
        self.daemon.pass_time(20)
        self.assertFalse(self.daemon.introspect(self.admin_server(), self.token, no_touch=True).active)

    def pings(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=DEADLINE) as answer:
            return float(re.search(r"(?m)^gatehouse_watch_pings_total (\S+)$", answer.read().decode()).group(1))

    def pings_in_a_second(self):
        begin = self.pings()
        time.sleep(1)
        return self.pings() - begin

    def test_a_cache_that_nobody_asks_lets_the_server_rest_and_still_hears(self):
        with self.driver(**self.clock) as driver:
            self.await_hit(driver, self.token)
            self.daemon.pass_time(11)
            self.until(self.pings_in_a_second, lambda count: count <= 1, "rest")  # else four
            self.assertTrue(driver.ask("cached", self.token).startswith("active"))
            self.await_hit(driver, self.token)
            self.daemon.pass_time(11)
            self.until(self.pings_in_a_second, lambda count: count <= 1, "rest")
            end = self.daemon.admin.EndTokens(pb.EndTokensRequest(client_id=self.third_party[0], everywhere=True),
                                              metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)
            self.assertTrue(end.HasField("everywhere_after"))
            self.assertEqual(driver.ask("cached", self.token), f"inactive {SERVER}")

    def test_a_process_that_is_killed_loses_the_uses_of_one_interval_at_most(self):
        driver = self.driver(**self.clock)
        with driver:
            self.await_hit(driver, self.token)
            driver.ask("many", "10", self.token, "/x")
            self.daemon.pass_time(11)  # longer than the interval
            self.until(lambda: driver.stats()["unreported"], lambda count: count == 0, "a report")
            self.await_trust(driver)
            driver.ask("many", "7", self.token, "/x")
            driver.process.kill()
            driver.process.wait()
            allowed, denied = self.counted()["/x"]
            self.assertIn(allowed, range(10, 18))
            self.assertEqual(denied, 0)
            driver.process.returncode = 0  # as it should

    def test_the_example_says_yes_and_no_and_prints_its_metrics(self):
        with subprocess.Popen([*LEASH, os.environ["BUILD"] + "/tests/client/example_check"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "GATEHOUSE_GRPC": f"127.0.0.1:{self.daemon.grpc_port}",
                                   "GATEHOUSE_CLIENT_ID": self.server[0], "GATEHOUSE_CLIENT_SECRET": self.server[1]}) as example:
            other = self.issue(self.client("other", "team_leader"))
            said = example.communicate(f"{self.token}\n{other}\nnonsense\nmetrics\n", timeout=DEADLINE)[0].splitlines()
        self.assertEqual(said[:3], ["yes", "no", "no"])
        for line in said[3:]:
            self.assertRegex(line, r'^(# TYPE gatehouse_client_\w+ (counter|gauge)|gatehouse_client_\w+(\{cause="\w+"\})? [0-9.e+]+)$')
        self.assertEqual(sum("gatehouse_client_resets_total{" in line for line in said), 3)
        self.assertIn("gatehouse_client_misses_total 3", said)

    def admin_server(self):
        return self.issue(self.client(f"asks {time.monotonic()}", "resource_server"))

    def test_closing_reports_every_use_by_api_and_by_what_was_allowed(self):
        with self.driver() as driver:
            self.await_hit(driver, self.token)
            before = driver.stats()
            driver.ask("many", "1000", self.token, "/many")
            for api in range(250):  # more than one report takes
                driver.ask("cached", self.token, f"/of/{chr(97 + api // 26)}{chr(97 + api % 26)}")
            for _ in range(7):
                driver.ask("cached", self.token, "/denied", "team_leader")
            self.assertTrue(driver.ask("look", self.token).endswith(MEMORY))
            self.assertEqual(driver.stats()["misses"], before["misses"])
        counted = self.counted()
        self.assertEqual((counted["/many"], counted["/denied"]), ((1000, 0), (0, 7)))
        self.assertEqual([counted[name] for name in counted if name.startswith("/of/")], [(1, 0)] * 250)
        self.assertEqual(sum(allowed + denied for allowed, denied in counted.values()), before["hits"] + before["misses"] + 1257)

    def last_from(self):
        return self.manage("GetCredential", client_id=self.third_party[0]).credential.last_use_from

    def test_from_where_a_token_was_used_last_is_told_by_the_report(self):
        def used_elsewhere_meanwhile(driver):
            self.ask_memory(driver, "from", "192.0.2.4", self.token)
            request = auth.IntrospectRequest(token=self.token, peer="192.0.2.5")
            self.daemon.auth.Introspect(request, metadata=Daemon.bearer(self.admin_server()), timeout=DEADLINE)
            self.assertEqual(self.last_from(), "192.0.2.5")  # stored
        for told, use in (
                ("192.0.2.1", lambda driver: [self.ask_memory(driver, "from", peer, self.token) for peer in ("192.0.2.3", "192.0.2.1:80")]),
                ("2001:db8::1", lambda driver: self.ask_memory(driver, "checkfrom", "2001:DB8:0::1", self.token)),
                ("2001:db8::1", lambda driver: self.ask_memory(driver, "cached", self.token)),  # none is told: as before
                ("192.0.2.5", used_elsewhere_meanwhile)):
            with self.driver() as driver:
                use(driver)
            self.assertEqual(self.last_from(), told)

    def ask_memory(self, driver, *words):
        self.until(lambda: driver.ask(*words), lambda said: said.endswith(MEMORY), "a hit")

    def test_a_use_from_networks_that_were_left_meanwhile_counts_as_denied_and_is_not_lost(self):
        self.bind("10.0.0.0/8")
        with self.driver(**self.clock) as driver:
            self.ask_memory(driver, "from", "10.1.2.3", self.token, "/left")
            self.daemon.pass_time(11)
            self.until(lambda: driver.stats()["unreported"], lambda count: count == 0, "a report")
            self.ask_memory(driver, "cached", self.token, "/left")
            before, _ = self.counted()["/left"]
            self.assertTrue(driver.ask("from", "10.1.2.4", self.token, "/left").endswith(MEMORY))
            self.bind("192.0.2.0/24")
            self.daemon.pass_time(11)
            self.until(lambda: driver.stats()["unreported"], lambda count: count == 0, "a report")
            self.assertEqual(driver.stats()["lost"], 0)
        allowed, denied = self.counted()["/left"]
        self.assertEqual(allowed, before)
        self.assertGreater(denied, 0)
        self.assertEqual(self.last_from(), "10.1.2.3")

    def test_uses_outlast_a_server_that_is_away(self):
        with self.driver(TIMEOUT_MS="200") as driver:
            self.await_hit(driver, self.token)
            driver.ask("many", "5", self.token, "/away")
            self.assertEqual(self.daemon.stop(), 0)
            self.daemon.start()
            self.await_trust(driver)
        self.assertEqual(self.counted()["/away"], (5, 0))

    def test_a_use_of_a_token_that_has_ended_is_lost_and_said_to_be(self):
        with self.driver(**self.clock) as driver:
            self.await_hit(driver, self.token)
            self.until(lambda: driver.ask("many", "3", self.token, "/x") and driver.stats()["unreported"], bool, "a use")
            self.revoke(self.token)
            self.assert_obeyed(driver, self.token, boot_time())
            self.daemon.pass_time(60)
            self.until(lambda: driver.stats(), lambda stats: stats["lost"] > 0 and stats["unreported"] == 0, "the loss")


if __name__ == "__main__":
    unittest.main()

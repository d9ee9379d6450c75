# SPDX-License-Identifier: Apache-2.0
"""`everywhere`: the answer comes when every cache has obeyed, or can no longer answer from memory; and not before."""
import contextlib
import signal
import threading
import unittest
import urllib.request

from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb

from daemon import DEADLINE, Daemon, error_of
from histories import Failover, Group
from replicas import Replicas, eventually
from watcher import Ended, Watcher, seconds


class Cache(threading.Thread):
    """Watches, obeys, pings; `reached` is what it had obeyed at its last ping."""

    def __init__(self, daemon, token):
        super().__init__(daemon=True)
        self.watcher, self.error = Watcher(daemon, token), None
        self.obeyed, self.is_stopping = set(), threading.Event()
        self.start()

    def run(self):
        try:
            while not self.is_stopping.wait(0.05):
                self.watcher.ping()
                self.obeyed.update(event.accessor for event in self.watcher.events)
        except Ended as ended:
            self.error = ended

    def end(self):
        self.is_stopping.set()
        self.join()
        self.watcher.__exit__()


def took(answer):
    return answer.everywhere_after.seconds + answer.everywhere_after.nanos / 1e9


def metrics(daemon):
    return urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics", timeout=DEADLINE).read().decode()


class Thread(threading.Thread):
    """A call that is waited for elsewhere."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.answer = call, None
        self.start()

    def run(self):
        self.answer = self.call()

    def wait(self):
        self.join(DEADLINE)
        return self.answer


class Case(unittest.TestCase):
    """One server: who watches is asked."""
    settings = {}

    def setUp(self):
        self.daemon = Daemon({"http_address": "", **self.settings}, clock=True)
        self.daemon.__enter__()
        self.addCleanup(lambda: self.daemon.__exit__(None, None, None))
        self.daemon.pass_time(11)  # whoever was granted a lease by a process before it, holds it no more
        self.admin = self.daemon.admin_token()
        made = self.daemon.create(self.admin, "service", roles=["resource_server"])
        self.server = self.daemon.issue(made.credential.client_id, made.secret_key).access_token
        self.made = self.daemon.create(self.admin, "client", roles=["work_creator"])
        self.client_id = self.made.credential.client_id

    def issue(self):
        return self.daemon.issue(self.client_id, self.made.secret_key)

    def ask(self, method, request):
        return getattr(self.daemon.admin, method)(request, metadata=Daemon.bearer(self.admin), timeout=DEADLINE)

    def end(self, issued=None):
        return self.ask("EndToken", pb.EndTokenRequest(accessor=(issued or self.issue()).accessor, everywhere=True))

    def watch(self):
        watcher = Watcher(self.daemon, self.server)
        self.addCleanup(watcher.__exit__)
        return watcher


class Obeyed(Case):
    """With leases so long that what waits for one is not taken for what was slow."""
    settings = {"cache_lease_ms": "10000"}

    def test_without_caches_there_is_nothing_to_wait_for(self):
        self.assertLess(took(self.end()), 10)
        self.assertFalse(self.ask("EndToken", pb.EndTokenRequest(accessor=self.issue().accessor)).HasField("everywhere_after"))

    def test_every_cache_has_obeyed_when_the_answer_comes(self):
        caches = [Cache(self.daemon, self.server) for _ in range(5)]
        for _ in range(10):
            issued = self.issue()
            answer = self.end(issued)
            for cache in caches:
                self.assertIn(issued.accessor, cache.obeyed)
            self.assertLess(took(answer), 10)
        for cache in caches:
            cache.end()
            self.assertIsNone(cache.error)


class One(Case):
    def test_a_cache_that_says_nothing_is_waited_for_as_long_as_its_lease(self):
        silent = self.watch()
        silent.ping()
        self.assertGreaterEqual(took(self.end()), 1)

    def test_a_ping_that_crossed_the_change_proves_nothing(self):
        watcher = self.watch()
        watcher.ping()
        old = watcher.position
        call = Thread(self.end)
        while not watcher.events:
            watcher.next()
        for number in range(20):
            watcher.say(ping=auth.WatchPing(number=100 + number, reached=old))
        self.assertGreaterEqual(took(call.wait()), 1)

    def test_positions_that_the_server_never_told_prove_nothing(self):
        watcher = self.watch()
        for position in (auth.Position(revision=2**62, change_id=7), auth.Position(revision=watcher.position.revision + 1, change_id=7)):
            watcher.say(ping=auth.WatchPing(number=1, reached=position))
            self.assertGreaterEqual(took(self.end()), 1)

    def test_a_lease_outlives_its_stream(self):
        watcher = self.watch()
        watcher.ping()
        watcher.requests.put(None)
        watcher.end()
        self.assertGreaterEqual(took(self.end()), 1)
        self.daemon.pass_time(2)
        self.assertLess(took(self.end()), 1)

    def test_leases_of_the_process_before_are_waited_for(self):
        self.daemon.kill()
        self.daemon.start()
        issued = self.issue()
        call = Thread(lambda: self.end(issued))
        eventually(lambda: not self.daemon.introspect(self.server, issued.access_token).active)
        self.daemon.pass_time(3)  # longer than this process's own
        self.daemon.pass_time(7)
        self.assertGreaterEqual(took(call.wait()), 8)

    def test_each_change_that_ends_tokens_can_be_asked_for_everywhere(self):
        of = {"client_id": self.client_id, "everywhere": True}
        issued = self.issue()
        answers = [
            self.daemon.auth.Revoke(auth.RevokeRequest(token=issued.access_token, everywhere=True),
                                    metadata=Daemon.bearer(issued.access_token), timeout=DEADLINE),
            self.ask("EndTokens", pb.EndTokensRequest(**of)),
            self.ask("GrantRoles", pb.GrantRolesRequest(roles=["work_assigner"], **of)),
            self.ask("RevokeRoles", pb.RevokeRolesRequest(roles=["work_assigner"], **of)),
            self.ask("UpdateCredential", pb.UpdateCredentialRequest(
                credential=pb.Credential(client_id=self.client_id, name="other"), update_mask={"paths": ["name"]}, everywhere=True)),
            self.ask("RegenerateSecret", pb.RegenerateSecretRequest(**of)),
            self.ask("SetUserRoles", pb.SetUserRolesRequest(user="owner", roles=["work_creator"], everywhere=True)),
            self.ask("DeleteUser", pb.DeleteUserRequest(user="owner", everywhere=True)),
            self.ask("UpdateSettings", pb.UpdateSettingsRequest(
                settings=pb.Settings(idle_session_timeout=seconds(700)), update_mask={"paths": ["idle_session_timeout"]},
                everywhere=True)),
            self.ask("DeleteCredential", pb.DeleteCredentialRequest(**of)),
            self.ask("EndToken", pb.EndTokenRequest(accessor=issued.accessor, everywhere=True)),
        ]
        for answer in answers:
            self.assertTrue(answer.HasField("everywhere_after"), answer)

    def test_a_dry_run_waits_for_nobody(self):
        self.watch().ping()
        dry = self.ask("EndTokens", pb.EndTokensRequest(client_id=self.client_id, everywhere=True, validate_only=True))
        self.assertFalse(dry.HasField("everywhere_after"))


class Several(unittest.TestCase):
    """Replicas: all leases are waited for."""

    def test_the_longest_leases_of_any_are_waited_for_and_of_one_that_has_left(self):
        with Replicas(2, {"http_address": "", "lease_ms": "500"}) as replicas:
            one, other = replicas.daemons
            admin = one.admin_token()
            made = one.create(admin, "client")

            def end():
                issued = one.issue(made.credential.client_id, made.secret_key)
                return took(one.admin.EndToken(pb.EndTokenRequest(accessor=issued.accessor, everywhere=True),
                                               metadata=Daemon.bearer(admin), timeout=DEADLINE))
            self.assertGreaterEqual(end(), 0.5 + 1)
            other.stop()
            other.settings.update(lease_ms="700", cache_lease_ms="3000")
            other.start()
            self.assertGreaterEqual(end(), 0.7 + 3)
            other.stop()
            self.assertGreaterEqual(end(), 0.5 + 3)

    def test_a_lease_that_a_failover_has_lost_is_waited_for(self):
        with Replicas(2, {"http_address": "127.0.0.1:0", "lease_ms": "500", "metrics_address": "127.0.0.1:0"}) as replicas:
            one, other = replicas.daemons
            admin = one.admin_token()
            made = one.create(admin, "client")
            issued = one.issue(made.credential.client_id, made.secret_key)
            other.stop()
            other.settings.update(lease_ms="3000", cache_lease_ms="4000")
            other.start()
            eventually(lambda: "\ngatehouse_group_lease_seconds 3\n" in metrics(one))
            other.process.send_signal(signal.SIGSTOP)  # it would say at its next word that it is there
            replicas.sql("DELETE FROM process WHERE lease = 3000000")  # as a restored backup would not have it
            ended = one.admin.EndToken(pb.EndTokenRequest(accessor=issued.accessor, everywhere=True),
                                       metadata=Daemon.bearer(admin), timeout=DEADLINE)
            other.process.send_signal(signal.SIGCONT)
            self.assertGreaterEqual(took(ended), 3 + 4)

    def test_a_change_that_is_lost_meanwhile_is_told(self):
        with contextlib.ExitStack() as stack:
            group = Group(stack, Failover, {"lease_ms": "10000", "cache_lease_ms": "10000"})
            one, other = group.daemons
            made = one.create(group.caller, "client")
            issued = one.issue(made.credential.client_id, made.secret_key)
            group.catch_up(other)
            group.store.keep()
            call = Thread(lambda: error_of(lambda: group.admin(one, "EndToken", accessor=issued.accessor, everywhere=True)))
            eventually(lambda: not group.is_active(one, issued.access_token))
            group.store.go_back()
            self.assertEqual(call.wait()[:2], ("ABORTED", "CHANGE_LOST"))


if __name__ == "__main__":
    unittest.main(verbosity=2)

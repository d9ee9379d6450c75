# SPDX-License-Identifier: Apache-2.0
"""What one replica has acknowledged as ended, no other calls active later than the bound.

Eight writers issue tokens and end them, each call at any of three replicas; eight readers ask for all of them at all
replicas. One clock notes when an end was acknowledged and when a question was sent: a question sent later than the bound
after the acknowledgement must not be answered "active". And what nobody has tried to end must be active.
"""
import collections
import contextlib
import random
import signal
import threading
import time
import unittest

import grpc
from gatehouse.v1 import auth_pb2 as auth, auth_pb2_grpc as auth_grpc, credential_admin_pb2 as pb

from daemon import Daemon
from replicas import AWAY, Replicas, eventually

BOUND = 1.0  # seconds: lease_ms, by default
WRITERS = READERS = 8
TOKENS = 25  # that a writer has alive at a time
PHASE = 1500  # ends in each phase
DEADLINE = 4


class Token:
    def __init__(self, text):
        self.text = text
        self.is_doomed = False  # somebody has begun to end it
        self.ended = None       # when that was acknowledged


class Load:
    def __init__(self, replicas):
        self.replicas, self.daemons = replicas, replicas.daemons
        self.lock = threading.Lock()
        self.tokens = [collections.deque(maxlen=4 * TOKENS) for _ in range(WRITERS)]
        self.is_stopping = False
        self.ends, self.actives, self.inactives, self.late = 0, 0, 0, 0.0
        self.unavailable = collections.Counter()
        self.faults = []
        first = self.daemons[0]
        self.admin = first.admin_token()
        self.clients = [first.create(self.admin, f"writer {i}", roles=("work_creator", "team_leader")) for i in range(WRITERS)]
        self.threads = [threading.Thread(target=self.guard, args=(work, i)) for work in (self.write, self.read)
                        for i in range(WRITERS)]
        for thread in self.threads:
            thread.start()

    def guard(self, work, i):
        try:
            work(i, random.Random(i))
        except Exception as error:  # the main thread tells it
            self.faults.append(repr(error))
            raise

    def call(self, rng, what):
        """what(daemon) at a replica by chance. None: it could not be had."""
        try:
            return what(rng.choice(self.daemons))
        except grpc.RpcError as error:
            if error.code() not in AWAY:
                raise
            self.unavailable[error.code().name] += 1
        except ValueError:  # its channel was closed: it is being started again
            pass
        time.sleep(0.01)
        return None

    def insist(self, rng, what):
        """The same until it is acknowledged. False: the test ends."""
        while not self.is_stopping:
            if self.call(rng, what) is not None:
                return True
        return False

    def issue(self, i, rng):
        client = self.clients[i]
        request = auth.IssueTokenRequest(client_id=client.credential.client_id, client_secret=client.secret_key)
        answer = self.call(rng, lambda daemon: daemon.auth.IssueToken(request, timeout=DEADLINE))
        return answer and Token(answer.access_token)

    def end(self, rng, tokens, what):
        for token in tokens:
            token.is_doomed = True
        if self.insist(rng, what):
            self.note(tokens)

    def note(self, tokens):
        now = time.monotonic()
        for token in tokens:
            token.ended = now
        with self.lock:
            self.ends += len(tokens)

    def administer(self, rng, client, method, **fields):
        request = getattr(pb, method + "Request")(client_id=client.credential.client_id, **fields)

        def ask(daemon):
            try:
                return getattr(daemon.admin, method)(request, metadata=Daemon.bearer(self.admin), timeout=DEADLINE)
            except grpc.RpcError as error:  # an earlier try was not answered, but done
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                return True
        return self.insist(rng, ask)

    def end_all(self, rng, tokens, client, method, **fields):
        for token in tokens:
            token.is_doomed = True
        if method.endswith("Roles"):  # one of the two changes something
            self.administer(rng, client, "RevokeRoles" if method == "GrantRoles" else "GrantRoles", **fields)
        if self.administer(rng, client, method, **fields):
            self.note(tokens)
        time.sleep(BOUND)  # a token issued now by a replica that has not heard of it would be dead at birth

    def write(self, i, rng):
        """Most tokens are revoked one by one; now and then all of a credential end, by a change of roles or by name."""
        client = self.clients[i]
        while not self.is_stopping:
            while sum(not token.is_doomed for token in self.tokens[i]) < TOKENS and not self.is_stopping:
                token = self.issue(i, rng)
                if token:
                    self.tokens[i].append(token)
            alive = [token for token in self.tokens[i] if not token.is_doomed]
            if rng.random() < 0.02:
                self.end_all(rng, alive, client, rng.choice(["GrantRoles", "RevokeRoles"]), roles=["team_leader"])
            elif rng.random() < 0.01:
                self.end_all(rng, alive, client, "DeleteCredential")
                self.administer(rng, client, "UndeleteCredential")
                time.sleep(BOUND)  # and before, that it is still deleted
            elif rng.random() < 0.01:
                self.end_all(rng, alive, client, "EndTokens")
            else:
                for token in rng.sample(alive, 5):
                    request = auth.RevokeRequest(token=token.text)
                    self.end(rng, [token], lambda daemon: daemon.auth.Revoke(
                        request, metadata=Daemon.bearer(token.text if rng.random() < 0.5 else self.admin), timeout=DEADLINE))

    def read(self, i, rng):
        while not self.is_stopping:
            tokens = [token for writer in self.tokens for token in list(writer)]
            tokens = rng.sample(tokens, min(len(tokens), 60))
            if not tokens:
                continue
            request = auth.BatchIntrospectRequest(requests=[auth.BatchIntrospectEntry(token=token.text) for token in tokens])
            states = [(token, token.ended) for token in tokens]
            sent = time.monotonic()
            answer = self.call(rng, lambda daemon: daemon.auth.BatchIntrospect(
                request, metadata=Daemon.bearer(self.admin), timeout=DEADLINE))
            if answer:
                self.judge(sent, states, answer.responses)

    def judge(self, sent, states, responses):
        for (token, ended), response in zip(states, responses):
            if response.active:
                self.actives += 1
                if ended is not None and sent > ended:
                    self.late = max(self.late, sent - ended)
                if ended is not None and sent > ended + BOUND:
                    self.faults.append(f"active {sent - ended:.3f} s after its end was acknowledged")
            else:
                self.inactives += 1
                if not token.is_doomed:
                    self.faults.append("inactive, and nobody has ended it")

    def run(self, test, name, count=PHASE):
        """Goes on until so many more were ended, and nothing was wrong."""
        before, begin = self.ends, time.monotonic()
        eventually(lambda: self.faults or self.ends >= before + count, 300)
        test.assertEqual(self.faults[:3], [])
        print(f"{name}: {self.ends - before} ends in {time.monotonic() - begin:.1f} s; latest active answer {self.late * 1000:.0f} ms"
              f" after an acknowledgement; {dict(self.unavailable)}", flush=True)
        self.late = 0.0
        self.unavailable.clear()

    def stop(self):
        self.is_stopping = True
        for thread in self.threads:
            thread.join()


@contextlib.contextmanager
def crowd(daemon, caller):
    """Callers who ask all the time, of a channel of their own."""
    is_over = threading.Event()
    channel = daemon.open_channel()
    stub = auth_grpc.AuthServiceStub(channel)

    def ask():
        while not is_over.is_set():
            stub.Introspect(auth.IntrospectRequest(token=caller), metadata=Daemon.bearer(caller), timeout=60)
    threads = [threading.Thread(target=ask) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        channel.close()


class Bound(unittest.TestCase):
    def test_no_replica_calls_active_what_another_has_ended(self):
        with Replicas(3, {"http_address": ""}) as replicas:
            load = Load(replicas)
            try:
                self.go_through(replicas, load)
            finally:
                load.stop()
            self.assertGreaterEqual(load.ends, 10_000)
            self.assertGreater(load.actives, load.ends)
            print(f"{load.ends} ends, {load.actives} answers active, {load.inactives} inactive")

    def go_through(self, replicas, load):
        load.run(self, "all is well")
        replicas.daemons[2].kill()
        replicas.daemons[2].start()
        load.run(self, "a replica was killed and started again")
        replicas.daemons[1].process.send_signal(signal.SIGSTOP)
        time.sleep(3)
        replicas.daemons[1].process.send_signal(signal.SIGCONT)
        load.run(self, "a replica was stopped and continued")
        cut = replicas.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                           " OR pid IN (SELECT pid FROM pg_stat_activity WHERE wait_event = 'ClientRead'"
                           " AND application_name = 'gatehoused')")
        self.assertGreater(int(cut), 0)
        load.run(self, "connections were cut")
        replicas.postgres.stop()
        replicas.postgres.start()
        load.run(self, "PostgreSQL was restarted")
        replicas.postgres.stop(signal.SIGQUIT)
        replicas.postgres.start()
        load.run(self, "PostgreSQL crashed")
        replicas.set("hole")
        time.sleep(10)
        replicas.set("pass")
        load.run(self, "PostgreSQL was out of reach for 10 s")
        replicas.networks[0].set("hole")
        load.run(self, "PostgreSQL was out of reach for one replica", PHASE // 20)
        replicas.networks[0].set("pass")
        load.run(self, "and is back")

    def test_in_strict_mode_the_bound_is_zero(self):
        with Replicas(2, {"http_address": "", "strict": "true"}) as replicas:
            one, other = replicas.daemons
            caller = one.admin_token()
            client = one.create(caller, "strict")
            with crowd(other, caller):  # calls that come together are checked together
                for _ in range(300):
                    token = one.issue(client.credential.client_id, client.secret_key).access_token
                    self.assertTrue(other.introspect(caller, token).active)
                    one.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(token), timeout=60)
                    self.assertEqual(other.introspect(caller, token), auth.IntrospectResponse())
            token = other.issue(client.credential.client_id, client.secret_key).access_token
            one.admin.DeleteCredential(pb.DeleteCredentialRequest(client_id=client.credential.client_id),
                                       metadata=Daemon.bearer(caller), timeout=60)
            self.assertEqual(other.introspect(caller, token), auth.IntrospectResponse())


if __name__ == "__main__":
    unittest.main(verbosity=2)

# SPDX-License-Identifier: Apache-2.0
"""Ten thousand tokens, on one server and on three replicas, that are ended by every RPC that can end one, while caches and an edge
are asked for all of them all the time: test_bound.py DRIVER. None is active later than the bound; and where `everywhere` was asked for, none once it is
acknowledged. That the test would notice is shown with a lease that is longer than is said."""
import concurrent.futures
import random
import signal
import time
import unittest

import grpc

from driver import Driver, boot_time
from daemon import DEADLINE, Daemon, auth_pb2 as auth, credential_admin_pb2 as pb
from google.protobuf import field_mask_pb2, timestamp_pb2
from replicas import Replicas
from test_cache import Relay

LEASE, REPLICAS = 1.0, 1.0  # seconds: cache_lease_ms and lease_ms by default
CLIENTS, TOKENS = 20, 20  # of a batch; of a client
ROLES = ["work_creator", "work_assigner"]
METHODS = ["Revoke", "EndToken", "EndTokens", "GrantRoles", "RevokeRoles", "SetUserRoles", "DeleteUser", "DeleteCredential",
           "RegenerateSecret", "UpdateCredential"]


class Token:
    def __init__(self, issued):
        self.text, self.accessor = issued.access_token, issued.accessor
        self.ended = self.everywhere = self.method = None  # when that was acknowledged; whether it was asked for; by what

    def end(self, method, everywhere):
        self.ended, self.everywhere, self.method = boot_time(), everywhere, method


def until_available(call):
    """UNAVAILABLE: nothing was changed, and it may be asked again; writers on three replicas are in each other's way."""
    end = time.monotonic() + DEADLINE
    while True:
        try:
            return call()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                raise
        time.sleep(0.1)


class Bound:
    """self.daemons, self.caller"""
    bound = LEASE

    def begin(self, drivers, **environment):
        made = self.daemons[0].create(self.caller, "server", ["resource_server"])
        self.relays = [self.enterContext(Relay(self.daemons[i % len(self.daemons)].grpc_port)) for i in range(drivers)]
        self.drivers = [self.enterContext(Driver(self.daemons[0], made.credential.client_id, made.secret_key,
                                                 ADDRESS=f"127.0.0.1:{relay.own}", CACHE_ENTRIES="20000", TIMEOUT_MS="500", **environment))
                        for relay in self.relays]
        self.edge = self.begin_edge()
        self.asking = [*self.drivers, self.enterContext(Driver(self.edge, made.credential.client_id, made.secret_key, TIMEOUT_MS="500"))]
        self.pool = self.enterContext(concurrent.futures.ThreadPoolExecutor(24))
        self.tokens = []
        for driver in self.asking:
            driver.send("chase")
        self.kept_at = boot_time()
        self.kept = self.make_client("kept")[2]
        self.add(self.kept)

    def begin_edge(self):
        """In front of the first server; whoever asks it has no cache of his own."""
        made = self.daemons[0].create(self.caller, "edge", ["resource_server"])
        edge = Daemon({"upstream": f"127.0.0.1:{self.daemons[0].grpc_port}", "http_address": "", "upstream_client_id": made.credential.client_id},
                      init=False, start=False)
        with open(edge.secret_file, "w") as file:
            file.write(made.secret_key + "\n")
        edge.settings["upstream_client_secret_file"] = edge.secret_file
        edge.start()
        return self.enterContext(edge)

    def add(self, tokens):
        for driver in self.asking:
            for token in tokens:
                driver.send("token", token.text)
        self.tokens += tokens

    def daemon(self):
        return random.choice(self.daemons)

    def admin(self, method, **fields):
        request = getattr(pb, method + "Request")(**fields)
        return until_available(lambda: getattr(self.daemon().admin, method)(request, metadata=Daemon.bearer(self.caller),
                                                                            timeout=2 * DEADLINE))

    def make_client(self, number):
        owner = f"owner-{number}"
        self.admin("SetUserRoles", user=owner, roles=[*ROLES, "team_leader"])
        made = until_available(lambda: self.daemon().create(self.caller, f"client {number}", ROLES, owner=owner))
        issue = lambda _: Token(until_available(lambda: self.daemon().issue(made.credential.client_id, made.secret_key)))
        return owner, made.credential.client_id, [issue(i) for i in range(TOKENS)]

    def await_all(self, order, wanted, drivers):
        end = time.monotonic() + 3 * DEADLINE
        for driver in drivers:
            while (said := int(driver.ask(order))) != wanted:
                self.assertLess(time.monotonic(), end, f"{order}: {said}")
                time.sleep(0.02)

    def end_one(self, token, method, everywhere):
        if method == "Revoke":
            until_available(lambda: self.daemon().auth.Revoke(auth.RevokeRequest(token=token.text, everywhere=everywhere),
                                                              timeout=2 * DEADLINE, metadata=Daemon.bearer(self.caller)))
        else:
            self.admin("EndToken", accessor=token.accessor, everywhere=everywhere)
        token.end(method, everywhere)

    def end(self, client, method, everywhere):
        owner, client_id, tokens = client
        if method in ("Revoke", "EndToken"):
            for token in tokens:
                self.end_one(token, method, everywhere)
            return
        fields = {"client_id": client_id}
        if method in ("SetUserRoles", "DeleteUser"):
            fields = {"user": owner}
        elif method in ("GrantRoles", "RevokeRoles"):
            fields["roles"] = ["team_leader"] if method == "GrantRoles" else ROLES[:1]
        elif method == "UpdateCredential":
            expired = pb.Credential(client_id=client_id, expire_time=timestamp_pb2.Timestamp(seconds=int(time.time()) - 1))
            fields = {"credential": expired, "update_mask": field_mask_pb2.FieldMask(paths=["expire_time"])}
        self.admin(method, everywhere=everywhere, **fields)
        for token in tokens:
            token.end(method, everywhere)

    def end_by_settings(self, everywhere):
        """Those that were kept since the beginning, and with them every other that is older than a minute: the caller's, the
        drivers' own, the edge's. It is the last change."""
        time.sleep(max(0, self.kept_at + 75 - boot_time()))
        self.admin("UpdateSettings", settings=pb.Settings(max_token_life={"seconds": 60}), everywhere=everywhere,
                   update_mask=field_mask_pb2.FieldMask(paths=["max_token_life"]))
        for token in self.kept:
            token.end("UpdateSettings", everywhere)

    def batch(self, number, everywhere_of, stops):
        """everywhere_of: of so many clients one asks for it. stops: a cache hears nothing meanwhile."""
        clients = list(self.pool.map(self.make_client, range(number * CLIENTS, (number + 1) * CLIENTS)))
        tokens = [token for client in clients for token in client[2]]
        self.add(tokens)
        self.await_all("hits", len(self.tokens), self.drivers)
        if stops:
            self.relays[number % len(self.relays)].send(signal.SIGSTOP)
        for _ in self.pool.map(lambda i: self.end(clients[i], METHODS[i % len(METHODS)], (i // len(METHODS) + 1) % everywhere_of == 0),
                               range(CLIENTS)):
            pass
        if stops:
            time.sleep(self.bound + 0.5)  # it is asked all that time
            self.relays[number % len(self.relays)].send(signal.SIGCONT)

    def late(self):
        """What was active too late: (method, everywhere, by seconds)."""
        self.await_all("left", 0, self.asking)
        late = []
        for driver in self.asking:
            actives = [int(word) / 1e6 for word in driver.ask("over").split()]
            self.assertEqual(len(actives), len(self.tokens))
            for token, active in zip(self.tokens, actives):
                limit = token.ended + (0 if token.everywhere else self.bound)
                if active > limit:
                    late.append((token.method, token.everywhere, active - limit))
        return late


class OneServer(Bound, unittest.TestCase):
    def setUp(self):
        self.daemons = [self.enterContext(Daemon({"http_address": ""}))]
        self.caller = self.daemons[0].admin_token()
        self.begin(drivers=2)

    def test_nothing_is_active_later_than_the_lease(self):
        for number in range(13):  # 5,200 tokens; and 4,800 on replicas
            self.batch(number, everywhere_of=2, stops=number % 3 == 2)
        self.end_by_settings(everywhere=True)
        self.assertEqual(self.late(), [])


class ThreeReplicas(Bound, unittest.TestCase):
    bound = REPLICAS + LEASE

    def setUp(self):
        self.replicas = self.enterContext(Replicas(3, {"http_address": ""}))
        self.daemons = self.replicas.daemons
        self.caller = self.daemons[0].admin_token()
        self.begin(drivers=3)

    def test_nothing_is_active_later_than_both_leases(self):
        for number in range(12):
            self.batch(number, everywhere_of=2 if number % 4 == 0 else 1000, stops=number % 4 == 1)
        self.end_by_settings(everywhere=False)
        self.assertEqual(self.late(), [])


class LongerThanSaid(Bound, unittest.TestCase):
    """The same, with a lease of five seconds."""

    def setUp(self):
        self.daemons = [self.enterContext(Daemon({"http_address": "", "cache_lease_ms": "5000"}))]
        self.caller = self.daemons[0].admin_token()
        self.begin(drivers=1, CACHE_LEASE_MS="5000")

    def test_the_test_would_notice(self):
        self.batch(0, everywhere_of=1000, stops=True)
        for token in self.kept:
            self.end_one(token, "Revoke", False)
        late = self.late()
        self.assertEqual({method for method, _, _ in late}, set(METHODS))


if __name__ == "__main__":
    unittest.main()

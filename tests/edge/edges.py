# SPDX-License-Identifier: Apache-2.0
"""A daemon and an edge in front of it, as a test wants them."""
import json
import re
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import grpc
from daemon import DEADLINE, Daemon, auth_pb2 as auth, credential_admin_pb2 as pb

LEASE, REPLICAS = 1.0, 1.0  # seconds: cache_lease_ms and lease_ms by default


def boot_time():
    """The clock that a lease is counted by."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def make_edge(daemon, client, **settings):
    """Not started. client: (client ID, secret key) by which it watches."""
    edge = Daemon({"upstream": f"127.0.0.1:{daemon.grpc_port}", "metrics_address": "127.0.0.1:0", **settings},
                  init=False, start=False)
    if client:
        with open(edge.secret_file, "w") as file:
            file.write(client[1] + "\n")
        edge.settings.update(upstream_client_id=client[0], upstream_client_secret_file=edge.secret_file)
    return edge


class Case(unittest.TestCase):
    settings = {}
    edge_settings = {}
    has_one_clock = False  # time passes at the edge as it does at the server

    def setUp(self):
        self.daemon = self.enterContext(Daemon({"metrics_address": "127.0.0.1:0", **self.settings}, clock=True))
        self.daemon.settings["grpc_address"] = f"127.0.0.1:{self.daemon.grpc_port}"  # also after a restart
        self.admin = self.daemon.admin_token()
        self.server = self.client("server", "resource_server")
        self.caller = self.issue(self.server)
        self.third_party = self.client("Acme", "work_creator", "work_assigner")
        self.token = self.issue()
        self.edge = self.enterContext(make_edge(self.daemon, self.client("edge", "resource_server"), **self.edge_settings))
        if self.has_one_clock:
            self.edge.environment.update({name: self.daemon.environment[name] for name in ("LD_PRELOAD", "CLOCKSHIFT_FILE")})
        self.edge.start()

    def client(self, name, *roles, **fields):
        made = self.daemon.create(self.admin, name, roles, **fields)
        return made.credential.client_id, made.secret_key

    def issue(self, client=None):
        return self.daemon.issue(*(client or self.third_party)).access_token

    def manage(self, daemon, method, **fields):
        request = getattr(pb, method + "Request")(**fields)
        return getattr(daemon.admin, method)(request, metadata=Daemon.bearer(self.admin), timeout=DEADLINE)

    def revoke(self, daemon, token):
        return daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.admin), timeout=DEADLINE)

    def introspect(self, token, daemon=None, timeout=DEADLINE, **fields):
        return (daemon or self.edge).auth.Introspect(auth.IntrospectRequest(token=token, **fields),
                                                     metadata=Daemon.bearer(self.caller), timeout=timeout)

    def http(self, path, form=None, headers=(), daemon=None, method=None):
        """(status, headers, body)"""
        body = urllib.parse.urlencode(form).encode() if isinstance(form, dict) else form
        request = urllib.request.Request((daemon or self.edge).http + path, body, dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def metric(self, daemon, name):
        """The sum of what begins with this name and labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics", timeout=DEADLINE) as answer:
            lines = re.findall(f"(?m)^{re.escape(name)}.* (\\S+)$", answer.read().decode())
        return sum(map(float, lines))

    def asked(self):
        """How often the server was asked for a token's state."""
        name = 'rpc_server_call_duration_seconds_count{rpc_system_name="grpc",rpc_method="gatehouse.v1.AuthService/'
        return self.metric(self.daemon, name + "Introspect") + self.metric(self.daemon, name + "BatchIntrospect")

    def until(self, condition, what="it"):
        end = time.monotonic() + DEADLINE
        while not (said := condition()):
            self.assertLess(time.monotonic(), end, f"{what} never; the edge says\n{self.edge.log_text()[-3000:]}")
            time.sleep(0.005)
        return said

    def hits(self):
        return self.metric(self.edge, "gatehouse_cache_hits_total")

    def await_hit(self, ask):
        """Asks until the answer comes from memory."""
        def is_hit():
            before, asked = self.hits(), self.asked()
            ask()
            return self.hits() > before and self.asked() == asked
        self.until(is_hit, "a hit")

    def is_replica(self):
        return self.daemon.settings.get("store", "").startswith("postgresql:")

    def bound(self):
        return LEASE + (REPLICAS if self.is_replica() else 0)

    def assert_obeyed(self, token, acknowledged, **fields):
        """From the lease's end on no call that begins is told active."""
        while True:
            begun = boot_time()
            is_active = self.introspect(token, **fields).active
            if begun > acknowledged + self.bound():
                self.assertFalse(is_active)
            if not is_active:
                return


def bearer(token):
    return {"Authorization": "Bearer " + token}


def review(token):
    return json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}).encode()


__all__ = ["Case", "Daemon", "DEADLINE", "LEASE", "auth", "bearer", "boot_time", "grpc", "make_edge", "pb", "review"]

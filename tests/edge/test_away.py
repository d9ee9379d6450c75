# SPDX-License-Identifier: Apache-2.0
"""An edge whose server stops, dies, comes back as another, or whose own right ends: never an active beyond the lease."""
import os
import queue
import shutil
import signal
import socket
import struct
import threading
import unittest
from concurrent import futures
from unittest import mock

import grpc
from daemon import Daemon, error_of
from edges import Case, DEADLINE, LEASE, auth, bearer, boot_time, make_edge
from gatehouse.v1 import auth_pb2_grpc, credential_admin_pb2 as pb, credential_admin_pb2_grpc
from test_identity import issue_certificates


class Away(Case):
    def assert_hits_end(self, since):
        """There is nobody to be asked: from the lease's end on, no answer."""
        while True:
            begun = boot_time()
            try:
                self.assertTrue(self.introspect(self.token, timeout=0.2).active)
                self.assertLess(begun, since + LEASE)
            except Exception as error:
                self.assertIn(error.code().name, ("UNAVAILABLE", "DEADLINE_EXCEEDED"))
                if begun > since + LEASE:
                    return

    def is_ready(self):
        return self.http("/readyz")[0] == 200

    def test_a_server_that_stops(self):
        self.await_hit(lambda: self.introspect(self.token))
        self.daemon.process.send_signal(signal.SIGSTOP)
        try:
            self.assert_hits_end(boot_time())
            self.assertEqual(self.http("/readyz")[2].partition(":")[0], "ok, but its memory is not trusted")
        finally:
            self.daemon.process.send_signal(signal.SIGCONT)
        self.await_hit(lambda: self.introspect(self.token))
        self.revoke(self.daemon, self.token)
        self.assert_obeyed(self.token, boot_time())

    def test_an_edge_that_stops_has_missed_nothing_when_it_goes_on(self):
        self.await_hit(lambda: self.introspect(self.token))
        self.edge.process.send_signal(signal.SIGSTOP)
        self.revoke(self.daemon, self.token)
        over = boot_time() + self.bound()
        self.until(lambda: boot_time() > over, "the lease's end")
        self.edge.process.send_signal(signal.SIGCONT)
        self.assertFalse(self.introspect(self.token).active)

    def test_a_server_that_is_killed_and_one_that_starts_again(self):
        self.await_hit(lambda: self.introspect(self.token))
        self.daemon.kill()
        self.assert_hits_end(boot_time())
        self.until(lambda: not self.is_ready(), "not ready")
        failed = error_of(lambda: self.introspect(self.token))
        self.assertEqual(failed[0], "UNAVAILABLE")
        status, headers, text = self.http("/OAuth/Check", headers=bearer(self.token))
        self.assertEqual((status, headers["Retry-After"]), (503, "1"), text)
        self.assertEqual(self.http("/livez")[0], 200)
        self.daemon.start()
        self.until(self.is_ready, "ready")
        self.await_hit(lambda: self.introspect(self.token))
        self.revoke(self.daemon, self.token)
        self.assert_obeyed(self.token, boot_time())

    def test_a_server_with_another_history(self):
        self.daemon.stop()
        files = [name for name in os.listdir(self.daemon.folder) if name.startswith("gatehouse.db")]
        for name in files:
            shutil.copy(f"{self.daemon.folder}/{name}", f"{self.daemon.folder}/kept-{name}")
        self.daemon.start()
        lost = self.issue()  # of which the backup does not know
        self.await_hit(lambda: self.introspect(lost))
        self.revoke(self.daemon, self.issue())
        self.until(lambda: self.metric(self.edge, "gatehouse_cache_events_total"), "the event")
        before = self.metric(self.edge, "gatehouse_cache_resets_total")
        self.daemon.kill()
        for name in os.listdir(self.daemon.folder):
            if name.startswith("gatehouse.db"):
                os.remove(f"{self.daemon.folder}/{name}")
        for name in files:
            shutil.copy(f"{self.daemon.folder}/kept-{name}", f"{self.daemon.folder}/{name}")
        self.daemon.start()
        begun = boot_time()
        while True:
            asked = boot_time()
            try:
                if not self.introspect(lost, timeout=1).active:
                    break
                self.assertLess(asked, begun + LEASE + 1)
            except Exception as error:
                self.assertIn(error.code().name, ("UNAVAILABLE", "DEADLINE_EXCEEDED"))
        self.until(lambda: self.metric(self.edge, "gatehouse_cache_resets_total") > before, "a reset")
        self.await_hit(lambda: self.introspect(self.token))

    def test_an_edge_whose_own_right_ends_asks_no_more(self):
        self.await_hit(lambda: self.http("/OAuth/Check", headers=bearer(self.token)))
        own = self.edge.settings["upstream_client_id"]
        self.manage(self.daemon, "RevokeRoles", client_id=own, roles=["resource_server"])
        revoked = boot_time()
        while True:
            begun = boot_time()
            status = self.http("/OAuth/Check", headers=bearer(self.token))[0]
            if begun > revoked + self.bound():
                self.assertEqual(status, 503)
            if status == 503:
                break
        self.assertTrue(self.introspect(self.token).active)  # by its caller's right

    def test_a_use_at_the_edge_keeps_a_token_alive(self):
        """The edge's clocks are the server's, and time passes for both."""
        clock = {"LD_PRELOAD": os.environ["CLOCKSHIFT"], "CLOCKSHIFT_FILE": self.daemon.folder + "/clock"}
        self.manage(self.daemon, "UpdateSettings", settings={"idle_session_timeout": {"seconds": 300}},
                    update_mask={"paths": ["idle_session_timeout"]})
        with mock.patch.dict(os.environ, clock):
            edge = make_edge(self.daemon, self.client("second", "resource_server"))
        with edge:
            edge.start()
            ask = lambda: self.http("/OAuth/Check", headers=bearer(self.token), daemon=edge)[0]
            hits = lambda: self.metric(edge, "gatehouse_cache_hits_total")
            self.until(lambda: ask() == 200 and hits() > 0, "a hit")
            for _ in range(10):  # twice its idle timeout
                self.daemon.pass_time(60)
                self.until(lambda: self.metric(edge, "gatehouse_cache_trusted"), "trust")
                self.until(lambda: not self.metric(edge, "gatehouse_cache_uses_unreported"), "a report")
                before = hits()
                self.assertEqual(ask(), 200)
                self.assertEqual(hits(), before + 1)


class Mutual(Case):
    """By mutual TLS; each certificate speaks for whom it names, and for nobody else."""

    def setUp(self):
        self.folder = None
        super().setUp()
        folder = self.daemon.folder
        issue_certificates(folder, ["localhost", "edge", "service", "stranger"])
        self.daemon.stop()
        self.daemon.settings.update(grpc_cert=folder + "/localhost.pem", grpc_key=folder + "/localhost.key",
                                    grpc_client_ca=folder + "/ca.pem", introspect_identities="edge", peer_identities="edge")
        self.daemon.start()
        self.tls = {"upstream": f"localhost:{self.daemon.grpc_port}", "upstream_ca": folder + "/ca.pem",
                    "upstream_cert": folder + "/edge.pem", "upstream_key": folder + "/edge.key"}

    def test_a_certificate_is_the_edges_right_and_no_strangers(self):
        with make_edge(self.daemon, None, **self.tls) as edge:
            edge.start()
            self.until(lambda: self.metric(edge, "gatehouse_cache_trusted"), "trust")
            self.assertEqual(self.http("/OAuth/Check", headers=bearer(self.token), daemon=edge)[0], 200)
            self.assertTrue(self.introspect(self.token, edge).active)
            for headers in {}, bearer("nonsense"):
                self.assertEqual(self.http("/OAuth/Introspect", {"token": self.token}, headers, edge)[0], 401)
            for metadata in (), (("authorization", "Basic eDp5"),), (("authorization", "Bearer"),):
                self.assertEqual(error_of(lambda: edge.auth.Introspect(
                    auth.IntrospectRequest(token=self.token), metadata=metadata, timeout=DEADLINE))[:2], ("UNAUTHENTICATED", "CALLER_UNKNOWN"))
                self.assertEqual(error_of(lambda: edge.auth.BatchIntrospect(
                    auth.BatchIntrospectRequest(requests=[{"token": self.token}]), metadata=metadata, timeout=DEADLINE))[:2],
                    ("UNAUTHENTICATED", "CALLER_UNKNOWN"))

    def read(self, name):
        with open(f"{self.daemon.folder}/{name}", "rb") as file:
            return file.read()

    def outcome(self, edge, name):
        """What becomes of an Introspect without a token, with this certificate."""
        credentials = grpc.ssl_channel_credentials(*map(self.read, ("ca.pem", name + ".key", name + ".pem")))
        with grpc.secure_channel(f"localhost:{edge.grpc_port}", credentials, [("grpc.use_local_subchannel_pool", 1)]) as way:
            ask = lambda: auth_pb2_grpc.AuthServiceStub(way).Introspect(auth.IntrospectRequest(token=self.token), timeout=DEADLINE)
            try:
                return ask().active
            except grpc.RpcError:
                return error_of(ask)[:2]

    def test_an_identity_that_the_edge_is_configured_for_introspects_from_memory(self):
        own = {key: self.daemon.settings[key] for key in ("grpc_cert", "grpc_key", "grpc_client_ca")}
        with make_edge(self.daemon, None, introspect_identities="service", **own, **self.tls) as edge:
            edge.start()
            hits = lambda: self.metric(edge, "gatehouse_cache_hits_total")
            self.until(lambda: self.outcome(edge, "service") is True and hits(), "a hit")
            for name in "stranger", "edge":  # the edge's own name, too, is nobody here
                self.assertEqual(self.outcome(edge, name), ("UNAUTHENTICATED", "CALLER_UNKNOWN"), name)

    def test_the_server_proves_its_name(self):
        tls = {**self.tls, "upstream": f"127.0.0.1:{self.daemon.grpc_port}"}  # of which its certificate says nothing
        with make_edge(self.daemon, None, **tls) as edge:
            edge.start()
            self.until(lambda: "event=upstream_refuses status=UNAVAILABLE" in edge.log_text(), "the reason")
            self.assertEqual(self.http("/readyz", daemon=edge)[0], 503)
        with make_edge(self.daemon, None, upstream_name="localhost", **tls) as edge:
            edge.start()
            self.until(lambda: self.http("/readyz", daemon=edge)[2] == "ok\n", "ready and trusted")

    def test_for_whom_it_calls_is_believed(self):
        with make_edge(self.daemon, None, trusted_proxies="127.0.0.1", **self.tls) as edge:
            edge.start()
            form = {"grant_type": "client_credentials", "client_id": self.server[0], "client_secret": "wrong"}
            self.until(lambda: self.http("/OAuth/Token", form, {"X-Forwarded-For": "192.0.2.9"}, edge)[0] == 401)
            self.assertRegex(self.daemon.log_text(), "event=auth_invalid_client .*peer=192.0.2.9 ")


class Listening(credential_admin_pb2_grpc.CredentialAdminServicer, auth_pb2_grpc.AuthServiceServicer):
    """A server that answers nothing, and notes who has hung up on it."""

    def __init__(self):
        self.over, self.came, self.left = threading.Event(), queue.Queue(), queue.Queue()
        self.server = grpc.server(futures.ThreadPoolExecutor(16))
        auth_pb2_grpc.add_AuthServiceServicer_to_server(self, self.server)
        credential_admin_pb2_grpc.add_CredentialAdminServicer_to_server(self, self.server)
        self.grpc_port = self.server.add_insecure_port("127.0.0.1:0")

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.stop(None).wait()

    def hold(self, name, context):
        context.add_callback(lambda: self.left.put(name))
        self.came.put(name)
        while context.is_active() and not self.over.wait(0.01):
            pass  # its thread is wanted again
        context.abort(grpc.StatusCode.UNAVAILABLE, "over")

    def Introspect(self, request, context):
        if request.token == "?":  # the edge's own question, why nobody lets it watch
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "nobody")
        if request.token == "resource_server":
            return auth.IntrospectResponse(active=True, allowed=True, roles=["resource_server"])
        shown = dict(context.invocation_metadata()).get("authorization", "its own right")
        self.hold(f"Introspect {request.token} by {shown}", context)

    def QueryUsage(self, request, context):
        self.hold("QueryUsage", context)

    def IssueToken(self, request, context):
        self.hold("IssueToken", context)

    def Revoke(self, request, context):
        self.hold("Revoke", context)


class HungUp(unittest.TestCase):
    def test_the_server_hears_of_a_caller_that_hangs_up(self):
        with Listening() as server, make_edge(server, None) as edge:
            edge.start()
            usage = lambda: edge.admin.QueryUsage.future(pb.QueryUsageRequest(), metadata=Daemon.bearer("x"), timeout=DEADLINE)
            first, second = usage(), usage()
            issuing = edge.auth.IssueToken.future(auth.IssueTokenRequest(client_id="a", client_secret="b"), timeout=DEADLINE)
            revoking = edge.auth.Revoke.future(auth.RevokeRequest(token="x"), metadata=Daemon.bearer("x"), timeout=DEADLINE)
            self.assertEqual(sorted(server.came.get(timeout=DEADLINE) for _ in range(4)),
                             ["IssueToken", "QueryUsage", "QueryUsage", "Revoke"])
            revoking.cancel()
            issuing.cancel()
            self.assertEqual(server.left.get(timeout=DEADLINE), "IssueToken")
            first.cancel()
            self.assertEqual(server.left.get(timeout=DEADLINE), "QueryUsage")  # and not the revocation
            self.assertFalse(second.done())
            self.assertTrue(server.left.empty())
            server.over.set()  # else the edge waits for its calls

    def test_the_server_hears_of_it_where_the_edge_asks_by_its_own_right(self):
        with Listening() as server, make_edge(server, None) as edge:
            edge.start()
            for shown, asked in (("resource_server", "x"), ("y", "y")):  # what it asks, and who it is
                is_own = False
                while not is_own:  # where memory was found not to be trusted, what comes next goes through
                    call = edge.auth.Introspect.future(auth.IntrospectRequest(token="x"), metadata=Daemon.bearer(shown), timeout=DEADLINE)
                    came = server.came.get(timeout=DEADLINE)
                    is_own = came == f"Introspect {asked} by its own right"
                    call.cancel()
                    self.assertEqual(server.left.get(timeout=DEADLINE), came)
            caller = self.ask(server, edge, "Check")
            caller.close()
            self.assertEqual(server.left.get(timeout=DEADLINE), "Introspect x by its own right")
            self.ask(server, edge, "QueryUsage")
            self.assertTrue(server.came.empty())  # who has left asks nothing more
            server.over.set()

    def ask(self, server, edge, name):
        """Over HTTP, until the server has it."""
        forms = {"Check": "GET /OAuth/Check ",
                 "IssueToken": "POST /OAuth/Token grant_type=client_credentials&client_id=a&client_secret=b",
                 "QueryUsage": "GET /v1/usage ", "Revoke": "POST /OAuth/Revoke token=x"}
        caller = self.enterContext(socket.create_connection(("127.0.0.1", edge.http_port), DEADLINE))
        method, path, form = forms[name].split(" ")
        shown = "" if name == "IssueToken" else "Authorization: Bearer x\r\n"
        caller.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{shown}Content-Length: {len(form)}\r\n"
                       f"Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}".encode())
        came = server.came.get(timeout=DEADLINE)
        self.assertEqual(came, "Introspect x by its own right" if name == "Check" else name)
        return caller

    def test_the_server_hears_of_an_http_caller_that_hangs_up(self):
        with Listening() as server, make_edge(server, None) as edge:
            edge.start()
            revoking, stays, issuing, usage = [self.ask(server, edge, name)
                                               for name in ("Revoke", "QueryUsage", "IssueToken", "QueryUsage")]
            revoking.close()
            issuing.close()
            self.assertEqual(server.left.get(timeout=DEADLINE), "IssueToken")
            usage.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            usage.close()
            self.assertEqual(server.left.get(timeout=DEADLINE), "QueryUsage")  # and not the revocation
            self.assertTrue(server.left.empty())
            stays.shutdown(socket.SHUT_WR)  # it only says that nothing more comes
            server.over.set()
            self.assertRegex(stays.recv(100), b" 503 | 500 ")  # 500: where that took longer than a second

    def test_an_edge_that_is_told_to_stop_waits_for_no_server_that_hangs(self):
        with Listening() as server, make_edge(server, None, grace_ms="500") as edge:
            edge.start()
            arguments = {"metadata": Daemon.bearer("x"), "timeout": 10 * DEADLINE}
            revoking = edge.auth.Revoke.future(auth.RevokeRequest(token="x"), **arguments)
            asking = edge.auth.Introspect.future(auth.IntrospectRequest(token="x"), **arguments)
            self.assertEqual(sorted(server.came.get(timeout=DEADLINE) for _ in range(2)), ["Introspect x by its own right", "Revoke"])
            self.ask(server, edge, "Revoke")
            self.assertEqual(edge.stop(DEADLINE), 0)
            for call in revoking, asking:  # by the port, or where that came late by the call to the server
                self.assertIn(call.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED))


if __name__ == "__main__":
    unittest.main()

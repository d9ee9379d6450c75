# SPDX-License-Identifier: Apache-2.0
"""Both ports on socket files, as a gateway on the same host reaches them."""
import http.client
import os
import socket
import unittest

import grpc
from daemon import error_of
from edges import Case, DEADLINE, Daemon, auth, bearer, make_edge
from gatehouse.v1 import auth_pb2_grpc


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


class Sockets(Case):
    def setUp(self):
        super().setUp()
        self.near = self.enterContext(make_edge(self.daemon, self.client("near", "resource_server")))
        self.grpc, self.web = self.near.folder + "/grpc", self.near.folder + "/http"
        self.near.settings.update(grpc_address="unix:" + self.grpc, http_address="unix:" + self.web, trusted_proxies="unix",
                                  http_max_connections_per_address="2")
        self.near.start()

    def ask(self, path, headers=(), form=None):
        connection = Connection(self.web)
        try:
            connection.request("POST" if form else "GET", path, form, dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def test_both_ports_are_served(self):
        self.assertEqual(self.ask("/OAuth/Check?role=work_creator", bearer(self.token))[0], 200)
        self.assertEqual(self.ask("/OAuth/Check", bearer("nonsense"))[0], 401)
        with grpc.insecure_channel("unix:" + self.grpc) as channel:
            stub = auth_pb2_grpc.AuthServiceStub(channel)
            self.assertTrue(stub.Introspect(auth.IntrospectRequest(token=self.token), metadata=Daemon.bearer(self.caller),
                                            timeout=DEADLINE).active)
            self.assertEqual(error_of(lambda: stub.Introspect(auth.IntrospectRequest(token=self.token), timeout=DEADLINE))[0],
                             "UNAUTHENTICATED")
        self.assertEqual(self.near.run("--health").stdout, "ready\n")

    def test_a_gateway_has_more_connections_than_one_address_may(self):
        waiting = [Connection(self.web) for _ in range(5)]
        try:
            for one in waiting:
                one.connect()
            for one in waiting:
                one.request("GET", "/livez")
                self.assertEqual(one.getresponse().read(), b"ok\n")
        finally:
            for one in waiting:
                one.close()

    def test_whom_the_gateway_calls_for_is_known_at_the_server(self):
        self.daemon.stop()
        self.daemon.settings["trusted_proxies"] = "127.0.0.1"
        self.daemon.start()
        form = f"grant_type=client_credentials&client_id={self.server[0]}&client_secret=wrong"
        headers = {"X-Forwarded-For": "192.0.2.8", "Content-Type": "application/x-www-form-urlencoded"}
        self.until(lambda: self.ask("/OAuth/Token", headers, form)[0] == 401)
        self.assertRegex(self.daemon.log_text(), "event=auth_invalid_client .*peer=192.0.2.8 ")
        with grpc.insecure_channel("unix:" + self.grpc) as channel:
            request = auth.IssueTokenRequest(client_id=self.server[0], client_secret="wrong")
            metadata = (("x-gatehouse-peer", "192.0.2.10"),)
            failed = error_of(lambda: auth_pb2_grpc.AuthServiceStub(channel).IssueToken(request, metadata=metadata, timeout=DEADLINE))
        self.assertEqual(failed[1], "INVALID_CLIENT")
        self.assertRegex(self.daemon.log_text(), "event=auth_invalid_client .*peer=192.0.2.10 ")

    def test_the_files_go_with_the_daemon_and_what_a_killed_one_left_is_replaced(self):
        self.near.kill()
        self.assertEqual([os.path.exists(path) for path in (self.grpc, self.web)], [True, True])
        self.near.start()
        self.assertEqual(self.ask("/livez")[0], 200)
        another = make_edge(self.daemon, None, grpc_address="", http_address="unix:" + self.web)
        self.assertRaisesRegex(RuntimeError, "http_cannot_listen", another.start)
        another.process.wait(DEADLINE)
        self.assertEqual(self.ask("/livez")[0], 200)
        self.assertEqual(self.near.stop(), 0)
        self.assertEqual([os.path.exists(path) for path in (self.grpc, self.web)], [False, False])


if __name__ == "__main__":
    unittest.main()

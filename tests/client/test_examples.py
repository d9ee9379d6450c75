# SPDX-License-Identifier: Apache-2.0
"""The example services, as they are, before the real daemon: test_examples.py EXAMPLES NODE_FOLDER PROTOS."""
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

from daemon import DEADLINE, LEASH, Daemon, credential_admin_pb2 as pb

EXAMPLES, NODE_FOLDER, PROTOS = sys.argv[1:4]
del sys.argv[1:4]


class Examples:
    """command: what starts the service."""

    def setUp(self):
        self.daemon = self.enterContext(Daemon({"http_address": ""}, clock=True))
        self.admin = self.daemon.admin_token()
        self.server = self.daemon.create(self.admin, "Cases", ("resource_server",))
        self.third_party = self.daemon.create(self.admin, "Acme", ("work_creator",))
        self.start(self.server.secret_key)

    def start(self, secret):
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        self.service = subprocess.Popen(
            [*LEASH, *self.command, PROTOS, "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**environment, "GATEHOUSE_GRPC": f"127.0.0.1:{self.daemon.grpc_port}", "GATEHOUSE_CLIENT_SECRET": secret,
                 "GATEHOUSE_CLIENT_ID": self.server.credential.client_id})
        self.addCleanup(self.stop, self.service)
        alarm = threading.Timer(DEADLINE, self.service.kill)
        alarm.start()
        self.port = urllib.parse.urlsplit(self.service.stdout.readline()).port
        alarm.cancel()

    @staticmethod
    def stop(service):
        service.kill()
        service.wait(DEADLINE)
        service.stdout.close()

    def token(self):
        return self.daemon.issue(self.third_party.credential.client_id, self.third_party.secret_key).access_token

    def call(self, method, path="/cases", token=None):
        """(status, content, challenge)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, headers={"Authorization": "Bearer " + token} if token is not None else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()), answer.getheader("WWW-Authenticate")
        finally:
            connection.close()

    def test_who_may_gets_in_and_nobody_else(self):
        token = self.token()
        self.assertEqual(self.call("POST", token=token), (200, {"caller": "Acme", "roles": ["work_creator"]}, None))
        self.assertEqual(self.call("GET", token=token), (403, {"error": "insufficient_scope"},
                                                         'Bearer error="insufficient_scope", scope="service_agent"'))
        self.assertEqual(self.call("POST"), (401, {"error": "missing_token"}, "Bearer"))
        self.assertEqual(self.call("POST", token="nonsense"), (401, {"error": "invalid_token"}, 'Bearer error="invalid_token"'))
        self.assertEqual(self.call("POST", "/elsewhere", token)[0], 404)
        self.daemon.admin.EndTokens(pb.EndTokensRequest(client_id=self.third_party.credential.client_id),
                                    metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)
        self.assertEqual(self.call("POST", token=token)[:2], (401, {"error": "invalid_token"}))

    def test_a_token_of_another_issuer_is_the_callers_mistake(self):
        jwt = "eyJhbGciOiJSUzI1NiJ9." + "e30" * 2000 + ".c2ln"
        for token in (jwt, "x" * 600, "caf\u00e9", "a\u0085b", "a=b", 'a"b'):
            self.assertEqual(self.call("POST", token=token)[:2], (401, {"error": "invalid_token"}), token[:30])

    def test_it_names_the_api_that_is_called(self):
        self.call("POST", token=self.token())
        rows = self.daemon.admin.QueryUsage(pb.QueryUsageRequest(client_id=self.third_party.credential.client_id,
                                                                 group_by=[pb.USAGE_GROUPING_API]),
                                            metadata=self.daemon.bearer(self.admin), timeout=DEADLINE).rows
        self.assertEqual([row.api for row in rows], ["POST /cases"])

    def test_it_goes_on_when_its_own_token_has_died(self):
        self.assertEqual(self.call("POST", token=self.token())[0], 200)
        self.daemon.admin.EndTokens(pb.EndTokensRequest(client_id=self.server.credential.client_id),
                                    metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)
        self.assertEqual(self.call("POST", token=self.token())[0], 200)
        self.daemon.pass_time(24 * 3600)
        self.assertEqual(self.call("POST", token=self.token())[0], 200)

    def test_where_gatehouse_does_not_answer_nobody_gets_in(self):
        token = self.token()
        self.assertEqual(self.call("POST", token=token)[0], 200)
        self.daemon.settings["grpc_address"] = f"127.0.0.1:{self.daemon.grpc_port}"
        self.daemon.stop()
        self.assertEqual(self.call("POST", token=token)[:2], (503, {"error": "temporarily_unavailable"}))
        self.daemon.start()
        end = time.monotonic() + DEADLINE
        while (status := self.call("POST", token=token)[0]) == 503 and time.monotonic() < end:
            time.sleep(0.1)  # its channel connects again in its own time
        self.assertEqual(status, 200)

    def test_a_wrong_secret_lets_nobody_in(self):
        self.start("wrong")
        self.assertEqual(self.call("POST", token=self.token())[0], 503)


class Python(Examples, unittest.TestCase):
    command = ("/usr/bin/python3", "-B", EXAMPLES + "/python/service.py")


@unittest.skipUnless(os.path.isdir(NODE_FOLDER + "/node_modules"), "npm is not used in this build")
class Node(Examples, unittest.TestCase):
    command = (shutil.which("node") or "nodejs", NODE_FOLDER + "/service.mjs")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Starts a gateway with its configuration of deploy/gateways, in front of a backend that says what reached it; and what holds
behind each of them."""
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import threading
import time

from daemon import LEASH, auth_pb2, credential_admin_pb2 as pb  # tests/support

CONFIGURATIONS = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "gateways"))
FORGED = {"X-Auth-Client-Id": "forged", "X-Auth-Client-Name": "forged", "X-Auth-Roles": "user_manager",
          "X-Auth-Owner": "forged", "X_Auth_Roles": "user_manager", "X-Original-Method": "DELETE",
          "X-Original-URI": "/forged", "X-Forwarded-Method": "DELETE", "X-Forwarded-Uri": "/forged"}


class Backend(http.server.ThreadingHTTPServer):
    """Answers with what it was asked, as JSON; counts."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.server.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = [[key.lower(), value] for key, value in self.headers.items()]
        text = json.dumps({"method": self.command, "path": self.path, "headers": headers, "body": body}).encode()
        self.send_response(403 if self.path == "/backend-says-403" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Gateway:
    """A program with a configuration file; where another process takes the port first, it is tried with another."""

    def __init__(self, folder, name, text, arguments):
        self.path, self.log_path = os.path.join(folder, name), os.path.join(folder, "gateway.log")
        for _ in range(3):
            self.port = free_port()
            with open(self.path, "w") as file:
                file.write(re.sub(r"(:|port_value: )8000\b", rf"\g<1>{self.port}", text))
            if self.start(folder, arguments):
                return
        with open(self.log_path) as file:
            raise RuntimeError(f"{arguments[0]} did not start:\n{file.read()}")

    def start(self, folder, arguments):
        environment = {**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*LEASH, *arguments, self.path], cwd=folder, stdout=log, stderr=log,
                                            env=environment)
        end = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < end:
            if is_listening(self.port):
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()


def put_in(text, replacements):
    for old, new in replacements:
        assert old in text, f"{old} is not in the configuration"
        text = text.replace(old, new)
    return text


class Gateways:
    """What holds behind each of them."""
    tells_client = True  # its address, to Gatehouse
    place = "127.0.0.1:{}"  # how its configuration says where something listens
    # The challenges to no token, to a dead one and to one without the role.
    challenges = ('Bearer realm="gatehouse"', 'Bearer realm="gatehouse", error="invalid_token"',
                  'Bearer realm="gatehouse", error="insufficient_scope"')

    @classmethod
    def variant(cls, text):
        """Its configuration, as this class uses it."""
        return text

    @classmethod
    def own_changes(cls):
        return [(cls.place.format(8080), cls.place.format(cls.daemon.http_port)), ("/OAuth/Check", "/Auth/OAuth/Check"),
                *cls.changes]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.backend = cls.enterClassContext(Backend())
        with open(os.path.join(CONFIGURATIONS, cls.file)) as file:
            text = put_in(cls.variant(file.read()), [(cls.place.format(9000), cls.place.format(cls.backend.server_port)),
                                        *cls.own_changes()])
        if cls.tls:
            text = put_in(text, [*cls.tls_changes, ("/etc/ssl/gatehouse.pem", cls.certificate)])
        cls.gateway = Gateway(cls.folder, cls.file, text, cls.arguments)
        cls.addClassCleanup(cls.gateway.stop)
        cls.token = cls.daemon.issue(cls.client_id, cls.secret).access_token

    def ask(self, method="GET", path="/cases", token=None, body=None, headers=None, source="127.0.0.1"):
        """(code, headers, body), and whether the backend was reached."""
        before = self.backend.requests
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=60, source_address=(source, 0))
        try:
            connection.request(method, path, body=body, headers={
                **({"Authorization": "Bearer " + token} if token else {}), **(headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        return answer.status, answer.headers, text, self.backend.requests > before

    def uses_of(self, api):
        """(allowed, denied) of this API; it is polled, since uses are counted in the background."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            answer = self.daemon.admin.QueryUsage(pb.QueryUsageRequest(api=api),
                                                  metadata=self.daemon.bearer(self.admin))
            if answer.rows:
                return sum(row.allowed for row in answer.rows), sum(row.denied for row in answer.rows)
            time.sleep(0.05)
        raise AssertionError(f"{api} is not among the uses")

    def assert_counted(self, api, allowed, denied):
        self.assertEqual(self.uses_of(api), (allowed, denied))

    def test_a_token_with_the_role_reaches_the_backend_which_is_told_whose_it_is(self):
        code, _, text, _ = self.ask(token=self.token)
        self.assertEqual(code, 200)
        headers = dict(json.loads(text)["headers"])
        self.assertEqual((headers["x-auth-client-id"], headers["x-auth-client-name"]),
                         (self.client_id, "client of a library"))
        self.assertEqual(sorted(headers["x-auth-roles"].split()), ["work_creator", "work_reader"])
        self.assertNotIn("authorization", headers)

    def test_no_token_and_a_dead_one_are_401_with_a_challenge(self):
        for token, challenge in zip((None, "gate_at_nothing"), self.challenges):
            code, headers, _, reached = self.ask(token=token)
            self.assertEqual((code, headers["WWW-Authenticate"], reached), (401, challenge, False))

    def test_a_token_without_the_role_is_403_with_a_challenge(self):
        code, headers, _, reached = self.ask(token=self.admin)
        self.assertEqual((code, headers["WWW-Authenticate"], reached),
                         (403, self.challenges[2], False))

    def test_the_query_of_the_client_does_not_change_what_is_asked(self):
        code, _, _, reached = self.ask(path="/cases?role=user_manager", token=self.admin)
        self.assertEqual((code, reached), (403, False))
        code, _, text, _ = self.ask(path="/cases?role=user_manager&x=1", token=self.token)
        self.assertEqual((code, json.loads(text)["path"]), (200, "/cases?role=user_manager&x=1"))

    def test_the_headers_of_gatehouse_cannot_be_forged(self):
        code, _, text, _ = self.ask(path="/not-forged", token=self.token, headers=FORGED)
        self.assertEqual(code, 200)
        told = [(key, value) for key, value in json.loads(text)["headers"]
                if key.replace("_", "-").startswith("x-auth-")]
        self.assertEqual(len(told), len(dict(told)))
        self.assertEqual(dict(told)["x-auth-client-id"], self.client_id)
        self.assertEqual([value for _, value in told if value in ("forged", "user_manager")], [])
        self.assertEqual(dict(told).get("x-auth-owner", ""), "")  # the credential has none
        self.assert_counted("GET /not-forged", 1, 0)
        self.assertEqual(self.ask(headers=FORGED)[0], 401)
        self.assertEqual(self.ask(token=self.admin, headers=FORGED)[0], 403)
        answer = self.daemon.admin.QueryUsage(pb.QueryUsageRequest(), metadata=self.daemon.bearer(self.admin))
        self.assertNotIn("DELETE /forged", [row.api for row in answer.rows])

    def test_a_body_reaches_the_backend_and_the_called_api_is_counted(self):
        body = "x" * 100_000
        code, _, text, _ = self.ask("POST", "/cases/7?secret=1", self.token, body=body)
        self.assertEqual(code, 200)
        told = json.loads(text)
        self.assertEqual((told["method"], told["path"], told["body"] == body), ("POST", "/cases/7?secret=1", True))
        self.assert_counted("POST /cases/{id}", 1, 0)
        self.assertEqual(self.ask("DELETE", "/cases/8", self.admin)[0], 403)
        self.assert_counted("DELETE /cases/{id}", 0, 1)

    def test_what_the_backend_itself_refuses_is_passed_on(self):
        code, headers, text, reached = self.ask(path="/backend-says-403", token=self.token)
        self.assertEqual((code, headers["WWW-Authenticate"], reached), (403, None, True))
        self.assertEqual(json.loads(text)["path"], "/backend-says-403")

    def test_a_revoked_token_is_refused_at_once(self):
        token = self.daemon.issue(self.client_id, self.secret).access_token
        for _ in range(3):  # the gateway knows it well
            self.assertEqual(self.ask(token=token)[0], 200)
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token, client_id=self.client_id,
                                                       client_secret=self.secret))
        code, _, _, reached = self.ask(token=token)
        self.assertEqual((code, reached), (401, False))

    def test_a_credential_that_is_bound_to_networks_is_used_from_there_alone(self):
        made = self.daemon.create(self.admin, "bound", addresses={"networks": ["127.0.0.1/32", "127.0.0.2/32"]})
        client_id, forged = made.credential.client_id, {"X-Forwarded-For": "127.0.0.2", "Forwarded": "for=127.0.0.2"}
        token = self.daemon.issue(client_id, made.secret_key).access_token
        self.daemon.admin.UpdateCredential(pb.UpdateCredentialRequest(
            credential={"client_id": client_id, "addresses": {"networks": ["127.0.0.2"]}}, update_mask={"paths": ["addresses"]}),
            metadata=self.daemon.bearer(self.admin))
        for source, headers in (("127.0.0.2", {}), ("127.0.0.1", {}), ("127.0.0.1", forged), ("127.0.0.3", forged)):
            is_within = not self.tells_client or source == "127.0.0.2"
            code, _, _, reached = self.ask(token=token, source=source, headers=headers)
            self.assertEqual((code, reached), (200, True) if is_within else (401, False), (source, headers))

    def test_without_gatehouse_nobody_gets_in(self):
        self.daemon.stop()
        try:
            code, _, _, reached = self.ask(token=self.token)
            self.assertEqual((code, reached), (self.code_without_gatehouse, False))
        finally:
            self.daemon.settings["http_address"] = f"127.0.0.1:{self.daemon.http_port}"
            self.daemon.settings["grpc_address"] = f"127.0.0.1:{self.daemon.grpc_port}"
            self.daemon.start()

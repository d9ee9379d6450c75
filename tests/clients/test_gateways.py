# SPDX-License-Identifier: Apache-2.0
"""The configurations of deploy/gateways, in the real nginx, Caddy, HAProxy and Apache, over HTTP and over TLS to Gatehouse."""
import http.client
import json
import os
import sys
import time
import unittest

from daemon import auth_pb2, credential_admin_pb2 as pb  # tests/support
from gateway import Backend, Gateway
from tls import TlsTest

CONFIGURATIONS = sys.argv.pop(1)
FORGED = {"X-Auth-Client-Id": "forged", "X-Auth-Client-Name": "forged", "X-Auth-Roles": "user_manager",
          "X-Auth-Owner": "forged", "X_Auth_Roles": "user_manager", "X-Original-Method": "DELETE",
          "X-Original-URI": "/forged", "X-Forwarded-Method": "DELETE", "X-Forwarded-Uri": "/forged"}


def put_in(text, replacements):
    for old, new in replacements:
        assert old in text, f"{old} is not in the configuration"
        text = text.replace(old, new)
    return text


class Gateways:
    """What holds behind each of them."""
    # The challenges to no token, to a dead one and to one without the role.
    challenges = ('Bearer realm="gatehouse"', 'Bearer realm="gatehouse", error="invalid_token"',
                  'Bearer realm="gatehouse", error="insufficient_scope"')

    @classmethod
    def own_changes(cls):
        return [("127.0.0.1:8080", f"127.0.0.1:{cls.daemon.http_port}"), ("/OAuth/Check", "/Auth/OAuth/Check"),
                *cls.changes]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.backend = cls.enterClassContext(Backend())
        with open(os.path.join(CONFIGURATIONS, cls.file)) as file:
            text = put_in(file.read(), [("127.0.0.1:9000", f"127.0.0.1:{cls.backend.server_port}"), *cls.own_changes()])
        if cls.tls:
            text = put_in(text, [*cls.tls_changes, ("/etc/ssl/gatehouse.pem", cls.certificate)])
        cls.gateway = Gateway(cls.folder, text, cls.arguments)
        cls.addClassCleanup(cls.gateway.stop)
        cls.token = cls.daemon.issue(cls.client_id, cls.secret).access_token

    def ask(self, method="GET", path="/cases", token=None, body=None, headers=None):
        """(code, headers, body), and whether the backend was reached."""
        before = self.backend.requests
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=30)
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
        end = time.monotonic() + 10
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

    def test_without_gatehouse_nobody_gets_in(self):
        self.daemon.stop()
        try:
            code, _, _, reached = self.ask(token=self.token)
            self.assertEqual((code, reached), (self.code_without_gatehouse, False))
        finally:
            self.daemon.settings["http_address"] = f"127.0.0.1:{self.daemon.http_port}"
            self.daemon.start()


class Nginx(Gateways, TlsTest):
    tls = False
    file = "nginx.conf"
    code_without_gatehouse = 500  # what auth_request makes of anything but 2xx, 401 and 403
    # As anyone may run it, who need not be root.
    arguments = ["/usr/sbin/nginx", "-e", "stderr", "-p", ".", "-g",
                 "daemon off; master_process off; pid nginx.pid;", "-c"]
    changes = [("http {\n", "http {\naccess_log off;\n" + "".join(
        f"{name}_temp_path {name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")))]
    tls_changes = [("http://gatehouse/", "https://gatehouse/"), ("# proxy_ssl", "proxy_ssl")]


class NginxTls(Nginx):
    tls = True


class Caddy(Gateways, TlsTest):
    tls = False
    file = "Caddyfile"
    code_without_gatehouse = 502
    arguments = ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config"]
    changes = []
    tls_changes = [("forward_auth http:", "forward_auth https:"), ("# transport", "transport"), ("# \ttls_", "tls_"),
                   ("# }", "}")]


class CaddyTls(Caddy):
    tls = True


class Haproxy(Gateways, TlsTest):
    tls = False
    file = "haproxy.cfg"
    code_without_gatehouse = 503
    arguments = ["/usr/sbin/haproxy", "-db", "-f"]
    changes = [("/etc/haproxy/haproxy.lua", os.path.join(CONFIGURATIONS, "haproxy.lua"))]
    tls_changes = [("http://127.0.0.1", "https://127.0.0.1"), ("# setenv", "setenv"), ("# httpclient.ssl.verify", "httpclient.ssl.verify"),
                   ("# httpclient.ssl.ca-file", "httpclient.ssl.ca-file")]


class HaproxyTls(Haproxy):
    tls = True


class Apache(Gateways, TlsTest):
    """Its module introspects, over TLS only, and looks for the role by itself."""
    tls = True
    tls_changes = []
    file = "apache.conf"
    code_without_gatehouse = 401
    arguments = ["/usr/sbin/apache2", "-X", "-f"]
    challenges = ('Bearer realm="gatehouse", error="invalid_request", error_description="No bearer token found in the '
                  'request"', 'Bearer realm="gatehouse", error="invalid_token", error_description="Reference token could '
                  'not be introspected"', 'Bearer error="insufficient_scope", error_description="Different scope(s) or '
                  'other claims required"')

    @classmethod
    def own_changes(cls):
        made = cls.daemon.create(cls.admin, "Apache", roles=("resource_server",))
        modules = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in (
            "mpm_event", "authn_core", "authz_core", "auth_openidc", "headers", "proxy", "proxy_http"))
        server = (f"ServerRoot {cls.folder}\nServerName localhost\nPidFile apache.pid\nErrorLog apache.log\n"
                  f"DefaultRuntimeDir .\nMutex file:. default\nListen 127.0.0.1:8000\n{modules}")
        return [("OIDCOAuthClientID 00000000-0000-4000-8000-000000000000",
                 f"{server}OIDCOAuthClientID {made.credential.client_id}"),
                ("gate_sk_the_secret_key", made.secret_key),
                ("localhost:8080/OAuth", f"localhost:{cls.daemon.http_port}/Auth/OAuth")]

    def assert_counted(self, api, allowed, denied):
        # The module says no more of the request than what its configuration says of all.
        self.assertGreaterEqual(self.uses_of("behind Apache")[0], allowed)


if __name__ == "__main__":
    unittest.main()

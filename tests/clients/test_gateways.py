# SPDX-License-Identifier: Apache-2.0
"""The configurations of deploy/gateways, in the real nginx, Caddy, HAProxy and Apache, over HTTP and over TLS to Gatehouse."""
import os
import re
import time
import unittest
import urllib.request

from daemon import DEADLINE, Daemon, auth_pb2, credential_admin_pb2 as pb
from gateway import CONFIGURATIONS, Gateways
from tls import TlsTest


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


class NginxEdge(Nginx):
    """In front of an edge's socket file: answers come from memory, uses are counted later, and a change takes its time."""

    @classmethod
    def own_changes(cls):
        cls.daemon.admin.UpdateSettings(pb.UpdateSettingsRequest(
            settings={"idle_session_timeout": {"seconds": 60}}, update_mask={"paths": ["idle_session_timeout"]}),
            metadata=cls.daemon.bearer(cls.admin))  # so that a use is reported within 6 seconds
        made = cls.daemon.create(cls.admin, "edge", roles=("resource_server",))
        cls.edge = Daemon({"upstream": f"127.0.0.1:{cls.daemon.grpc_port}", "grpc_address": "", "metrics_address": "127.0.0.1:0",
                           "upstream_client_id": made.credential.client_id, "http_address": f"unix:{cls.folder}/edge", "trusted_proxies": "unix"},
                          init=False, start=False)
        with open(cls.edge.secret_file, "w") as file:
            file.write(made.secret_key)
        cls.edge.settings["upstream_client_secret_file"] = cls.edge.secret_file
        cls.enterClassContext(cls.edge)
        cls.edge.start()
        return [("server 127.0.0.1:8080;\n", ""), ("# server unix:/run/gatehouse-edge.http;", f"server unix:{cls.folder}/edge;"), *cls.changes]

    def hits(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.edge.metrics_port}/metrics", timeout=DEADLINE) as answer:
            return int(re.search(r"(?m)^gatehouse_cache_hits_total (\d+)$", answer.read().decode())[1])

    def until(self, condition):
        end = time.monotonic() + DEADLINE
        while not condition():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def uses_of(self, api):
        self.until(lambda: self.daemon.admin.QueryUsage(pb.QueryUsageRequest(api=api), metadata=self.daemon.bearer(self.admin)).rows)
        return super().uses_of(api)

    def test_a_revoked_token_is_refused_at_once(self):
        token = self.daemon.issue(self.client_id, self.secret).access_token
        before = self.hits()
        self.until(lambda: self.ask(token=token)[0] == 200 and self.hits() > before)
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token, client_id=self.client_id, client_secret=self.secret))
        revoked = time.clock_gettime(time.CLOCK_BOOTTIME)
        while True:
            begun = time.clock_gettime(time.CLOCK_BOOTTIME)
            code = self.ask(token=token)[0]
            if begun > revoked + 1:
                self.assertEqual(code, 401)
            if code == 401:
                break

    def test_without_gatehouse_nobody_gets_in(self):
        self.daemon.settings["grpc_address"] = f"127.0.0.1:{self.daemon.grpc_port}"
        self.daemon.stop()
        stopped = time.clock_gettime(time.CLOCK_BOOTTIME)
        try:
            while True:
                begun = time.clock_gettime(time.CLOCK_BOOTTIME)
                code = self.ask(token=self.token)[0]
                if begun > stopped + 1:
                    self.assertEqual(code, self.code_without_gatehouse)
                if code == self.code_without_gatehouse:
                    break
        finally:
            self.daemon.start()
        self.until(lambda: self.ask(token=self.token)[0] == 200)


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
    module = "auth_openidc"
    tells_client = False  # nor can it
    api = "behind Apache"  # what usage counts
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
            "mpm_event", "authn_core", "authz_core", "authz_user", cls.module, "headers", "proxy", "proxy_http"))
        server = (f"ServerRoot {cls.folder}\nServerName localhost\nPidFile apache.pid\nErrorLog apache.log\n"
                  f"DefaultRuntimeDir .\nMutex file:. default\nListen 127.0.0.1:8000\n{modules}")
        return [("00000000-0000-4000-8000-000000000000", made.credential.client_id), ("gate_sk_the_secret_key", made.secret_key),
                (":8080/OAuth", f":{cls.daemon.http_port}/Auth/OAuth"), ("# Apache in front of", server + "# Apache in front of")]

    def assert_counted(self, api, allowed, denied):
        # The module says no more of the request than what its configuration says of all.
        self.assertGreaterEqual(self.uses_of(self.api)[0], allowed)


class ApacheOAuth2(Apache):
    """The newer module: it says nothing of the request."""
    file = "apache-oauth2.conf"
    module = "oauth2"
    tls = False
    api = ""
    challenges = ('Bearer realm="gatehouse", error="invalid_request", error_description="No bearer token found in the '
                  'request."', 'Bearer realm="gatehouse", error="invalid_token", error_description="Token could not be '
                  'verified."', 'Bearer realm="gatehouse", error="insufficient_scope"')


if __name__ == "__main__":
    unittest.main()

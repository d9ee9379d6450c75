# SPDX-License-Identifier: Apache-2.0
"""A gatehoused that speaks TLS under a certificate made for it, and two credentials: one may introspect, one works."""
import os
import subprocess
import tempfile
import unittest

from daemon import Daemon, credential_admin_pb2 as pb  # tests/support


def make_certificate(folder):
    """(certificate, key): files. Whoever trusts the certificate trusts exactly this server."""
    certificate, key = os.path.join(folder, "server.pem"), os.path.join(folder, "server.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class TlsTest(unittest.TestCase):
    tls = True

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="gatehouse-clients-"))
        cls.certificate, cls.key = make_certificate(cls.folder)
        tls = {"http_cert": cls.certificate, "http_key": cls.key} if cls.tls else {}
        cls.daemon = cls.enterClassContext(Daemon(settings={"http_prefix": "/Auth", "trusted_proxies": "127.0.0.1", **tls}))
        cls.admin = cls.daemon.admin_token()
        role = pb.Role(role_id="work_reader", name="Work Reader", group="Access Rights")
        cls.daemon.admin.CreateRole(pb.CreateRoleRequest(role=role), metadata=cls.daemon.bearer(cls.admin))
        made = cls.daemon.create(cls.admin, "client of a library", roles=("work_creator", "work_reader"))
        cls.client_id, cls.secret = made.credential.client_id, made.secret_key
        cls.origin = f"https://localhost:{cls.daemon.http_port}"
        cls.base = cls.origin + "/Auth"
        cls.token_url = cls.base + "/OAuth/Token"
        cls.introspect_url = cls.base + "/OAuth/Introspect"
        cls.revoke_url = cls.base + "/OAuth/Revoke"

    def is_live(self, token):
        """As the daemon itself says over gRPC, whatever a library made of its answers."""
        return self.daemon.introspect(self.admin, token).active

    def roles_of(self, token):
        return sorted(self.daemon.introspect(self.admin, token).roles)

# SPDX-License-Identifier: Apache-2.0
"""The gatehouse command over TLS, with and without a certificate of its own, against daemons started for it."""
import os
import subprocess
import tempfile
import unittest

from daemon import Daemon  # tests/support
from driver import DONE, REFUSED, UNREACHABLE, USAGE, run

NOBODY = {"GATEHOUSE_CLIENT_ID": None, "GATEHOUSE_CLIENT_SECRET_FILE": None}


class Certificates:
    """Two authorities, one of which nobody trusts, and what they signed; made with the openssl command."""

    def __init__(self, folder):
        self.folder = folder
        for authority in ("ca", "stranger-ca"):
            self.openssl("req", "-x509", "-subj", f"/CN={authority}", "-keyout", self.path(f"{authority}.key"), "-out",
                         self.path(f"{authority}.pem"), *self.KEY)
        self.sign("server", "ca", "DNS:gatehouse.test,IP:127.0.0.1")
        self.sign("administrator", "ca", "DNS:administrator.test")
        self.sign("stranger", "stranger-ca", "DNS:administrator.test")

    KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, authority, names):
        self.openssl("req", "-x509", "-subj", f"/CN={name}", "-CA", self.path(f"{authority}.pem"), "-CAkey",
                     self.path(f"{authority}.key"), "-addext", f"subjectAltName={names}", "-addext",
                     "basicConstraints=critical,CA:FALSE", "-keyout", self.path(f"{name}.key"), "-out",
                     self.path(f"{name}.pem"), *self.KEY)

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="gatehouse-command-tls-")
        cls.addClassCleanup(folder.cleanup)
        cls.certificates = Certificates(folder.name)
        path = cls.certificates.path
        tls = {"grpc_cert": path("server.pem"), "grpc_key": path("server.key")}
        cls.tls = cls.enterClassContext(Daemon(settings=tls))
        cls.mutual = cls.enterClassContext(Daemon(settings={
            **tls, "grpc_client_ca": path("ca.pem"), "admin_identities": "administrator.test"}))

    def answer(self, daemon, *arguments, port=None, **variables):
        return run("--address", f"127.0.0.1:{port or daemon.grpc_port}", "--timeout", "4s", *arguments, **variables)

    def caller(self):
        return {"GATEHOUSE_CLIENT_ID": self.tls.client_id, "GATEHOUSE_CLIENT_SECRET_FILE": self.tls.secret_file}

    def test_a_server_that_the_authority_signed_is_trusted(self):
        ca = self.certificates.path("ca.pem")
        for arguments, variables in ((["--ca-file", ca], {}), ([], {"GATEHOUSE_CA_FILE": ca}),
                                     (["--ca-file", ca, "--server-name", "gatehouse.test"], {})):
            answer = self.answer(self.tls, "role", "list", *arguments, **self.caller(), **variables)
            self.assertEqual(answer.returncode, DONE, answer.stderr)

    def test_any_other_server_gets_no_secret(self):
        for arguments in (["--ca-file", self.certificates.path("stranger-ca.pem")],
                          ["--ca-file", self.certificates.path("ca.pem"), "--server-name", "other.test"], []):
            answer = self.answer(self.tls, "role", "list", *arguments, **self.caller())
            self.assertEqual(answer.returncode, UNREACHABLE, (arguments, answer.stderr))
            self.assertIn("--ca-file", answer.stderr)

    def test_a_certificate_says_who_is_calling(self):
        path = self.certificates.path
        own = ["--ca-file", path("ca.pem"), "--cert-file", path("administrator.pem"), "--key-file",
               path("administrator.key")]
        answer = self.answer(self.mutual, "role", "list", *own, **NOBODY)
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        answer = self.answer(self.mutual, "token", "revoke", *own, stdin="never was one", **NOBODY)
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        answer = self.answer(self.mutual, "token", "introspect", *own, stdin="never was one", **NOBODY)
        self.assertEqual(answer.returncode, REFUSED, answer.stderr)  # it may administer only
        self.assertIn("CALLER_NOT_ALLOWED", answer.stderr)

    def test_a_stranger_does_not_get_in(self):
        path = self.certificates.path
        for own in (["--cert-file", path("stranger.pem"), "--key-file", path("stranger.key")], []):
            answer = self.answer(self.mutual, "role", "list", "--ca-file", path("ca.pem"), *own, **NOBODY)
            self.assertEqual(answer.returncode, UNREACHABLE, answer.stderr)

    def test_half_a_certificate_is_refused(self):
        path = self.certificates.path
        answer = self.answer(self.mutual, "role", "list", "--ca-file", path("ca.pem"), "--cert-file",
                             path("administrator.pem"), **NOBODY)
        self.assertEqual(answer.returncode, USAGE, answer.stderr)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""whoami, status and doctor: against daemons that are well, and where something is wrong on the way to one."""
import json
import os
import socket
import tempfile
import threading
import time
import unittest
from concurrent import futures

import grpc
from daemon import Daemon, auth_pb2, auth_pb2_grpc, credential_admin_pb2 as pb, credential_admin_pb2_grpc
from driver import DONE, REFUSED, UNREACHABLE, USAGE, run
from google.protobuf.timestamp_pb2 import Timestamp
from test_command_tls import NOBODY, Certificates


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="gatehouse-command-server-"))
        cls.certificates = Certificates(folder)
        cls.path = staticmethod(cls.certificates.path)
        cls.plain = cls.enterClassContext(Daemon())
        cls.mutual = cls.enterClassContext(Daemon(settings={
            "grpc_cert": cls.path("server.pem"), "grpc_key": cls.path("server.key"), "grpc_client_ca": cls.path("ca.pem"),
            "admin_identities": "administrator.test"}))

    def own(self, name="administrator"):
        return ["--ca-file", self.path("ca.pem"), "--cert-file", self.path(name + ".pem"), "--key-file", self.path(name + ".key")]

    def ask(self, *arguments, port=None, daemon=None, secret=None, **variables):
        daemon = daemon or self.plain
        caller = {"GATEHOUSE_CLIENT_ID": daemon.client_id, "GATEHOUSE_CLIENT_SECRET_FILE": secret or daemon.secret_file}
        return run("--address", f"127.0.0.1:{port or daemon.grpc_port}", "--timeout", "4s", *arguments, **{**caller, **variables})

    def findings(self, *arguments, **options):
        """What the doctor found: by check the worst (result, found, advice); and the exit status."""
        answer = self.ask("doctor", "-o", "json", *arguments, **options)
        order = ("skipped", "ok", "warn", "FAIL")
        worst = {}
        for row in json.loads(answer.stdout)["findings"]:
            if row["check"] not in worst or order.index(row["result"]) >= order.index(worst[row["check"]]["result"]):
                worst[row["check"]] = row
        return worst, answer.returncode

    def assert_found(self, findings, check, result, found, advice=None):
        self.assertEqual(findings[check]["result"], result, findings)
        self.assertIn(found, findings[check]["found"])
        if advice:
            self.assertIn(advice, findings[check]["advice"])

    def file(self, name, text):
        path = self.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
        return path


class Known(Case):
    def test_whoami_by_a_token_and_by_a_certificate(self):
        answer = self.ask("whoami", "-o", "json")
        told = json.loads(answer.stdout)
        self.assertEqual((answer.returncode, told["credential"]["clientId"], told["administersAs"]),
                         (DONE, self.plain.client_id, "user_manager"))
        text = self.ask("whoami").stdout
        for words in (self.plain.client_id, "user_manager", "a token", "127.0.0.1"):
            self.assertIn(words, text)
        name = told["credential"]["name"]
        self.assertEqual(self.ask("whoami", "-o", "value").stdout, name + "\n")
        answer = self.ask("whoami", *self.own(), daemon=self.mutual, **NOBODY)
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        self.assertIn("administrator.test", answer.stdout)
        self.assertIn("a certificate", answer.stdout)

    def test_whoami_without_a_right_and_without_a_name(self):
        made = self.plain.create(self.plain.admin_token(), "Plain holder")
        secret = self.file("plain-secret", made.secret_key)
        answer = self.ask("whoami", GATEHOUSE_CLIENT_ID=made.credential.client_id, secret=secret)
        self.assertEqual(answer.returncode, DONE, answer.stderr)
        self.assertIn("Plain holder", answer.stdout)
        self.assertNotIn("Administers", answer.stdout)
        answer = self.ask("whoami", **NOBODY)
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn("CALLER_UNKNOWN", answer.stderr)

    def test_status(self):
        answer = self.ask("status", "-o", "json")
        told = json.loads(answer.stdout)["serverStatus"]
        self.assertEqual((answer.returncode, told["store"], told["writable"], len(told["replicas"])), (DONE, "sqlite", True, 1))
        text = self.ask("status").stdout
        for words in ("Ready", "yes", "sqlite", told["version"], socket.gethostname()):
            self.assertIn(words, text)
        self.assertEqual(self.ask("status", "-o", "value").stdout, "yes\n")
        made = self.plain.create(self.plain.admin_token(), "No status")
        secret = self.file("no-status", made.secret_key)
        answer = self.ask("status", GATEHOUSE_CLIENT_ID=made.credential.client_id, secret=secret)
        self.assertEqual(answer.returncode, REFUSED)
        self.assertIn("CALLER_NOT_ALLOWED", answer.stderr)


class Fake(auth_pb2_grpc.AuthServiceServicer, credential_admin_pb2_grpc.CredentialAdminServicer):
    """A server that says what a test wants it to say."""

    def __init__(self, ahead=0, **status):
        self.ahead, self.status = ahead, status
        self.server = grpc.server(futures.ThreadPoolExecutor(4))
        auth_pb2_grpc.add_AuthServiceServicer_to_server(self, self.server)
        credential_admin_pb2_grpc.add_CredentialAdminServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()

    def now(self):
        return Timestamp(seconds=int(time.time()) + self.ahead)

    def IssueToken(self, request, context):
        return auth_pb2.IssueTokenResponse(access_token="gate_at_x", client_secret_expires_at=int(time.time()) + 3 * 86400 + 60)

    def Revoke(self, request, context):
        return auth_pb2.RevokeResponse()

    def GetCaller(self, request, context):
        expires = Timestamp(seconds=int(time.time()) + 5 * 86400 + 60)
        return pb.GetCallerResponse(credential={"name": "Fake", "expire_time": expires}, administers_as="auditor", time=self.now())

    def GetServerStatus(self, request, context):
        return pb.GetServerStatusResponse(server_status={"version": "9.9", "store": "postgresql", "time": self.now(), **self.status})


class Doctor(Case):
    def test_all_is_well(self):
        findings, code = self.findings()
        self.assertEqual({row["result"] for row in findings.values()}, {"ok"}, findings)
        self.assertEqual(code, DONE)
        self.assertLessEqual({"address", "connection", "TLS", "secret key", "caller", "rights", "clock", "version", "store", "replicas"},
                             set(findings))
        text = self.ask("doctor").stdout
        self.assertRegex(text, r"(?m)^ok +connection +127\.0\.0\.1:\d+ answers$")
        findings, code = self.findings(*self.own(), daemon=self.mutual, **NOBODY)
        self.assertEqual({check: row["result"] for check, row in findings.items() if row["result"] != "ok"},
                         {"authority": "warn", "certificate": "warn", "TLS": "warn"})  # they are made for two days
        self.assertEqual(code, DONE)
        self.assert_found(findings, "caller", "ok", "administrator.test, known by a certificate")

    def test_it_leaves_no_token_behind(self):
        token = self.plain.admin_token()
        count = lambda: self.plain.admin.ListTokens(pb.ListTokensRequest(client_id=self.plain.client_id),
                                                    metadata=Daemon.bearer(token), timeout=60).total_size
        before = count()
        self.findings()
        self.assertEqual(count(), before)

    def test_the_address(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        findings, code = self.findings(port=port)
        self.assert_found(findings, "connection", "FAIL", "refused", "grpc_address")
        self.assertEqual(code, UNREACHABLE)
        for address, words in (("no-such-host.invalid:1", "from --address"), ("localhost", "not HOST:PORT")):
            findings, code = self.findings("--address", address)
            self.assert_found(findings, "address", "FAIL", words)
            self.assertEqual(code, UNREACHABLE)
        findings, code = self.findings("--address", "unix:/nonexistent/socket")
        self.assert_found(findings, "connection", "FAIL", "No such file")

    def test_the_port_of_http(self):
        findings, code = self.findings(port=self.plain.http_port)
        self.assertEqual(next(iter(row["check"] for row in findings.values() if row["result"] == "FAIL")), "secret key", findings)
        self.assertNotEqual(code, DONE)

    def test_tls_that_does_not_fit(self):
        nobody = {"daemon": self.mutual, **NOBODY}
        findings, code = self.findings(**nobody)
        self.assert_found(findings, "TLS", "FAIL", "speaks TLS", "--ca-file")
        self.assertEqual(code, REFUSED)
        self.assert_found(self.findings("--ca-file", self.path("ca.pem"))[0], "TLS", "FAIL", "speaks no TLS", "leave --ca-file out")
        self.assert_found(self.findings("--ca-file", self.path("stranger-ca.pem"), **nobody)[0], "TLS", "FAIL",
                          "not signed by " + self.path("stranger-ca.pem") + ", but by /CN=ca", "--ca-file")
        self.assert_found(self.findings(*self.own(), "--server-name", "other.test", **nobody)[0], "TLS", "FAIL",
                          "is for gatehouse.test, 127.0.0.1, not for other.test", "--server-name")
        findings, code = self.findings("--ca-file", self.path("ca.pem"), **nobody)
        self.assert_found(findings, "TLS", "warn", "asks for a certificate", "--cert-file")
        self.assertEqual(findings["caller"]["result"], "FAIL")

    def test_certificates_that_have_ended_or_are_none(self):
        path = self.path
        self.certificates.openssl("req", "-subj", "/CN=old", "-keyout", path("old.key"), "-out", path("old.csr"), *self.certificates.KEY[:-2])
        self.certificates.openssl("x509", "-req", "-in", path("old.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-days", "-1",
                                  "-out", path("old.pem"))
        with Daemon(settings={"grpc_cert": path("old.pem"), "grpc_key": path("old.key")}) as daemon:
            findings, code = self.findings("--ca-file", path("ca.pem"), daemon=daemon)
            self.assert_found(findings, "TLS", "FAIL", "has ended", "renew")
            self.assertEqual(code, REFUSED)
        findings, code = self.findings(*self.own()[:2], "--cert-file", path("old.pem"), "--key-file", path("old.key"))
        self.assert_found(findings, "certificate", "FAIL", "has ended", "Get a new one")
        nonsense = self.file("nonsense.pem", "nonsense")
        self.assert_found(self.findings("--ca-file", nonsense)[0], "authority", "FAIL", "holds no certificate", "PEM")
        self.assert_found(self.findings("--ca-file", "/nonexistent")[0], "authority", "FAIL", "No such file")
        other = ["--ca-file", self.path("ca.pem"), "--cert-file", self.path("administrator.pem"), "--key-file", self.path("server.key")]
        self.assert_found(self.findings(*other)[0], "certificate", "FAIL", "is not the key of")
        self.assert_found(self.findings(*other[:4])[0], "certificate", "FAIL", "needs its key", "--key-file")

    def test_the_secret_key(self):
        wrong = self.file("wrong", "gate_sk_" + "A" * 49)
        findings, code = self.findings(secret=wrong)
        self.assert_found(findings, "secret key", "FAIL", "INVALID_CLIENT", "--client-secret-file")
        self.assertEqual(code, REFUSED)
        self.assert_found(self.findings(secret="/nonexistent")[0], "secret key", "FAIL", "No such file")
        self.assert_found(self.findings(secret=self.file("empty", ""))[0], "secret key", "FAIL", "empty")
        open_to_all = self.file("open", self.plain.secret)
        os.chmod(open_to_all, 0o644)
        findings, code = self.findings(secret=open_to_all)
        self.assert_found(findings, "secret key", "warn", "read by others", "chmod 600")
        self.assertEqual(code, DONE)

    def test_an_ended_token_and_two_callers(self):
        token = self.file("token", self.plain.issue().access_token)
        only = {"GATEHOUSE_CLIENT_ID": None, "GATEHOUSE_CLIENT_SECRET_FILE": None}
        self.assertEqual(self.findings("--token-file", token, **only)[1], DONE)
        with open(token) as file:
            text = file.read()
        self.plain.auth.Revoke(auth_pb2.RevokeRequest(token=text), metadata=Daemon.bearer(text), timeout=60)
        findings, code = self.findings("--token-file", token, **only)
        self.assert_found(findings, "caller", "FAIL", "CALLER_UNKNOWN", "live token")
        self.assertEqual(code, REFUSED)
        findings, code = self.findings("--token-file", token, "--client-id", self.plain.client_id)
        self.assert_found(findings, "caller", "FAIL", "both")

    def test_what_ends_soon_and_what_differs(self):
        seen = Timestamp(seconds=int(time.time()) - 100)
        with Fake(ahead=40, writable=False, clock_jump={"seconds": -70},
                  replicas=[{"host": "a", "version": "9.9", "last_seen_time": seen}]) as server:
            findings, code = self.findings(port=server.port)
        self.assert_found(findings, "secret key", "warn", "in 3 days", "newer")
        self.assert_found(findings, "credential", "warn", "in 5 days", "--expires")
        self.assertRegex(findings["clock"]["found"], r"(39|40)\.\d s behind the server's")
        self.assert_found(findings, "version", "warn", "the server 9.9")
        self.assert_found(findings, "store", "FAIL", "could not be stored", "disk")
        self.assert_found(findings, "replicas", "warn", "1 of them silent", "gatehouse status")
        self.assert_found(findings, "server clock", "warn", "-70 s")
        self.assertEqual(code, REFUSED)

    def test_a_server_whose_store_cannot_be_written_is_not_ready(self):
        with Fake(writable=False) as server:
            answer = self.ask("status", port=server.port)
        self.assertEqual(answer.returncode, REFUSED, answer.stderr)
        self.assertIn("no: the store cannot be written", answer.stdout)

    def test_an_older_server(self):
        class Older(Fake):
            def GetCaller(self, request, context):
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such method")

        with Older() as server:
            findings, code = self.findings(port=server.port)
            self.assert_found(findings, "caller", "FAIL", "no such method", "older than this command")
            self.assertEqual(self.ask("whoami", port=server.port).returncode, REFUSED)

    def test_what_a_strangers_certificate_says_is_harmless(self):
        self.certificates.openssl("req", "-x509", "-subj", "/CN=evil\x1b[2J", "-keyout", self.path("evil.key"), "-out",
                                  self.path("evil.pem"), *self.certificates.KEY)
        with Daemon(settings={"grpc_cert": self.path("evil.pem"), "grpc_key": self.path("evil.key")}) as daemon:
            answer = self.ask("doctor", "--ca-file", self.path("ca.pem"), daemon=daemon)
            self.assertNotIn("\x1b", answer.stdout)
            self.assertIn("not signed by", answer.stdout)

    def test_a_server_that_says_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            threading.Thread(target=lambda: [silent.accept() for _ in range(8)], daemon=True).start()
            findings, code = self.findings(port=silent.getsockname()[1])
        self.assertEqual((findings["connection"]["result"], code), ("ok", UNREACHABLE), findings)

    def test_it_cannot_be_shown_as_curl(self):
        self.assertEqual(self.ask("doctor", "--curl").returncode, USAGE)
        self.assertIn("/v1/caller", self.ask("whoami", "--curl").stdout)


if __name__ == "__main__":
    unittest.main()

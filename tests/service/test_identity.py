# SPDX-License-Identifier: Apache-2.0
"""Who a peer is by mutual TLS, and what it may."""
import os
import re
import socket
import ssl
import subprocess
import time
import unittest

import grpc
from daemon import DEADLINE, TRANSPORT, Daemon, auth_pb2, auth_pb2_grpc, credential_admin_pb2_grpc, error_of
from gatehouse.v1 import credential_admin_pb2 as pb

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")  # made in no time, unlike RSA's
UNKNOWN = ("UNAUTHENTICATED", "CALLER_UNKNOWN")


def wait_until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def issue(folder, file, subject, extensions):
    """file.pem and file.key, signed by ca.pem."""
    with open(folder + "/ext", "w") as out:
        out.write(extensions)
    openssl(folder, "req", *NEW_KEY, "-keyout", file + ".key", "-out", "csr", "-subj", subject)
    openssl(folder, "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
            file + ".pem", "-days", "2", "-extfile", "ext")


def issue_certificates(folder, names):
    openssl(folder, "req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=ca")
    for name in names:
        issue(folder, name, "/CN=" + name, f"subjectAltName=DNS:{name}\n")


class Case(unittest.TestCase):
    def serve(self, names, **settings):
        """With the certificates of these names, and mutual TLS; not started yet."""
        daemon = self.enterContext(Daemon({"http_address": ""}, start=False))
        self.folder = folder = daemon.folder
        issue_certificates(folder, ["localhost", *names])
        daemon.settings.update(grpc_cert=folder + "/localhost.pem", grpc_key=folder + "/localhost.key",
                               grpc_client_ca=folder + "/ca.pem", **settings)
        return daemon

    def read(self, name):
        with open(self.folder + "/" + name, "rb") as file:
            return file.read()

    def channel(self, daemon, name):
        pair = (self.read(name + ".key"), self.read(name + ".pem")) if name else (None, None)
        credentials = grpc.ssl_channel_credentials(self.read("ca.pem"), *pair)
        return grpc.secure_channel(f"localhost:{daemon.grpc_port}", credentials, [("grpc.use_local_subchannel_pool", 1)])

    def introspect(self, daemon, name):
        """What becomes of an Introspect with this certificate."""
        with self.channel(daemon, name) as way:
            request = auth_pb2.IntrospectRequest(token="x")
            return self.outcome(lambda: auth_pb2_grpc.AuthServiceStub(way).Introspect(request, timeout=DEADLINE))

    def list(self, daemon, name):
        with self.channel(daemon, name) as way:
            admin = credential_admin_pb2_grpc.CredentialAdminStub(way)
            return self.outcome(lambda: admin.ListCredentials(pb.ListCredentialsRequest(), timeout=DEADLINE))

    def caller(self, daemon, name):
        with self.channel(daemon, name) as way:
            return credential_admin_pb2_grpc.CredentialAdminStub(way).GetCaller(pb.GetCallerRequest(), timeout=DEADLINE)

    @staticmethod
    def outcome(call):
        try:
            call()
            return "OK"
        except grpc.RpcError:
            return error_of(call)[:2]


class CalledFor(Case):
    def test_whom_a_configured_identity_calls_for_is_believed_and_no_other(self):
        with Daemon({"http_address": ""}, start=False) as daemon:
            folder = daemon.folder
            issue_certificates(folder, ["localhost", "shim", "nobody"])
            daemon.settings.update(grpc_cert=folder + "/localhost.pem", grpc_key=folder + "/localhost.key",
                                   grpc_client_ca=folder + "/ca.pem", peer_identities="shim", introspect_identities="nobody")
            daemon.start()
            read = lambda name: open(folder + "/" + name, "rb").read()
            for name, told, peer in (("shim", "192.0.2.1", "192.0.2.1"), ("shim", "2001:db8::1", "2001:db8::1"),
                                     ("shim", "nonsense", None), ("shim", "192.0.2.2:80", None), ("shim", "fe80::1%x", None),
                                     ("nobody", "192.0.2.3", None)):
                credentials = grpc.ssl_channel_credentials(read("ca.pem"), read(name + ".key"), read(name + ".pem"))
                with grpc.secure_channel(f"localhost:{daemon.grpc_port}", credentials) as way:
                    request = auth_pb2.IssueTokenRequest(client_id=daemon.client_id, client_secret="wrong")
                    with self.assertRaises(grpc.RpcError):
                        auth_pb2_grpc.AuthServiceStub(way).IssueToken(request, timeout=60, metadata=(
                            ("x-gatehouse-peer", told), ("x-request-id", "try-" + str(len(daemon.log_text())))))
                line = [line for line in daemon.log_text().splitlines() if "event=auth_invalid_client" in line][-1]
                self.assertRegex(line, f"peer={peer} " if peer else r"peer=(127\.0\.0\.1|::1) ")


class Mutual(Case):
    def test_identities_may_what_they_are_configured_for(self):
        daemon = self.serve(["reader", "boss", "nobody"], introspect_identities="reader", admin_identities="boss")
        daemon.start()
        outcome = {name: [self.introspect(daemon, name), self.list(daemon, name)]
                   for name in ("reader", "boss", "nobody", None)}
        denied = ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
        self.assertEqual(outcome["reader"], ["OK", denied])
        self.assertEqual(outcome["boss"], [denied, "OK"])
        self.assertEqual(outcome["nobody"], [UNKNOWN, UNKNOWN])
        self.assertEqual([x[0] for x in outcome[None]], ["UNAVAILABLE"] * 2)
        told = {name: self.caller(daemon, name) for name in ("reader", "boss")}
        self.assertEqual([(told[name].identity, told[name].administers_as, told[name].may_introspect) for name in told],
                         [("reader", "", True), ("boss", "user_manager", False)])
        self.assertFalse(any(each.HasField("credential") or each.HasField("token") for each in told.values()))


SHAPES = {  # a certificate, and whether it is svc.internal: as it stands, and with identity_from_cn
    "dns": ("/CN=x", "subjectAltName=DNS:other.internal,DNS:svc.internal", True, True),
    "uri": ("/CN=x", "subjectAltName=URI:svc.internal", True, True),
    "mail": ("/CN=x", "subjectAltName=email:svc.internal", True, True),
    "beside": ("/CN=svc.internal", "subjectAltName=DNS:other.internal", False, False),
    "beside_address": ("/CN=svc.internal", "subjectAltName=IP:192.0.2.1", False, False),
    "alone": ("/CN=svc.internal", "basicConstraints=CA:FALSE", False, True),
    "second": ("/CN=x/CN=svc.internal", "basicConstraints=CA:FALSE", False, True),
    "organisation": ("/O=svc.internal", "basicConstraints=CA:FALSE", False, False),
    "part": ("/CN=x", "subjectAltName=DNS:svc.internal.example", False, False),
}


class Names(Case):
    def each_shape(self, column, **settings):
        daemon = self.serve([], introspect_identities="svc.internal", **settings)
        for name, (subject, extensions, *_) in SHAPES.items():
            issue(self.folder, name, subject, extensions + "\n")
        daemon.start()
        for name, shape in SHAPES.items():
            if daemon.settings.get("grpc_transport") == "core" and name == "second":
                continue  # gRPC core tells of the first CN only
            with self.subTest(name):
                self.assertEqual(self.introspect(daemon, name), "OK" if shape[column] else UNKNOWN)

    def test_a_peer_is_known_by_the_names_that_its_authority_vouched_for(self):
        self.each_shape(2)

    def test_a_common_name_counts_where_it_is_wanted_and_there_is_no_other(self):
        self.each_shape(3, identity_from_cn="true")

    def test_an_address_is_a_name(self):
        daemon = self.serve([], introspect_identities="192.0.2.1,2001:db8::1")
        issue(self.folder, "v4", "/CN=x", "subjectAltName=IP:192.0.2.1\n")
        issue(self.folder, "v6", "/CN=x", "subjectAltName=IP:2001:db8:0::1\n")
        daemon.start()
        self.assertEqual([self.introspect(daemon, name) for name in ("v4", "v6")], ["OK", "OK"])


class Signals(Case):
    def test_a_daemon_whose_certificate_has_just_changed_stops_when_it_is_told_to(self):
        daemon = self.serve(["reader"])
        for _ in range(3):
            daemon.start()
            issue(self.folder, "localhost", "/CN=localhost", "subjectAltName=DNS:localhost\n")
            self.assertEqual(daemon.stop(DEADLINE), 0)


class Refused(Case):
    def revoke(self, *names):
        folder = self.folder
        if not os.path.exists(folder + "/ca.cnf"):
            with open(folder + "/ca.cnf", "w") as file:
                file.write("[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\ndefault_md=sha256\ndefault_crl_days=2\n")
            open(folder + "/index.txt", "w").close()
        ours = ("-config", "ca.cnf", "-keyfile", "ca.key", "-cert", "ca.pem")
        for name in names:
            openssl(folder, "ca", *ours, "-revoke", name + ".pem")
        openssl(folder, "ca", *ours, "-gencrl", "-out", "crl.new")
        os.rename(folder + "/crl.new", folder + "/crl.pem")

    def alert(self, daemon, name):
        """What the client is told of the handshake."""
        context = ssl.create_default_context(cafile=self.folder + "/ca.pem")
        context.set_alpn_protocols(["h2"])
        if name:
            context.load_cert_chain(self.folder + f"/{name}.pem", self.folder + f"/{name}.key")
        with self.assertRaises(ssl.SSLError) as caught:
            with socket.create_connection(("127.0.0.1", daemon.grpc_port), DEADLINE) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as way:
                    way.recv(1000)  # TLS 1.3: the client has done its part before the server has looked
        return caught.exception.reason

    @unittest.skipIf(TRANSPORT == "core", "gRPC core looks at no revocation list")
    def test_a_revoked_certificate_is_refused_and_the_list_is_read_again_also_for_open_connections(self):
        daemon = self.serve(["good", "bad", "other"], introspect_identities="good,bad,other", grpc_client_crl="later")
        daemon.settings["grpc_client_crl"] = self.folder + "/crl.pem"
        self.revoke("bad")
        daemon.start()
        self.assertEqual(self.introspect(daemon, "good"), "OK")
        self.assertEqual(self.introspect(daemon, "bad")[0], "UNAVAILABLE")
        self.assertEqual(self.alert(daemon, "bad"), "SSLV3_ALERT_CERTIFICATE_REVOKED")
        wait_until(lambda: 'event=grpc_handshake_refused peer=127.0.0.1 why="certificate revoked"' in daemon.log_text())
        with self.channel(daemon, "good") as way, self.channel(daemon, "other") as another:
            request = auth_pb2.IntrospectRequest(token="x")
            calls = [auth_pb2_grpc.AuthServiceStub(channel).Introspect for channel in (way, another)]
            self.assertEqual([self.outcome(lambda: call(request, timeout=DEADLINE)) for call in calls], ["OK"] * 2)
            self.revoke("good")  # also who is in already goes
            wait_until(lambda: self.outcome(lambda: calls[0](request, timeout=DEADLINE)) != "OK")
            self.assertEqual(self.outcome(lambda: calls[1](request, timeout=DEADLINE)), "OK")
        self.assertEqual(daemon.log_text().count("event=grpc_peer_not_trusted_any_more"), 1)
        self.assertNotEqual(self.introspect(daemon, "good"), "OK")

    @unittest.skipUnless(TRANSPORT == "core", "nghttp2 does look at it")
    def test_a_revocation_list_that_nobody_would_look_at_is_a_mistake(self):
        daemon = self.serve([])
        self.revoke()
        daemon.settings["grpc_client_crl"] = self.folder + "/crl.pem"
        refused = daemon.run("--check-config", check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertIn("grpc_client_crl", refused.stderr)

    @unittest.skipIf(TRANSPORT == "core", "gRPC core says nothing")
    def test_who_is_refused_is_told_by_an_alert_and_the_log_says_why(self):
        daemon = self.serve(["good"])
        daemon.start()
        self.assertEqual(self.alert(daemon, None), "TLSV13_ALERT_CERTIFICATE_REQUIRED")
        os.mkdir(self.folder + "/other")
        issue_certificates(self.folder + "/other", ["stranger"])
        self.assertEqual(self.alert(daemon, "other/stranger"), "TLSV1_ALERT_UNKNOWN_CA")
        wait_until(lambda: re.findall(r'event=grpc_handshake_refused peer=127\.0\.0\.1 why="(.*)"', daemon.log_text()) ==
                   ["peer did not return a certificate", "unable to get local issuer certificate"])


if __name__ == "__main__":
    unittest.main()

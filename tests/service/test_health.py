# SPDX-License-Identifier: Apache-2.0
"""grpc.health.v1.Health of the daemon, asked by bytes, as no stubs of it are made for the tests."""
import unittest

from daemon import DEADLINE, Daemon

SERVING = b"\x08\x01"
SERVICES = ("gatehouse.v1.AuthService", "gatehouse.v1.CredentialAdmin", "envoy.service.auth.v3.Authorization",
            "grpc.health.v1.Health")


def entries(message):
    """HealthListResponse to {name: HealthCheckResponse}."""
    found = {}
    while message:
        assert message[0] == 0x0a
        entry, message = message[2:2 + message[1]], message[2 + message[1]:]
        key = b""
        if entry[0] == 0x0a:
            key, entry = entry[2:2 + entry[1]], entry[2 + entry[1]:]
        assert entry[0] == 0x12 and len(entry) == 2 + entry[1]
        found[key.decode()] = entry[2:]
    return found


class Health(unittest.TestCase):
    def test_list_tells_of_every_service_what_check_tells(self):
        with Daemon({"http_address": ""}) as daemon:
            ask = lambda method, message: daemon.channel.unary_unary("/grpc.health.v1.Health/" + method)(
                message, timeout=DEADLINE)
            listed = entries(ask("List", b""))
            self.assertLessEqual({"", *SERVICES}, set(listed))
            for name, status in listed.items():
                self.assertEqual(status, SERVING)
                self.assertEqual(ask("Check", b"\x0a" + bytes([len(name)]) + name.encode() if name else b""), SERVING)


if __name__ == "__main__":
    unittest.main()

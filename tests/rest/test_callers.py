# SPDX-License-Identifier: Apache-2.0
"""Who called: what proxies in front say of it, and what strangers may use up."""
import http.client
import unittest
import uuid

from daemon import credential_admin_pb2
from shim import ShimTest


class Callers(ShimTest):
    settings = {"trusted_proxies": "127.0.0.1,10.0.0.0/8", "metrics_address": "127.0.0.1:0"}

    def fail(self, forwarded, client_id=None):
        """A wrong secret from who is named by the X-Forwarded-For."""
        return self.form("/OAuth/Token", self.grant(client_id=client_id or str(uuid.uuid4()), client_secret="wrong"),
                         {"X-Forwarded-For": forwarded}).code

    def audit(self, peer):
        return self.daemon.admin.ListAuditEvents(
            credential_admin_pb2.ListAuditEventsRequest(filter=f"peer={peer}"),
            metadata=self.daemon.bearer(self.admin)).events

    def refused_in_metrics(self):

        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.metrics_port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return int(float(next(line.split()[1] for line in text.splitlines()
                              if line.startswith("gatehouse_authentications_throttled_total "))))

    def test_a_forged_address_in_front_of_the_proxys_is_not_believed(self):
        codes = {self.fail(f"6.6.{i // 256}.{i % 256}, 192.0.2.1:{i}, 10.0.0.9") for i in range(40)}
        self.assertEqual(codes, {401, 429})
        self.assertEqual({event.peer for event in self.audit("192.0.2.1")}, {"192.0.2.1"})

    def test_a_64_counts_as_one_address(self):
        codes = [self.fail(f"[2001:db8:5:5:{i:x}::1]:{i + 1}") for i in range(40)]
        self.assertIn(429, codes)
        self.assertEqual(self.fail("2001:db8:5:6::1"), 401)

    def test_one_address_takes_nothing_from_another_and_what_is_refused_is_written_down_once(self):
        before = self.refused_in_metrics()
        codes = [self.fail("192.0.2.66") for _ in range(200)]
        self.assertGreater(codes.count(429), 100)
        self.assertEqual([self.fail(f"192.0.3.{i}") for i in range(50)], [401] * 50)
        self.assertEqual(self.refused_in_metrics() - before, codes.count(429))
        events = [event for event in self.audit("192.0.2.66") if event.outcome == "RESOURCE_EXHAUSTED"]
        self.assertLessEqual(len(events), 3)  # one a minute
        self.assertIn("too many failures; 1 refused", events[-1].detail)
        self.assertIn("event=auth_too_many_failures", self.daemon.log_text())


if __name__ == "__main__":
    unittest.main()

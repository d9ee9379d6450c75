# SPDX-License-Identifier: Apache-2.0
"""/metrics of the running daemon, as Prometheus' own promtool reads it. With --upstream, those of an edge in front of it too."""
import http.client
import re
import subprocess
import unittest

import grpc
from daemon import auth_pb2, error_of
from shim import UPSTREAM, ShimTest

# OpenTelemetry's conventions for RPC and HTTP metrics, as its rules for Prometheus translate them.
RPC = {"rpc_system_name", "rpc_method", "rpc_response_status_code", "error_type"}
HTTP = {"http_request_method", "url_scheme", "http_route", "http_response_status_code", "error_type"}
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def promtool(text):
    """What it has to say against this text: nothing, or lines."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    return (done.returncode, done.stdout + done.stderr)


class Metrics(ShimTest):
    settings = {"metrics_address": "127.0.0.1:0"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.made = cls.daemon.create(cls.admin, "counted", owner="somebody")
        cls.traffic(cls())
        cls.texts = [cls.scrape(process) for process in {id(p): p for p in (cls.daemon, cls.shim)}.values()]
        cls.samples = [sample for text in cls.texts for sample in cls.parse(text)]

    def traffic(self):
        client_id, secret = self.made.credential.client_id, self.made.secret_key
        self.daemon.introspect(self.admin, self.admin, api="POST /cases")
        error_of(lambda: self.daemon.issue(client_id, "wrong"))
        error_of(lambda: self.daemon.channel.unary_unary(
            "/no.such.Service/" + client_id, auth_pb2.RevokeRequest.SerializeToString)(auth_pb2.RevokeRequest(), timeout=60))
        token = self.form("/oauth/TOKEN", self.grant()).json["access_token"]
        self.form("/OAuth/Introspect", {"token": token, "api": client_id}, {"Authorization": "Bearer " + self.admin})
        self.form("/OAuth/Token", self.grant(client_secret="wrong"))
        self.json("GET", "/v1/credentials/" + client_id)
        self.json("GET", "/v1/credentials/" + "0" * 30)
        for path in ("/livez", "/no/such/path/" + client_id, "/OAuth/Check?role=" + client_id):
            self.ask("GET", path)
        self.ask("TRACE", "/livez")

    @staticmethod
    def scrape(process):
        connection = http.client.HTTPConnection("127.0.0.1", process.metrics_port, timeout=60)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return answer.read().decode()
        finally:
            connection.close()

    @staticmethod
    def parse(text):
        """(name, labels, value) of each sample."""
        return [(name, dict(LABEL.findall(labels or "")), float(value)) for name, labels, value in
                (SAMPLE.fullmatch(line).groups() for line in text.splitlines() if not line.startswith("#"))]

    def count(self, name, **labels):
        return sum(value for its, of, value in self.samples if its == name + "_count" and labels.items() <= of.items())

    def test_promtool_finds_nothing(self):
        for text in self.texts:
            self.assertIn("_bucket{", text)
            self.assertEqual(promtool(text), (0, ""))
        code, found = promtool("# HELP a_counter Without its suffix.\n# TYPE a_counter counter\na_counter 1\n")
        self.assertNotEqual(code, 0)
        self.assertIn("_total", found)  # and it would find something

    def test_names_and_labels_are_those_of_the_conventions(self):
        histogram = r"(_bucket|_sum|_count)"
        for name, labels, _ in self.samples:
            if re.fullmatch("rpc_server_call_duration_seconds" + histogram, name):
                self.assertLessEqual(set(labels) - {"le"}, RPC)
                self.assertLessEqual(RPC - {"error_type"}, set(labels))
            elif re.fullmatch("http_server_request_duration_seconds" + histogram, name):
                self.assertLessEqual(set(labels) - {"le"}, HTTP)
                self.assertLessEqual(HTTP - {"error_type"}, set(labels))
                self.assertEqual(labels["url_scheme"], "http")
            else:
                self.assertRegex(name, r"^gatehouse_[a-z_]+$")

    def test_calls_are_counted_by_method_and_outcome(self):
        def calls(system, method, code, **labels):
            return self.count("rpc_server_call_duration_seconds", rpc_system_name=system, rpc_method=method,
                              rpc_response_status_code=code, **labels)
        auth = "gatehouse.v1.AuthService/"
        self.assertEqual(calls("grpc", auth + "IssueToken", "UNAUTHENTICATED"), 2 if UPSTREAM else 1)
        self.assertGreaterEqual(calls("grpc", auth + "Introspect", "OK"), 1)
        self.assertEqual(calls("grpc", "_OTHER", "UNIMPLEMENTED", error_type="UNIMPLEMENTED"), 1)
        self.assertEqual(calls("rest", auth + "IssueToken", "OK"), 1)
        self.assertEqual(calls("rest", auth + "IssueToken", "UNAUTHENTICATED"), 1)
        self.assertEqual(calls("rest", "gatehouse.v1.CredentialAdmin/GetCredential", "OK"), 1)
        self.assertFalse([labels for _, labels, _ in self.samples if "error_type" in labels and
                          labels.get("rpc_response_status_code") in ("OK", "UNAUTHENTICATED", "NOT_FOUND")])

    def test_requests_are_counted_by_route_and_code(self):
        def requests(method, route, code):
            return self.count("http_server_request_duration_seconds", http_request_method=method, http_route=route,
                              http_response_status_code=code)
        self.assertEqual(requests("POST", "/OAuth/Token", "200"), 1)
        self.assertEqual(requests("POST", "/OAuth/Token", "401"), 1)
        self.assertEqual(requests("GET", "/v1/credentials/{client_id}", "200"), 1)
        self.assertEqual(requests("GET", "other", "404"), 1)
        self.assertEqual(requests("_OTHER", "other", "501"), 1)

    def test_nothing_that_a_client_sent_is_a_label(self):
        text = "\n".join(self.texts)
        self.assertNotRegex(text, r"[0-9a-f]{8}-[0-9a-f]{4}-")  # a client ID is a UUID
        for what in ("no.such", "no/such", "POST /cases", "somebody", "counted", "TRACE"):
            self.assertNotIn(what, text)


if __name__ == "__main__":
    unittest.main()

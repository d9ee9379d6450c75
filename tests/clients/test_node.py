# SPDX-License-Identifier: Apache-2.0
"""Libraries of npm: each *.test.mjs by Node's own test runner, and the Postman collection by newman."""
import json
import os
import subprocess
import sys
import unittest

from tls import TlsTest

NODE, NPM_FOLDER, COLLECTION = sys.argv[1:4]
del sys.argv[1:4]


class Npm(TlsTest):
    def node(self, *arguments):
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        done = subprocess.run(
            [NODE, *arguments], cwd=NPM_FOLDER, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=100,
            env={**environment, "NODE_EXTRA_CA_CERTS": self.certificate, "GATEHOUSE_BASE": self.base,
                 "GATEHOUSE_ID": self.client_id, "GATEHOUSE_SECRET": self.secret,
                 "GATEHOUSE_INTROSPECTOR": self.admin, "GATEHOUSE_SERVER_ID": self.daemon.client_id,
                 "GATEHOUSE_SERVER_SECRET": self.daemon.secret})
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def run_library(self, name, least):
        output = self.node("--test", "--test-reporter=tap", f"{name}.test.mjs")
        passed = int(output.rpartition("# pass ")[2].split()[0])
        self.assertGreaterEqual(passed, least, output)  # a file that runs nothing passes too

    def test_openid_client(self):
        self.run_library("openid-client", 6)

    def test_oauth4webapi(self):
        self.run_library("oauth4webapi", 6)

    def test_simple_oauth2(self):
        self.run_library("simple-oauth2", 3)

    def test_the_postman_collection_by_newman(self):
        report = os.path.join(self.folder, "newman.json")
        variables = {"base_url": self.base, "client_id": self.client_id, "client_secret": self.secret,
                     "service_id": self.daemon.client_id, "service_secret": self.daemon.secret}
        options = [part for key, value in variables.items() for part in ("--env-var", f"{key}={value}")]
        self.node("node_modules/newman/bin/newman.js", "run", COLLECTION, "--reporters", "cli,json",
                  "--reporter-json-export", report, "--ssl-extra-ca-certs", self.certificate, *options)
        with open(report) as file:
            run = json.load(file)["run"]
        self.assertEqual((run["stats"]["requests"]["total"], run["stats"]["assertions"]["total"], run["failures"]),
                         (5, 5, []))


if __name__ == "__main__":
    unittest.main()

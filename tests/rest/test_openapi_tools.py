# SPDX-License-Identifier: Apache-2.0
"""test_openapi_tools.py FOLDER, where FOLDER has what npm installed: strangers' tools read the running daemon's OpenAPI document.
Redocly finds nothing wrong in it, and a client made from it compiles under the strictest rules of its compiler and works."""
import os
import shutil
import subprocess
import sys
import unittest
import urllib.request

from daemon import DEADLINE, Daemon

FOLDER = sys.argv.pop()
HERE = os.path.dirname(os.path.abspath(__file__))


def run(*command):
    result = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=240, env={
        **os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"})
    if result.returncode != 0:
        raise AssertionError(f"{command}: {result.returncode}\n{result.stdout[-5000:]}\n{result.stderr[-5000:]}")
    return result.stdout + result.stderr


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon({"http_address": "127.0.0.1:0"}))
        cls.url = f"http://127.0.0.1:{cls.daemon.http_port}"
        with urllib.request.urlopen(cls.url + "/openapi.json", timeout=DEADLINE) as answer, open(FOLDER + "/openapi.json", "wb") as file:
            file.write(answer.read())

    def test_redocly_finds_nothing_wrong(self):
        said = run("node_modules/.bin/redocly", "lint", "--extends=recommended", "openapi.json")
        self.assertNotIn("arning in", said)
        self.assertNotRegex(said, r"\d+ (warning|error)")

    def test_a_generated_client_compiles_and_works(self):
        shutil.copy(HERE + "/openapi/client.ts", FOLDER)
        run("node_modules/.bin/openapi-typescript", "openapi.json", "-o", "openapi.d.ts")
        run("node_modules/.bin/tsc", "--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "nodenext",
            "--lib", "es2022,dom,dom.iterable", "--skipLibCheck", "client.ts")
        self.assertIn("typed: ok", run("node", "client.js", self.url, self.daemon.admin_token()))


if __name__ == "__main__":
    unittest.main()

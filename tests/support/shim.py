# SPDX-License-Identifier: Apache-2.0
"""The REST shim for tests: of the daemon itself, or (run with --upstream) of an edge in front of it."""
import base64
import http.client
import json
import os
import sys
import unittest
import urllib.parse

import daemon as support

UPSTREAM = "--upstream" in sys.argv
if UPSTREAM:
    sys.argv.remove("--upstream")


class Answer:
    def __init__(self, response):
        self.code = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


class ShimTest(unittest.TestCase):
    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.daemon = support.Daemon(settings=cls.settings)
        cls.shim = cls.daemon
        if UPSTREAM:
            cls.shim = support.Daemon(
                init=False, folder=cls.daemon.folder + "-shim", start=False,
                settings={"upstream": f"127.0.0.1:{cls.daemon.grpc_port}", "upstream_client_id": cls.daemon.client_id,
                          "upstream_client_secret_file": cls.daemon.secret_file, **cls.settings})
            os.makedirs(cls.shim.folder, exist_ok=True)
            cls.shim.start()
        cls.admin = cls.daemon.admin_token()

    @classmethod
    def tearDownClass(cls):
        try:
            if cls.shim is not cls.daemon:
                cls.shim.__exit__()
        finally:
            cls.daemon.__exit__()

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.shim.http_port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def form(self, path, fields, headers=None):
        """fields: a dict, a list of pairs, or the body's text."""
        body = fields if isinstance(fields, str) else urllib.parse.urlencode(fields)
        return self.ask("POST", path, body,
                        {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})})

    def json(self, method, path, message=None, token=None):
        headers = {"Authorization": "Bearer " + (self.admin if token is None else token)}
        if message is not None:
            headers["Content-Type"] = "application/json"
        return self.ask(method, path, None if message is None else json.dumps(message), headers)

    @staticmethod
    def basic(client_id, secret):
        quote = urllib.parse.quote_plus
        text = f"{quote(client_id)}:{quote(secret)}".encode()
        return {"Authorization": "Basic " + base64.b64encode(text).decode()}

    def grant(self, **fields):
        return {"grant_type": "client_credentials", "client_id": self.daemon.client_id,
                "client_secret": self.daemon.secret, **fields}

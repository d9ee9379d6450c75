# SPDX-License-Identifier: Apache-2.0
"""No secret key and no token is anywhere but in the answer that it was made for: a whole run is searched for all of them."""
import glob
import json
import os
import time
import unittest
import urllib.parse
import urllib.request

from daemon import DEADLINE, TRANSPORT, Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration
from process_memory import search_memory


class Secrets(unittest.TestCase):
    def test_log_database_and_process_know_none_of_them(self):
        with Daemon({"log_level": "debug", "flush_interval_ms": "20"}) as daemon:
            token = daemon.admin_token()
            found = {daemon.secret, token}
            for number in range(5):
                made = daemon.create(token, f"secret {number}")
                found.add(made.secret_key)
                fresh = daemon.admin.RegenerateSecret(
                    pb.RegenerateSecretRequest(client_id=made.credential.client_id, overlap=Duration(seconds=60)),
                    metadata=Daemon.bearer(token))
                found.add(fresh.secret_key)
                for secret in (made.secret_key, fresh.secret_key):
                    text = daemon.issue(made.credential.client_id, secret).access_token
                    found.add(text)
                    daemon.introspect(token, text, api="GET /x")
                    error_of(lambda: daemon.introspect(text, text))  # not allowed
                    error_of(lambda: daemon.issue(secret, text))     # in the wrong fields
                    error_of(lambda: daemon.issue(made.credential.client_id, text))
                    daemon.auth.Revoke(auth_pb2.RevokeRequest(token=text), metadata=Daemon.bearer(text))
            listed = str(daemon.admin.ListCredentials(pb.ListCredentialsRequest(), metadata=Daemon.bearer(token))) + \
                str(daemon.admin.ListAuditEvents(pb.ListAuditEventsRequest(), metadata=Daemon.bearer(token)))
            places = {"lists": listed.encode(), "log": daemon.log_text().encode()}
            with open(f"/proc/{daemon.process.pid}/cmdline", "rb") as file:
                places["arguments"] = file.read()
            daemon.stop()
            for path in glob.glob(daemon.folder + "/gatehouse.db*"):
                with open(path, "rb") as file:
                    places[path] = file.read()
            self.assertGreater(len(found), 20)
            for name, content in places.items():
                for secret in found:
                    self.assertNotIn(secret.encode(), content, name)
                    self.assertNotIn(secret[8:40].encode(), content, name)
            self.assertIn(b"auth_invalid_client", places["log"])

    @unittest.skipIf(TRANSPORT == "core", "gRPC core keeps copies of its own")
    @unittest.skipIf("san.so" in os.environ["CLOCKSHIFT"], "a sanitizer keeps what was freed")
    @unittest.skipIf(os.geteuid() != 0, "only root reads another process's memory")
    def test_what_was_asked_and_answered_is_wiped(self):
        with Daemon({"flush_interval_ms": "20"}) as daemon:
            token = daemon.admin_token()
            made = daemon.create(token, "wiped")
            text = daemon.issue(made.credential.client_id, made.secret_key).access_token
            daemon.introspect(token, text, api="GET /x")
            form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": made.credential.client_id,
                                           "client_secret": made.secret_key}).encode()
            with urllib.request.urlopen(daemon.http + "/OAuth/Token", form, timeout=60) as answer:
                by_http = json.load(answer)["access_token"]
            secrets = {"token": token, "secret key": made.secret_key, "another's token": text, "token by HTTP": by_http}
            needles = {name: secret[8:40].encode() for name, secret in secrets.items()}
            end, found = time.monotonic() + DEADLINE, needles
            while found and time.monotonic() < end:  # what is on its way is wiped when it has arrived
                found = search_memory(daemon.process.pid, needles)
            self.assertEqual(found, {})
            # And the search finds what is there.
            self.assertEqual(set(search_memory(daemon.process.pid, {"name": b"gatehoused"})), {"name"})

    def test_there_is_no_core_file(self):
        with Daemon({"http_address": ""}) as daemon:
            with open(f"/proc/{daemon.process.pid}/limits") as file:
                core = next(line for line in file if line.startswith("Max core file size"))
            self.assertEqual(core.split()[4:6], ["0", "0"])
            self.assertEqual(os.stat(f"/proc/{daemon.process.pid}/mem").st_uid, 0)  # not dumpable


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""No secret key and no token is anywhere but in the answer that it was made for: a whole run is searched for all of them."""
import glob
import os
import unittest

from daemon import Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf.duration_pb2 import Duration


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

    def test_there_is_no_core_file(self):
        with Daemon({"http_address": ""}) as daemon:
            with open(f"/proc/{daemon.process.pid}/limits") as file:
                core = next(line for line in file if line.startswith("Max core file size"))
            self.assertEqual(core.split()[4:6], ["0", "0"])
            self.assertEqual(os.stat(f"/proc/{daemon.process.pid}/mem").st_uid, 0)  # not dumpable


if __name__ == "__main__":
    unittest.main()

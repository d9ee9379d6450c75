# SPDX-License-Identifier: Apache-2.0
"""The runbook's commands, each as it stands there, and what they are for: backup, restore, copy, keys, certificates."""
import http.client
import json
import os
import re
import shutil
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

import grpc
from daemon import DEADLINE, GATEHOUSED, Daemon, auth_pb2, auth_pb2_grpc, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from operate import COMMAND, ENVIRONMENT, KEY, end, make_certificate, openssl

RUNBOOK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/monitoring/runbook.md")
REFUSED = ("UNAUTHENTICATED", "INVALID_CLIENT", "")


def blocks():
    """Heading to the commands below it."""
    with open(RUNBOOK, encoding="utf-8") as file:
        sections = re.split(r"(?m)^##? (.*)$", file.read())
    return {heading: found for heading, text in zip(sections[1::2], sections[2::2])
            if (found := re.findall(r"(?ms)^```sh\n(.*?)^```$", text))}


def sign_client(name, authority, folder):
    openssl("req", "-x509", "-subj", f"/CN={name}", "-CA", f"{folder}/{authority}.pem", "-CAkey", f"{folder}/{authority}.key",
            "-addext", "subjectAltName=DNS:service.test", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout",
            f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", *KEY)


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Runbook(unittest.TestCase):
    done = set()

    @classmethod
    def tearDownClass(cls):
        every = {(heading, number) for heading, found in blocks().items() for number in range(len(found))}
        assert len(sys.argv) > 1 or cls.done == every, f"not run: {every - cls.done}"

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="gatehouse-runbook-")
        self.addCleanup(shutil.rmtree, self.folder)
        os.mkdir(self.folder + "/bin")
        os.symlink(os.path.abspath(COMMAND), self.folder + "/bin/gatehouse")
        os.symlink(os.path.abspath(GATEHOUSED), self.folder + "/bin/gatehoused")
        self.variables = {"PATH": self.folder + "/bin:" + os.environ["PATH"]}

    def run_block(self, heading, number=0):
        """Its output."""
        command = "set -euo pipefail\n" + blocks()[heading][number]
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=DEADLINE,
                              cwd=self.folder, stdin=subprocess.DEVNULL, env={**ENVIRONMENT, **self.variables})
        self.assertEqual(done.returncode, 0, f"{command}\n{done.stdout}{done.stderr}")
        self.done.add((heading, number))
        return done.stdout

    def start(self, **settings):
        daemon = self.enterContext(Daemon({"metrics_address": "127.0.0.1:0", "flush_interval_ms": "100", **settings}))
        self.variables.update(
            GATEHOUSE_ADDRESS=f"127.0.0.1:{daemon.grpc_port}", GATEHOUSE_CLIENT_ID=daemon.client_id,
            GATEHOUSE_CLIENT_SECRET_FILE=daemon.secret_file, METRICS=f"http://127.0.0.1:{daemon.metrics_port}",
            HTTP=daemon.http, STORE=daemon.settings["store"], NEW_STORE=f"sqlite:{self.folder}/new.db",
            BACKUP=self.folder + "/backup.db", PID=str(daemon.process.pid))
        return daemon

    def wait(self, condition):
        until = time.monotonic() + DEADLINE
        while not condition():
            self.assertLess(time.monotonic(), until)
            time.sleep(0.02)

    def test_what_the_alerts_ask_for(self):
        daemon = self.start()
        made = daemon.create(daemon.admin_token(), "Third party")
        token = daemon.issue(made.credential.client_id, made.secret_key).access_token
        daemon.introspect(daemon.admin_token(), token, api="GET /x")
        error_of(lambda: daemon.issue(made.credential.client_id, "wrong"))
        self.variables["CREDENTIAL"] = "Third party"
        self.assertGreater(int(self.run_block("GatehouseNotScraped")), 3)
        self.assertTrue(self.run_block("GatehouseUnavailable").startswith("200\n"))
        self.assertEqual(self.run_block("GatehouseStoreNotWritable"), "ok\n")
        self.assertIn('http_route="/readyz"', self.run_block("GatehouseHttpErrors"))
        self.wait(lambda: "Third party" in self.run_block("GatehouseSlowIssue"))
        self.wait(lambda: made.credential.client_id in self.run_block("GatehouseWrongSecrets"))
        self.assertIn("Nothing was changed", self.run_block("GatehouseTokenTableFull"))
        self.assertEqual(self.bind_and_use_elsewhere(daemon, made)[0], "PERMISSION_DENIED")
        self.wait(lambda: made.credential.client_id in self.run_block("GatehouseSourceRefused"))
        self.run_block("GatehouseThrottled")
        self.assertFalse(daemon.introspect(daemon.admin_token(), token).active)

    def bind_and_use_elsewhere(self, daemon, made):
        bound = pb.Credential(client_id=made.credential.client_id, addresses={"networks": ["192.0.2.0/24"]})
        update = pb.UpdateCredentialRequest(credential=bound, update_mask={"paths": ["addresses"]})
        daemon.admin.UpdateCredential(update, metadata=daemon.bearer(daemon.admin_token()), timeout=DEADLINE)
        return error_of(lambda: daemon.issue(made.credential.client_id, made.secret_key))

    def test_an_edge_whose_credential_lacks_the_role(self):
        daemon = self.start()
        admin = daemon.admin_token()
        made = daemon.create(admin, "edge", roles=("work_creator",))
        with open(self.folder + "/edge", "w", encoding="ascii") as file:
            file.write(made.secret_key)
        edge = self.enterContext(Daemon({
            "metrics_address": "127.0.0.1:0", "upstream": f"127.0.0.1:{daemon.grpc_port}",
            "upstream_client_id": made.credential.client_id, "upstream_client_secret_file": self.folder + "/edge"}, init=False))
        self.variables["METRICS"] = f"http://127.0.0.1:{edge.metrics_port}"
        self.assertIn("gatehouse_cache_trusted 0\n", self.run_block("GatehouseEdgeNotTrusted"))
        self.wait(lambda: "event=upstream_refuses status=PERMISSION_DENIED reason=CALLER_NOT_ALLOWED" in edge.log_text())
        daemon.admin.GrantRoles(pb.GrantRolesRequest(client_id=made.credential.client_id, roles=["resource_server"]),
                                metadata=daemon.bearer(admin), timeout=DEADLINE)
        self.wait(lambda: "gatehouse_cache_trusted 1\n" in self.run_block("GatehouseEdgeNotTrusted"))

    def test_a_clock_that_was_wrong_for_long(self):
        daemon = self.start()
        self.assertEqual(self.run_block("GatehouseClockJumped", 0).splitlines()[0], "ok")
        self.assertIn("gatehouse_clock_jumps_total 0", self.run_block("GatehouseClockJumped", 0))
        end(daemon)
        with sqlite3.connect(daemon.folder + "/gatehouse.db") as database:
            database.execute("INSERT OR REPLACE INTO counter (name, value) VALUES ('clock', ?)",
                             (int(time.time() + 86400) * 1_000_000,))
        database.close()
        self.assertIn("The clock is behind by", self.run_block("GatehouseClockBehind"))
        daemon.start()
        self.assertNotIn("event=clock_behind", daemon.log_text())

    def test_backup_and_restore(self):
        daemon = self.start()
        token = daemon.issue().access_token
        self.run_block("Back up")
        later = daemon.issue().access_token
        end(daemon)
        self.run_block("Restore", 0)
        daemon.start()
        self.variables["GATEHOUSE_ADDRESS"] = f"127.0.0.1:{daemon.grpc_port}"
        caller = daemon.admin_token()
        self.assertTrue(daemon.introspect(caller, token).active)
        self.assertFalse(daemon.introspect(caller, later).active)
        self.run_block("Restore", 1)
        self.assertFalse(daemon.introspect(daemon.admin_token(), token).active)

    def test_the_audit_log_is_kept_small(self):
        daemon = self.start()
        self.assertRegex(self.run_block("Keep the audit log small"), r"(?s)audit_retention +400d.*Intact +yes.*From event +1\n")
        settings = daemon.admin.GetSettings(pb.GetSettingsRequest(), metadata=daemon.bearer(daemon.admin_token()), timeout=DEADLINE)
        self.assertEqual(settings.settings.audit_retention.seconds, 400 * 86_400)

    def test_another_store(self):
        daemon = self.start()
        self.run_block("Move to another store", 0)
        token = daemon.issue().access_token
        end(daemon)
        self.run_block("Move to another store", 1)
        other = self.enterContext(Daemon({"http_address": "", "store": self.variables["NEW_STORE"]}, init=False))
        self.assertTrue(other.introspect(token, token).active)

    def test_a_second_secret_key_then_the_end_of_the_first(self):
        daemon = self.start()
        made = daemon.create(daemon.admin_token(), "Third party")
        client_id, first = made.credential.client_id, made.secret_key
        self.variables["CREDENTIAL"] = client_id
        token = daemon.issue(client_id, first).access_token
        heading = "Rotate a credential's secret key"
        self.run_block(heading, 0)
        path = self.folder + "/new.secret"
        self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        second = read(path).decode().strip()
        for secret in (first, second):
            self.assertTrue(daemon.issue(client_id, secret).access_token)

        def both_are_used():
            keys = [json.loads(line) for line in self.run_block(heading, 1).splitlines()]
            return len(keys) == 2 and all(key["lastUseTime"] for key in keys)

        self.wait(both_are_used)
        self.run_block(heading, 2)
        self.assertEqual(error_of(lambda: daemon.issue(client_id, first)), REFUSED)
        self.assertTrue(daemon.issue(client_id, second).access_token)
        self.assertTrue(daemon.introspect(daemon.admin_token(), token).active)

    def test_a_secret_key_that_leaked_ends_at_once_with_its_tokens(self):
        daemon = self.start()
        made = daemon.create(daemon.admin_token(), "Third party")
        client_id, first = made.credential.client_id, made.secret_key
        self.variables["CREDENTIAL"] = "Third party"
        token = daemon.issue(client_id, first).access_token
        self.run_block("Replace a secret key that leaked")
        self.assertEqual(error_of(lambda: daemon.issue(client_id, first)), REFUSED)
        self.assertFalse(daemon.introspect(daemon.admin_token(), token).active)
        self.assertTrue(daemon.issue(client_id, read(self.folder + "/replaced.secret").decode().strip()).access_token)

    def test_a_tls_certificate_is_replaced_while_connections_go_on(self):
        for name in ("http", "new"):
            make_certificate(name, self.folder)
        certificate, key = self.folder + "/http.pem", self.folder + "/http.key"
        os.chmod(key, 0o640)
        daemon = self.start(http_cert=certificate, http_key=key)
        self.variables.update(CERT=certificate, KEY=key, HTTP=f"https://127.0.0.1:{daemon.http_port}")
        before = ssl.get_server_certificate(("127.0.0.1", daemon.http_port))
        trust = ssl.create_default_context(cafile=certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", daemon.http_port, context=trust, timeout=DEADLINE)
        self.addCleanup(connection.close)
        heading = "Rotate a TLS certificate"
        self.ask(connection)
        opened = connection.sock
        self.run_block(heading, 0)
        self.run_block(heading, 1)
        self.wait(lambda: ssl.get_server_certificate(("127.0.0.1", daemon.http_port)) != before)
        self.ask(connection)
        self.assertIs(connection.sock, opened)
        self.assertEqual(os.stat(key).st_mode & 0o7777, 0o640)
        served = self.run_block(heading, 2)
        wanted = subprocess.run(["openssl", "x509", "-in", self.folder + "/new.pem", "-noout", "-fingerprint", "-sha256",
                                 "-enddate"], check=True, capture_output=True, text=True).stdout
        self.assertEqual(served, wanted)
        self.assertIn("event=certificate_reloaded", daemon.log_text())
        with urllib.request.urlopen(self.variables["METRICS"] + "/metrics", timeout=DEADLINE) as answer:
            told = re.search(r'gatehouse_certificate_expiry_timestamp_seconds\{port="http"\} (\d+)', answer.read().decode())
        self.assertEqual(int(told.group(1)), ssl.cert_time_to_seconds(re.search("notAfter=(.*)", wanted).group(1)))

    def test_the_authority_of_grpc_clients_is_replaced_in_two_steps(self):
        make_certificate("server", self.folder)
        for authority in ("ca", "new-ca"):
            openssl("req", "-x509", "-subj", f"/CN={authority}", "-keyout", f"{self.folder}/{authority}.key", "-out",
                    f"{self.folder}/{authority}.pem", *KEY)
        sign_client("old", "ca", self.folder)
        sign_client("new", "new-ca", self.folder)
        path = self.folder + "/client-ca.pem"
        shutil.copy(self.folder + "/ca.pem", path)
        daemon = self.start(grpc_cert=self.folder + "/server.pem", grpc_key=self.folder + "/server.key", grpc_client_ca=path,
                            introspect_identities="service.test")
        self.variables["CLIENT_CA"] = path
        heading = "Rotate the authority of gRPC clients"
        self.assertEqual([self.is_served(daemon, name) for name in ("old", "new")], [True, False])
        self.run_block(heading, 0)
        self.wait(lambda: self.is_served(daemon, "new"))
        self.assertTrue(self.is_served(daemon, "old"))
        self.run_block(heading, 1)
        self.wait(lambda: not self.is_served(daemon, "old"))
        self.assertTrue(self.is_served(daemon, "new"))

    def test_get_in_again(self):
        daemon = self.start()
        with self.assertRaises(grpc.RpcError):
            daemon.issue(daemon.client_id, "lost")
        self.variables["RESCUE"] = self.folder + "/rescue.secret"
        self.assertEqual(daemon.stop(), 0)
        client_id = re.search(r"client_id=(\S+)", self.run_block("Get in again"))[1]
        self.assertEqual(os.stat(self.variables["RESCUE"]).st_mode & 0o7777, 0o600)
        daemon.start()
        token = daemon.issue(client_id, read(self.variables["RESCUE"]).decode().strip()).access_token
        answer = daemon.admin.RegenerateSecret(pb.RegenerateSecretRequest(client_id=daemon.client_id), metadata=daemon.bearer(token),
                                               timeout=DEADLINE)
        self.assertTrue(daemon.issue(daemon.client_id, answer.secret_key).access_token)

    def ask(self, connection):
        connection.request("GET", "/livez")
        answer = connection.getresponse()
        answer.read()
        self.assertEqual(answer.status, 200)

    def is_served(self, daemon, name):
        """May a client with this certificate introspect?"""
        credentials = grpc.ssl_channel_credentials(read(self.folder + "/server.pem"), read(f"{self.folder}/{name}.key"),
                                                   read(f"{self.folder}/{name}.pem"))
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "localhost")]
        with grpc.secure_channel(f"127.0.0.1:{daemon.grpc_port}", credentials, options=options) as channel:
            try:
                answer = auth_pb2_grpc.AuthServiceStub(channel).Introspect(auth_pb2.IntrospectRequest(token="x"), timeout=DEADLINE)
            except grpc.RpcError as error:
                # On a connection that was open already, its certificate does not count any more; a new one is refused.
                self.assertIn(error.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED), error)
                return False
        self.assertFalse(answer.active)
        return True


if __name__ == "__main__":
    unittest.main()

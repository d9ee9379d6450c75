# SPDX-License-Identifier: Apache-2.0
"""The container image: its steps are run, and what they make does the main job, alone and as two replicas. test_container.py
NODE FOLDER, where node_modules is."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import machine
import yaml
from image import Container, Image, read_dockerfile
from machine import as_root, run
from postgres import Postgres

NODE, PACKAGES = sys.argv[1:3]
COMPOSE = machine.SOURCE + "/deploy/container/compose.yaml"
STATE = "/var/lib/gatehouse"
PLAIN = {"GATEHOUSED_INSECURE": "true"}
UNREACHABLE = 3  # the command's exit status


def setUpModule():
    Case.image = unittest.enterModuleContext(Image(read_dockerfile(NODE, PACKAGES)["instructions"]))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="gatehouse-container-"))
        os.chmod(self.folder, 0o755)

    def volume(self, name):
        """A new one is a copy of what the image has there, owner and all."""
        path = f"{self.folder}/{name}"
        run(as_root("cp", "-a", self.image.root.path + STATE, path))
        self.addCleanup(run, as_root("rm", "-rf", path))
        return path

    def start(self, name, **options):
        container = self.enterContext(Container(self.image, f"{self.folder}/{name}.log", **options))
        container.wait("started")
        self.assertIsNone(container.process.poll(), container.said())
        return container

    def init(self, **options):
        """(client ID, secret key)"""
        status, said = run(self.image.command("init", **options))
        return re.search(r"client_id=(\S+)\nclient_secret=(\S+)", said).groups()

    def token(self, container, client_id, secret):
        form = f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}"
        said = container.over_its_network("curl", "-sS", "--fail-with-body", "--max-time", "60", "-d", form,
                                          "http://127.0.0.1:8080/OAuth/Token")[1]
        return json.loads(said)["access_token"]

    def gatehouse(self, container, administrator, *arguments, token=None):
        """The image's command, beside the daemon."""
        environment = {"GATEHOUSE_GRPC": "127.0.0.1:50051", "GATEHOUSE_CLIENT_ID": administrator[0],
                       "GATEHOUSE_CLIENT_SECRET": administrator[1]}
        words = [f"{key}={value}" for key, value in environment.items()]
        script = 'printf %s "$T" | "$@" --token-file -' if token else '"$@"'
        return container.inside("env", *words, f"T={token}", "sh", "-c", script, "sh", "gatehouse", *arguments, check=False)

    def is_active(self, container, administrator, token):
        """A replica that cannot look at the log within its lease, on a loaded machine, says UNAVAILABLE: exit 3."""
        def ask():
            answer = self.gatehouse(container, administrator, "token", "introspect", "-o", "json", token=token)
            return answer if answer[0] != UNREACHABLE else None
        status, said = machine.wait(ask)
        self.assertTrue(said.startswith("{"), f"exit {status}: {said}\n{container.said()}")
        return json.loads(said).get("active", False)


class Built(Case):
    def test_it_holds_what_the_programs_need_and_not_what_made_them(self):
        for program in ("/usr/sbin/gatehoused", "/usr/bin/gatehouse"):
            self.assertNotIn("not found", self.image.root.run("ldd", program)[1])
        for path in ("/src", "/build", "/out", "/tmp/deploy", "/usr/bin/gcc", "/usr/bin/node"):
            self.assertFalse(os.path.exists(self.image.root.path + path), path)

    def test_it_runs_as_a_user_whose_number_is_not_root_s(self):
        self.assertEqual(self.image.stage.user, "10001:10001")
        said = run(self.image.command(mounts={}, entrypoint=("id", "-un")))[1]
        self.assertEqual(said, "gatehouse\n")

    def test_it_says_which_ports_and_which_folder_it_uses(self):
        self.assertEqual(self.image.stage.ports, ["50051", "8080", "9464"])
        self.assertEqual(self.image.stage.volumes, [STATE])

    def test_without_certificates_it_does_not_listen_off_loopback(self):
        status, said = run(self.image.command(mounts={STATE: self.volume("state")}), check=False)
        self.assertEqual(status, 2)
        self.assertIn("http_address 0.0.0.0:8080 is off loopback: that demands TLS", said)


class Alone(Case):
    def test_it_does_the_main_job_on_a_read_only_root_and_tells_its_health(self):
        options = {"mounts": {STATE: self.volume("state")}, "environment": PLAIN}
        administrator = self.init(**options)
        container = self.start("alone", **options)
        self.assertEqual(container.inside(*self.image.stage.healthcheck), (0, "ready\n"))
        token = self.token(container, *administrator)
        self.assertTrue(self.is_active(container, administrator, token))
        self.gatehouse(container, administrator, "token", "revoke", token=token)
        self.assertFalse(self.is_active(container, administrator, token))
        refused = run(self.image.root.command("touch", "/usr/x", user="root", mounts=self.image.mounts({})), check=False)
        self.assertIn("Read-only file system", refused[1])
        container.process.terminate()
        self.assertEqual(container.process.wait(machine.DEADLINE), 0)

    def test_its_health_check_fails_where_nothing_runs(self):
        command = self.image.command(mounts={}, environment=PLAIN, entrypoint=self.image.stage.healthcheck)
        status, said = run(as_root("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *command), check=False)
        self.assertEqual((status, said), (1, "gatehoused: not ready: 0.0.0.0:8080: Connection refused\n"))


class Composed(Case):
    """What compose.yaml says, without its engine."""

    def setUp(self):
        super().setUp()
        with open(COMPOSE) as file:
            self.compose = yaml.safe_load(file)
        self.service, first = self.compose["services"]["gatehouse"], self.compose["services"]["init"]
        self.assertEqual((first["environment"], first["command"]), (self.service["environment"], ["init"]))
        self.postgres = self.enterContext(Postgres())
        subprocess.run(["psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", "-d", self.postgres.url, "-c",
                        "ALTER ROLE gatehouse PASSWORD 'a password of compose'; ", "-c", "CREATE DATABASE gatehouse"],
                       check=True, timeout=60, stdin=subprocess.DEVNULL)
        with open(self.postgres.data + "/pg_hba.conf", "w") as file:
            file.write("local all all scram-sha-256\n")
        self.postgres.run("pg_ctl", "reload", "-D", self.postgres.data)
        with open(self.folder + "/password", "w") as file:
            file.write("a password of compose\n")
        environment = dict(self.service["environment"])
        # In a network of its own it reaches PostgreSQL by its socket only.
        url = "postgresql://gatehouse@/gatehouse?host=/run/postgresql"
        self.assertEqual(environment["GATEHOUSED_STORE"].replace("@database/gatehouse", "@/gatehouse?host=/run/postgresql"), url)
        environment["GATEHOUSED_STORE"] = url
        secret = environment["GATEHOUSED_STORE_PASSWORD_FILE"]
        self.image.place("/run/postgresql", "/run/secrets")
        run(as_root("touch", self.image.root.path + secret))
        self.options = {"environment": environment,
                        "mounts": {"/run/postgresql": self.postgres.folder, secret: self.folder + "/password"}}

    def test_two_replicas_share_what_each_of_them_is_told(self):
        self.assertTrue(self.service["read_only"])
        self.assertEqual(self.service["deploy"]["replicas"], 2)
        administrator = self.init(**self.options)
        one, other = (self.start(name, **self.options) for name in ("one", "other"))
        for container in (one, other):  # its database may have been too slow for the first try
            machine.wait(lambda: container.inside(*self.image.stage.healthcheck, check=False)[0] == 0)
        token = self.token(one, *administrator)
        self.assertTrue(self.is_active(other, administrator, token))
        self.gatehouse(other, administrator, "token", "revoke", token=token)
        machine.wait(lambda: not self.is_active(one, administrator, token))
        for container in (one, other):
            self.assertEqual(container.inside(*self.image.stage.healthcheck), (0, "ready\n"))

    def test_a_stop_has_the_time_that_it_may_take(self):
        grace_ms = int(re.search(r"(?m)^grace_ms = (\d+)$", run([os.environ["GATEHOUSED"], "--print-config"])[1])[1])
        self.assertGreater(int(self.service["stop_grace_period"].removesuffix("s")) * 1000, 2 * grace_ms + 30000)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])

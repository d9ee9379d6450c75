# SPDX-License-Identifier: Apache-2.0
"""The units under a real systemd, as they are shipped: what they forbid is forbidden, and the daemon does its work."""
import itertools
import json
import os
import re
import subprocess
import tempfile
import time
import unittest

import machine
from machine import Machine, Root, as_root, make_certificate, run

UNITS = machine.SOURCE + "/deploy/systemd/"
SECURITY = 1.5  # the most that systemd-analyze may find; 0 is closed, 10 open
CONFIGURATION = """
http_cert = "${CREDENTIALS_DIRECTORY}/gatehoused.http.crt"
http_key = "${CREDENTIALS_DIRECTORY}/gatehoused.http.key"
"""
# A client in the middle of its request: it says when, and ends it when it is told to.
SLOW_CLIENT = r"""
import socket
client = socket.create_connection(("127.0.0.1", 8080), 60)
client.sendall(b"GET /livez HTTP/1.1\r\nHo")
print("begun", flush=True)
input()
client.sendall(b"st: localhost\r\n\r\n")
print(client.recv(100).partition(b"\r\n")[0].decode())
"""
UNIT_FILES = ("gatehoused.service", "gatehoused.socket", "gatehoused-grpc.socket", "gatehoused-metrics.socket",
              "gatehouse-edge.service", "gatehouse-edge.socket", "gatehouse-check.service", "gatehouse-check.timer",
              "gatehouse-rotate.service", "gatehouse-rotate.timer")
EDGE = """
upstream = "127.0.0.1:50051"
upstream_client_id = "{}"
upstream_client_secret_file = "${{CREDENTIALS_DIRECTORY}}/gatehouse-edge.upstream.secret"
grpc_address = "127.0.0.1:50052"
metrics_address = ""
"""
SECRET = "/var/lib/gatehouse/administrator.secret"


def security(text):
    """(does it pass, what systemd-analyze says) of a unit."""
    with tempfile.TemporaryDirectory() as folder:
        with open(folder + "/gatehoused.service", "w") as file:
            file.write(text)
        status, said = run(["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={int(SECURITY * 10)}",
                            file.name], check=False)
    return status == 0, said


class Exposure(unittest.TestCase):
    def setUp(self):
        with open(UNITS + "gatehoused.service") as file:
            self.unit = file.read()

    def test_systemd_finds_the_service_well_closed(self):
        is_closed, said = security(self.unit)
        print(said.strip().splitlines()[-1])
        self.assertTrue(is_closed, said)

    def test_the_edge_is_closed_as_well_and_has_no_state(self):
        with open(UNITS + "gatehouse-edge.service") as file:
            edge = file.read()
        begin = "UMask="
        self.assertEqual(edge.partition(begin)[2], self.unit.partition(begin)[2])
        self.assertNotIn("StateDirectory", edge)
        is_closed, said = security(edge)
        self.assertTrue(is_closed, said)

    def test_it_would_find_one_that_is_not(self):
        is_closed, said = security(re.sub(r"(?m)^SystemCallFilter=.*\n", "", self.unit))
        self.assertFalse(is_closed, said)


class Service(unittest.TestCase):
    numbers = itertools.count()

    @classmethod
    def setUpClass(cls):
        cls.root = cls.enterClassContext(Root("systemd"))
        cls.root.install("systemd", *machine.packages("image"))
        cls.root.put(os.environ["GATEHOUSED"], "/usr/sbin/gatehoused", "0755")
        cls.root.put(os.environ["GATEHOUSE_COMMAND"], "/usr/bin/gatehouse", "0755")
        for unit in UNIT_FILES:
            cls.root.put(UNITS + unit, "/lib/systemd/system/" + unit)
        cls.root.put(UNITS + "gatehouse.sysusers", "/usr/lib/sysusers.d/gatehouse.conf")
        cls.root.put(UNITS + "gatehouse.tmpfiles", "/usr/lib/tmpfiles.d/gatehouse.conf")
        cls.root.run("systemd-sysusers", "/usr/lib/sysusers.d/gatehouse.conf")
        cls.root.write("/etc/gatehouse/gatehoused.conf", CONFIGURATION)
        cls.certificate, key = (f"{machine.BUILD}/roots/systemd.{end}" for end in ("crt", "key"))
        make_certificate(cls.certificate, key)
        cls.root.put(cls.certificate, "/etc/credstore/gatehoused.http.crt", "0600")
        cls.root.put(key, "/etc/credstore/gatehoused.http.key", "0600")
        cls.machine = cls.enterClassContext(Machine(cls.root))
        # systemd-tmpfiles made the folder at boot.
        said = cls.machine.do("setpriv", "--reuid=gatehouse", "--regid=gatehouse", "--clear-groups", "gatehoused",
                              "--config", "/etc/gatehouse/gatehoused.conf", "init", "--secret-file", SECRET)
        cls.client_id = re.search(r"client_id=(\S+)", said)[1]

    def setUp(self):
        self.addCleanup(self.put_back)
        self.systemctl("start", "gatehoused")

    def put_back(self):
        self.machine.ask("systemctl", "stop", *UNIT_FILES)
        self.machine.do("rm", "-rf", "/run/systemd/system/gatehoused.service.d", "/run/systemd/system/gatehoused.socket.d",
                        "/run/systemd/system/gatehouse-edge.service.d", "/run/systemd/system/gatehouse-rotate.service.d",
                        "/var/lib/gatehouse-client")
        self.systemctl("daemon-reload")
        self.machine.ask("systemctl", "reset-failed", "gatehoused.service")

    def systemctl(self, *arguments):
        return self.machine.do("systemctl", *arguments)

    def show(self, key):
        return self.systemctl("show", "--value", "--property", key, "gatehoused.service").strip()

    def journal(self):
        return self.machine.do("journalctl", "--no-pager", "-o", "cat", "-u", "gatehoused.service")

    def change(self, unit, text):
        """A drop-in of this boot only."""
        self.root.write("/change.conf", text)
        self.machine.do("install", "-D", "-m", "0644", "/change.conf", f"/run/systemd/system/{unit}.d/change.conf")
        self.systemctl("daemon-reload")

    def restart_with(self, text):
        self.change("gatehoused.service", "[Service]\n" + text)
        self.systemctl("restart", "gatehoused")

    def command(self, *arguments, check=True):
        return self.machine.ask("env", "GATEHOUSE_GRPC=127.0.0.1:50051", f"GATEHOUSE_CLIENT_ID={self.client_id}",
                                f"GATEHOUSE_CLIENT_SECRET_FILE={SECRET}", "gatehouse", *arguments, check=check)[1]

    def curl(self, path, *options, port=8080):
        return self.machine.over_its_network("curl", "-sS", "--fail-with-body", "--max-time", "60", "--cacert",
                                             self.certificate, *options, f"https://localhost:{port}{path}")

    def main_job(self, port=8080):
        name = "a third party of process " + self.show("MainPID") + " " + str(next(self.numbers))
        client_id, secret = self.command("credential", "create", name, "--role", "work_creator", "-o", "value").split()
        client = f"client_id={client_id}&client_secret={secret}"
        token = json.loads(self.curl("/OAuth/Token", "-d", "grant_type=client_credentials&" + client, port=port))["access_token"]
        self.root.write("/token", token, "0600")
        self.assertTrue(self.is_active())
        self.curl("/OAuth/Revoke", "-d", f"token={token}&{client}", port=port)
        self.assertFalse(self.is_active())

    def is_active(self):
        # An inactive token is an answer, and status 1.
        return json.loads(self.command("token", "introspect", "--token-file", "/token", "-o", "json", check=False)).get("active", False)

    def test_systemd_finds_no_mistake_in_the_units(self):
        for unit in UNIT_FILES:
            # The daemon's manual is the package's.
            self.assertEqual(self.machine.ask("systemd-analyze", "verify", "--man=no", unit), (0, ""))

    def test_it_does_its_work_over_tls_with_a_key_that_only_root_can_read(self):
        self.main_job()
        self.assertEqual(self.show("StatusText"), "Serving gRPC on port 50051, HTTP on port 8080")
        self.assertEqual(self.show("NRestarts"), "0")

    def test_it_needs_no_system_call_that_is_not_allowed(self):
        # Those that are refused end it here. It asks for limits at its start, which the unit has set already.
        self.restart_with("SystemCallErrorNumber=kill\nSystemCallFilter=prlimit64\n")
        self.main_job()
        self.systemctl("reload", "gatehoused")
        self.main_job()
        self.systemctl("stop", "gatehoused")
        self.assertEqual(self.show("Result"), "success")

    def test_a_system_call_that_is_not_allowed_would_be_seen(self):
        self.change("gatehoused.service", "[Service]\nSystemCallErrorNumber=kill\nSystemCallFilter=~eventfd2\n")
        self.assertNotEqual(self.machine.ask("systemctl", "restart", "gatehoused")[0], 0)
        self.assertIn(self.show("Result"), ("signal", "core-dump"))

    def test_the_process_has_no_right_that_it_does_not_need(self):
        pid = self.show("MainPID")
        status = dict(re.findall(r"(\w+):\s+(\S+)", self.machine.do("cat", f"/proc/{pid}/status")))
        self.assertEqual((status["CapEff"], status["CapPrm"], status["CapBnd"], status["CapAmb"]), ("0" * 16,) * 4)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        self.assertEqual(status["Uid"], self.machine.do("id", "-u", "gatehouse").strip())
        limits = self.machine.do("cat", f"/proc/{pid}/limits")
        self.assertRegex(limits, r"Max core file size +0 +0 ")

    def test_it_can_write_where_its_state_is_and_nowhere_else(self):
        inside = ("nsenter", "-t", self.show("MainPID"), "-m", "-r", "--")
        self.assertEqual(self.machine.ask(*inside, "touch", "/var/lib/gatehouse/x", "/run/gatehouse/x", "/tmp/x")[0], 0)
        for folder in ("/etc", "/usr", "/var", "/var/log", "/srv", "/"):
            self.assertIn("Read-only file system", self.machine.ask(*inside, "touch", f"{folder}/x")[1])
        self.assertIn("Permission denied", self.machine.ask("setpriv", "--reuid=gatehouse", "--regid=gatehouse", "--clear-groups",
                                                            "cat", "/etc/credstore/gatehoused.http.key")[1])

    def test_nothing_of_it_is_swapped_out(self):
        self.assertEqual(self.show("MemorySwapMax"), "0")
        for line in self.machine.do("cat", f"/proc/{self.show('MainPID')}/status").splitlines():
            self.assertNotRegex(line, r"^VmSwap:\s*[1-9]")

    def test_a_reload_keeps_the_process_and_takes_the_new_certificate(self):
        folder = "/etc/gatehouse/tls"
        self.machine.do("install", "-d", folder)
        self.machine.do("cp", "/etc/credstore/gatehoused.http.crt", "/etc/credstore/gatehoused.http.key", folder)
        self.machine.do("chown", "-R", "root:gatehouse", folder)
        self.machine.do("chmod", "-R", "g+rX", folder)
        self.restart_with(f"Environment=GATEHOUSED_HTTP_CERT={folder}/gatehoused.http.crt "
                          f"GATEHOUSED_HTTP_KEY={folder}/gatehoused.http.key\n")
        self.curl("/readyz")
        pid, certificate, key = self.show("MainPID"), f"{machine.BUILD}/roots/new.crt", f"{machine.BUILD}/roots/new.key"
        make_certificate(certificate, key)
        for source, name in ((key, "gatehoused.http.key"), (certificate, "gatehoused.http.crt")):
            self.root.put(source, "/new")
            self.machine.do("cp", "/new", f"{folder}/{name}")  # keeps owner and mode
        self.systemctl("reload", "gatehoused")
        machine.wait(lambda: "event=reloaded" in self.journal())
        self.machine.over_its_network("curl", "-sS", "--fail", "--cacert", certificate, "https://localhost:8080/readyz")
        self.assertEqual((self.show("MainPID"), self.show("ActiveState")), (pid, "active"))

    def test_one_that_hangs_is_started_again(self):
        self.restart_with("WatchdogSec=3\nTimeoutAbortSec=3\n")
        self.machine.do("sh", "-c", "kill -STOP " + self.show("MainPID"))
        machine.wait(lambda: self.show("NRestarts") == "1" and self.show("ActiveState") == "active")
        self.assertIn("Watchdog timeout", self.machine.do("journalctl", "--no-pager", "-u", "gatehoused.service"))
        self.main_job()

    def test_a_configuration_that_makes_no_sense_is_not_tried_again(self):
        self.change("gatehoused.service", "[Service]\nEnvironment=GATEHOUSED_GRACE_MS=-1\n")
        self.assertNotEqual(self.machine.ask("systemctl", "restart", "gatehoused")[0], 0)
        self.assertEqual((self.show("ActiveState"), self.show("ExecMainStatus"), self.show("NRestarts")), ("failed", "2", "0"))
        self.assertIn("grace_ms is -1", self.journal())

    def test_a_stop_waits_for_what_is_under_way_beyond_its_timeout(self):
        self.restart_with("TimeoutStopSec=1\nEnvironment=GATEHOUSED_HTTP_CERT= GATEHOUSED_HTTP_KEY= GATEHOUSED_GRACE_MS=60000 "
                          "GATEHOUSED_HTTP_REQUEST_TIMEOUT_MS=60000\n")
        client = subprocess.Popen(
            as_root("nsenter", "-t", self.machine.leader, "-n", "--", "/usr/bin/python3", "-c", SLOW_CLIENT),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(client.communicate, timeout=machine.DEADLINE)
        self.assertEqual(client.stdout.readline(), "begun\n")
        # The daemon has read what came: its end of the connection has nothing waiting.
        machine.wait(lambda: re.match(r"0 ", self.machine.over_its_network(
            "ss", "-Htn", "state", "established", "sport = :8080")))
        self.systemctl("stop", "--no-block", "gatehoused")
        machine.wait(lambda: self.show("ActiveState") == "deactivating")
        time.sleep(3)  # well beyond TimeoutStopSec
        client.stdin.write("\n")
        client.stdin.flush()
        self.assertEqual(client.stdout.readline(), "HTTP/1.1 200 OK\n")
        machine.wait(lambda: self.show("ActiveState") == "inactive")
        self.assertEqual((self.show("Result"), self.show("ExecMainStatus")), ("success", "0"))

    def test_systemd_opens_the_ports_in_its_place_also_below_1024(self):
        self.systemctl("stop", "gatehoused")
        self.change("gatehoused.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:443\n")
        self.systemctl("start", "gatehoused.socket", "gatehoused-grpc.socket", "gatehoused-metrics.socket")
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.assertEqual(self.curl("/readyz", port=443), "ok\n")  # it is started by this
        self.main_job(port=443)
        self.assertIn("gatehouse_revision", self.machine.over_its_network("curl", "-sS", "http://127.0.0.1:9464/metrics"))
        self.systemctl("restart", "gatehoused")
        self.main_job(port=443)

    def test_an_edge_beside_it_answers_a_web_server_by_its_socket(self):
        ids = self.command("credential", "create", "an edge", "--role", "resource_server", "-o", "value").split()
        self.root.write("/secret", ids[1], "0600")
        self.machine.do("install", "-D", "-m", "0600", "/secret", "/etc/credstore/gatehouse-edge.upstream.secret")
        self.root.write("/etc/gatehouse/edge.conf", EDGE.format(ids[0]))
        client_id, secret = self.command("credential", "create", "a caller", "--role", "work_creator", "-o", "value").split()
        form = f"grant_type=client_credentials&client_id={client_id}&client_secret={secret}"
        self.change("gatehouse-edge.service", "[Service]\nSystemCallErrorNumber=kill\nSystemCallFilter=prlimit64\n")
        self.systemctl("start", "gatehouse-edge.socket")

        def ask(path, *options):
            way = f"/proc/{self.machine.leader}/root/run/gatehouse-edge.http"
            return run(as_root("curl", "-sS", "--max-time", "60", "--unix-socket", way, *options, "http://localhost" + path))[1]
        machine.wait(lambda: ask("/readyz") == "ok\n")  # it is started by this; memory is trusted
        token = json.loads(ask("/OAuth/Token", "-d", form))["access_token"]
        check = "/OAuth/Check?role=work_creator", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Authorization: Bearer " + token
        self.assertEqual(ask(*check), "200")
        self.assertEqual(self.machine.do("stat", "-c", "%U %G %a", "/run/gatehouse-edge.http"), "root www-data 660\n")
        self.systemctl("stop", "gatehouse-edge.socket", "gatehouse-edge.service")
        self.assertEqual(self.systemctl("show", "--value", "--property", "Result", "gatehouse-edge.service").strip(), "success")

    def test_a_database_is_checked(self):
        self.change("gatehouse-check.service", "[Service]\nSystemCallErrorNumber=kill\n")
        self.systemctl("start", "gatehouse-check.service")
        self.assertEqual(self.systemctl("show", "--value", "--property", "ExecMainStatus", "gatehouse-check.service").strip(), "0")

    def test_a_client_rotates_its_key_and_the_key_is_its_users(self):
        client_id, secret = self.command("credential", "create", "rotates", "--role", "work_creator", "--self-rotation", "on",
                                         "-o", "value").split()
        path = "/var/lib/gatehouse-client/secret"
        self.root.write("/etc/gatehouse-client/environment", f"GATEHOUSE_ADDRESS=127.0.0.1:50051\nGATEHOUSE_CLIENT_ID={client_id}\n")

        def rotate(user):
            self.systemctl("start", "gatehouse-rotate.service")
            self.assertEqual(self.systemctl("show", "--value", "--property", "Result", "gatehouse-rotate.service").strip(), "success")
            self.assertEqual(self.machine.do("stat", "-c", "%U %a", path), f"{user} 600\n")
            self.assertEqual(self.machine.do("stat", "-c", "%U %a", "/var/lib/gatehouse-client"), f"{user} 700\n")
            return self.machine.do("cat", path).strip()

        def works(key):
            form = f"grant_type=client_credentials&client_id={client_id}&client_secret={key}"
            return "access_token" in json.loads(self.curl("/OAuth/Token", "-d", form))
        self.systemctl("start", "gatehouse-rotate.service")  # there is no first key yet: it does nothing
        self.assertEqual(self.systemctl("show", "--value", "--property", "ConditionResult", "gatehouse-rotate.service").strip(), "no")
        self.root.write("/first", secret + "\n", "0600")
        self.machine.do("install", "-D", "-m", "0600", "/first", path)
        self.change("gatehouse-rotate.service", "[Service]\nSystemCallErrorNumber=kill\n")
        second = rotate("gatehouse-client")
        self.assertNotEqual(second, secret)
        self.assertTrue(works(second) and works(secret))  # for another 48 hours
        self.command("secret", "regenerate", client_id, "--overlap", "0", "--yes", "--write-secret", "/var/lib/gatehouse/next")
        self.machine.do("install", "-m", "0600", "/var/lib/gatehouse/next", path)
        self.machine.do("rm", "/var/lib/gatehouse/next")
        self.change("gatehouse-rotate.service", "[Service]\nUser=daemon\n")  # whoever runs the program
        third = rotate("daemon")
        self.assertTrue(works(third))
        self.assertIn("gatehouse-rotate.timer", self.systemctl("list-unit-files", "gatehouse-rotate.timer"))


if __name__ == "__main__":
    unittest.main()

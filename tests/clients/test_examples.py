# SPDX-License-Identifier: Apache-2.0
"""test_examples.py FOLDER PC_FILE LIBRARIES: the services of client/examples, built and started by the blocks of client/README.md as they
stand there, in front of a daemon and, with only the address changed, in front of an edge."""
import functools
import http.client
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import unittest

import text
from caches import Caches
from edges import DEADLINE, Daemon, make_edge, pb
from gateway import free_port

FOLDER, PC_FILE, LIBRARIES = sys.argv[1:4]
del sys.argv[1:4]
SECTIONS = text.sections("client/README.md")
SECTION = SECTIONS["Protect an API in five minutes"] + SECTIONS["A cache that hears of revocation"]
START = 300  # seconds: of a JVM on a busy machine
LANGUAGES = ("C", "Go", "Java", "Node", "Python")
CALLER, SAID = "127.0.0.2", "203.0.113.9"  # from where a service is called, and what a header says that nobody may believe
ROUTES = {"POST /cases", "GET /cases/{id}"}
QUICKSTART = """#!/bin/sh
echo 'export GATEHOUSE_GRPC=127.0.0.1:{grpc} GATEHOUSE_HTTP={http} GATEHOUSE_CLIENT_ID={id} GATEHOUSE_CLIENT_SECRET_FILE={secret}'
"""


def block(heading, number=0):
    """The commands of a language's block, or of the section's own."""
    part = re.split(r"(?m)^### ", SECTION)[0] if heading is None else re.search(rf"(?ms)^#+ {heading}$(.*?)(^#|\Z)", SECTION)[1]
    return re.findall(r"(?ms)^```sh\n(.*?)^```$", part)[number]


def has_go():
    """Debian 12's own is older than what the page asks for."""
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout
    return [int(part) for part in re.findall(r"\d+", said)[:2]] >= [1, 23]


class Service:
    """One that runs, and how to call it."""

    def __init__(self, language, line, folder, environment, address, **more):
        self.port, self.log = free_port(), f"{FOLDER}/{language}.log"
        # As it stands, but in the foreground, so that it can be ended.
        command = "exec env " + line.strip().removesuffix("&")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["bash", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True,
                                            env={**environment, "GATEHOUSE_GRPC": address, "PORT": str(self.port), **more})
        end = time.monotonic() + START
        while not self.is_there():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"{language} does not serve:\n{self.said()}")
            time.sleep(0.05)

    def said(self):
        with open(self.log) as file:
            return file.read()[-5000:]

    def is_there(self):
        try:
            return self.call("GET", "/elsewhere")[0] == 404
        except OSError:
            return False

    def call(self, method, path, token=None, scheme="Bearer "):
        """(status, WWW-Authenticate, Retry-After, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE, source_address=(CALLER, 0))
        headers = {"X-Forwarded-For": SAID, "Forwarded": "for=" + SAID}
        try:
            connection.request(method, path, headers=headers if token is None else {**headers, "Authorization": scheme + token})
            answer = connection.getresponse()
            return answer.status, answer.getheader("WWW-Authenticate"), answer.getheader("Retry-After"), answer.read().decode()
        finally:
            connection.close()

    def ask(self, *call):
        """As the answer asks for: once more after a 503, which on a busy machine is the deadline's."""
        end = time.monotonic() + DEADLINE
        while (answer := self.call(*call))[0] == 503 and time.monotonic() < end:
            time.sleep(0.1)
        return answer

    def create(self, token=None):
        return self.ask("POST", "/cases", token)

    def show(self, token):
        return self.ask("GET", "/cases/smith-2?name=secret", token)

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(DEADLINE)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


class Examples(Caches, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon())
        for setting in "grpc", "http":  # also after a restart
            cls.daemon.settings[setting + "_address"] = f"127.0.0.1:{getattr(cls.daemon, setting + '_port')}"
        cls.admin = cls.daemon.admin_token()
        watcher = cls.daemon.create(cls.admin, "edge", ("resource_server",))
        cls.edge = cls.enterClassContext(make_edge(cls.daemon, (watcher.credential.client_id, watcher.secret_key)))
        cls.edge.start()
        cls.edge.settings["grpc_address"] = f"127.0.0.1:{cls.edge.grpc_port}"
        cls.services = {}
        cls.lay_out()

    @classmethod
    def lay_out(cls):
        """A checkout, as far as the page needs one, in which nothing was built yet; and what the page's first block sets."""
        shutil.rmtree(FOLDER, ignore_errors=True)
        for path in "client", "deploy", "build/release/client", "pkgconfig":
            os.makedirs(f"{FOLDER}/{path}")
        shutil.copytree(text.SOURCE + "/client/examples", FOLDER + "/client/examples", ignore=shutil.ignore_patterns("node_modules"))
        os.symlink(text.SOURCE + "/proto", FOLDER + "/proto")
        os.symlink(os.environ["GATEHOUSE_COMMAND"], FOLDER + "/build/release/client/gatehouse")
        with open(FOLDER + "/deploy/quickstart", "w") as file:
            file.write(QUICKSTART.format(grpc=cls.daemon.grpc_port, http=cls.daemon.http, id=cls.daemon.client_id,
                                         secret=cls.daemon.secret_file))
        os.chmod(file.name, 0o755)
        cls.install_library()
        unset = ("PYTHONPATH", "GOFLAGS", "LD_PRELOAD")
        environment = {key: value for key, value in os.environ.items()
                       if key not in unset and not key.startswith("GATEHOUSE") and not key.lower().endswith("_proxy")}
        cls.environment = {**environment, "PKG_CONFIG_PATH": FOLDER + "/pkgconfig", "LD_LIBRARY_PATH": LIBRARIES,
                           "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}  # it starts in half the time
        said = cls.shell(block(None) + "export cases acme token\nenv -0\n")
        cls.environment = dict(line.split("=", 1) for line in said.split("\0") if "=" in line)

    @classmethod
    def install_library(cls):
        """As libgatehouse-dev would, here: its headers and libgatehouse.pc."""
        subprocess.run(["cmake", "--install", os.environ["BUILD"], "--prefix", FOLDER + "/usr", "--component", "libgatehouse-dev"],
                       check=True, capture_output=True)
        with open(PC_FILE) as file, open(FOLDER + "/pkgconfig/gatehouse.pc", "w") as made:
            content = re.sub(r"(?m)^prefix=.*$", f"prefix={FOLDER}/usr", file.read())
            content = re.sub(r"(?m)^includedir=.*$", "includedir=${prefix}/include/gatehouse", content)
            made.write(re.sub(r"(?m)^libdir=.*$", "libdir=" + LIBRARIES, content))

    @classmethod
    def tearDownClass(cls):
        for service in cls.services.values():
            service.end()

    @classmethod
    def shell(cls, script):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=FOLDER, env=cls.environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=1200)
        if done.returncode != 0:
            raise AssertionError(f"{script}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout

    @classmethod
    @functools.cache
    def built(cls, language):
        """The folder in which the block's last command starts the service, and that command."""
        *lines, last = block(language).replace("\\\n", " ").splitlines()
        where = f"{FOLDER}/{language}.folder"
        cls.shell("\n".join([*lines, "pwd >" + shlex.quote(where)]))
        with open(where) as file:
            return file.read().strip(), last

    def start(self, language, where, secret="../cases.secret"):
        folder, line = self.built(language)
        if where == "server":
            line = re.sub(r"GATEHOUSE_CLIENT_SECRET_FILE=\S+", "GATEHOUSE_CLIENT_SECRET_FILE=" + shlex.quote(secret), line)
        port = {"server": self.daemon, "edge": self.edge}[where].grpc_port
        service = Service(f"{language}-{where}", line, folder, self.environment, f"127.0.0.1:{port}")
        self.services[language, where] = service
        return service

    def start_with_a_wrong_secret(self, language):
        """It lets nobody in; with the right one it does, from the next request on."""
        path = f"{FOLDER}/{language}.secret"
        with open(path, "w") as file:
            file.write("wrong\n")
        service = self.start(language, "server", path)
        _, token = self.third_party("first of " + language, "work_creator")
        status, challenge, retry, _ = service.call("POST", "/cases", token)
        self.assertEqual((status, challenge, retry), (503, None, "1"), service.said())
        self.assertIn("gatehouse: ", service.said())
        shutil.copy(FOLDER + "/build/cases.secret", path)
        if language == "C":  # which reads it once
            service.end()
            service = self.start(language, "server", path)
        self.assertEqual(service.create(token)[0], 200, service.said())
        return service

    def need(self, language):
        if language == "Go" and not has_go():
            self.skipTest("Go is older than 1.23")

    def service(self, language, where):
        self.need(language)
        if (language, where) in self.services:
            return self.services[language, where]
        return self.start_with_a_wrong_secret(language) if where == "server" else self.start(language, where)

    def third_party(self, name, *roles):
        made = self.daemon.create(self.admin, name, roles)
        client = made.credential.client_id, made.secret_key
        return client, self.daemon.issue(*client).access_token

    def end_tokens(self, client_id, everywhere=True):
        self.daemon.admin.EndTokens(pb.EndTokensRequest(client_id=client_id, everywhere=everywhere),
                                    metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)

    def check(self, language):
        acme, token = self.third_party(language, "work_creator")
        both = [self.service(language, where) for where in ("server", "edge")]
        agent = self.third_party("agent of " + language, "service_agent")[1]
        for service in both:
            status, *_, body = service.create(token)
            self.assertEqual((status, acme[0] in body), (200, True), body + service.said())
            self.assertEqual(service.show(agent)[0], 200)
            self.assertEqual(service.show(token)[:2], (403, 'Bearer error="insufficient_scope", scope="service_agent"'))
            self.assert_no_token_is_refused(service)
            self.assert_peer_is_told(service)
        self.end_tokens(acme[0])
        for service in both:
            self.assertEqual(service.create(token)[:2], (401, 'Bearer error="invalid_token"'), service.said())
        self.end_tokens(self.environment["cases"])  # their own
        token = self.daemon.issue(*acme).access_token
        for service in both:
            self.assertEqual(service.create(token)[0], 200, service.said())

    def assert_peer_is_told(self, service):
        client, token = self.third_party(f"from {service.port}", "work_creator")
        self.assertEqual(service.create(token)[0], 200, service.said())
        self.assertEqual(self.last_from(client), CALLER)
        for networks, status in ([CALLER], 200), ([SAID], 401):
            self.bind(client, networks)
            self.assertEqual(service.create(token)[0], status, service.said())

    def bind(self, client, networks):
        self.daemon.admin.UpdateCredential(
            pb.UpdateCredentialRequest(credential={"client_id": client[0], "addresses": {"networks": networks}}, everywhere=True,
                                       update_mask={"paths": ["addresses"]}),
            metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)

    def last_from(self, client):
        return self.daemon.admin.GetCredential(pb.GetCredentialRequest(client_id=client[0]), metadata=self.daemon.bearer(self.admin),
                                               timeout=DEADLINE).credential.last_use_from

    def assert_no_token_is_refused(self, service):
        self.assertEqual(service.create()[:2], (401, "Bearer"))
        self.assertEqual(service.ask("POST", "/cases", "eDp5", "Basic ")[:2], (401, "Bearer"))
        jwt = "eyJhbGciOiJSUzI1NiJ9." + "e30" * 1000 + ".c2ln"
        for token in (jwt, "nonsense", "caf\u00e9", "a=b", 'a"b'):
            self.assertEqual(service.create(token)[:2], (401, 'Bearer error="invalid_token"'), token[:30])

    def test_c(self):
        self.check("C")

    def test_go(self):
        self.check("Go")

    def test_java(self):
        self.check("Java")

    def test_node(self):
        self.check("Node")

    def test_python(self):
        self.check("Python")

    def test_the_page_calls_the_service_and_asks_by_curl(self):
        script = block(None, 1).replace("127.0.0.1:8000", f"127.0.0.1:{self.service('Python', 'server').port}")
        self.assertEqual(re.findall(r"HTTP/1.1 (\d+)", self.shell(script)), ["200", "403", "401"])
        curl = re.search(r"(?ms)^```sh\n(.*?)^```$", SECTIONS["By curl"])[1]
        self.assertRegex(self.shell(curl), r'"active": ?true.*"scope": ?"work_creator"')

    def until(self, condition, what):
        end = time.monotonic() + DEADLINE
        while not condition():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.05)

    def assert_away(self, language, where, token):
        service = self.service(language, where)
        self.until(lambda: service.call("POST", "/cases", token)[0] == 503, f"{language} at the {where} answers without Gatehouse")
        status, challenge, retry, _ = service.call("POST", "/cases", token)
        self.assertEqual((status, challenge, retry), (503, None, "1"))

    def test_where_gatehouse_is_away_nobody_gets_in_and_uses_are_counted_by_route(self):
        """Last of its class by its name: it stops what the others ask."""
        languages = [language for language in LANGUAGES if language != "Go" or has_go()]
        clients = {language: self.third_party("away of " + language, "work_creator", "service_agent") for language in languages}
        for language, (_, token) in clients.items():
            for where in "server", "edge":
                service = self.service(language, where)
                self.assertEqual((service.create(token)[0], service.show(token)[0]), (200, 200), service.said())
        self.assertEqual(self.edge.stop(), 0)  # which reports its uses
        for language, (_, token) in clients.items():
            with self.subTest(language):
                self.assert_away(language, "edge", token)
        for language, ((client_id, _), _) in clients.items():
            with self.subTest(language):
                # Each at the server and at the edge; more, where a deadline passed before the answer.
                self.until(lambda: min(self.uses(client_id).get(api, 0) for api in ROUTES) >= 2, language)
                self.assertEqual(set(self.uses(client_id)), ROUTES)
        self.daemon.stop()
        for language, (_, token) in clients.items():
            with self.subTest(language):
                self.assert_away(language, "server", token)
        self.daemon.start()
        for language, (_, token) in clients.items():
            with self.subTest(language):
                self.assertEqual(self.service(language, "server").create(token)[0], 200)

    def uses(self, client_id):
        rows = self.daemon.admin.QueryUsage(pb.QueryUsageRequest(client_id=client_id, group_by=[pb.USAGE_GROUPING_API]),
                                            metadata=self.daemon.bearer(self.admin), timeout=DEADLINE).rows
        return {row.api: row.allowed for row in rows}


if __name__ == "__main__":
    unittest.main()

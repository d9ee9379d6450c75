# SPDX-License-Identifier: Apache-2.0
"""The gatehouse command as a test drives it: with pipes, and at a terminal."""
import atexit
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import tempfile
import termios
import time
import unittest
import uuid

COMMAND = os.path.abspath(os.environ.get("GATEHOUSE_COMMAND", "gatehouse"))
NEEDED = ("GATEHOUSE_GRPC", "GATEHOUSE_CLIENT_ID", "GATEHOUSE_CLIENT_SECRET_FILE")
DONE, REFUSED, USAGE, UNREACHABLE, INACTIVE = range(5)
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
TOKEN = re.compile(r"^gate_at_[A-Za-z0-9]+$")
SECRET = re.compile(r"^gate_sk_[A-Za-z0-9]+$")
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


def environment(**changes):
    """The caller's, without a configuration file of his own; a change to None takes a variable away."""
    variables = {**os.environ, "XDG_CONFIG_HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    for name, value in changes.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    return variables


def run(*arguments, stdin="", **changes):
    return subprocess.run([COMMAND, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60,
                          env=environment(**changes))


def random_name(prefix):
    return f"{prefix} {uuid.uuid4().hex[:12]}"


class Terminal:
    """The command at a terminal of its own."""

    def __init__(self, *arguments, size=(24, 80), **changes):
        ready, go = os.pipe()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.read(ready, 1)  # the terminal has its size
            os.execve(COMMAND, [COMMAND, *arguments], environment(**{"TERM": "xterm", "PAGER": "", **changes}))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        os.write(go, b"x")
        os.close(go)
        os.close(ready)
        self.text = ""

    def expect(self, words, seconds=60):
        end = time.monotonic() + seconds
        while words not in self.text:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"no {words!r} in {self.text!r}")

    def _read(self, seconds):
        if seconds <= 0 or not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def write(self, text):
        os.write(self.fd, text.encode())

    def end(self, seconds=60):
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="gatehouse-command-")
        self.addCleanup(self.folder.cleanup)
        self.made = []
        self.addCleanup(self.delete_made)

    def delete_made(self):
        for client_id in self.made:
            run("credential", "delete", client_id, "--yes")

    def ok(self, *arguments, **more):
        answer = run(*arguments, **more)
        self.assertEqual(answer.returncode, DONE, (arguments, answer.stdout, answer.stderr))
        return answer.stdout

    def fails(self, code, *arguments, **more):
        answer = run(*arguments, **more)
        self.assertEqual(answer.returncode, code, (arguments, answer.stdout, answer.stderr))
        self.assertRegex(answer.stderr, r"(?m)^gatehouse[ a-z-]*: ")
        return answer.stderr

    def read(self, *arguments, **more):
        return json.loads(self.ok(*arguments, "-o", "json", **more))

    def create(self, *arguments, roles="work_creator,team_leader", name=None):
        """A new credential: name, client ID, file of its secret key."""
        name = name or random_name("Test")
        client_id, secret = self.ok("credential", "create", name, "--role", roles, "-o", "value", *arguments).split()
        self.made.append(client_id)
        path = os.path.join(self.folder.name, f"secret-{client_id}")
        self.write(path, secret)
        return name, client_id, path

    def write(self, path, text):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text + "\n")

    def token(self, client_id, secret_file, *arguments):
        """A live token of it, and the file that it is in."""
        token = self.ok("token", "issue", "--client-id", client_id, "--client-secret-file", secret_file, "-o", "value",
                        *arguments).strip()
        path = os.path.join(self.folder.name, f"token-{uuid.uuid4().hex}")
        self.write(path, token)
        return token, path

    def is_active(self, token_file):
        code = run("token", "introspect", "--token-file", token_file).returncode
        self.assertIn(code, (DONE, INACTIVE))
        return code == DONE


def start_daemon():
    """A daemon of the tests' own, ended with them."""
    import daemon  # tests/support; needs grpcio, which the rest of this file does not

    own = daemon.Daemon()
    own.__enter__()
    atexit.register(own.__exit__, None, None, None)
    os.environ.update(GATEHOUSE_GRPC=f"127.0.0.1:{own.grpc_port}", GATEHOUSE_HTTP=own.http,
                      GATEHOUSE_CLIENT_ID=own.client_id,
                      GATEHOUSE_CLIENT_SECRET_FILE=own.secret_file)

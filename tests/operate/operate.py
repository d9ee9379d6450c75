# SPDX-License-Identifier: Apache-2.0
"""What the tests of operation share: the command on a store itself, a large database, a command stopped half-way."""
import os
import pty
import signal
import sqlite3
import subprocess
import threading
import time

from daemon import DEADLINE, LEASH

COMMAND = os.environ["GATEHOUSE_COMMAND"]
DONE, REFUSED, USAGE, UNREACHABLE = range(4)
ENVIRONMENT = {**os.environ, "XDG_CONFIG_HOME": "/nonexistent", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def gatehouse(*arguments, **environment):
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=300,
                          stdin=subprocess.DEVNULL, env={**ENVIRONMENT, **environment})


def start(*arguments):
    return subprocess.Popen([*LEASH, COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def on_terminal(*arguments):
    """What it shows on standard error where that is a terminal."""
    primary, secondary = pty.openpty()
    subprocess.run([COMMAND, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=secondary, check=True,
                   timeout=DEADLINE, env=ENVIRONMENT)
    os.close(secondary)
    shown = b""
    try:
        while part := os.read(primary, 65536):
            shown += part
    except OSError:  # the other side is closed
        pass
    os.close(primary)
    return shown.decode()


def end(daemon):
    """SIGTERM. A channel that is left open is waited for."""
    daemon.channel.close()
    return daemon.stop()


def fill(path, count):
    """Live tokens that nobody has, in the database of a daemon that does not run: what takes a while to copy."""
    with sqlite3.connect(path) as database:
        credential, epoch = database.execute("SELECT id, epoch FROM credential").fetchone()
        now = int(time.time())
        rows = ((now.to_bytes(4, "big") + os.urandom(28), credential, epoch, now * 1_000_000) for _ in range(count))
        database.executemany("INSERT INTO token (key, credential, epoch, last_used) VALUES (?, ?, ?, ?)", rows)
    database.close()


def stop_half_way(arguments, is_half_way):
    """The running command, stopped (SIGSTOP) while is_half_way() holds."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        process = start(*arguments)
        while process.poll() is None and not is_half_way():
            time.sleep(0.0005)
        if process.poll() is None:
            process.send_signal(signal.SIGSTOP)
            while state(process) not in "TZ":
                time.sleep(0.001)
            if state(process) == "T" and is_half_way():
                return process
            process.send_signal(signal.SIGCONT)
        process.communicate(timeout=DEADLINE)
    raise AssertionError("it was never caught half-way")


def state(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


class Issuers:
    """Threads that get tokens without a pause; `tokens` are those that were acknowledged."""

    def __init__(self, daemon, threads=4):
        self.daemon, self.tokens, self.errors, self.is_over = daemon, [], [], False
        self.threads = [threading.Thread(target=self.issue) for _ in range(threads)]

    def issue(self):
        while not self.is_over:
            try:
                self.tokens.append(self.daemon.issue().access_token)
            except Exception as error:  # pylint: disable=broad-except
                self.errors.append(error)
                return

    def wait_for(self, count):
        end = time.monotonic() + DEADLINE
        while len(self.tokens) < count and not self.errors:
            if time.monotonic() > end:
                raise AssertionError(f"{len(self.tokens)} tokens and no more")
            time.sleep(0.01)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join(DEADLINE)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=DEADLINE)


KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


def make_certificate(name, folder):
    """Signed by itself, for this machine."""
    openssl("req", "-x509", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
            f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem", *KEY)

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL of one's own, in a folder that is removed afterwards.

    with Postgres() as postgres:
        postgres.new_database() -> "postgresql:///…"

As a command, runs another one with GATEHOUSE_TEST_STORE set to a database of it: postgres.py COMMAND [ARGUMENT]…
"""
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

BIN = "/usr/lib/postgresql/15/bin"
LEASH = ("setpriv", "--pdeathsig", "INT", "--")  # INT: its fast shutdown


def as_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return ()
    user = pwd.getpwnam("postgres")
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--")


def pick(url):
    """A new database on the server that the URL belongs to, and its URL."""
    name = "t" + os.urandom(8).hex()
    subprocess.run(["psql", "-q", "-X", url, "-c", f"CREATE DATABASE {name}"], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    head, _, query = url.partition("?")
    return head.rsplit("/", 1)[0] + "/" + name + "?" + query


class Postgres:
    def __init__(self, standby_of=None, **settings):
        self.settings = {"max_connections": "60", "shared_buffers": "32MB", **settings}
        self.folder = tempfile.mkdtemp(prefix="gatehouse-postgres-")
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        os.chmod(self.folder, 0o755)
        self.data = self.folder + "/data"
        self.process = None
        if standby_of:
            self.run("pg_basebackup", "-R", "-D", self.data, "-d", standby_of.url + "&application_name=standby", "--no-sync",
                     "-c", "fast")
        else:
            self.run("initdb", "-D", self.data, "-U", "gatehouse", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                     "--no-sync")
        self.start()

    def run(self, program, *arguments):
        subprocess.run([*as_user(), f"{BIN}/{program}", *arguments], check=True, timeout=120, cwd=self.folder,
                       stdout=subprocess.DEVNULL)

    @property
    def url(self):
        return f"postgresql:///postgres?host={self.folder}&user=gatehouse"

    @property
    def socket(self):
        return self.folder + "/.s.PGSQL.5432"

    def start(self):
        settings = [f"-c{key}={value}" for key, value in self.settings.items()]
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen(
                [*as_user(), *LEASH, f"{BIN}/postgres", "-D", self.data, "-k", self.folder, "-clisten_addresses=", *settings],
                stdout=subprocess.DEVNULL, stderr=log, cwd=self.folder)
        end = time.monotonic() + 60
        while subprocess.run([f"{BIN}/pg_isready", "-q", "-h", self.folder], timeout=60).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.folder + "/log") as log:
                    raise RuntimeError("PostgreSQL did not start:\n" + log.read())
            time.sleep(0.02)

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast; SIGQUIT: at once, as if it had crashed."""
        self.process.send_signal(how)
        self.process.wait(60)

    def promote(self):
        self.run("pg_ctl", "promote", "-w", "-D", self.data)

    def sql(self, text, url=None):
        return subprocess.run(["psql", "-q", "-X", "-A", "-t", url or self.url, "-c", text], check=True, timeout=60,
                              capture_output=True, text=True).stdout.strip()

    def new_database(self):
        return pick(self.url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    with Postgres() as postgres:
        environment = {**os.environ, "GATEHOUSE_TEST_STORE": postgres.new_database()}
        return subprocess.run(sys.argv[1:], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Ways in which a database loses what was acknowledged last, under running daemons."""
import contextlib
import os
import re
import subprocess
import tempfile
import urllib.request

import grpc
from gatehouse.v1 import auth_pb2 as auth, credential_admin_pb2 as pb

from daemon import Daemon
from postgres import BIN, Postgres
from proxy import Network
from replicas import AWAY, eventually


def name_of(url):
    return url.split("?")[0].rsplit("/", 1)[1]


class Failover:
    """The primary is lost with all that its asynchronous standby, which is down at that time, has not heard of."""

    def __init__(self, stack):
        self.primary = stack.enter_context(Postgres())
        self.database = name_of(self.primary.new_database())
        self.standby = stack.enter_context(Postgres(standby_of=self.primary))
        hosts = f"{self.primary.folder},{self.standby.folder}"
        self.url = f"postgresql:///{self.database}?host={hosts}&user=gatehouse&target_session_attrs=read-write"

    def is_behind(self):
        written = self.primary.sql("SELECT pg_current_wal_lsn()")
        return self.standby.sql(f"SELECT pg_last_wal_replay_lsn() < '{written}'") != "f"

    def keep(self):
        """What was written until now is not lost."""
        eventually(lambda: not self.is_behind())
        self.standby.stop()

    def go_back(self):
        self.primary.process.kill()
        self.primary.process.wait()
        self.standby.start()
        self.standby.promote()

    def sql(self, text):
        return self.primary.sql(text, self.url)


class Deaf(Failover):
    """As Failover, through a network on which nobody hears of the others: they look by themselves, four times in a lease."""

    def __init__(self, stack):
        super().__init__(stack)
        self.path = stack.enter_context(tempfile.TemporaryDirectory(prefix="gatehouse-network-")) + "/socket"
        os.symlink(self.primary.socket, self.path)
        network = Network(self.path)
        stack.callback(network.close)
        network.set("deaf")
        self.direct, self.url = self.url, network.url(self.url)

    def go_back(self):
        os.unlink(self.path)
        os.symlink(self.standby.socket, self.path)
        super().go_back()

    @contextlib.contextmanager
    def locked(self):
        """Nothing is committed meanwhile."""
        with subprocess.Popen(["psql", "-q", "-X", "-A", "-t", self.direct], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, bufsize=1) as psql:
            psql.stdin.write("BEGIN; SELECT name FROM counter WHERE name = 'lock' FOR UPDATE;\n")
            if psql.stdout.readline() != "lock\n":
                raise RuntimeError("it cannot be locked")
            yield
            psql.stdin.write("ROLLBACK;\n")


class Restored:
    """A backup replaces the tables, in one transaction."""

    def __init__(self, stack):
        self.primary = stack.enter_context(Postgres())
        self.url = self.primary.new_database()
        self.dump = stack.enter_context(tempfile.TemporaryDirectory(prefix="gatehouse-dump-")) + "/dump"

    def keep(self):
        subprocess.run([f"{BIN}/pg_dump", "-Fc", "-f", self.dump, self.url], check=True, timeout=60)

    def restore(self):
        return subprocess.run([f"{BIN}/pg_restore", "--clean", "--if-exists", "--single-transaction", "-d", self.url, self.dump],
                              capture_output=True, text=True, timeout=60)

    def go_back(self):
        while (result := self.restore()).returncode != 0:  # a daemon wrote, and locked what it locks in another order
            if "deadlock detected" not in result.stderr:
                raise RuntimeError(result.stderr)

    def sql(self, text):
        return self.primary.sql(text, self.url)


class Renamed(Restored):
    """A backup is restored into a database of its own, which then takes the other's name."""

    def go_back(self):
        name, new = name_of(self.url), name_of(self.primary.new_database())
        subprocess.run([f"{BIN}/pg_restore", "-d", self.url.replace(name, new), self.dump], check=True, timeout=60)
        for text in (f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
                     f"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = '{name}'",
                     f"ALTER DATABASE {name} RENAME TO {name}_old",
                     f"ALTER DATABASE {new} RENAME TO {name}"):
            self.primary.sql(text)


class Group:
    """Daemons on one database of that kind. The first one's administrator is everybody's."""

    def __init__(self, stack, kind, settings, count=2):
        self.store = kind(stack)
        self.daemons = []
        for _ in range(count):
            self.daemons.append(stack.enter_context(Daemon(
                {"store": self.store.url, "http_address": "127.0.0.1:0", "metrics_address": "127.0.0.1:0", "flush_interval_ms": "100",
                 **settings}, init=not self.daemons)))
        first = self.daemons[0]
        for daemon in self.daemons:
            daemon.client_id, daemon.secret_file = first.client_id, first.secret_file
        self.caller = first.admin_token()

    def admin(self, daemon, method, **fields):
        return getattr(daemon.admin, method)(getattr(pb, method + "Request")(**fields),
                                             metadata=Daemon.bearer(self.caller), timeout=60)

    def catch_up(self, daemon):
        """An administrator's call reads the change log first."""
        eventually(lambda: try_to(lambda: self.admin(daemon, "ListRoles")))

    def lose(self, writes):
        """All have heard of what writes() does, and then it never was."""
        self.store.keep()
        writes()
        for daemon in self.daemons:
            self.catch_up(daemon)
        self.store.go_back()
        self.go_on()

    def go_on(self, *daemons):
        """Until they can read and write again."""
        for daemon in daemons or self.daemons:
            self.catch_up(daemon)
            eventually(lambda: try_to(daemon.admin_token))

    def revoke(self, daemon, token):
        daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.caller), timeout=60)

    def is_active(self, daemon, token):
        return daemon.introspect(self.caller, token, api="GET /").active


def resets(daemon):
    """How often, as its metrics say, it found another history."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics", timeout=60) as answer:
        found = re.search(r'(?m)^gatehouse_resets_total\{cause="history"\} (\d+)', answer.read().decode())
    return int(found.group(1)) if found else 0


def try_to(call):
    """False: the store could not be had."""
    try:
        return call() or True
    except grpc.RpcError as error:
        if error.code() in AWAY:
            return False
        raise

# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL, and daemons that share one database on it, each through a network of its own."""
import time

import grpc

from daemon import Daemon
from postgres import Postgres
from proxy import Network

AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)


class Replicas:
    def __init__(self, count, settings=None, clock=False, mode="pass"):
        self.postgres = Postgres()
        self.store = self.postgres.new_database()
        self.networks = [Network(self.postgres.socket) for _ in range(count)]
        self.set(mode)
        self.daemons = []
        for network in self.networks:
            daemon = Daemon({"store": network.url(self.store), **(settings or {})}, init=not self.daemons, clock=clock)
            if self.daemons:  # the administrator is the first one's
                daemon.client_id, daemon.secret_file = self.daemons[0].client_id, self.daemons[0].secret_file
            self.daemons.append(daemon)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.set("pass")
        try:
            for daemon in reversed(self.daemons):
                daemon.__exit__(*error)
        finally:
            for network in self.networks:
                network.close()
            self.postgres.__exit__(*error)

    def set(self, mode):
        for network in self.networks:
            network.set(mode)

    def sql(self, text):
        return self.postgres.sql(text, self.store)


def eventually(test, seconds=60):
    """Waits until test() is true, or fails; gives the time that it took."""
    begin = time.monotonic()
    while not test():
        if time.monotonic() - begin > seconds:
            raise AssertionError("it never happened")
        time.sleep(0.02)
    return time.monotonic() - begin

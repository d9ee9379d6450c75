# SPDX-License-Identifier: Apache-2.0
"""The program client_driver: one connection of libgatehouse, told what to do line by line."""
import os
import re
import subprocess
import sys
import threading
import time

from daemon import DEADLINE, LEASH

DRIVER = sys.argv.pop()  # the last argument of each test that uses it


def boot_time():
    """The clock of leases."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Driver:
    """A program with one connection."""

    def __init__(self, daemon, client_id=None, client_secret=None, **environment):
        if client_id:
            environment.update(CLIENT_ID=client_id, CLIENT_SECRET=client_secret)
        environment.setdefault("ADDRESS", f"127.0.0.1:{daemon.grpc_port}")
        self.process = subprocess.Popen([*LEASH, DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, "GRPC_VERBOSITY": "NONE", **environment})

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.process.stdin.close()
        status = self.process.wait(DEADLINE)
        self.process.stdout.close()
        if kind is None and status != 0:  # a sanitizer's, too
            raise AssertionError(f"the driver ended with {status}")

    def send(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def read(self):
        alarm = threading.Timer(3 * DEADLINE, self.process.kill)
        alarm.start()
        try:
            return self.process.stdout.readline().strip()
        finally:
            alarm.cancel()

    def ask(self, *words):
        self.send(*words)
        return self.read()

    def stats(self):
        """gatehouse_cache_stats"""
        return {name: int(value) for name, value in re.findall(r"(\w+)=(-?\d+)", self.ask("stats"))}

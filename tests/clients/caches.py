# SPDX-License-Identifier: Apache-2.0
"""The caches of client/examples, which speak Watch themselves: what they must do by the rules of client/README.md."""
import os
import re
import signal
import subprocess
import sys
import threading
import time

from edges import DEADLINE, LEASE, Daemon, auth, boot_time
from gateway import free_port

RELAY = os.path.dirname(os.path.abspath(__file__)) + "/../client/relay.py"


class Relay:
    """A process between a cache and the server, to be stopped, cut, and there again at the same port."""

    def __init__(self, port):
        self.port, self.far, self.process = free_port(), port, None
        self.begin()

    def begin(self):
        self.process = subprocess.Popen([sys.executable, RELAY, str(self.port), str(self.far)], stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdout.close()


class Cache:
    """A program that is told tokens and says what it knows."""

    def __init__(self, language, line, folder, environment, port):
        # As it stands, but asked more than once.
        command = "exec env " + re.fullmatch(r'echo "\$token" \| (.*)', line)[1]
        with open(f"{folder}/../{language}-cache.log", "w") as self.log:
            self.process = subprocess.Popen(["bash", "-c", command], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.log, text=True, env={**environment, "GATEHOUSE_GRPC": f"127.0.0.1:{port}"})

    def said(self):
        with open(self.log.name) as log:
            return log.read()[-3000:]

    def ask(self, token):
        self.process.stdin.write(token + "\n")
        self.process.stdin.flush()
        alarm = threading.Timer(DEADLINE, self.process.kill)
        alarm.start()
        answer = self.process.stdout.readline().strip()
        alarm.cancel()
        return answer

    def close(self):
        self.process.stdin.close()
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.stdout.close()


class Caches:
    """Of a test case that has a daemon, its administrator's token, and the blocks of the page."""

    def open_cache(self, language):
        self.relay = Relay(self.daemon.grpc_port)
        self.addCleanup(self.relay.end)
        self.built(language)
        folder, line = self.built(language + "'s cache")
        self.cache = Cache(language, line, folder, self.environment, self.relay.port)
        self.addCleanup(self.cache.process.kill)
        self.ask = self.cache.ask

    def await_answer(self, token, wanted):
        """How often it said yes until then."""
        end = time.monotonic() + DEADLINE
        uses = 0
        while True:
            answer = self.ask(token)
            uses += answer.startswith("yes")
            if answer == wanted:
                return uses
            self.assertLess(time.monotonic(), end, f"{wanted} never, but {answer}\n{self.cache.said()}")
            time.sleep(0.01)

    def check_cache(self, language):
        self.open_cache(language)
        client, token = self.third_party("cached by " + language, "work_creator")
        self.await_answer(token, "yes from memory")
        self.check_everywhere(client, token)
        token = self.daemon.issue(*client).access_token
        self.await_answer(token, "yes from memory")
        self.check_revocation(token)
        self.check_everywhere_waits(client)
        self.check_a_cut(client)
        self.check_networks(language)
        self.check_uses(language)

    def check_everywhere(self, client, token):
        """Who asks after the acknowledgement is not told yes."""
        self.end_tokens(client[0])
        self.assert_ended(token)

    def assert_ended(self, token):
        end = time.monotonic() + DEADLINE
        while (answer := self.ask(token)) != "no asked":
            self.assertEqual(answer, "cannot say")  # a busy machine's
            self.assertLess(time.monotonic(), end, self.cache.said())

    def check_revocation(self, token):
        """It is heard of, and from the lease's end on nobody is told yes."""
        self.daemon.auth.Revoke(auth.RevokeRequest(token=token), metadata=Daemon.bearer(self.admin), timeout=DEADLINE)
        acknowledged = boot_time()
        while True:
            begun = boot_time()
            answer = self.ask(token)
            if answer == "no asked":
                return
            if answer != "cannot say":
                self.assertLess(begun, acknowledged + LEASE, answer)

    def check_everywhere_waits(self, client):
        """While nothing comes through, the cache cannot hear of it: the acknowledgement waits until it trusts itself no longer."""
        token = self.daemon.issue(*client).access_token
        self.await_answer(token, "yes from memory")
        self.relay.send(signal.SIGSTOP)
        self.end_tokens(client[0])
        self.assertEqual(self.ask(token), "cannot say")
        self.relay.send(signal.SIGCONT)
        self.assert_ended(token)

    def check_a_cut(self, client):
        """Without a stream it says nothing from memory, and after it has connected again it does."""
        token = self.daemon.issue(*client).access_token
        self.await_answer(token, "yes from memory")
        self.relay.end()
        self.await_answer(token, "cannot say")
        self.assertEqual([self.ask(token) for _ in range(3)], ["cannot say"] * 3)
        self.relay.begin()
        self.await_answer(token, "yes from memory")

    def check_networks(self, language):
        client, token = self.third_party("bound by " + language, "work_creator")
        self.bind(client, ["192.0.2.0/24", "2001:db8::1"])
        inside = [token + " " + peer for peer in ("192.0.2.1", "2001:db8:0::1", "::ffff:192.0.2.3")]
        for asked in inside:
            self.await_answer(asked, "yes from memory")
        for peer in "198.51.100.1", "2001:db8::2":
            self.await_answer(token + " " + peer, "no asked")
        self.await_answer(token + " localhost", "cannot say")  # the server refuses that
        self.await_answer(inside[0], "yes from memory")

    def check_uses(self, language):
        """Closing reports those that were not yet. A report whose answer comes too late is sent again, and counts twice."""
        client, token = self.third_party("counted by " + language, "work_creator")
        uses = self.await_answer(token, "yes from memory")
        for peer in ["", " 192.0.2.1"] * 10:
            uses += self.ask(token + peer).startswith("yes")
        self.assertEqual(self.cache.close(), 0, self.cache.said())
        self.assertGreaterEqual(self.uses(client[0])["POST /cases"], uses)
        self.assertEqual(self.last_from(client), "192.0.2.1")

    def test_a_cache_in_go(self):
        self.need("Go")
        self.check_cache("Go")

    def test_a_cache_in_python(self):
        self.check_cache("Python")

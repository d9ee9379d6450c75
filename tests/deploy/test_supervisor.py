# SPDX-License-Identifier: Apache-2.0
"""The daemon under its supervisor: what it tells (sd_notify), what it takes over (sockets, credentials), --health."""
import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import time
import unittest
import urllib.request

import grpc
from daemon import DEADLINE, Daemon, auth_pb2, auth_pb2_grpc
from machine import as_root, make_certificate


class Supervisor:
    """A Daemon, started with a NOTIFY_SOCKET to be read from and, maybe, listening sockets as {name: socket}."""

    def __init__(self, settings=None, sockets=None, **options):
        self.daemon = Daemon(settings, start=False, **options)
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.settimeout(DEADLINE)
        self.notified.bind(self.daemon.folder + "/notify")
        self.daemon.environment["NOTIFY_SOCKET"] = self.daemon.folder + "/notify"
        self.messages = []
        if sockets:
            self.hand_over(sockets)

    def hand_over(self, sockets):
        given = list(sockets)
        self.daemon.pass_fds = [number.fileno() for _, number in given]
        moves = " ".join(f"{i + 3}<&{number.fileno()}" for i, (_, number) in enumerate(given))
        # LISTEN_PID is the process that exec keeps.
        self.daemon.prefix = ("bash", "-c", f'LISTEN_PID=$$ exec "$@" {moves}', "bash")
        self.daemon.environment.update(LISTEN_FDS=str(len(given)), LISTEN_FDNAMES=":".join(name for name, _ in given))

    def hear(self, wanted):
        """The next message with this line in it, as a dictionary; those before it are kept in messages."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            message = dict(line.partition("=")[::2] for line in self.notified.recv(4096).decode().splitlines())
            self.messages.append(message)
            key, _, value = wanted.partition("=")
            if message.get(key) == value:
                return message
        raise AssertionError(f"no {wanted} came, but {self.messages}")

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *error):
        self.notified.settimeout(None)
        self.daemon.__exit__(*error)
        self.notified.close()


def listening(address="127.0.0.1"):
    """Far above 3, so that handing several over moves none onto another."""
    with socket.create_server((address, 0)) as made:
        return socket.socket(fileno=fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, 100))


def get(url, **options):
    with urllib.request.urlopen(url, timeout=DEADLINE, **options) as answer:
        return answer.status, answer.read()


class Notify(unittest.TestCase):
    def test_ready_is_told_when_the_ports_are_open(self):
        with Supervisor() as supervisor:
            supervisor.daemon.start()
            message = supervisor.hear("READY=1")
            self.assertEqual(message["STATUS"], f"Serving gRPC on port {supervisor.daemon.grpc_port}, "
                                                f"HTTP on port {supervisor.daemon.http_port}")
            self.assertEqual(get(supervisor.daemon.http + "/readyz")[0], 200)

    def test_a_daemon_that_cannot_start_never_says_that_it_is_ready(self):
        with Supervisor({"store": "sqlite:/not/there/gatehouse.db"}, init=False) as supervisor:
            self.assertRaises(RuntimeError, supervisor.daemon.start)
            supervisor.daemon.process = None
            supervisor.notified.setblocking(False)
            self.assertRaises(BlockingIOError, supervisor.notified.recv, 4096)

    def test_a_reload_is_told_from_its_beginning_to_its_end(self):
        with Supervisor() as supervisor:
            supervisor.daemon.start()
            supervisor.hear("READY=1")
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            supervisor.daemon.process.send_signal(signal.SIGHUP)
            began = int(supervisor.hear("RELOADING=1")["MONOTONIC_USEC"])
            supervisor.hear("READY=1")
            self.assertGreaterEqual(began, before)
            self.assertLessEqual(began, time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def test_a_stop_is_told_and_asks_for_the_time_that_the_drain_may_take(self):
        with Supervisor({"grace_ms": "70000", "lame_duck_ms": "50"}) as supervisor:
            supervisor.daemon.start()
            self.assertEqual(supervisor.daemon.stop(), 0)
            self.assertGreaterEqual(int(supervisor.hear("STOPPING=1")["EXTEND_TIMEOUT_USEC"]), 70_050_000)

    def test_the_watchdog_is_pinged_unless_a_loop_of_http_hangs(self):
        # Without gRPC, whose own watchdog would end the process.
        with Supervisor({"grpc_address": ""}) as supervisor:
            daemon = supervisor.daemon
            daemon.start()
            supervisor.hear("WATCHDOG=1")
            supervisor.hear("WATCHDOG=1")
            with self.hanging(daemon):
                self.wait_for_log(daemon, "event=loop_hangs port=http")
                supervisor.notified.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        supervisor.notified.recv(4096)  # what was said before
                supervisor.notified.settimeout(5)
                self.assertRaises(TimeoutError, supervisor.notified.recv, 4096)
            supervisor.notified.settimeout(DEADLINE)
            self.wait_for_log(daemon, "event=loops_turn_again")
            supervisor.hear("WATCHDOG=1")

    @contextlib.contextmanager
    def hanging(self, daemon):
        """The loops' system call for waiting takes ten minutes to begin."""
        tracer = subprocess.Popen(as_root("strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=epoll_wait", "-e",
                                          "inject=epoll_wait:delay_enter=600000000", "-p", str(daemon.process.pid)))
        try:
            yield
        finally:
            tracer.terminate()
            tracer.wait(DEADLINE)

    def wait_for_log(self, daemon, text):
        end = time.monotonic() + DEADLINE
        while text not in daemon.log_text():
            self.assertLess(time.monotonic(), end, daemon.log_text())
            time.sleep(0.05)


class Sockets(unittest.TestCase):
    def test_http_and_metrics_are_served_on_the_sockets_that_were_handed_over(self):
        http, metrics = listening(), listening()
        with Supervisor({"metrics_address": "127.0.0.1:1"}, [("metrics", metrics), ("http", http)]) as supervisor:
            supervisor.daemon.start()
            self.assertEqual(supervisor.daemon.http_port, http.getsockname()[1])
            self.assertEqual(supervisor.daemon.metrics_port, metrics.getsockname()[1])
            self.assertEqual(get(supervisor.daemon.http + "/readyz")[0], 200)
            self.assertIn(b"gatehouse_revision", get(f"http://127.0.0.1:{supervisor.daemon.metrics_port}/metrics")[1])
            supervisor.daemon.admin_token()  # gRPC is served as ever

    def test_no_connection_is_refused_while_the_daemon_restarts(self):
        http = listening()
        with Supervisor({}, [("http", http)]) as supervisor:
            supervisor.daemon.start()
            self.assertEqual(get(supervisor.daemon.http + "/livez")[0], 200)
            self.assertEqual(supervisor.daemon.stop(), 0)
            with socket.create_connection(http.getsockname(), timeout=DEADLINE) as client:
                client.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                supervisor.daemon.start()
                self.assertRegex(client.recv(4096), rb"^HTTP/1\.1 200 ")

    def test_no_call_is_refused_while_the_daemon_restarts(self):
        listener = listening()
        with Supervisor({"grpc_address": "127.0.0.1:1"}, [("grpc", listener)]) as supervisor:
            daemon = supervisor.daemon
            daemon.start()
            self.assertEqual(daemon.grpc_port, listener.getsockname()[1])
            daemon.admin_token()
            self.assertEqual(daemon.stop(), 0)
            with daemon.open_channel() as channel:  # it waits for whoever accepts next
                issue = auth_pb2_grpc.AuthServiceStub(channel).IssueToken
                call = issue.future(auth_pb2.IssueTokenRequest(client_id=daemon.client_id, client_secret=daemon.secret),
                                    timeout=DEADLINE)
                daemon.start()
                self.assertTrue(call.result().access_token)

    @staticmethod
    def unix_listener(path):
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)
            made.listen()
            return socket.socket(fileno=fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, 100))

    def test_unix_sockets_may_be_handed_over(self):
        with Supervisor() as supervisor:
            daemon = supervisor.daemon
            path, web = daemon.folder + "/grpc", daemon.folder + "/http"
            listeners = [("grpc", self.unix_listener(path)), ("http", self.unix_listener(web))]
            supervisor.hand_over(listeners)
            daemon.start()
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(web)
                connection.settimeout(DEADLINE)
                connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                self.assertTrue(connection.recv(1000).startswith(b"HTTP/1.1 200 "))
            with grpc.insecure_channel("unix:" + path) as channel:
                request = auth_pb2.IssueTokenRequest(client_id=daemon.client_id, client_secret=daemon.secret)
                auth_pb2_grpc.AuthServiceStub(channel).IssueToken(request, timeout=DEADLINE)

    def test_grpc_core_takes_no_socket_and_says_so(self):
        with listening() as listener, Supervisor({"grpc_transport": "core"}, [("grpc", listener)]) as supervisor:
            self.assertRaisesRegex(RuntimeError, "gRPC core takes neither", supervisor.daemon.start)
            self.assertEqual(supervisor.daemon.process.wait(DEADLINE), 1)
            supervisor.daemon.process = None

    def test_off_loopback_a_socket_demands_what_an_address_demands(self):
        with listening("0.0.0.0") as http:
            self.refused([("http", http)], f"http_address 0.0.0.0:{http.getsockname()[1]} is off loopback: that demands TLS")

    def test_off_loopback_a_socket_for_grpc_demands_mutual_tls(self):
        with listening("0.0.0.0") as given:
            self.refused([("grpc", given)], f"grpc_address 0.0.0.0:{given.getsockname()[1]} is off loopback: that demands mutual TLS")

    def test_a_socket_of_another_name_is_refused(self):
        with listening() as given:
            self.refused([("smtp", given)], 'a socket named "smtp" was handed over')

    def test_two_sockets_of_one_name_are_refused(self):
        with listening() as one, listening() as other:
            self.refused([("http", one), ("http", other)], 'two sockets named "http" were handed over')

    def test_a_socket_that_does_not_listen_is_refused(self):
        with listening() as server, socket.create_connection(server.getsockname()) as client:
            self.refused([("http", client)], 'the socket named "http" that was handed over is not a listening socket')

    def refused(self, sockets, sentence):
        with Supervisor({}, sockets) as supervisor:
            self.assertRaisesRegex(RuntimeError, re.escape(sentence), supervisor.daemon.start)
            self.assertEqual(supervisor.daemon.process.wait(DEADLINE), 2)
            supervisor.daemon.process = None


class Credentials(unittest.TestCase):
    def test_the_configuration_names_credentials_by_their_directory(self):
        with Supervisor({"http_address": "127.0.0.1:0"}) as supervisor:
            daemon = supervisor.daemon
            os.mkdir(daemon.folder + "/credentials")
            context = make_certificate(daemon.folder + "/credentials/gatehoused.http.crt",
                                       daemon.folder + "/credentials/gatehoused.http.key")
            with open(daemon.folder + "/conf", "w") as file:
                file.write('http_cert = "${CREDENTIALS_DIRECTORY}/gatehoused.http.crt"\n'
                           'http_key = "${CREDENTIALS_DIRECTORY}/gatehoused.http.key"\n')
            daemon.environment["CREDENTIALS_DIRECTORY"] = daemon.folder + "/credentials"
            daemon.extra += ["--config", daemon.folder + "/conf"]
            daemon.start()
            self.assertEqual(get(f"https://localhost:{daemon.http_port}/readyz", context=context)[0], 200)
            settings = ["--set", f"http_address=127.0.0.1:{daemon.http_port}", "--config", daemon.folder + "/conf"]
            self.assertEqual(daemon.run("--health", *settings).stdout, "ready\n")  # over TLS as well
            del daemon.environment["CREDENTIALS_DIRECTORY"]  # as in a shell, where the files cannot be read
            self.assertEqual(daemon.run("--health", *settings).stdout, "ready\n")
            daemon.stop()
            daemon.run("init", "--name", "second", *settings)
            self.assertEqual(daemon.run("--check-config", *settings, check=False).returncode, 2)


class Health(unittest.TestCase):
    def ask(self, daemon, *settings):
        result = daemon.run("--health", *(word for setting in settings for word in ("--set", setting)), check=False)
        return result.returncode, (result.stdout + result.stderr).strip()

    def test_a_daemon_that_is_ready_is_healthy(self):
        with Daemon({"http_prefix": "/Auth"}) as daemon:
            self.assertEqual(self.ask(daemon, f"http_address=127.0.0.1:{daemon.http_port}"), (0, "ready"))
            # As a container has it.
            self.assertEqual(self.ask(daemon, f"http_address=0.0.0.0:{daemon.http_port}", "insecure=true"), (0, "ready"))

    def test_one_that_is_not_there_or_answers_anything_else_is_not(self):
        with Daemon() as daemon:
            address = f"127.0.0.1:{daemon.http_port}"
            self.assertEqual(self.ask(daemon, f"http_address={address}", "http_prefix=/Other"),
                             (1, f"gatehoused: not ready: {address}: HTTP/1.1 404 Not Found"))
            daemon.stop()
            self.assertEqual(self.ask(daemon, f"http_address={address}"),
                             (1, f"gatehoused: not ready: {address}: Connection refused"))

    def test_one_that_does_not_answer_is_not(self):
        with Daemon(init=False, start=False) as daemon, listening() as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            self.assertEqual(self.ask(daemon, f"http_address={address}"),
                             (1, f"gatehoused: not ready: {address}: Resource temporarily unavailable"))

    def test_without_http_there_is_nothing_to_ask(self):
        with Daemon(init=False, start=False) as daemon:
            self.assertEqual(self.ask(daemon, "http_address="),
                             (2, "gatehoused: --health asks /readyz over HTTP, but http_address is empty"))


if __name__ == "__main__":
    unittest.main()

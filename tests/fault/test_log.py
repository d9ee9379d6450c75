# SPDX-License-Identifier: Apache-2.0
"""Standard error that nobody reads any more, or that takes nothing: the daemon goes on."""
import fcntl
import os
import re
import socket
import subprocess
import unittest
import urllib.request

from daemon import LEASH, Daemon

F_SETPIPE_SZ = 1031


class Log(unittest.TestCase):
    def serve(self, stderr, read):
        """Starts a daemon whose standard error is this, reads until it says its port, and then asks it without reading."""
        daemon = self.enterContext(Daemon({"log_level": "debug", "grpc_address": "", "metrics_address": "127.0.0.1:0"},
                                          start=False))
        process = subprocess.Popen([*LEASH, *daemon.arguments()], stderr=stderr, env=daemon.environment)
        self.addCleanup(process.wait, 60)
        self.addCleanup(process.kill)
        text = b""
        while not re.search(rb"event=started .*\n", text):
            text += read()
        ports = dict(re.findall(rb"(\w+)_port=(\d+)", text))
        for _ in range(2000):  # a line each
            with urllib.request.urlopen(f"http://127.0.0.1:{int(ports[b'http'])}/livez", timeout=60) as answer:
                self.assertEqual(answer.status, 200)
        with urllib.request.urlopen(f"http://127.0.0.1:{int(ports[b'metrics'])}/metrics", timeout=60) as answer:
            lost = re.search(rb"(?m)^gatehouse_log_lines_dropped_total ([\d.e+]+)", answer.read())
        self.assertGreater(float(lost[1]), 0)
        return process

    def test_a_pipe_that_nobody_reads_holds_nobody_up(self):
        reader, writer = os.pipe()
        fcntl.fcntl(writer, F_SETPIPE_SZ, 4096)
        with open(reader, "rb", buffering=0) as pipe, open(writer, "wb") as end:
            process = self.serve(end, lambda: pipe.read(4096))
            process.terminate()  # and it ends, although it can say nothing of it
            self.assertEqual(process.wait(60), 0)

    def test_a_socket_that_nobody_reads_holds_nobody_up(self):  # as systemd's journal is one
        mine, its = socket.socketpair()
        its.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with mine, its:
            process = self.serve(its.fileno(), lambda: mine.recv(4096))
            process.terminate()
            self.assertEqual(process.wait(60), 0)


if __name__ == "__main__":
    unittest.main()

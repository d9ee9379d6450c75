# SPDX-License-Identifier: Apache-2.0
"""Signals that come together with something else."""
import os
import signal
import subprocess
import unittest

from daemon import Daemon


class Together(unittest.TestCase):
    def start(self):
        daemon = self.enterContext(Daemon({"http_address": ""}, start=False))
        self.make_certificate(daemon)
        self.put_certificate(daemon)
        daemon.settings.update(grpc_cert=daemon.folder + "/cert.pem", grpc_key=daemon.folder + "/key.pem")
        daemon.start()
        self.make_certificate(daemon)
        return daemon

    @staticmethod
    def make_certificate(daemon):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-keyout", "key.pem.new", "-out", "cert.pem.new"],
                       cwd=daemon.folder, check=True, capture_output=True)

    @staticmethod
    def put_certificate(daemon):
        """In the place of the one before, as a renewal would."""
        for name in ("key.pem", "cert.pem"):
            os.rename(f"{daemon.folder}/{name}.new", f"{daemon.folder}/{name}")

    def test_a_stop_wins_over_a_certificate_that_changes(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            daemon = self.start()
            self.put_certificate(daemon)  # seen by the daemon when it wakes up, which the signal makes it do
            daemon.process.send_signal(number)
            self.assertEqual(daemon.process.wait(60), 0)

    def test_a_stop_wins_over_a_reload(self):
        daemon = self.start()
        daemon.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED | os.WNOWAIT)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):  # it goes on with both of them pending
            daemon.process.send_signal(number)
        self.assertEqual(daemon.process.wait(60), 0)
        self.assertNotIn("reloaded", daemon.log_text())


if __name__ == "__main__":
    unittest.main()

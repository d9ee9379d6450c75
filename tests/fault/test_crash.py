# SPDX-License-Identifier: Apache-2.0
"""A daemon that dies of a fault of its own says where, leaves no core file, and a test that it took along says it first."""
import glob
import signal
import unittest

from daemon import Daemon


class Crash(unittest.TestCase):
    def die(self, number):
        """What the test says; and the folder of its daemon."""
        with self.assertRaises(AssertionError) as raised:
            with Daemon() as daemon:
                daemon.process.send_signal(number)
                daemon.process.wait(60)
                self.assertEqual(glob.glob(daemon.folder + "/core*"), [])
                daemon.admin_token()  # the test's own failure, which says little
        return str(raised.exception)

    def test_it_says_of_what_it_died_and_where(self):
        for number in (signal.SIGSEGV, signal.SIGABRT):
            said = self.die(number).splitlines()
            self.assertEqual(said[0], f"gatehoused died of {number.name}")
            self.assertTrue(any(line.strip().startswith("main ") for line in said[1:]), said)
            self.assertTrue(any(f"level=error event=crashed signal={number.value}" in line for line in said), said)


if __name__ == "__main__":
    unittest.main()

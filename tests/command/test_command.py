# SPDX-License-Identifier: Apache-2.0
"""Drives the gatehouse command against a running daemon.

GATEHOUSE_COMMAND is the binary; GATEHOUSE_GRPC, GATEHOUSE_CLIENT_ID and GATEHOUSE_CLIENT_SECRET_FILE name a daemon and an
administrator of it that holds user_manager and resource_server. What the tests make is named at random, and the daemon's
settings are put back, so that it can be any daemon, and the tests can run again. Where no daemon is named, one is started
(tests/support/daemon.py, as CTest does it).
"""
import os
import unittest

from command_objects import *  # noqa: F401,F403 the tests
from command_ways import *  # noqa: F401,F403
from driver import NEEDED, start_daemon

if __name__ == "__main__":
    if not all(name in os.environ for name in NEEDED):
        start_daemon()
    unittest.main()

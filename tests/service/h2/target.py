# SPDX-License-Identifier: Apache-2.0
"""A daemon that serves gRPC by the transport that GATEHOUSE_TRANSPORT names."""
import os

from daemon import Daemon

TRANSPORT = os.environ.get("GATEHOUSE_TRANSPORT", "nghttp2")


def serve(settings=None, prefix=(), **more):
    """Started, as Daemon() is. settings: also a function of the daemon's folder. prefix: a command that starts it."""
    daemon = Daemon({"http_address": ""}, start=False, **more)
    daemon.settings.update(settings(daemon.folder) if callable(settings) else settings or {})
    if "grpc_transport" in daemon.run("--print-config").stdout:
        daemon.settings["grpc_transport"] = TRANSPORT
    daemon.prefix = prefix
    daemon.start()
    return daemon


def resident_kb(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

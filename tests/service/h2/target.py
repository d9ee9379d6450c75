# SPDX-License-Identifier: Apache-2.0
"""A daemon that serves gRPC by the transport that GATEHOUSE_TRANSPORT names."""
import os
import ssl
import subprocess

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


def serve_tls(settings=None, **more):
    """By a certificate of its own; and the ssl.SSLContext of a client that believes it."""
    def certificate(folder):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
                       cwd=folder, check=True, capture_output=True)
        return {"grpc_cert": folder + "/cert.pem", "grpc_key": folder + "/key.pem", **(settings or {})}

    daemon = serve(certificate, **more)
    tls = ssl.create_default_context(cafile=daemon.folder + "/cert.pem")
    tls.set_alpn_protocols(["h2"])
    return daemon, tls


def resident_kb(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

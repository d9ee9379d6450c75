# SPDX-License-Identifier: Apache-2.0
"""What the tests of deploy/ share: root's rights, and a certificate."""
import os
import ssl
import subprocess


def as_root(*command):
    return list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]


def make_certificate(certificate, key):
    """Writes both files. Gives a context that trusts exactly this server."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    return ssl.create_default_context(cafile=certificate)

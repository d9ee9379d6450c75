# SPDX-License-Identifier: Apache-2.0
"""Starts nginx, Caddy, HAProxy or Apache with the configuration in deploy/gateways, before a backend that says what reached it."""
import http.server
import json
import os
import socket
import subprocess
import threading
import time

from daemon import LEASH  # tests/support


class Backend(http.server.ThreadingHTTPServer):
    """Answers with what it was asked, as JSON; counts."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.server.requests += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        headers = [[key.lower(), value] for key, value in self.headers.items()]
        text = json.dumps({"method": self.command, "path": self.path, "headers": headers, "body": body}).encode()
        self.send_response(403 if self.path == "/backend-says-403" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Gateway:
    """A program with a configuration file; where another process takes the port first, it is tried with another."""

    def __init__(self, folder, text, arguments):
        self.path, self.log_path = os.path.join(folder, "gateway.conf"), os.path.join(folder, "gateway.log")
        for _ in range(3):
            self.port = free_port()
            with open(self.path, "w") as file:
                file.write(text.replace(":8000", f":{self.port}"))
            if self.start(folder, arguments):
                return
        with open(self.log_path) as file:
            raise RuntimeError(f"{arguments[0]} did not start:\n{file.read()}")

    def start(self, folder, arguments):
        environment = {**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*LEASH, *arguments, self.path], cwd=folder, stdout=log, stderr=log,
                                            env=environment)
        end = time.monotonic() + 30
        while self.process.poll() is None and time.monotonic() < end:
            if is_listening(self.port):
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def stop(self):
        self.process.kill()
        self.process.wait()

# SPDX-License-Identifier: Apache-2.0
"""A real gatehoused for tests: started as a process on free ports, spoken to over them.

    with Daemon() as daemon:
        token = daemon.admin_token()
        daemon.admin.ListCredentials(pb.ListCredentialsRequest(), metadata=daemon.bearer(token))

Environment (tests/CMakeLists.txt sets it): GATEHOUSED, GATEHOUSE_COMMAND, CLOCKSHIFT, and PYTHONPATH with the stubs that
grpc_tools makes of our .proto files. GATEHOUSE_TEST_STORE=postgresql://… runs the same on another store, GATEHOUSE_TRANSPORT=core on the other transport.
"""
import atexit
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time

import grpc
import postgres
from gatehouse.v1 import auth_pb2, auth_pb2_grpc, credential_admin_pb2, credential_admin_pb2_grpc  # noqa: F401
from google.rpc import error_details_pb2, status_pb2

GATEHOUSED = os.environ.get("GATEHOUSED", "gatehoused")
TRANSPORT = os.environ.get("GATEHOUSE_TRANSPORT")  # else the default
CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
DEADLINE = 60  # seconds: an answer that never comes is a failure, not a wait for ever

# A test that dies takes what it started along. Not by preexec_fn: that is Python after a fork, which now and then waits for
# ever for a lock that a thread of gRPC's held.
LEASH = ("setpriv", "--pdeathsig", "KILL", "--")


def new_store(folder):
    server = os.environ.get("GATEHOUSE_TEST_STORE")
    return postgres.pick(server) if server else "sqlite:" + folder + "/gatehouse.db"


class Daemon:
    """settings: as for --set. clock: may move_clock and pass_time. keep: do not remove the folder at the end."""

    def __init__(self, settings=None, clock=False, folder=None, start=True, init=True, extra=()):
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="gatehouse-test-")
        if self.own_folder and not os.environ.get("TEST_CORES"):
            atexit.register(shutil.rmtree, self.folder, ignore_errors=True)  # also that of one that did not start
        self.settings = {
            **({} if "upstream" in (settings or {}) else {"store": new_store(self.folder)}),  # else an edge
            "grpc_address": "127.0.0.1:0",
            "http_address": "127.0.0.1:0",
            "metrics_address": "",
            **({"grpc_transport": TRANSPORT} if TRANSPORT else {}),
            **(settings or {}),
        }
        self.extra = list(extra) + (["--keep-cores"] if os.environ.get("TEST_CORES") else [])
        self.prefix, self.pass_fds = (), ()  # a command that starts it in its turn, and descriptors for it
        self.process = self.channel = self.shift = None
        self.log_path = self.folder + "/log"
        self.secret_file = self.folder + "/secret"
        self.environment = dict(os.environ)
        if clock:
            path = self.folder + "/clock"
            with open(path, "wb") as file:
                file.write(bytes(16))
            self.environment["LD_PRELOAD"] = os.environ["CLOCKSHIFT"]
            self.environment["CLOCKSHIFT_FILE"] = path
            with open(path, "r+b") as file:
                self.shift = mmap.mmap(file.fileno(), 16)
        if init:
            output = self.run("init", "--secret-file", self.secret_file).stdout
            self.client_id = re.search(r"client_id=(\S+)", output).group(1)
        if start:
            self.start()

    def arguments(self):
        result = [GATEHOUSED]
        for key, value in self.settings.items():
            result += ["--set", f"{key}={value}"]
        return result

    def run(self, *arguments, check=True):
        """Runs gatehoused with this daemon's settings until it ends."""
        return subprocess.run(self.arguments() + list(arguments), capture_output=True, text=True, check=check,
                              env=self.environment, timeout=60)

    def start(self, timeout=2 * DEADLINE):
        log = open(self.log_path, "ab")
        begin = os.path.getsize(self.log_path)
        # stdout is not ours to give away: CTest waits for whoever holds it.
        cores = ("prlimit", "--core=unlimited", "--") if os.environ.get("TEST_CORES") else ()
        self.process = subprocess.Popen([*LEASH, *cores, *self.prefix, *self.arguments(), *self.extra], stderr=log,
                                        stdout=subprocess.DEVNULL, env=self.environment, pass_fds=self.pass_fds,
                                        cwd=self.folder if cores else None)
        log.close()
        end = time.monotonic() + timeout
        started = None
        while not started:
            with open(self.log_path, "rb") as file:
                file.seek(begin)
                text = file.read().decode()
            started = re.search(r"event=started .*", text)
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("gatehoused did not start:\n" + text)
            if not started:
                time.sleep(0.01)
        ports = dict(re.findall(r"(\w+_port)=(\d+)", started.group(0)))
        self.grpc_port, self.http_port = int(ports["grpc_port"]), int(ports["http_port"])
        self.metrics_port = int(ports["metrics_port"])
        if self.channel:
            self.channel.close()
        self.channel = self.open_channel()
        self.auth = auth_pb2_grpc.AuthServiceStub(self.channel)
        self.admin = credential_admin_pb2_grpc.CredentialAdminStub(self.channel)

    def open_channel(self, options=()):
        return grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}",
                                     options=[("grpc.use_local_subchannel_pool", 1), *options])

    @property
    def http(self):
        return f"http://127.0.0.1:{self.http_port}"

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, timeout=60):
        """SIGTERM, and its exit status."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout)
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, kind=None, *_):
        if kind is not None and os.environ.get("TEST_WAIT"):
            self.wait_for_enter(kind)
        if self.channel:
            self.channel.close()
        if self.process and -(self.process.poll() or 0) in CRASHES:
            raise AssertionError(self.obituary()) from None
        status = None
        if self.process and self.process.poll() is None:
            status = self.stop()
        text = self.log_text() if os.path.exists(self.log_path) else ""
        if status or "Sanitizer" in text:  # also where the test itself found nothing
            raise AssertionError(f"gatehoused ended with {status}:\n{text[-20000:]}")
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def obituary(self):
        """Of what it died and where, with the lines of the source where there are some; then its log's end."""
        name, text = signal.Signals(-self.process.returncode).name, self.log_text()
        said = text.partition("event=crashed ")[2]
        frames = [line for file, offset in re.findall(r"(?m)^(\S*?)\(\+(0x[0-9a-f]+)\)", said) for line in subprocess.run(
            ["addr2line", "-f", "-p", "-s", "-C", "-e", file, offset], capture_output=True, text=True).stdout.splitlines()]
        kept = f" (kept: {self.folder})" if os.environ.get("TEST_CORES") else ""
        return "\n   ".join([f"gatehoused died of {name}{kept}", *frames]) + f"\nits log ends:\n{text[-10000:]}"

    def wait_for_enter(self, kind):
        with open("/dev/tty", "r+") as terminal:
            pid = self.process.pid if self.process else "none"
            terminal.write(f"\n{kind.__name__}. gatehoused: process {pid}, folder {self.folder}, HTTP {self.http}, gRPC "
                           f"127.0.0.1:{self.grpc_port}\nEnter ends it. ")
            terminal.flush()
            terminal.readline()

    def log_text(self):
        with open(self.log_path) as file:
            return file.read()

    def move_clock(self, seconds):
        """Sets the daemon's wall clock ahead or back by this much, on top of what it was moved by before."""
        self.shift_clocks(seconds, 0)

    def pass_time(self, seconds):
        """So much time passes for the daemon: by its wall clock and by CLOCK_BOOTTIME."""
        self.shift_clocks(seconds, seconds)

    def shift_clocks(self, wall, boot):
        before = struct.unpack("qq", self.shift[:16])
        self.shift[:16] = struct.pack("qq", before[0] + int(wall * 1_000_000), before[1] + int(boot * 1_000_000))

    # Short ways of saying what nearly every test says.

    @property
    def secret(self):
        with open(self.secret_file) as file:
            return file.read().strip()

    def issue(self, client_id=None, secret=None, scopes=()):
        return self.auth.IssueToken(auth_pb2.IssueTokenRequest(
            client_id=client_id or self.client_id, client_secret=secret or self.secret, scopes=scopes),
            timeout=DEADLINE)

    def admin_token(self):
        return self.issue().access_token

    @staticmethod
    def bearer(token):
        return (("authorization", "Bearer " + token),)

    def create(self, token, name, roles=("work_creator",), **fields):
        return self.admin.CreateCredential(
            credential_admin_pb2.CreateCredentialRequest(
                credential=credential_admin_pb2.Credential(name=name, **fields), roles=roles),
            metadata=self.bearer(token), timeout=DEADLINE)

    def introspect(self, caller, token, **fields):
        return self.auth.Introspect(auth_pb2.IntrospectRequest(token=token, **fields), metadata=self.bearer(caller),
                                    timeout=DEADLINE)


def error_of(call):
    """(code, reason, field) of the error that call() raises; fails if it raises none."""
    try:
        answer = call()
    except grpc.RpcError as error:
        reason = field = ""
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                for detail in status_pb2.Status.FromString(value).details:
                    info = error_details_pb2.ErrorInfo()
                    bad = error_details_pb2.BadRequest()
                    if detail.Unpack(info):
                        reason = info.reason
                    elif detail.Unpack(bad):
                        field = bad.field_violations[0].field
        return error.code().name, reason, field
    raise AssertionError(f"no error, but {answer}")

# SPDX-License-Identifier: Apache-2.0
"""The command line of bench, and what its parts share: samplers, their ratios, and a daemon with a filled database."""
import argparse
import contextlib
import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
AUTH = "/gatehouse.v1.AuthService/"

parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--quick", action="store_true", help="fewer tokens, fewer and shorter rounds")
parser.add_argument("--build", default=os.environ.get("GATEHOUSE_BUILD", ROOT + "/build"))
parser.add_argument("--dir", default=tempfile.gettempdir())
parser.add_argument("names", nargs="*")
options = parser.parse_args()
build = os.path.abspath(options.build)
if not os.path.exists(build + "/tests/bench/bench_load"):
    sys.exit(f"bench: no build in {build}; make one:\n"
             f"  cmake -S {ROOT} -B {build} -G Ninja -DCMAKE_BUILD_TYPE=Release -DGATEHOUSE_TESTS=ON && ninja -C {build}")
os.environ.setdefault("GATEHOUSED", build + "/services/gatehoused")
sys.path[:0] = [ROOT + "/tests/support", build + "/tests/stubs"]
from daemon import LEASH, Daemon  # noqa: E402
from gatehouse.v1 import auth_pb2  # noqa: E402

QUICK = options.quick
ROUNDS = 3 if QUICK else 7
SECONDS = 0.4 if QUICK else 1.0
LONG_ROUNDS = 2 if QUICK else 3
ISSUE_ROUNDS = 3 if QUICK else 5
MANY = 100_000 if QUICK else 1_000_000
CORES = sorted(os.sched_getaffinity(0))
SERVER, LOAD = {CORES[0]}, {CORES[-1]}
results = []


def on(cores):
    """Words before a command: it ends with us, and runs on these cores."""
    return [*LEASH, "taskset", "--cpu-list", ",".join(map(str, cores or CORES))]


def program(name, *arguments, cores=None):
    """Runs one of the C programs until it ends; its standard output."""
    return subprocess.run([*on(cores), f"{build}/tests/bench/bench_{name}", *map(str, arguments)],
                          stdout=subprocess.PIPE, check=True).stdout.decode()


def pin(pid, cores):
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), cores)


def cpu(pid):
    """Seconds of CPU that a process has used; clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)


def cpus(pids):
    """The same of each that is still there: a connection that is closed ends its process."""
    seconds = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            seconds[pid] = cpu(pid)
    return seconds


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * 1024


def show(what, value, unit="", least=None, most=None):
    """One line of the table; with what it is to reach, and whether it does."""
    target = f">= {least:g}" if least is not None else f"<= {most:g}" if most is not None else ""
    met = value >= least if least is not None else value <= most if most is not None else None
    verdict = "" if met is None else "reached" if met else "MISSED"
    results.append((what, met))
    number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
    print(f"  {what:<62} {number:>10} {unit:<10} {target:>8}  {verdict}", flush=True)


def frames(messages, path):
    """A file of gRPC frames for bench_load."""
    with open(path, "wb") as file:
        for message in messages:
            file.write(struct.pack(">BI", 0, len(message)) + message)
    return path


class Sample:
    """Requests a second, and microseconds of the server's CPU a request."""

    def __init__(self, rate, micros):
        self.rate, self.micros = rate, micros


def measure(pid, run):
    """run() gives (requests, seconds)."""
    before = cpu(pid)
    requests, seconds = run()
    return Sample(requests / seconds, (cpu(pid) - before) / requests * 1e6)


def grpc_load(port, method, bodies, authorization=None, expect="", seconds=None, connections=8, streams=32,
              once=False, tls=False, cores=LOAD):
    arguments = ["-c", connections, "-s", streams, "-t", seconds or SECONDS, "-e", expect]
    if authorization:
        arguments += ["-a", "Bearer " + authorization]
    if once:
        arguments.append("-o")
    if tls:
        arguments.append("-T")
    output = program("load", *arguments, port, AUTH + method, bodies, cores=cores)
    found = re.match(r"requests=(\d+) failed=(\d+) seconds=([\d.]+)", output)
    if found.group(2) != "0":
        sys.exit(f"bench: {method}: {output.strip()}: failed requests measure nothing")
    return int(found.group(1)), float(found.group(3))


def in_turns(samplers, rounds=None):
    """Every sampler once a round, the order turning; a list of samples each."""
    samples = [[] for _ in samplers]
    for round_ in range(rounds or ROUNDS):
        for i in range(len(samplers)):
            j = (i + round_) % len(samplers)
            samples[j].append(samplers[j]())
    return samples


def median(values):
    return statistics.median(values)


def micros(sample):
    return sample.micros


def rates(samples):
    return [sample.rate for sample in samples]


def ratio(above, below, of=lambda sample: sample.rate):
    return median([of(a) / of(b) for a, b in zip(above, below)])


@contextlib.contextmanager
def before_others():
    """As root: what is started in here runs before the machine's other work, which would else be half of a p99."""
    if os.geteuid() == 0:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextlib.contextmanager
def server(name, *arguments):
    """One of the C programs that serve; (process id, port)."""
    process = subprocess.Popen([*on(SERVER), f"{build}/tests/bench/bench_{name}", *map(str, arguments)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process.pid, int(re.match(r"port=(\d+)", process.stdout.readline().decode()).group(1))
    finally:
        process.kill()
        process.wait()


class Filled(Daemon):
    """A daemon whose database was filled before it started; on the server's core. first: another on the same store.
    made: is called between the two."""

    def __init__(self, credentials=0, owners=0, tokens=0, cores=SERVER, first=None, events=0, made=None, **settings):
        folder = tempfile.mkdtemp(prefix="gatehouse-bench-", dir=options.dir)
        if first:
            settings["store"] = first.settings["store"]
        super().__init__(folder=folder, start=False, init=not first,
                         settings={"metrics_address": "127.0.0.1:0", **settings})
        self.own_folder = True
        if first:
            self.client_id, self.secret_file, self.tokens = first.client_id, first.secret_file, first.tokens
        else:
            self.tokens = program("fill", self.settings["store"], credentials, owners, tokens, events).split()
        if made:
            made()
        begin = time.monotonic()
        self.start()
        self.start_seconds = time.monotonic() - begin
        if cores:
            pin(self.process.pid, cores)
        self.caller = self.admin_token()

    @property
    def tls(self):
        return "grpc_cert" in self.settings

    def open_channel(self):
        if not self.tls:
            return super().open_channel()
        with open(self.settings["grpc_cert"], "rb") as file:
            return grpc.secure_channel(f"127.0.0.1:{self.grpc_port}", grpc.ssl_channel_credentials(file.read()))

    @property
    def pid(self):
        return self.process.pid

    def bodies(self, name, messages):
        return frames(messages, f"{self.folder}/{name}")

    def questions(self, name, **fields):
        """A file of one Introspect each token."""
        rest = auth_pb2.IntrospectRequest(api="POST /api/cases", **fields).SerializeToString()
        return self.bodies(name, (b"\x0a%c%s" % (len(token), token.encode()) + rest for token in self.tokens))

    def warm(self):
        """Brings every token into memory, without using it; 100 to a call."""
        batches = (auth_pb2.BatchIntrospectRequest(requests=[
            auth_pb2.BatchIntrospectEntry(token=token, no_touch=True) for token in self.tokens[i:i + 100]])
            for i in range(0, len(self.tokens), 100))
        grpc_load(self.grpc_port, "BatchIntrospect", self.bodies("warm", (b.SerializeToString() for b in batches)),
                  self.caller, once=True, connections=2, streams=8, tls=self.tls)

    def table(self):
        """Tokens in memory, and the bytes that they take."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            values = dict(re.findall(r"^(gatehouse_tokens_in_memory\w*) (\S+)$", answer.read().decode(), re.M))
        return float(values["gatehouse_tokens_in_memory"]), float(values["gatehouse_tokens_in_memory_bytes"])

    def introspect(self, bodies, **fields):
        """Every answer must begin with active = true, allowed = true."""
        return lambda: measure(self.pid, lambda: grpc_load(self.grpc_port, "Introspect", bodies, self.caller,
                                                           expect="08011001", tls=self.tls, **fields))

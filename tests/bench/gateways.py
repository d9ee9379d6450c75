# SPDX-License-Identifier: Apache-2.0
"""Of bench: nginx in front of an API, by its file in deploy/gateways, which asks the server, or an edge beside it. The API is
nginx itself, so that it is not what is measured."""
import contextlib
import os
import re
import subprocess
import sys

from harness import HERE, LOAD, QUICK, SERVER, SECONDS, Filled, Sample, cpu, in_turns, median, on, pin, ratio, rates, show
from daemon import Daemon

sys.path.append(HERE + "/../clients")
from gateway import CONFIGURATIONS, Gateway, put_in  # noqa: E402
from test_gateways import Nginx  # noqa: E402

SHAPES = (1, 64)  # connections
ASKS = "auth_request /gatehouse-check;"
ITSELF = ("proxy_pass http://backend;", "empty_gif;")


def nginx(stack, folder, changes):
    os.mkdir(folder)
    with open(f"{CONFIGURATIONS}/{Nginx.file}") as file:
        text = put_in(file.read(), [*Nginx.changes, *changes])
    gateway = Gateway(folder, Nginx.file, text, Nginx.arguments)
    stack.callback(gateway.stop)
    pin(gateway.process.pid, SERVER)
    return gateway


def edge_beside(stack, daemon):
    """That serves HTTP on a socket file."""
    edge = Daemon({"upstream": f"127.0.0.1:{daemon.grpc_port}", "grpc_address": "", "metrics_address": "127.0.0.1:0", "trusted_proxies": "unix",
                   "upstream_client_id": daemon.client_id, "upstream_client_secret_file": daemon.secret_file}, init=False, start=False)
    stack.enter_context(edge)
    edge.settings["http_address"] = f"unix:{edge.folder}/http"
    edge.start()
    pin(edge.process.pid, SERVER)
    return edge


class Requests(Sample):
    """With what each cost the server alone."""

    def __init__(self, rate, micros, asked):
        super().__init__(rate, micros)
        self.asked = asked


def load(gateway, token, connections):
    output = subprocess.run([*on(LOAD), "h2load", "--h1", "-c", str(connections), "-t", "1", "-D", f"{int(2000 * SECONDS)}ms",
                             "-H", "authorization: Bearer " + token, f"http://127.0.0.1:{gateway.port}/cases"],
                            stdout=subprocess.PIPE, check=True, text=True).stdout
    return int(re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", output)[1])


def asking(gateway, daemon, others, connections):
    pids = [gateway.process.pid, daemon.pid, *others]

    def run():
        before = [cpu(pid) for pid in pids]
        count = load(gateway, daemon.tokens[0], connections)
        spent = [(cpu(pid) - begun) / count * 1e6 for pid, begun in zip(pids, before)]
        return Requests(count / (2 * SECONDS), sum(spent), spent[1])
    return run


def bench():
    print("nginx in front of an API, which asks the server, or an edge on a socket file, or nobody; all on one core but the load")
    with Filled(1, 0, 1) as daemon, contextlib.ExitStack() as stack:
        edge = edge_beside(stack, daemon)
        to_server = ("127.0.0.1:8080", f"127.0.0.1:{daemon.http_port}")
        to_edge = [("server 127.0.0.1:8080;\n", ""), ("# server unix:/run/gatehouse-edge.http;", f"server unix:{edge.folder}/http;")]
        ways = [(nginx(stack, f"{daemon.folder}/{name}", [ITSELF, *changes]), others) for name, changes, others in
                (("server", [to_server], []), ("edge", to_edge, [edge.process.pid]), ("nobody", [to_server, (ASKS, "")], []))]
        for connections in SHAPES:
            show_shape(connections, *in_turns([asking(gateway, daemon, others, connections) for gateway, others in ways],
                                              2 if QUICK else None))


def show_shape(connections, asks_server, asks_edge, asks_nobody):
    way = f", {connections} at a time"
    for what, samples in (("the server", asks_server), ("an edge", asks_edge), ("nobody", asks_nobody)):
        show(f"nginx asks {what}{way}", median(rates(samples)), "requests/s")
        show(f"nginx asks {what}{way}: CPU a request", median([sample.micros for sample in samples]), "us")
    show(f"nginx asks an edge{way}: CPU of the server a request", median([sample.asked for sample in asks_edge]), "us")
    show(f"nginx: an edge / the server, requests/s{way}", ratio(asks_edge, asks_server))
    show(f"nginx: the server / an edge, CPU a request{way}", ratio(asks_server, asks_edge, lambda sample: sample.micros))
    show(f"nginx: an edge / nobody, requests/s{way}", ratio(asks_edge, asks_nobody))

# SPDX-License-Identifier: Apache-2.0
"""Alerts and dashboard: promtool finds nothing, every name exists on the running daemon, every alert is in the runbook."""
import json
import os
import re
import subprocess
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

import grpc
from daemon import DEADLINE, LEASH, Daemon
from operate import make_certificate
from postgres import Postgres

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/monitoring")
STATUSES = {code.name for code in grpc.StatusCode}
# A metric with its labels, in PromQL.
SELECTOR = re.compile(r"\b([a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return file.read()


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=600)
    return done.returncode, done.stdout + done.stderr


def get(url):
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return answer.read().decode()


class Prometheus:
    """A real one that scrapes the daemon, under the shipped rules."""

    def __init__(self, folder, targets):
        with open(folder + "/prometheus.yml", "w", encoding="ascii") as file:
            json.dump({"global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                       "rule_files": [os.path.join(FOLDER, "rules.yml")],
                       "scrape_configs": [{"job_name": "gatehouse", "static_configs": [{"targets": targets}]}]}, file)
        self.log = folder + "/prometheus.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*LEASH, "prometheus", "--config.file=" + folder + "/prometheus.yml", "--storage.tsdb.path=" + folder + "/tsdb",
                 "--web.listen-address=127.0.0.1:0"], stdout=log, stderr=log)
        self.address = "http://127.0.0.1:" + self.wait(self.port)

    def port(self):
        """Its log does not say which one it got."""
        listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True, timeout=DEADLINE).stdout
        found = re.search(rf":(\d+) .*pid={self.process.pid},", listening)
        return found and found.group(1)

    def ask(self, path, **parameters):
        try:
            return json.loads(get(self.address + path + "?" + urllib.parse.urlencode(parameters)))["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error

    def wait(self, condition):
        end = time.monotonic() + DEADLINE
        while not (found := condition()):
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log, encoding="utf-8") as log:
                    raise AssertionError(log.read())
            time.sleep(0.05)
        return found

    def end(self):
        self.process.terminate()
        self.process.wait(DEADLINE)


def rules():
    """Name and expression of each alert, as promtool's own parser of YAML is not at hand: ours is plain."""
    blocks = re.split(r"(?m)^      - alert: ", read("rules.yml"))[1:]
    found = {}
    for block in blocks:
        lines = block.splitlines()
        expr = re.search(r"(?m)^        expr: (?:\|\n((?:          .*\n)+)|(.*)\n)", block)
        found[lines[0]] = {"expr": " ".join((expr.group(1) or expr.group(2)).split()),
                           "url": re.search(r"runbook_url: (\S+)", block).group(1)}
    return found


def dashboard():
    return json.loads(read("dashboard.json"))


def expressions():
    return [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


class Texts(unittest.TestCase):
    def test_promtool_finds_nothing_in_the_rules(self):
        code, text = promtool("check", "rules", os.path.join(FOLDER, "rules.yml"))
        self.assertEqual(code, 0, text)
        self.assertIn(f"{len(rules())} rules found", text)

    def test_each_alert_fires_when_it_should_and_not_otherwise(self):
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rules_test.yml")
        code, text = promtool("test", "rules", path)
        self.assertEqual(code, 0, text)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(set(re.findall(r"alertname: (\w+)\n\s+exp_alerts", file.read())), set(rules()))

    def test_each_alert_has_its_heading_in_the_runbook_and_each_heading_an_alert(self):
        part = read("runbook.md").split("\n# Alerts\n")[1].split("\n# ")[0]
        self.assertEqual(re.findall(r"(?m)^## (.*)$", part), list(rules()))
        for section in re.split(r"(?m)^## ", part)[1:]:
            for word in ("Means", "See", "Do"):
                self.assertIn(f"**{word}** ", section)

    def test_runbook_urls_and_links_lead_somewhere(self):
        text = read("runbook.md")
        anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
                   for heading in re.findall(r"(?m)^#+ (.*)$", text)}
        for name, rule in rules().items():
            self.assertEqual(rule["url"], "runbook.md#" + name.lower())
        for anchor in re.findall(r"\]\(#([^)]*)\)", text):
            self.assertIn(anchor, anchors)

    def test_the_dashboard_is_one(self):
        board = dashboard()
        self.assertEqual((board["title"], board["uid"]), ("Gatehouse", "gatehouse"))
        self.assertGreaterEqual(board["schemaVersion"], 36)
        panels = board["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        places = set()
        for panel in panels:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & places, panel["title"])
            places |= cells
            self.assertTrue(panel["targets"], panel["title"])
            self.assertIn(panel["type"], ("stat", "timeseries"))
            for alert in re.findall(r"Gatehouse[A-Z]\w+", panel.get("description", "")):
                self.assertIn(alert, rules())
        variables = {variable["name"] for variable in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(panels)))
        self.assertEqual(used, variables | {"__rate_interval"})


class Running(unittest.TestCase):
    """Against the daemon, and a Prometheus that scrapes it."""

    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="gatehouse-monitoring-"))
        postgres = cls.enterClassContext(Postgres())
        cls.daemons = [cls.enterClassContext(Daemon({"metrics_address": "127.0.0.1:0", **store}))
                       for store in ({}, {"store": postgres.new_database()})]
        cls.traffic()
        make_certificate("http", folder)
        tls = cls.enterClassContext(Daemon({"metrics_address": "127.0.0.1:0", "http_cert": folder + "/http.pem",
                                            "http_key": folder + "/http.key"}))
        edge = cls.make_edge(folder)
        targets = [f"127.0.0.1:{daemon.metrics_port}" for daemon in (*cls.daemons, tls, edge)]
        cls.metrics = "".join(get(f"http://{target}/metrics") for target in targets)
        cls.prometheus = Prometheus(folder, targets)
        cls.addClassCleanup(cls.prometheus.end)

    @classmethod
    def make_edge(cls, folder):
        behind = cls.daemons[0]
        made = behind.create(behind.admin_token(), "edge", roles=("resource_server",))
        with open(folder + "/edge", "w", encoding="ascii") as file:
            file.write(made.secret_key)
        return cls.enterClassContext(Daemon({
            "metrics_address": "127.0.0.1:0", "upstream": f"127.0.0.1:{behind.grpc_port}",
            "upstream_client_id": made.credential.client_id, "upstream_client_secret_file": folder + "/edge"}, init=False))

    @classmethod
    def traffic(cls):
        for daemon in cls.daemons:
            admin = daemon.admin_token()
            daemon.introspect(admin, admin, api="GET /x")
            for call in (lambda: daemon.issue(secret="wrong"), lambda: get(daemon.http + "/livez"),
                         lambda: get(daemon.http + "/v1/credentials")):
                try:
                    call()
                except (grpc.RpcError, urllib.error.HTTPError):
                    pass

    def exists(self, expression):
        """Each metric in it, with each label that it is asked for, and the values that are known."""
        selectors = SELECTOR.findall(expression)
        self.assertTrue(selectors, expression)
        for name, matchers in selectors:
            lines = re.findall(rf"(?m)^{name}(?:\{{.*\}})? ", self.metrics)
            self.assertTrue(lines or name == "up", f"{name} of {expression}")
            for label, _, value in MATCHER.findall(matchers):
                if label in ("job", "instance"):
                    continue
                self.assertTrue(any(f'{label}="' in line for line in lines), f"{name} has no {label}")
                if label == "rpc_response_status_code":
                    self.assertLessEqual(set(value.split("|")), STATUSES)
                if label == "rpc_method":
                    methods = re.findall(r'rpc_method="([^"]*)"', self.metrics)
                    self.assertTrue(any(re.fullmatch(value, method) for method in methods), value)

    def test_every_metric_label_and_method_of_the_alerts_exists(self):
        for rule in rules().values():
            self.exists(rule["expr"])
        self.assertRaises(AssertionError, self.exists, 'gatehouse_no_such_metric{job="gatehouse"} > 1')

    def test_every_metric_of_the_dashboard_exists(self):
        for expression in expressions():
            self.exists(expression)

    def test_prometheus_takes_the_rules_and_no_alert_fires(self):
        def evaluated():
            groups = self.prometheus.ask("/api/v1/rules")["groups"]
            found = [rule for group in groups for rule in group["rules"]]
            return found if found and all(rule["health"] != "unknown" for rule in found) else None

        found = self.prometheus.wait(evaluated)
        self.assertEqual({rule["name"] for rule in found}, set(rules()))
        self.assertEqual([rule for rule in found if rule["health"] != "ok"], [])
        are_up = lambda: len(self.prometheus.ask("/api/v1/query", query='up{job="gatehouse"} == 1')["result"]) == 4
        self.prometheus.wait(are_up)
        firing = self.prometheus.ask("/api/v1/query", query='ALERTS{alertstate="firing"}')["result"]
        self.assertEqual(firing, [])

    def test_every_panel_of_the_dashboard_shows_something(self):
        """Everything but what did not happen here."""
        rate = 'rate(http_server_request_duration_seconds_count{job="gatehouse"}[20s]) > 0'

        def moving():
            self.traffic()
            return len(self.prometheus.ask("/api/v1/query", query=rate)["result"]) >= 4

        self.prometheus.wait(moving)
        for expression in expressions():
            query = expression.replace("$__rate_interval", "20s").replace("$instance", ".*")
            self.prometheus.wait(lambda: self.prometheus.ask("/api/v1/query", query=query)["result"] or self.traffic())


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The container's and Kubernetes' files by themselves: linted, and true to each other and to the daemon. test_manifests.py
NODE FOLDER, where node_modules is."""
import json
import os
import re
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import machine
import yaml
from daemon import DEADLINE, Daemon
from image import DOCKERFILE, read_dockerfile
from machine import make_certificate, run
from postgres import Postgres

NODE, PACKAGES = sys.argv[1:3]
FOLDER = machine.SOURCE + "/deploy/"
COMPOSE, MANIFESTS, INIT, EDGE, ROTATE = (FOLDER + name for name in (
    "container/compose.yaml", "kubernetes/gatehouse.yaml", "kubernetes/init.yaml", "kubernetes/edge.yaml", "kubernetes/rotate.yaml"))
YAMLLINT = ("{extends: default, rules: {line-length: {max: 130}, document-start: disable, "
            "comments: {min-spaces-from-content: 1}}}")


def read(path):
    with open(path) as file:
        return file.read()


class Case(unittest.TestCase):
    def changed(self, path, *changes):
        """A copy of a file, with a mistake in it."""
        text = read(path)
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with open(f"{folder}/{os.path.basename(path)}", "w") as file:
            file.write(text)
        return file.name


class Linted(Case):
    def dclint(self, path):
        return run([NODE, PACKAGES + "/node_modules/dclint/bin/dclint.cjs", "--max-warnings", "0", path], check=False)

    def kubernetes(self, path):
        return json.loads(run([NODE, PACKAGES + "/kubernetes.mjs", path])[1])

    def test_no_linter_finds_anything(self):
        self.assertEqual(read_dockerfile(NODE, PACKAGES)["found"], [])
        self.assertEqual(self.dclint(COMPOSE), (0, "\n"))
        for path in (MANIFESTS, INIT, EDGE, ROTATE):
            self.assertEqual(self.kubernetes(path), [])
        files = (COMPOSE, MANIFESTS, INIT, EDGE, ROTATE)
        self.assertEqual(run(["yamllint", "--strict", "-d", YAMLLINT, *files], check=False), (0, ""))

    def test_an_image_is_named_by_its_digest(self):
        for path in (MANIFESTS, INIT, EDGE, ROTATE):
            images = re.findall(r"^ *(?:- )?image: (.+)$", read(path), re.MULTILINE)
            self.assertTrue(images)
            for image in images:
                self.assertRegex(image, "^[a-z./]+@sha256:[0-9a-f]{64}$")

    def test_an_engine_is_given_what_the_image_copies_and_no_more(self):
        copied = {word.split("/")[0] for one in read_dockerfile(NODE, PACKAGES)["instructions"]
                  if one["name"] == "COPY" and "from" not in one["flags"] for word in one["words"][:-1]}
        given = read(DOCKERFILE + ".dockerignore").splitlines()
        self.assertIn("*", given)
        self.assertEqual({line[1:] for line in given if line.startswith("!")}, copied)

    def test_each_linter_finds_a_mistake(self):
        wrong = self.changed(DOCKERFILE, ("HEALTHCHECK --interval=10s", "HEALTHCHECK --intervall=10s"))
        self.assertIn("intervall", read_dockerfile(NODE, PACKAGES, wrong)["found"][0])
        self.assertEqual(self.dclint(self.changed(COMPOSE, ("read_only:", "readonly:")))[0], 1)
        wrong = self.changed(MANIFESTS, ("  maxUnavailable: 1\n", "  maxUnavailabl: 1\n"))
        self.assertRegex(self.kubernetes(wrong)[0], "'\"maxUnavailabl\"' does not exist")
        wrong = self.changed(MANIFESTS, ("containerPort: 9464", "containerPort: many"))
        self.assertIn("containerPort must be integer", self.kubernetes(wrong)[0])
        wrong = self.changed(MANIFESTS, ("  replicas: 2\n", "  replicas: 2\n  replicas: 3\n"))
        self.assertIn("duplication of key", run(["yamllint", "-d", YAMLLINT, wrong], check=False)[1])


class Kubernetes(Case):
    def setUp(self):
        self.objects = {}
        for document in [*yaml.safe_load_all(read(MANIFESTS)), *yaml.safe_load_all(read(EDGE))]:
            self.objects[document["kind"], document["metadata"]["name"]] = document
        self.deployment = self.objects["Deployment", "gatehouse"]["spec"]
        self.pod = self.deployment["template"]
        self.container = self.pod["spec"]["containers"][0]
        self.init = yaml.safe_load(read(INIT))
        self.edge = self.objects["DaemonSet", "gatehouse-edge"]["spec"]

    def test_every_pod_keeps_the_restricted_profile_and_says_what_it_needs(self):
        for spec in (self.pod["spec"], self.init["spec"], self.edge["template"]["spec"]):
            self.assertFalse(spec["automountServiceAccountToken"])
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertEqual(spec["securityContext"]["seccompProfile"], {"type": "RuntimeDefault"})
            for container in spec["containers"] + spec.get("initContainers", []):
                self.assertEqual(container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                                "capabilities": {"drop": ["ALL"]}})
                self.assertEqual(set(container["resources"]["requests"]), {"cpu", "memory"})
                self.assertIn("memory", container["resources"]["limits"])

    def test_user_ports_and_time_to_stop_are_the_image_s(self):
        instructions = {one["name"]: one for one in read_dockerfile(NODE, PACKAGES)["instructions"]}
        user, ports = instructions["USER"]["words"][0], instructions["EXPOSE"]["words"]
        for context in (self.pod["spec"]["securityContext"], self.init["spec"]["securityContext"]):
            self.assertEqual(f"{context['runAsUser']}:{context['runAsGroup']}", user)
            self.assertEqual(context["fsGroup"], context["runAsGroup"])  # or the secrets could not be read
        self.assertEqual([str(port["containerPort"]) for port in self.container["ports"]], ports)
        self.assertEqual(instructions["ENV"]["variables"]["GATEHOUSED_HTTP_ADDRESS"], "0.0.0.0:8080")
        seconds = int(self.container["lifecycle"]["preStop"]["exec"]["command"][1])
        self.assertGreaterEqual(self.pod["spec"]["terminationGracePeriodSeconds"], seconds + 2 * 10 + 30)

    def test_services_budget_and_policy_mean_the_daemon_s_pods(self):
        labels, name = self.pod["metadata"]["labels"], {"app.kubernetes.io/name": "gatehouse"}
        ports = {port["name"] for port in self.container["ports"]}
        policy = self.objects["NetworkPolicy", "gatehouse"]["spec"]
        for selector in (self.deployment["selector"]["matchLabels"], self.objects["Service", "gatehouse"]["spec"]["selector"],
                         self.objects["Service", "gatehouse-grpc"]["spec"]["selector"],
                         self.objects["PodDisruptionBudget", "gatehouse"]["spec"]["selector"]["matchLabels"]):
            self.assertEqual(selector, name)
            self.assertLessEqual(selector.items(), labels.items())
            self.assertFalse(selector.items() <= self.init["metadata"]["labels"].items())  # nobody calls that one
        for pod in (self.pod, self.init):
            self.assertLessEqual(policy["podSelector"]["matchLabels"].items(), pod["metadata"]["labels"].items())
        self.assertEqual({port["port"] for rule in policy["ingress"] for port in rule["ports"]}, ports)
        for service in ("gatehouse", "gatehouse-grpc"):
            self.assertIn(self.objects["Service", service]["spec"]["ports"][0]["targetPort"], ports)
        term = self.pod["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0]
        self.assertEqual(term["podAffinityTerm"]["labelSelector"]["matchLabels"], name)

    def test_the_daemon_starts_by_its_configuration_and_answers_the_probes(self):
        postgres = self.enterContext(Postgres())
        folder = self.enterContext(tempfile.TemporaryDirectory())
        context = self.make_secrets(folder)
        settings = dict(self.objects["ConfigMap", "gatehouse"]["data"])
        self.assertEqual(settings["GATEHOUSED_STORE"], "postgresql://gatehouse@postgres/gatehouse")
        settings["GATEHOUSED_STORE"] = postgres.new_database()
        settings = {key: value.replace("/run/secrets", folder) for key, value in settings.items()}
        daemon = self.enterContext(Daemon(init=False, start=False))
        daemon.environment.update(settings)
        # 0.0.0.0, as the image has it: TLS is demanded.
        daemon.settings = {"grpc_address": "0.0.0.0:0", "http_address": "0.0.0.0:0", "metrics_address": "127.0.0.1:0"}
        self.assertEqual(self.init["spec"]["initContainers"][0]["args"], ["init", "--secret-file", "/run/administrator/secret"])
        daemon.run("init", "--secret-file", daemon.secret_file)
        daemon.start()
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            get = self.container[probe]["httpGet"]
            self.assertEqual((get["scheme"], get["port"]), ("HTTPS", "https"))
            url = f"https://localhost:{daemon.http_port}{get['path']}"
            with urllib.request.urlopen(url, context=context, timeout=DEADLINE) as answer:
                self.assertEqual(answer.status, 200)
        postgres.stop()
        # Not ready any more, and alive all the same: to be started again would help nobody.
        machine.wait(lambda: self.status(f"https://localhost:{daemon.http_port}/readyz", context) == 503)
        self.assertEqual(self.status(f"https://localhost:{daemon.http_port}/livez", context), 200)
        postgres.start()
        machine.wait(lambda: self.status(f"https://localhost:{daemon.http_port}/readyz", context) == 200)

    def test_an_edge_on_each_node_is_reached_there_and_reaches_the_servers(self):
        pod, policy = self.edge["template"], self.objects["NetworkPolicy", "gatehouse-edge"]["spec"]
        ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        service = self.objects["Service", "gatehouse-edge"]["spec"]
        self.assertEqual(service["internalTrafficPolicy"], "Local")
        for selector in (self.edge["selector"]["matchLabels"], service["selector"], policy["podSelector"]["matchLabels"]):
            self.assertLessEqual(selector.items(), pod["metadata"]["labels"].items())
            self.assertFalse(selector.items() <= self.pod["metadata"]["labels"].items())
        self.assertEqual(ports, {port["name"]: port["containerPort"] for port in self.container["ports"]})
        self.assertEqual({port["targetPort"] for port in service["ports"]}, set(ports) - {"metrics"})
        self.assertEqual({port["port"] for rule in policy["ingress"] for port in rule["ports"]}, set(ports))
        # From here to there, and let in there.
        address = self.objects["ConfigMap", "gatehouse-edge"]["data"]["GATEHOUSED_UPSTREAM"]
        behind = self.objects["Service", address.partition(":")[0]]["spec"]
        self.assertEqual((behind["clusterIP"], [str(port["port"]) for port in behind["ports"]]), ("None", [address.partition(":")[2]]))
        self.assertEqual(policy["egress"][0]["to"][0]["podSelector"]["matchLabels"], behind["selector"])
        callers = [one["from"] for one in self.objects["NetworkPolicy", "gatehouse"]["spec"]["ingress"]
                   if one["ports"] == [{"port": "grpc"}]][0]
        self.assertIn({"podSelector": {"matchLabels": self.edge["selector"]["matchLabels"]}}, callers)

    def test_the_edge_starts_by_its_configuration_and_answers_the_probes(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        context = make_certificate(folder + "/tls.crt", folder + "/tls.key")  # one for all, and its own authority
        os.link(folder + "/tls.crt", folder + "/ca.crt")
        server = self.enterContext(Daemon({"grpc_cert": folder + "/tls.crt", "grpc_key": folder + "/tls.key",
                                           "grpc_client_ca": folder + "/ca.crt", "introspect_identities": "localhost"}))
        settings = dict(self.objects["ConfigMap", "gatehouse-edge"]["data"])
        settings["GATEHOUSED_UPSTREAM"] = f"localhost:{server.grpc_port}"
        edge = self.enterContext(Daemon({"upstream": ""}, init=False, start=False))
        edge.environment.update({key: value.replace("/run/secrets/tls", folder) for key, value in settings.items()})
        edge.settings = {"grpc_address": "0.0.0.0:0", "http_address": "0.0.0.0:0", "metrics_address": "127.0.0.1:0"}
        edge.start()
        container = self.edge["template"]["spec"]["containers"][0]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            get = container[probe]["httpGet"]
            self.assertEqual((get["scheme"], get["port"]), ("HTTPS", "https"))
            machine.wait(lambda: self.status(f"https://localhost:{edge.http_port}{get['path']}", context) == 200)

        def is_trusted():
            with urllib.request.urlopen(f"http://127.0.0.1:{edge.metrics_port}/metrics", timeout=DEADLINE) as answer:
                return b"gatehouse_cache_trusted 1" in answer.read()
        machine.wait(is_trusted)
        server.stop()
        machine.wait(lambda: self.status(f"https://localhost:{edge.http_port}/readyz", context) == 503)
        self.assertEqual(self.status(f"https://localhost:{edge.http_port}/livez", context), 200)

    def status(self, url, context):
        try:
            with urllib.request.urlopen(url, context=context, timeout=DEADLINE) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def make_secrets(self, folder):
        """What the volumes hold."""
        mounts = {mount["name"]: mount["mountPath"].replace("/run/secrets", folder) for mount in self.container["volumeMounts"]}
        self.assertEqual(set(mounts), {volume["name"] for volume in self.pod["spec"]["volumes"]})
        for path in mounts.values():
            os.makedirs(path)
        with open(mounts["database"] + "/password", "w") as file:
            file.write("not asked for here\n")
        make_certificate(mounts["grpc-tls"] + "/tls.crt", mounts["grpc-tls"] + "/tls.key")
        os.link(mounts["grpc-tls"] + "/tls.crt", mounts["grpc-tls"] + "/ca.crt")
        return make_certificate(mounts["http-tls"] + "/tls.crt", mounts["http-tls"] + "/tls.key")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])

# SPDX-License-Identifier: Apache-2.0
"""What deploy/gateways/envoy.yaml says, held against the daemon; test_envoy.py runs it, but not what it says of mutual TLS. What
Envoy asks, and what it is told, is in tests/service/test_envoy.py."""
import os
import re
import subprocess
import sys
import unittest

import yaml
from daemon import DEADLINE, Daemon, GATEHOUSED, credential_admin_pb2 as pb  # tests/support
from envoy.service.auth.v3 import external_auth_pb2 as auth, external_auth_pb2_grpc as auth_grpc

FILE = os.path.join(sys.argv.pop(1), "envoy.yaml")
EXTENSIONS = "type.googleapis.com/envoy.extensions."
CONNECTION_MANAGER = EXTENSIONS + "filters.network.http_connection_manager.v3.HttpConnectionManager"
EXT_AUTHZ, PER_ROUTE = (EXTENSIONS + "filters.http.ext_authz.v3.ExtAuthz" + part for part in ("", "PerRoute"))
ROUTER = EXTENSIONS + "filters.http.router.v3.Router"
HTTP_OPTIONS = EXTENSIONS + "upstreams.http.v3.HttpProtocolOptions"
UPSTREAM_TLS = EXTENSIONS + "transport_sockets.tls.v3.UpstreamTlsContext"


class Strict(yaml.SafeLoader):
    """A key that stands twice is a mistake, as it is to Envoy."""


def mapping(loader, node):
    keys = [loader.construct_object(key) for key, _ in node.value]
    if len(set(keys)) < len(keys):
        raise yaml.YAMLError(f"a key stands twice: {keys}")
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value)}


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def load(with_tls=False):
    with open(FILE) as file:
        text = file.read()
    if with_tls:  # from transport_socket on, the comment is configuration
        at = text.index("# transport_socket:")
        text = text[:at] + re.sub(r"^( *)# (?=[ \w\"-])", r"\1", text[at:].replace("# ", "", 1), flags=re.MULTILINE)
    return yaml.load(text, Strict)["static_resources"]


class Example(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.resources = load()
        listener, = cls.resources["listeners"]
        cls.manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        cls.filters = [item["typed_config"] for item in cls.manager["http_filters"]]
        cls.clusters = {cluster["name"]: cluster for cluster in cls.resources["clusters"]}
        cls.hosts = cls.manager["route_config"]["virtual_hosts"]

    def test_each_part_is_of_the_type_that_envoy_documents_under_its_name(self):
        listener, = self.resources["listeners"]
        for part, name, kind in (
                (listener["filter_chains"][0]["filters"][0], "envoy.filters.network.http_connection_manager",
                 CONNECTION_MANAGER),
                (self.manager["http_filters"][0], "envoy.filters.http.ext_authz", EXT_AUTHZ),
                (self.manager["http_filters"][1], "envoy.filters.http.router", ROUTER)):  # and last, as it must be
            self.assertEqual((part["name"], part["typed_config"]["@type"]), (name, kind))
        self.assertEqual(len(self.filters), 2)

    def test_without_an_answer_nobody_gets_in(self):
        authz = self.filters[0]
        self.assertIs(authz["failure_mode_allow"], False)
        self.assertEqual(authz["transport_api_version"], "V3")
        self.assertRegex(authz["grpc_service"]["timeout"], r"^0?\.\d+s$")
        self.assertNotIn("with_request_body", authz)
        self.assertEqual(set(authz), {"@type", "transport_api_version", "failure_mode_allow", "status_on_error",
                                      "grpc_service", "allowed_headers"})
        self.assertEqual(authz["allowed_headers"], {"patterns": [{"exact": "authorization", "ignore_case": True}]})

    def test_gatehouse_is_asked_over_http2_where_it_listens_by_default(self):
        cluster = self.clusters[self.filters[0]["grpc_service"]["envoy_grpc"]["cluster_name"]]
        options = cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
        self.assertEqual(options, {"@type": HTTP_OPTIONS, "explicit_http_config": {"http2_protocol_options": {}}})
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
        config = subprocess.run([GATEHOUSED, "--print-config"], capture_output=True, text=True, check=True,
                                timeout=DEADLINE).stdout
        self.assertIn(f'\ngrpc_address = "{endpoint["address"]}:{endpoint["port_value"]}"\n', config)
        for name, each in self.clusters.items():
            self.assertRegex(each["connect_timeout"], r"^[\d.]+s$")
            self.assertEqual(each["load_assignment"]["cluster_name"], name)

    def test_every_route_leads_somewhere_and_the_token_stays_here(self):
        for host in self.hosts:
            self.assertEqual(host["request_headers_to_remove"], ["authorization"])
            for route in host["routes"]:
                self.assertIn(route["route"]["cluster"], self.clusters)
        self.assertEqual(self.manager["common_http_protocol_options"], {"headers_with_underscores_action": "DROP_HEADER"})

    def test_the_roles_are_ones_that_gatehouse_knows_and_asks_for(self):
        with Daemon() as daemon:
            admin = daemon.admin_token()
            roles = {role.role_id for role in daemon.admin.ListRoles(
                pb.ListRolesRequest(), metadata=daemon.bearer(admin), timeout=DEADLINE).roles}
            for host in self.hosts:  # on the host, so that no route is forgotten
                settings = host["typed_per_filter_config"]["envoy.filters.http.ext_authz"]
                self.assertEqual(settings["@type"], PER_ROUTE)
                extensions = settings["check_settings"]["context_extensions"]
                wanted = extensions["role"].split(",")
                self.assertLessEqual(set(wanted), roles)
                made = daemon.create(admin, "bearer", roles=wanted)
                good = daemon.issue(made.credential.client_id, made.secret_key).access_token
                for token, code in ((good, 0), (admin, 7), ("x", 16)):
                    request = auth.CheckRequest()
                    request.attributes.context_extensions.update(extensions)
                    request.attributes.request.http.headers["authorization"] = "Bearer " + token
                    answer = auth_grpc.AuthorizationStub(daemon.channel).Check(request, timeout=DEADLINE)
                    self.assertEqual(answer.status.code, code)

    def test_what_is_commented_out_is_mutual_tls(self):
        before, after = self.clusters["gatehouse"], load(with_tls=True)["clusters"][0]
        socket = after.pop("transport_socket")
        self.assertEqual(after, before)
        self.assertEqual((socket["name"], socket["typed_config"]["@type"]), ("envoy.transport_sockets.tls", UPSTREAM_TLS))
        common = socket["typed_config"]["common_tls_context"]
        self.assertEqual(set(common["tls_certificates"][0]), {"certificate_chain", "private_key"})
        names = common["validation_context"]["match_typed_subject_alt_names"]
        self.assertEqual([name["matcher"]["exact"] for name in names], [socket["typed_config"]["sni"]])
        self.assertIn("filename", common["validation_context"]["trusted_ca"])


if __name__ == "__main__":
    unittest.main()

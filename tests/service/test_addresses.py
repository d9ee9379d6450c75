# SPDX-License-Identifier: Apache-2.0
"""Source addresses: a credential that is bound to networks gets no token and is not used from elsewhere; observed first."""
import json
import unittest
import urllib.error
import urllib.parse
import urllib.request

import grpc
from daemon import DEADLINE, Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2 as pb
from google.protobuf import json_format
from google.protobuf.field_mask_pb2 import FieldMask
from test_envoy import check, question

REFUSED = ("PERMISSION_DENIED", "SOURCE_ADDRESS_REFUSED")
INSIDE, OUTSIDE = "10.1.2.3", "198.51.100.7"
NETWORKS = ["10.0.0.0/8", "2001:db8::/32"]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # This host is believed whom it calls for, as a proxy is.
        cls.daemon = Daemon({"flush_interval_ms": "20", "metrics_address": "127.0.0.1:0", "trusted_proxies": "127.0.0.1"})
        cls.addClassCleanup(cls.daemon.__exit__)
        cls.token = cls.daemon.admin_token()

    def metadata(self, token=None, peer=None):
        return (Daemon.bearer(token) if token else ()) + ((("x-gatehouse-peer", peer),) if peer else ())

    def admin(self, method, token=None, peer=None, **fields):
        return getattr(self.daemon.admin, method)(getattr(pb, method + "Request")(**fields), timeout=DEADLINE,
                                                  metadata=self.metadata(token or self.token, peer))

    def make(self, name, networks=NETWORKS, observe_only=False, roles=("work_creator",), **fields):
        credential = {"addresses": {"networks": networks, "observe_only": observe_only}} if networks else {}
        answer = self.daemon.create(self.token, name, roles, **credential, **fields)
        return answer.credential.client_id, answer.secret_key

    def bind(self, client_id, networks=(), observe_only=False, **fields):
        credential = pb.Credential(client_id=client_id)
        if networks:
            credential.addresses.CopyFrom(pb.SourceAddresses(networks=networks, observe_only=observe_only))
        return self.admin("UpdateCredential", credential=credential, update_mask=FieldMask(paths=["addresses"]), **fields)

    def get(self, client_id):
        return self.admin("GetCredential", client_id=client_id).credential

    def issue(self, client, peer=INSIDE):
        return self.daemon.auth.IssueToken(auth_pb2.IssueTokenRequest(client_id=client[0], client_secret=client[1]),
                                           metadata=self.metadata(peer=peer), timeout=DEADLINE).access_token

    def introspect(self, token, **fields):
        return self.daemon.introspect(self.token, token, **fields)

    def events(self, client_id, action):
        return list(self.admin("ListAuditEvents", filter=f"subject={client_id} AND action={action}").events)

    def usage(self, client_id):
        rows = self.admin("QueryUsage", client_id=client_id).rows
        return sum(row.allowed for row in rows), sum(row.denied for row in rows)

    def metric(self, outcome):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.daemon.metrics_port}/metrics", timeout=60) as answer:
            return [float(line.split()[1]) for line in answer.read().decode().splitlines()
                    if line.startswith(f'gatehouse_source_address_total{{outcome="{outcome}"}}')][0]

    def http(self, path, form=None, peer=None, **headers):
        request = urllib.request.Request(self.daemon.http + path, form and urllib.parse.urlencode(form).encode(),
                                         {**headers, **({"X-Forwarded-For": peer} if peer else {})})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


class Uses(Case):
    def test_no_token_is_issued_to_another_address(self):
        client = self.make("issue")
        for peer in (INSIDE, "::ffff:10.9.9.9", "2001:db8::1"):
            self.issue(client, peer)
        for peer in (OUTSIDE, "2001:db9::1", None):  # None: this host itself
            self.assertEqual(error_of(lambda: self.issue(client, peer))[:2], REFUSED)
        wrong = (client[0], "gate_sk_wrong")  # who does not know the secret key is told nothing of networks
        self.assertEqual(error_of(lambda: self.issue(wrong, OUTSIDE))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))
        form = {"grant_type": "client_credentials", "client_id": client[0], "client_secret": client[1]}
        self.assertEqual(self.http("/OAuth/Token", form, INSIDE)[0], 200)
        code, body = self.http("/OAuth/Token", form, OUTSIDE)
        self.assertEqual((code, json.loads(body)["error"]), (400, "unauthorized_client"))
        self.assertIn("address", json.loads(body)["error_description"])
        # What the client says of itself is not believed: the proxy's entry is the last.
        self.assertEqual(self.http("/OAuth/Token", form, f"{INSIDE}, {OUTSIDE}")[0], 400)

    def test_a_use_from_elsewhere_is_inactive_counts_as_denied_and_slides_nothing(self):
        client = self.make("use")
        token = self.issue(client)
        inside = self.introspect(token, peer=INSIDE, api="GET /x")
        self.assertTrue(inside.active and inside.allowed)
        self.assertEqual((list(inside.networks), inside.refusal), (NETWORKS, 0))
        self.assertEqual(self.usage(client[0]), (1, 0))
        used = self.get(client[0]).last_use_time
        for peer in (OUTSIDE, OUTSIDE + ":4711", "[2001:db9::1]:443", "fe80::1%eth0"):
            answer = self.introspect(token, peer=peer, api="GET /x")
            self.assertEqual(json_format.MessageToDict(answer), {"refusal": "USE_REFUSAL_SOURCE_ADDRESS"}, peer)
        self.assertEqual(self.usage(client[0]), (1, 4))
        after = self.get(client[0])
        self.assertEqual((after.last_use_time, after.last_use_from), (used, INSIDE))
        self.assertEqual(self.introspect(token, peer=INSIDE, no_touch=True).expire_time, inside.expire_time)
        self.assertTrue(self.introspect(token).active)  # no peer: nothing can be judged
        self.assertTrue(self.introspect(token, peer="10.1.2.3:80").active)

    def test_a_peer_that_is_no_address_is_refused(self):
        token = self.issue(self.make("no address"))
        for peer in ("localhost", "10.0.0.256", "10.0.0.1:port", "10.0.0.1, 10.0.0.2", "unknown", "[::1", " ", "1" * 65, "10.0.0.1\n"):
            self.assertEqual(error_of(lambda: self.introspect(token, peer=peer))[:2], ("INVALID_ARGUMENT", "INVALID_FIELD"), peer)

    def test_in_a_batch_each_is_judged_for_itself(self):
        token, other = self.issue(self.make("batch")), self.issue(self.make("batch free", None))
        asked = [(token, INSIDE), (token, OUTSIDE), (other, OUTSIDE), (token, "nonsense"), (token, "")]
        request = auth_pb2.BatchIntrospectRequest()
        for text, peer in asked:
            request.requests.add(token=text, peer=peer)
        answers = self.daemon.auth.BatchIntrospect(request, metadata=Daemon.bearer(self.token)).responses
        self.assertEqual([each.active for each in answers], [True, False, True, False, True])
        self.assertEqual([each.refusal for each in answers], [0, 1, 0, 0, 0])
        self.assertEqual([each.error.field for each in answers], ["", "", "", "peer", ""])
        self.assertEqual([len(each.networks) for each in answers], [2, 0, 0, 0, 2])

    def test_a_change_holds_for_the_next_use_and_ends_no_token(self):
        client = self.make("changed", None)
        token = self.issue(client, OUTSIDE)
        self.assertTrue(self.introspect(token, peer=OUTSIDE).active)
        answer = self.bind(client[0], NETWORKS)
        self.assertEqual(answer.impact.tokens_ended, 0)
        self.assertFalse(self.introspect(token, peer=OUTSIDE).active)
        self.bind(client[0], ["198.51.100.0/24"])
        self.assertTrue(self.introspect(token, peer=OUTSIDE).active)
        self.assertFalse(self.introspect(token, peer=INSIDE).active)
        self.bind(client[0])
        self.assertTrue(self.introspect(token, peer=INSIDE).active)
        self.assertFalse(self.get(client[0]).HasField("addresses"))
        self.assertEqual([event.detail for event in self.events(client[0], "UpdateCredential")][::-1],
                         ["addresses: anywhere -> 10.0.0.0/8 2001:db8::/32",
                          "addresses: 10.0.0.0/8 2001:db8::/32 -> 198.51.100.0/24",
                          "addresses: 198.51.100.0/24 -> anywhere"])

    def test_the_callers_own_token_and_secret_key_are_bound_too(self):
        server = self.make("server", roles=["resource_server"])
        manager = self.make("manager", roles=["user_manager"])
        token, other = self.issue(server), self.issue(manager)
        request = auth_pb2.IntrospectRequest(token="x")
        own = auth_pb2.IntrospectRequest(token="x", client_id=server[0], client_secret=server[1])
        self.daemon.auth.Introspect(request, metadata=self.metadata(token, INSIDE))
        self.daemon.auth.Introspect(own, metadata=self.metadata(peer=INSIDE))
        self.admin("ListCredentials", other, INSIDE)
        for ask in (lambda: self.daemon.auth.Introspect(request, metadata=self.metadata(token, OUTSIDE)),
                    lambda: self.daemon.auth.Introspect(own, metadata=self.metadata(peer=OUTSIDE)),
                    lambda: self.admin("ListCredentials", other, OUTSIDE),
                    lambda: self.admin("DeleteCredential", other, OUTSIDE, client_id=server[0]),
                    lambda: self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=self.metadata(other, OUTSIDE))):
            self.assertEqual(error_of(ask)[:2], REFUSED)
        # A thief may end what he has stolen.
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token), metadata=self.metadata(token, OUTSIDE))
        self.assertFalse(self.introspect(token).active)
        # And nobody shuts himself out.
        mine = pb.Credential(client_id=manager[0], addresses={"networks": ["192.0.2.0/24"]})
        mask = FieldMask(paths=["addresses"])
        self.assertEqual(error_of(lambda: self.admin("UpdateCredential", other, INSIDE, credential=mine, update_mask=mask))[:2],
                         ("FAILED_PRECONDITION", "OWN_ADDRESS"))
        mine.addresses.observe_only = True
        self.admin("UpdateCredential", other, INSIDE, credential=mine, update_mask=mask)

    def test_gateways_are_answered_for_the_client_that_trusted_proxies_name(self):
        client = self.make("gateway")
        token = self.issue(client)
        bearer = {"Authorization": "Bearer " + token}
        self.assertEqual(self.http("/OAuth/Check", peer=INSIDE, **bearer)[0], 200)
        self.assertEqual(self.http("/OAuth/Check", peer=OUTSIDE, **bearer)[0], 401)
        self.assertEqual(self.http("/OAuth/Check", peer=f"{INSIDE}, {OUTSIDE}", **bearer)[0], 401)
        self.assertEqual(self.http("/OAuth/Check", **bearer)[0], 401)  # the proxy's own address
        for address, code in ((INSIDE, 0), (OUTSIDE, 16)):
            asked = question("Bearer " + token)
            asked.attributes.source.address.socket_address.address = address
            self.assertEqual(check(self.daemon.channel, asked).status.code, code)
        form = {"token": token, "peer": OUTSIDE}
        caller = {"Authorization": "Bearer " + self.token}
        self.assertEqual(json.loads(self.http("/OAuth/Introspect", form, **caller)[1]), {"active": False})
        self.assertTrue(json.loads(self.http("/OAuth/Introspect", {**form, "peer": INSIDE}, **caller)[1])["active"])
        self.assertEqual(self.http("/OAuth/Introspect", {**form, "peer": "x"}, **caller)[0], 400)

    def test_where_it_was_used_last_is_told(self):
        client = self.make("last", None)
        self.assertEqual(self.get(client[0]).last_use_from, "")
        token = self.issue(client, "192.0.2.1")
        self.assertEqual(self.get(client[0]).last_use_from, "192.0.2.1")
        for peer, told in (("192.0.2.2:80", "192.0.2.2"), ("[2001:DB8:0::1]:1", "2001:db8::1"), ("", "2001:db8::1")):
            self.introspect(token, peer=peer)
            self.assertEqual(self.get(client[0]).last_use_from, told)
        self.introspect(token, peer="192.0.2.9", no_touch=True)
        self.assertEqual(self.get(client[0]).last_use_from, "2001:db8::1")
        self.assertIn((client[0], "2001:db8::1"), [(each.client_id, each.last_use_from)
                                                   for each in self.admin("ListCredentials", filter='name:"last"').credentials])


class Observed(Case):
    def test_nothing_is_refused_and_all_is_counted_and_told_once_an_hour(self):
        client = self.make("observed", observe_only=True)
        before = self.metric("observed"), self.metric("refused")
        token = self.issue(client, OUTSIDE)
        for _ in range(3):
            answer = self.introspect(token, peer=OUTSIDE, api="GET /x", use_count=2)
            self.assertTrue(answer.active and answer.allowed)
            self.assertEqual(list(answer.networks), NETWORKS)
        self.assertEqual(self.usage(client[0]), (6, 0))
        self.assertEqual((self.metric("observed"), self.metric("refused")), (before[0] + 7, before[1]))
        told = self.events(client[0], "SourceAddressObserved")
        self.assertEqual([(event.peer, event.actor, event.outcome) for event in told], [(OUTSIDE, client[0], "OK")])
        self.assertEqual(self.get(client[0]).last_use_from, OUTSIDE)
        self.introspect(token, peer=INSIDE, api="GET /x")
        self.introspect(token, peer=OUTSIDE, api="GET /x", no_touch=True)
        self.introspect(token, peer=INSIDE, api="GET /y", use_count=9)
        batch = auth_pb2.BatchIntrospectRequest()
        for peer in (OUTSIDE, INSIDE, "", OUTSIDE):
            batch.requests.add(token=token, peer=peer, api="batch", required_roles=["team_leader"])
        self.daemon.auth.BatchIntrospect(batch, metadata=Daemon.bearer(self.token), timeout=DEADLINE)
        for peer in (INSIDE, OUTSIDE):
            self.assertEqual(self.http("/OAuth/Check", peer=peer, Authorization="Bearer " + token,
                                       **{"X-Original-Method": "GET", "X-Original-URI": "/checked"})[0], 200)
        counts = {"GET /x": (7, 0, 6), "GET /y": (9, 0, 0), "batch": (0, 4, 2), "GET /checked": (2, 0, 1), "/gatehouse.v1.AuthService/IssueToken": (0, 0, 1)}
        self.assertEqual(self.counts(client[0]), counts)
        self.bind(client[0], NETWORKS)
        for _ in range(3):
            self.assertFalse(self.introspect(token, peer=OUTSIDE).active)
            self.assertEqual(error_of(lambda: self.issue(client, OUTSIDE))[:2], REFUSED)
        counts["unnamed"] = (0, 3, 0)  # what is refused is not observed
        self.assertEqual(self.counts(client[0]), counts)
        self.assertEqual(self.metric("refused"), before[1] + 6)
        self.assertEqual([(event.peer, event.outcome) for event in self.events(client[0], "SourceAddressRefused")],
                         [(OUTSIDE, "PERMISSION_DENIED")])
        self.assertEqual(len(self.events(client[0], "ClientRefused")), 0)


    def test_calls_of_gatehouse_itself_are_observed_too(self):
        roles = ["resource_server", "auditor"]
        client = self.make("observed caller", observe_only=True, roles=roles)
        token = self.issue(client)
        for peer in (INSIDE, OUTSIDE, OUTSIDE):
            self.admin("ListRoles", token, peer)
            self.daemon.auth.Introspect(auth_pb2.IntrospectRequest(token="x", client_id=client[0], client_secret=client[1]),
                                        metadata=self.metadata(peer=peer), timeout=DEADLINE)
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=token, client_id=client[0], client_secret=client[1]),
                                metadata=self.metadata(peer=OUTSIDE), timeout=DEADLINE)
        self.assertEqual(self.counts(client[0]), {"/gatehouse.v1.CredentialAdmin/ListRoles": (3, 0, 2),
                                                  "/gatehouse.v1.AuthService/Introspect": (0, 0, 2),
                                                  "/gatehouse.v1.AuthService/Revoke": (0, 0, 1)})
        self.assertEqual(len(self.admin("QueryUsage", client_id=client[0]).rows), 0)  # Gatehouse's own are asked for
        impact = self.admin("EndTokens", client_id=client[0], validate_only=True).impact
        self.assertEqual([row.api for row in impact.recent_usage], ["/gatehouse.v1.CredentialAdmin/ListRoles"])

    def test_usage_is_in_order_of_what_is_observed(self):
        client = self.make("observed order", observe_only=True)
        token = self.issue(client)
        for api, peer, times in (("a", OUTSIDE, 2), ("b", OUTSIDE, 7), ("c", INSIDE, 50), ("d", OUTSIDE, 4)):
            self.introspect(token, peer=peer, api=api, use_count=times)

        def listed(size):
            page, rows = "", []
            while True:
                answer = self.admin("QueryUsage", client_id=client[0], order="USAGE_ORDER_OBSERVED", page_size=size, page_token=page)
                rows, page = rows + [(row.api, row.observed) for row in answer.rows], answer.next_page_token
                if not page:
                    return rows
        for size in (1, 50):
            self.assertEqual(listed(size), [("b", 7), ("d", 4), ("a", 2), ("c", 0)])
        total, = self.admin("QueryUsage", client_id=client[0], group_by=["USAGE_GROUPING_CREDENTIAL"]).rows
        self.assertEqual((total.allowed, total.observed), (63, 13))

    def counts(self, client_id):
        rows = self.admin("QueryUsage", client_id=client_id, include_internal=True, group_by=["USAGE_GROUPING_API"]).rows
        return {row.api: (row.allowed, row.denied, row.observed) for row in rows}


class BadInput(Case):
    def test_networks_that_are_none_are_refused_with_what_was_meant(self):
        client_id, _ = self.make("bad input")
        before = self.get(client_id)
        for networks, words in ((["10.0.0.1/8"], "the network is 10.0.0.0/8, the address alone 10.0.0.1"),
                                (["2001:db8::1/32"], "the network is 2001:db8::/32"), (["example.com"], "neither"),
                                (["10.0.0.0/33"], "neither"), ([""], "neither"), (["10.0.0.0/8", "10.0.0.0/"], "neither"),
                                (["0x0a000001"], "neither"), (["10.0.0.0/8 192.0.2.1"], "neither"), (["1" * 65], "64"),
                                ([f"10.0.{n // 256}.{n % 256}" for n in range(3000)], "64")):
            with self.assertRaises(grpc.RpcError) as raised:
                self.bind(client_id, networks)
            self.assertEqual(raised.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, networks)
            self.assertIn(words, raised.exception.details(), networks)
        observed = pb.Credential(client_id=client_id, addresses={"observe_only": True})
        self.assertEqual(error_of(lambda: self.admin("UpdateCredential", credential=observed,
                                                     update_mask=FieldMask(paths=["addresses"])))[:2],
                         ("INVALID_ARGUMENT", "INVALID_FIELD"))
        self.assertEqual(self.get(client_id), before)

    def test_they_are_kept_in_order_and_once_and_may_overlap(self):
        client_id, _ = self.make("spelling")
        self.bind(client_id, ["2001:DB8:0:0::/32", "192.0.2.1/32", "::ffff:10.0.0.0/104", "10.0.0.0/8", "10.1.0.0/16", "::/0", "0.0.0.0/0"])
        self.assertEqual(list(self.get(client_id).addresses.networks),
                         ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "::/0", "2001:db8::/32"])
        version = self.get(client_id).etag
        self.bind(client_id, ["0.0.0.0/0", "::/0", "2001:db8::/32", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "192.0.2.1"])
        self.assertEqual(self.get(client_id).etag, version)  # it was no change
        many = [f"10.0.0.{n}" for n in range(64)]
        self.bind(client_id, many)
        self.assertEqual(len(self.get(client_id).addresses.networks), 64)

    def test_it_is_not_for_key_managers_and_validate_only_binds_nothing(self):
        client = self.make("grades", None)
        manager = self.make("key manager", None, roles=["key_manager"])
        token = self.issue(manager)
        credential = pb.Credential(client_id=client[0], addresses={"networks": NETWORKS})
        mask = FieldMask(paths=["addresses"])
        self.assertEqual(error_of(lambda: self.admin("UpdateCredential", token, credential=credential, update_mask=mask))[:2],
                         ("PERMISSION_DENIED", "FIELD_NOT_ALLOWED"))
        self.assertEqual(list(self.bind(client[0], NETWORKS, validate_only=True).credential.addresses.networks), NETWORKS)
        self.assertFalse(self.get(client[0]).HasField("addresses"))
        self.issue(client, OUTSIDE)


class AcrossARestart(Case):
    def test_a_restarted_server_refuses_from_its_first_call_on(self):
        client = self.make("restarted")
        token = self.issue(client)
        self.introspect(token, peer=INSIDE)
        self.get(client[0])  # what was used is stored by then
        self.daemon.kill()
        self.daemon.start()
        for _ in range(2):  # from the store, then from memory
            self.assertFalse(self.introspect(token, peer=OUTSIDE).active)
        self.assertEqual(error_of(lambda: self.issue(client, OUTSIDE))[:2], REFUSED)
        self.assertTrue(self.introspect(token, peer=INSIDE).active)
        self.assertEqual(self.get(client[0]).last_use_from, INSIDE)


if __name__ == "__main__":
    unittest.main()

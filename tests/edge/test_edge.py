# SPDX-License-Identifier: Apache-2.0
"""What an edge answers from its own memory, what it passes on, and that both are what the server says."""
import base64
import json
import os
import unittest

from daemon import error_of
from edges import Case, DEADLINE, Daemon, auth, bearer, boot_time, make_edge, pb, review
from google.protobuf import json_format
from test_envoy import check, question


def same(answer):
    """Without what differs from one moment to the next."""
    fields = json_format.MessageToDict(answer)
    return {name: value for name, value in fields.items() if name not in ("expireTime", "validFor", "position")}


def basic(client):
    return {"Authorization": "Basic " + base64.b64encode(":".join(client).encode()).decode()}


class Memory(Case):
    def ways(self, token):
        """Each way to ask: (name, asks and gives what is said)."""
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return {
            "gRPC": lambda: same(self.introspect(token, api="GET /x")),
            "OAuth": lambda: json.loads(self.http("/OAuth/Introspect", {"token": token}, {**bearer(self.caller), **form})[2])["active"],
            "check": lambda: self.http("/OAuth/Check?role=work_creator", headers=bearer(token))[0],
            "lacking": lambda: self.http("/OAuth/Check?role=team_leader", headers=bearer(token))[0],
            "Envoy": lambda: check(self.edge.channel, question("Bearer " + token, "work_creator")).status.code,
            "review": lambda: json.loads(self.http("/k8s/TokenReview", review(token))[2])["status"]["authenticated"],
        }

    def test_it_answers_from_memory_and_the_server_is_not_asked(self):
        ways = self.ways(self.token)
        for ask in ways.values():
            self.await_hit(ask)
        asked, hits = self.asked(), self.hits()
        said = [ask() for ask in ways.values()]
        self.assertEqual(self.asked(), asked)
        self.assertEqual(self.hits(), hits + len(said) + 2)  # each of two callers' tokens is looked up there, too
        theirs = same(self.introspect(self.token, self.daemon))
        self.assertEqual(said, [theirs, True, 200, 403, 0, True])
        self.revoke(self.daemon, self.token)
        self.assert_obeyed(self.token, boot_time())
        self.assertEqual([ask() for ask in ways.values()], [{}, False, 401, 401, 16, False])

    def test_who_may_not_ask_is_told_what_the_server_tells(self):
        self.await_hit(lambda: self.introspect(self.token))
        strangers = {"nobody": (), "no such token": (("authorization", "Bearer nonsense"),),
                     "no token of ours": (("authorization", "Basic eDp5"),),
                     "without the role": (("authorization", "Bearer " + self.token),)}
        for name, metadata in strangers.items():
            request = auth.IntrospectRequest(token=self.token)
            ours, theirs = (error_of(lambda: one.auth.Introspect(request, metadata=metadata, timeout=DEADLINE))
                            for one in (self.edge, self.daemon))
            self.assertEqual(ours, theirs, name)
            self.assertIn(ours[0], ("UNAUTHENTICATED", "PERMISSION_DENIED"))
        for headers in ({}, bearer("nonsense"), bearer(self.token), basic(("x", "y")), basic((self.server[0], "wrong"))):
            ours, theirs = (self.http("/OAuth/Introspect", {"token": self.token}, headers, one) for one in (self.edge, self.daemon))
            self.assertEqual((ours[0], ours[2], ours[1]["WWW-Authenticate"]), (theirs[0], theirs[2], theirs[1]["WWW-Authenticate"]))
            self.assertIn(ours[0], (401, 403))

    def test_a_caller_whose_right_ends_is_refused(self):
        self.await_hit(lambda: self.introspect(self.token))
        self.revoke(self.edge, self.caller)
        self.assertEqual(error_of(lambda: self.introspect(self.token))[:2], ("UNAUTHENTICATED", "CALLER_UNKNOWN"))

    def test_a_secret_key_is_the_servers_to_judge(self):
        self.await_hit(lambda: self.introspect(self.token))
        for client, code in ((self.server, 200), (self.third_party, 403), ((self.server[0], "wrong"), 401)):
            self.assertEqual(self.http("/OAuth/Introspect", {"token": self.token}, basic(client))[0], code)

    def test_bad_input_is_refused_as_the_server_refuses_it(self):
        self.await_hit(lambda: self.introspect(self.token))
        for fields in ({"token": ""}, {"required_roles": ["work_creator"] * 33}, {"api": "x" * 257},
                       {"use_count": -1}, {"used_ago": {"seconds": 10**9}}, {"min_position": {"revision": -1}}):
            request = auth.IntrospectRequest(**{"token": self.token, **fields})
            metadata = (("authorization", "Bearer " + self.caller),)
            ours, theirs = (error_of(lambda: one.auth.Introspect(request, metadata=metadata, timeout=DEADLINE))
                            for one in (self.edge, self.daemon))
            self.assertEqual(ours, theirs, fields)
        for path, body in (("/OAuth/Introspect", b"token=%ff%fe&token=x"), ("/OAuth/Introspect", b""), ("/k8s/TokenReview", b"{}")):
            ours, theirs = (self.http(path, body, bearer(self.caller), one) for one in (self.edge, self.daemon))
            self.assertEqual((ours[0], ours[2]), (theirs[0], theirs[2]))

    def test_networks_are_judged_there_as_at_the_server(self):
        for client, networks in ((self.third_party, ["192.0.2.0/24"]), (self.server, ["127.0.0.0/8"])):
            self.manage(self.daemon, "UpdateCredential", update_mask={"paths": ["addresses"]}, everywhere=True,
                        credential={"client_id": client[0], "addresses": {"networks": networks}})
        self.await_hit(lambda: self.introspect(self.token, peer="192.0.2.1"))
        for peer, says in (("192.0.2.1", {}), ("198.51.100.1", {"refusal": "USE_REFUSAL_SOURCE_ADDRESS"})):
            ours, theirs = (same(self.introspect(self.token, one, peer=peer)) for one in (self.edge, self.daemon))
            self.assertEqual(ours, theirs)
            self.assertEqual(ours if says else ours["active"], says or True)
        self.assertEqual(self.http("/OAuth/Check", headers=bearer(self.token))[0], 401)  # this host is not in 192.0.2.0/24
        # The caller's own networks: it may not ask the edge from elsewhere, either.
        self.manage(self.daemon, "UpdateCredential", update_mask={"paths": ["addresses"]}, everywhere=True,
                    credential={"client_id": self.server[0], "addresses": {"networks": ["192.0.2.0/24"]}})
        self.assertEqual(error_of(lambda: self.introspect(self.token))[:2], ("PERMISSION_DENIED", "SOURCE_ADDRESS_REFUSED"))

    def last_from(self, client):
        return self.manage(self.daemon, "GetCredential", client_id=client[0]).credential.last_use_from

    def test_from_where_a_token_was_used_last_is_told_by_the_report(self):
        asks = {"127.0.0.1": lambda: self.http("/OAuth/Check", headers=bearer(self.token)),
                "2001:db8::1": lambda: self.introspect(self.token, peer="[2001:db8::1]:443")}
        for ask in asks.values():
            self.await_hit(ask)
        self.introspect(self.token, self.daemon, peer="192.0.2.9")
        self.assertEqual(self.last_from(self.third_party), "192.0.2.9")
        hits, asked = self.hits(), self.asked()
        for ask in asks.values():
            ask()
        self.assertEqual((self.hits(), self.asked()), (hits + 3, asked))
        self.assertEqual(self.edge.stop(), 0)
        self.assertEqual(self.last_from(self.third_party), "2001:db8::1")
        self.assertEqual(self.last_from(self.server), "127.0.0.1")  # whose token asked the edge

    def test_watch_is_refused(self):
        call = self.edge.auth.Watch(iter([auth.WatchRequest(begin={})]), metadata=(("authorization", "Bearer " + self.caller),))
        self.assertEqual(error_of(lambda: next(call))[:2], ("UNIMPLEMENTED", "NOT_AT_EDGE"))

    def test_all_else_goes_through(self):
        issued = self.edge.issue(*self.third_party)
        self.assertTrue(self.introspect(issued.access_token, self.daemon).active)
        self.assertEqual(self.manage(self.edge, "GetCredential", client_id=self.server[0]).credential.name, "server")
        self.assertEqual(self.http("/v1/credentials/" + self.server[0], headers=bearer(self.admin))[0], 200)
        answer = self.edge.auth.BatchIntrospect(auth.BatchIntrospectRequest(requests=[{"token": self.token}, {"token": "x"}]),
                                                metadata=(("authorization", "Bearer " + self.caller),), timeout=DEADLINE)
        self.assertEqual([one.active for one in answer.responses], [True, False])
        self.assertEqual(error_of(lambda: self.edge.issue(self.server[0], "wrong"))[:2], ("UNAUTHENTICATED", "INVALID_CLIENT"))
        denied = error_of(lambda: self.edge.admin.ListCredentials(
            pb.ListCredentialsRequest(), metadata=(("authorization", "Bearer " + self.caller),), timeout=DEADLINE))
        self.assertEqual(denied[:2], ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"))

    def test_a_request_id_is_the_same_at_both(self):
        metadata = (("authorization", "Bearer " + self.admin), ("x-request-id", "through-and-through"))
        self.edge.admin.ListCredentials(pb.ListCredentialsRequest(), metadata=metadata, timeout=DEADLINE)
        line = "request_id=through-and-through method=/gatehouse.v1.CredentialAdmin/ListCredentials "
        for one in self.edge, self.daemon:
            self.until(lambda: line in one.log_text(), "the line")

    def test_a_change_through_the_edge_is_obeyed_there_before_it_is_answered(self):
        credential = {"client_id": self.third_party[0]}
        self.manage(self.daemon, "SetUserRoles", user="owner", roles=["work_creator", "work_assigner"])
        changes = [
            lambda token, _: self.revoke(self.edge, token),
            lambda _, accessor: self.manage(self.edge, "EndToken", accessor=accessor),
            lambda _, __: self.manage(self.edge, "EndTokens", **credential),
            lambda _, __: self.manage(self.edge, "RevokeRoles", roles=["work_assigner"], **credential),
            lambda _, __: self.manage(self.edge, "EndTokens", everywhere=True, **credential),
            lambda _, __: self.http(f"/v1/credentials/{credential['client_id']}:endTokens", b"{}",
                                    {**bearer(self.admin), "Content-Type": "application/json"}),
            lambda _, __: self.manage(self.edge, "DeleteCredential", **credential),
        ]
        for number, change in enumerate(changes):
            issued = self.daemon.issue(*self.third_party)
            self.await_hit(lambda: self.introspect(issued.access_token))
            change(issued.access_token, issued.accessor)
            self.assertFalse(self.introspect(issued.access_token).active, number)

    def test_a_change_at_the_server_is_obeyed_within_the_lease(self):
        for change in (lambda token: self.revoke(self.daemon, token),
                       lambda _: self.manage(self.daemon, "RevokeRoles", client_id=self.third_party[0], roles=["work_assigner"]),
                       lambda _: self.manage(self.daemon, "DeleteCredential", client_id=self.third_party[0])):
            token = self.issue()
            self.await_hit(lambda: self.introspect(token))
            change(token)
            self.assert_obeyed(token, boot_time())

    def counted(self):
        rows = self.manage(self.daemon, "QueryUsage", client_id=self.third_party[0], group_by=["USAGE_GROUPING_API"]).rows
        return {row.api: (row.allowed, row.denied) for row in rows}

    def test_each_use_is_counted_once_and_closing_reports_what_is_left(self):
        asked = []

        def ask(*roles):
            asked.append(roles)
            self.introspect(self.token, api="GET /x", required_roles=roles)
        self.await_hit(ask)
        before = self.manage(self.daemon, "ListTokens", client_id=self.third_party[0]).tokens[0].last_use_time
        hits = self.hits()
        for _ in range(10):
            ask()
        for _ in range(5):
            ask("team_leader")
        self.assertEqual(self.hits(), hits + 30)  # the caller's, too
        self.assertGreater(self.metric(self.edge, "gatehouse_cache_uses_unreported"), 0)
        self.assertEqual(self.edge.stop(), 0)
        self.assertEqual(self.counted()["GET /x"], (asked.count(()), 5))
        after = self.manage(self.daemon, "ListTokens", client_id=self.third_party[0]).tokens[0].last_use_time
        self.assertGreater(after.ToMicroseconds(), before.ToMicroseconds())


class BehindAProxy(Case):
    settings = edge_settings = {"trusted_proxies": "127.0.0.1"}

    def ask(self, peer):
        metadata = (*Daemon.bearer(self.caller), ("x-gatehouse-peer", peer))
        return self.edge.auth.Introspect(auth.IntrospectRequest(token=self.token), metadata=metadata, timeout=DEADLINE)

    def test_the_callers_address_is_what_the_proxy_tells(self):
        self.manage(self.daemon, "UpdateCredential", update_mask={"paths": ["addresses"]}, everywhere=True,
                    credential={"client_id": self.server[0], "addresses": {"networks": ["192.0.2.0/24"]}})
        self.await_hit(lambda: self.ask("192.0.2.7"))
        self.assertEqual(error_of(lambda: self.ask("198.51.100.1"))[:2], ("PERMISSION_DENIED", "SOURCE_ADDRESS_REFUSED"))
        self.assertEqual(self.edge.stop(), 0)
        told = self.manage(self.daemon, "GetCredential", client_id=self.server[0]).credential.last_use_from
        self.assertEqual(told, "192.0.2.7")


class Own(Case):
    """By which right the edge itself asks."""

    def test_one_that_may_not_watch_serves_all_the_same_and_says_why(self):
        with make_edge(self.daemon, self.third_party) as edge:
            edge.start()
            self.until(lambda: self.http("/readyz", daemon=edge)[0] == 200)
            self.assertIn("its memory is not trusted", self.http("/readyz", daemon=edge)[2])
            self.assertTrue(self.introspect(self.token, edge).active)
            status, _, text = self.http("/OAuth/Check", headers=bearer(self.token), daemon=edge)
            self.assertEqual((status, "EDGE_REFUSED" in text), (503, True), text)
            self.until(lambda: "event=upstream_refuses status=PERMISSION_DENIED reason=CALLER_NOT_ALLOWED" in edge.log_text())

    def test_one_without_a_credential_passes_all_on(self):
        with make_edge(self.daemon, None) as edge:
            edge.start()
            self.assertTrue(self.introspect(self.token, edge).active)
            self.assertEqual(self.http("/OAuth/Check", headers=bearer(self.token), daemon=edge)[0], 503)

    def test_of_several_servers_the_one_that_is_there_is_asked(self):
        with make_edge(self.daemon, self.server, upstream=f"127.0.0.1:1,127.0.0.1:{self.daemon.grpc_port}") as edge:
            edge.start()
            self.until(lambda: self.metric(edge, "gatehouse_cache_trusted") == 1)
            self.assertEqual(self.http("/OAuth/Check", headers=bearer(self.token), daemon=edge)[0], 200)

    def test_settings_that_make_no_edge_are_refused(self):
        for settings, why in (({"upstream": "nowhere"}, 'upstream: "nowhere" is not HOST:PORT'),
                              ({"upstream": "a:1,b:2"}, "several servers are IP addresses"),
                              ({"upstream": "127.0.0.1:1,[::1]:2"}, "several servers are IP addresses"),
                              ({"store": "sqlite:/tmp/x"}, "has no store"),
                              ({"upstream": "192.0.2.1:1"}, "demands TLS"),
                              ({"admin_identities": "x"}, "authenticate with a token"),
                              ({"upstream_client_id": "x"}, "go together"),
                              ({"cache_entries": "0"}, "cache_entries is 0")):
            edge = make_edge(self.daemon, None, **settings)
            result = edge.run("--check-config", check=False)
            self.assertEqual((result.returncode, why in result.stderr), (2, True), result.stderr)
        for command in "init", "migrate":
            result = make_edge(self.daemon, None).run(command, check=False)
            self.assertEqual((result.returncode, "has no database" in result.stderr), (2, True), result.stderr)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""JSON for every CredentialAdmin method."""
import json
import socket
import unittest
import urllib.parse

from shim import ShimTest


class Json(ShimTest):
    def reason(self, answer, code, status, reason):
        error = answer.json["error"]
        self.assertEqual((answer.code, error["code"], error["status"], error["details"][0]["reason"]),
                         (code, code, status, reason))

    def create(self, name, **fields):
        answer = self.json("POST", "/v1/credentials", {"credential": {"name": name, **fields}, "roles": ["work_creator"]})
        self.assertEqual(answer.code, 200, answer.text)
        return answer.json

    def test_a_credential_from_its_making_to_its_end(self):
        made = self.create("json", expireTime="2100-01-01T00:00:00Z")
        self.assertRegex(made["secretKey"], r"^gate_sk_[0-9A-Za-z]{49}$")
        path = "/v1/credentials/" + made["credential"]["clientId"]
        read = self.json("GET", path).json["credential"]
        self.assertEqual((read["name"], read["expireTime"], read["status"]),
                         ("json", "2100-01-01T00:00:00Z", "CREDENTIAL_STATUS_ACTIVE"))
        self.assertNotIn("secretKey", self.json("GET", path).text)
        changed = self.json("PATCH", path, {"credential": {"name": "json 2", "etag": read["etag"]},
                                            "updateMask": "name,expireTime"})
        self.assertEqual(changed.code, 200, changed.text)
        self.assertEqual(changed.json["credential"]["name"], "json 2")
        self.assertNotIn("expireTime", changed.json["credential"])
        self.reason(self.json("PATCH", path, {"credential": {"name": "x", "etag": read["etag"]}, "updateMask": "name"}),
                    409, "ABORTED", "STALE_ETAG")
        granted = self.json("POST", path + ":grantRoles", {"roles": ["team_leader"]}).json["credential"]
        self.assertEqual(granted["effectiveRoles"], ["team_leader", "work_creator"])
        revoked = self.json("POST", path + ":revokeRoles", {"roles": ["team_leader"]}).json["credential"]
        self.assertEqual(revoked["effectiveRoles"], ["work_creator"])
        fresh = self.json("POST", path + ":regenerateSecret", {"overlap": "3600s"}).json
        self.assertEqual(len(fresh["credential"]["secrets"]), 2)
        old = fresh["credential"]["secrets"][1]["secretId"]
        self.assertEqual(len(self.json("DELETE", f"{path}/secrets/{old}").json["credential"]["secrets"]), 1)
        token = self.daemon.issue(made["credential"]["clientId"], fresh["secretKey"]).access_token
        tokens = self.json("GET", path + "/tokens").json
        self.assertEqual(tokens["totalSize"], "1")
        ended = self.json("POST", f"/v1/tokens/{tokens['tokens'][0]['accessor']}:end", {}).json
        self.assertEqual(ended["impact"]["tokensEnded"], "1")
        self.assertFalse(self.daemon.introspect(self.admin, token).active)
        self.assertEqual(self.json("POST", path + ":endTokens", {}).code, 200)
        self.assertEqual(self.json("DELETE", path + "?validateOnly=true").code, 200)
        self.assertEqual(self.json("DELETE", path).code, 200)
        self.reason(self.json("DELETE", path), 409, "FAILED_PRECONDITION", "CREDENTIAL_DELETED")
        self.assertEqual(self.json("POST", path + ":undelete", {}).code, 200)

    def test_lists_page_filter_and_sort(self):
        for i in range(3):
            self.create(f"page {i}")
        seen, token = [], ""
        while True:
            answer = self.json("GET", f"/v1/credentials?pageSize=1&filter=name:page&orderBy=name%20desc&pageToken={token}")
            self.assertEqual(answer.code, 200, answer.text)
            seen += [c["name"] for c in answer.json["credentials"]]
            token = answer.json.get("nextPageToken")
            if not token:
                break
        self.assertEqual(seen, ["page 2", "page 1", "page 0"])
        self.reason(self.json("GET", "/v1/credentials?pageToken=00"), 400, "INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")

    def test_roles_users_settings_usage_and_audit(self):
        self.assertEqual(len(self.json("GET", "/v1/roles").json["roles"]), 11)
        role = {"roleId": "json_role", "name": "Json", "group": "Own", "description": "a role"}
        self.assertEqual(self.json("POST", "/v1/roles", {"role": role}).code, 200)
        self.reason(self.json("POST", "/v1/roles", {"role": role}), 409, "ALREADY_EXISTS", "ROLE_EXISTS")
        retired = self.json("PATCH", "/v1/roles/json_role", {"role": {"retired": True}, "updateMask": "retired"})
        self.assertTrue(retired.json["role"]["retired"])
        user = self.json("PUT", "/v1/users/anna%40example.com/roles", {"roles": ["team_leader"]})
        self.assertEqual(user.json["user"]["user"], "anna@example.com")
        self.assertEqual(self.json("GET", "/v1/users/anna%40example.com").json["user"]["roles"], ["team_leader"])
        self.assertEqual(self.json("GET", "/v1/users").json["totalSize"], "1")
        self.assertEqual(self.json("DELETE", "/v1/users/anna%40example.com").code, 200)
        self.reason(self.json("GET", "/v1/users/anna%40example.com"), 404, "NOT_FOUND", "NO_SUCH_USER")
        self.assertEqual(self.json("GET", "/v1/settings").json["settings"]["idleSessionTimeout"], "1200s")
        changed = self.json("PATCH", "/v1/settings", {"settings": {"idleSessionTimeout": "1800s"},
                                                      "updateMask": "idleSessionTimeout"})
        self.assertEqual(changed.json["settings"]["idleSessionTimeout"], "1800s")
        self.assertEqual(self.json("GET", "/v1/usage?groupBy=USAGE_GROUPING_API&order=USAGE_ORDER_CALLS&includeInternal=true").code, 200)
        actions = [e["action"] for e in self.json("GET", "/v1/audit").json["events"]]
        self.assertIn("UpdateSettings", actions)
        self.assertTrue(self.json("GET", "/v1/audit:verify").json["intact"])

    def test_what_is_wrong_is_told_by_its_name(self):
        cases = [
            ({"credential": {"nome": "x"}}, "credential.nome"),
            ({"credential": {"name": 5}}, "credential.name"),
            ({"credential": {"name": "x", "expireTime": "tomorrow"}}, "credential.expireTime"),
            ({"roles": "work_creator"}, "roles"),
            ([], "object"),
        ]
        for message, where in cases:
            answer = self.json("POST", "/v1/credentials", message)
            self.reason(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
            self.assertIn(where, answer.json["error"]["message"])
        answer = self.ask("POST", "/v1/credentials", "{", {"Authorization": "Bearer " + self.admin,
                                                           "Content-Type": "application/json"})
        self.reason(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
        self.reason(self.json("GET", "/v1/credentials?pagesize=1"), 400, "INVALID_ARGUMENT", "INVALID_FIELD")

    def test_a_known_parameter_is_honoured_and_an_unknown_one_refused_on_every_method(self):
        made = self.create("query")
        path = "/v1/credentials/" + made["credential"]["clientId"]
        mine = lambda: self.json("GET", path).json["credential"]
        secrets = mine()["secrets"]
        self.assertEqual(self.json("POST", path + ":regenerateSecret?validateOnly=true", {}).code, 200)
        self.assertEqual(mine()["secrets"], secrets)
        self.assertEqual(self.json("PATCH", path + "?validateOnly=true", {"credential": {"name": "changed"},
                                                                          "updateMask": "name"}).code, 200)
        self.assertEqual(mine()["name"], "query")
        self.assertEqual(self.json("PUT", "/v1/users/query/roles?validateOnly=true", {"roles": ["team_leader"]}).code, 200)
        self.assertEqual(self.json("GET", "/v1/users/query").code, 404)
        for method, where in (("POST", path + ":regenerateSecret"), ("PATCH", path), ("PUT", "/v1/users/query/roles"),
                              ("DELETE", path), ("GET", path), ("POST", "/v1/credentials"), ("PATCH", "/v1/settings")):
            for query in ("validateonly=true", "validateOnly=perhaps", "x=1", "%ff=1"):
                answer = self.json(method, f"{where}?{query}", None if method in ("GET", "DELETE") else {})
                self.reason(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
        self.assertEqual(mine()["secrets"], secrets)

    def test_a_path_a_query_and_a_body_that_disagree_are_refused(self):
        made, other = self.create("path")["credential"]["clientId"], self.create("body")["credential"]["clientId"]
        for method, path, body in (
                ("POST", f"/v1/credentials/{made}:regenerateSecret", {"clientId": other}),
                ("PATCH", f"/v1/credentials/{made}", {"credential": {"clientId": other, "name": "x"}, "updateMask": "name"}),
                ("PUT", "/v1/users/anna/roles", {"user": "bert", "roles": []}),
                ("GET", f"/v1/credentials/{made}?clientId={other}", None),
                ("DELETE", f"/v1/credentials/{made}?clientId={other}", None),
                ("GET", "/v1/credentials?pageSize=1&pageSize=2", None),
                ("PATCH", f"/v1/credentials/{made}?updateMask=name", {"credential": {"name": "x"}, "updateMask": "owner"})):
            answer = self.json(method, path, body)
            self.reason(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
            self.assertIn("two values", answer.json["error"]["message"])
        self.assertEqual(self.json("GET", f"/v1/credentials/{made}?clientId={made}").code, 200)
        self.assertEqual(self.json("POST", f"/v1/credentials/{made}:endTokens", {"clientId": made}).code, 200)

    def test_if_match_makes_a_change_conditional(self):
        made = self.create("if-match")["credential"]
        path = "/v1/credentials/" + made["clientId"]
        answer = self.json("GET", path)
        tag = answer.headers["ETag"]
        self.assertEqual(tag, f'"{answer.json["credential"]["etag"]}"')
        change = lambda match, name: self.ask("PATCH", path, json.dumps(
            {"credential": {"name": name}, "updateMask": "name"}), {
                "Authorization": "Bearer " + self.admin, "Content-Type": "application/json", "If-Match": match})
        for match in ('"other"', '""', "W/" + tag, tag.strip('"'), f'{tag}, "other"', '"' + "x" * 80 + '"'):
            answer = change(match, "stale")
            self.reason(answer, 412, "ABORTED", "STALE_ETAG")
        self.assertEqual(change(tag, "first").code, 200)
        self.reason(change(tag, "second"), 412, "ABORTED", "STALE_ETAG")
        self.assertEqual(change("*", "third").code, 200)
        headers = {"Authorization": "Bearer " + self.admin, "If-Match": tag}
        for method, where in (("DELETE", path), ("POST", path + ":regenerateSecret"), ("POST", path + ":endTokens"),
                              ("POST", "/v1/credentials"), ("GET", path), ("GET", "/v1/roles")):
            self.reason(self.ask(method, where, headers=headers), 412, "ABORTED", "STALE_ETAG")
        now = self.json("GET", path).headers["ETag"]
        self.assertEqual(self.ask("GET", path, headers={**headers, "If-Match": now}).code, 200)
        self.assertEqual(self.ask("DELETE", path, headers={**headers, "If-Match": now}).code, 200)

    def test_head_is_where_get_is(self):
        for path in ("/v1/credentials", "/v1/settings", "/v1/audit:verify", "/openapi.json", "/livez", "/readyz",
                     "/.well-known/oauth-authorization-server"):
            head, get = self.json("HEAD", path), self.json("GET", path)
            self.assertEqual((head.code, head.text), (200, ""), path)
            self.assertEqual(head.headers["Content-Type"], get.headers["Content-Type"])
            self.assertEqual(head.headers["ETag"], get.headers["ETag"])

    def test_without_a_token_what_is_wrong_with_a_request_is_not_told(self):
        headers = {"Content-Type": "application/json"}
        for method, path, body in (("POST", "/v1/credentials", "{"), ("POST", "/v1/credentials", '{"nothing": 1}'),
                                   ("GET", "/v1/credentials?nothing=1", None), ("PATCH", "/v1/settings", "[]"),
                                   ("GET", "/v1/credentials/%zz", None)):
            for more in ({}, {"Authorization": "Basic eDp5"}, {"Content-Type": "text/plain"}):
                answer = self.ask(method, path, body, {**headers, **more})
                self.reason(answer, 401, "UNAUTHENTICATED", "CALLER_UNKNOWN")
                self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer "))

    def test_a_content_coding_is_415(self):
        for path in ("/v1/credentials", "/OAuth/Token", "/k8s/TokenReview"):
            for coding in ("gzip", "br", "identity, gzip"):
                answer = self.ask("POST", path, b"\x1f\x8b", {
                    "Authorization": "Bearer " + self.admin, "Content-Type": "application/json", "Content-Encoding": coding})
                self.assertEqual((answer.code, answer.headers["Accept-Encoding"]), (415, "identity"))
        answer = self.ask("POST", "/v1/credentials", "{", {"Authorization": "Bearer " + self.admin,
                                                           "Content-Type": "application/json", "Content-Encoding": "Identity"})
        self.assertEqual(answer.code, 400)

    def test_the_parameters_of_a_content_type_are_read(self):
        for parameters, code in (("", 400), (";charset=utf-8", 400), (' ; a=b;charset="UTF-8"', 400), (";", 400),
                                 ("; a=b; charset=latin1", 415), ("; charset=utf-8x", 415), ("; charset", 415),
                                 ('; charset="utf-8', 415), ("; charset=utf-8 x", 415), ("x", 415),
                                 ("; a=\"b;c\"; charset=utf-16", 415), ("; a=\"charset=latin1\"", 400)):
            answer = self.ask("POST", "/v1/credentials", "{", {
                "Authorization": "Bearer " + self.admin, "Content-Type": "application/json" + parameters})
            self.assertEqual(answer.code, code, parameters)

    def test_names_are_cut_between_characters(self):
        euro = "\u20ac"
        for size in range(36, 46):
            for name in ("a" * size + euro * 40, euro * size, "\U0001f600" * size):
                for message in ({name: 1}, {"credential": {name: 1}}, {"credential": {"name": name * 40}}):
                    answer = self.json("POST", "/v1/credentials", message)
                    self.reason(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
                answer = self.json("GET", "/v1/credentials?" + urllib.parse.quote(name) + "=1")
                self.reason(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")
                answer = self.json("GET", "/v1/credentials?filter=" + urllib.parse.quote(name + "=" + name))
                self.reason(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")

    def test_a_filter_is_cut_between_characters(self):
        for size in range(252, 260):
            text = "a" * size + "\u20ac" * 3
            answer = self.json("GET", "/v1/credentials?filter=" + urllib.parse.quote(f'name:"{text}"'))
            self.assertEqual(answer.code, 200, answer.text)
            answer = self.json("GET", "/v1/audit?filter=" + urllib.parse.quote(f'detail:"{text}"'))
            self.assertEqual(answer.code, 200, answer.text)

    def test_who_may_not_is_refused_before_existence(self):
        made = self.create("json stranger")
        token = self.daemon.issue(made["credential"]["clientId"], made["secretKey"]).access_token
        for path in ("/v1/credentials/" + made["credential"]["clientId"], "/v1/credentials/nothing"):
            answer = self.json("GET", path, token=token)
            self.reason(answer, 403, "PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
            answer = self.json("GET", path, token="gate_at_nothing")
            self.reason(answer, 401, "UNAUTHENTICATED", "CALLER_UNKNOWN")
            self.assertIn('error="invalid_token"', answer.headers["WWW-Authenticate"])

    def test_every_refusal_below_v1_is_a_status(self):
        """Also what reaches no method: a path that is not there, another method, another type, and what HTTP itself refuses."""
        bearer = {"Authorization": "Bearer " + self.admin}
        for answer, code, status, reason in (
                (self.json("GET", "/v1/nothing"), 404, "NOT_FOUND", "NO_SUCH_PATH"),
                (self.json("GET", "/v1"), 404, "NOT_FOUND", "NO_SUCH_PATH"),
                (self.json("DELETE", "/v1/credentials"), 405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"),
                (self.ask("POST", "/v1/credentials", "x", {**bearer, "Content-Type": "text/plain"}), 415, "INVALID_ARGUMENT",
                 "UNSUPPORTED_CONTENT"),
                (self.ask("POST", "/v1/credentials", "x", {**bearer, "Content-Type": "application/json", "Content-Encoding": "br"}),
                 415, "INVALID_ARGUMENT", "UNSUPPORTED_CONTENT")):
            self.reason(answer, code, status, reason)
        refused = b"GET %s HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n"
        for path, is_status in ((b"/v1/credentials", True), (b"http://x/v1/roles", True), (b"/v1?x=1", True),
                                (b"/OAuth/Token", False), (b"/v10", False), (b"/", False)):
            with socket.create_connection(("127.0.0.1", self.shim.http_port), 20) as peer:
                peer.sendall(refused % path)
                head, _, body = peer.makefile("rb").read().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 400 "), head)
            error = json.loads(body)["error"]
            self.assertEqual(error["code"] if is_status else error, 400 if is_status else "invalid_request", path)

    def test_another_method_is_405_with_what_there_is(self):
        answer = self.json("DELETE", "/v1/credentials")
        self.assertEqual((answer.code, set(answer.headers["Allow"].split(", "))), (405, {"GET", "HEAD", "POST"}))


if __name__ == "__main__":
    unittest.main()

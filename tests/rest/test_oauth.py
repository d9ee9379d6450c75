# SPDX-License-Identifier: Apache-2.0
"""RFC 6749 (4.4, 5), 7009, 7662, 8414 over HTTP."""
import unittest

from shim import ShimTest


class Token(ShimTest):
    def refuse(self, answer, code, error):
        self.assertEqual((answer.code, answer.json["error"]), (code, error))
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertTrue(answer.json["error_description"])

    def test_the_three_parameters_of_the_product_text_give_a_bearer_token(self):
        answer = self.form("/OAuth/Token", self.grant())
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")
        self.assertEqual(answer.headers["Pragma"], "no-cache")
        self.assertRegex(answer.json["access_token"], r"^gate_at_[0-9A-Za-z]{55}$")
        self.assertEqual(answer.json["token_type"], "Bearer")
        self.assertEqual(answer.json["expires_in"], 20 * 60)
        self.assertEqual(answer.json["scope"], "resource_server user_manager")
        self.assertTrue(self.daemon.introspect(self.admin, answer.json["access_token"]).active)

    def test_the_path_matches_in_any_letter_case(self):
        for path in ("/oauth/token", "/OAUTH/TOKEN", "/OAuth/token"):
            self.assertEqual(self.form(path, self.grant()).code, 200)

    def test_http_basic_authenticates_the_client(self):
        answer = self.form("/OAuth/Token", {"grant_type": "client_credentials"},
                           self.basic(self.daemon.client_id, self.daemon.secret))
        self.assertEqual(answer.code, 200)

    def test_a_wrong_secret_is_invalid_client(self):
        self.refuse(self.form("/OAuth/Token", self.grant(client_secret="wrong")), 401, "invalid_client")
        answer = self.form("/OAuth/Token", {"grant_type": "client_credentials"}, self.basic("nobody", "wrong"))
        self.refuse(answer, 401, "invalid_client")
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Basic "))

    def test_unknown_client_and_wrong_secret_are_told_alike(self):
        wrong = self.form("/OAuth/Token", self.grant(client_secret="wrong"))
        unknown = self.form("/OAuth/Token", self.grant(client_id="00000000-0000-4000-8000-000000000000"))
        self.assertEqual((wrong.code, wrong.json), (unknown.code, unknown.json))

    def test_scope_can_only_narrow(self):
        answer = self.form("/OAuth/Token", self.grant(scope="user_manager"))
        self.assertEqual(answer.json["scope"], "user_manager")
        self.refuse(self.form("/OAuth/Token", self.grant(scope="work_creator")), 400, "invalid_scope")
        self.refuse(self.form("/OAuth/Token", self.grant(scope="user_manager  x")), 400, "invalid_scope")

    def test_a_parameter_that_stands_twice_is_invalid_request(self):
        for name in ("grant_type", "client_id", "client_secret", "scope"):
            pairs = list(self.grant(scope="user_manager").items())
            pairs.append((name, dict(pairs)[name]))
            self.refuse(self.form("/OAuth/Token", pairs), 400, "invalid_request")

    def test_a_missing_or_empty_parameter_is_invalid_request(self):
        for name in ("grant_type", "client_id", "client_secret"):
            fields = self.grant()
            del fields[name]
            self.refuse(self.form("/OAuth/Token", fields), 400, "invalid_request")
            self.refuse(self.form("/OAuth/Token", self.grant(**{name: ""})), 400, "invalid_request")

    def test_another_grant_type_is_unsupported(self):
        self.refuse(self.form("/OAuth/Token", self.grant(grant_type="password")), 400, "unsupported_grant_type")

    def test_both_kinds_of_client_authentication_at_once_are_invalid_request(self):
        self.refuse(self.form("/OAuth/Token", self.grant(), self.basic(self.daemon.client_id, self.daemon.secret)),
                    400, "invalid_request")

    def test_an_unknown_parameter_is_ignored_also_twice_in_the_query_and_where_it_is_no_text(self):
        self.assertEqual(self.form("/OAuth/Token", self.grant(audience="x")).code, 200)
        twice = [*self.grant().items(), ("resource", "https://a"), ("resource", "https://b")]
        self.assertEqual(self.form("/OAuth/Token?resource=https%3A%2F%2Fa&resource=b", twice).code, 200)
        token = self.form("/OAuth/Token?tenant=1", self.grant()).json["access_token"]
        for path in ("/OAuth/Introspect", "/OAuth/Revoke"):
            answer = self.form(path + "?a=1&a=2", [("token", token), ("b", "1"), ("b", "\n")],
                               {"Authorization": "Bearer " + self.admin})
            self.assertEqual(answer.code, 200)
        for path, name in (("/OAuth/Token", "scope"), ("/OAuth/Introspect", "token"), ("/OAuth/Revoke", "token")):
            self.refuse(self.form(f"{path}?{name}=x", self.grant(token="x")), 400, "invalid_request")

    def test_a_line_feed_behind_a_secret_is_told(self):
        for secret, why in (("\n", "client_secret has a control character"), ("\udcff", "client_secret is not UTF-8")):
            body = "grant_type=client_credentials&client_id=x&client_secret=" + ("%0A" if secret == "\n" else "%FF")
            answer = self.form("/OAuth/Token", body)
            self.refuse(answer, 400, "invalid_request")
            self.assertEqual(answer.json["error_description"], why)
        import base64
        pair = base64.b64encode(f"{self.daemon.client_id}:{self.daemon.secret}\n".encode()).decode()
        answer = self.form("/OAuth/Token", {"grant_type": "client_credentials"}, {"Authorization": "Basic " + pair})
        self.refuse(answer, 401, "invalid_client")
        self.assertEqual(answer.json["error_description"], "client_secret has a control character")

    def test_every_401_is_challenged(self):
        for answer in (self.form("/OAuth/Token", self.grant(client_secret="wrong")),
                       self.form("/OAuth/Revoke", {"token": "x"}),
                       self.form("/OAuth/Introspect", {"token": "x"}),
                       self.form("/OAuth/Introspect", {"token": "x", "client_id": "x", "client_secret": "y"}),
                       self.form("/OAuth/Token", {}, {"Authorization": "Basic !"}),
                       self.ask("GET", "/OAuth/Check"), self.ask("GET", "/v1/settings"),
                       self.ask("GET", "/v1/settings", headers={"Authorization": "Basic eA=="})):
            self.assertEqual(answer.code, 401)
            self.assertTrue(answer.headers["WWW-Authenticate"])

    def test_a_broken_form_is_invalid_request(self):
        for body in ("grant_type=client_credentials&client_id=%", "grant_type=%GG", "client_id=%00", "client_id=%ff", "scope=%0A"):
            self.refuse(self.form("/OAuth/Token", body), 400, "invalid_request")

    def test_get_another_content_type_and_a_large_body_are_refused(self):
        answer = self.ask("GET", "/OAuth/Token?grant_type=client_credentials")
        self.assertEqual((answer.code, answer.headers["Allow"]), (405, "POST"))
        answer = self.ask("POST", "/OAuth/Token", "{}", {"Content-Type": "application/json"})
        self.refuse(answer, 415, "invalid_request")
        self.refuse(self.form("/OAuth/Token", self.grant(scope="a" * 20000)), 413, "invalid_request")
        self.assertEqual(self.form("/OAuth/Token", self.grant()).code, 200)

    def test_a_secret_in_the_query_is_not_read(self):
        answer = self.form("/OAuth/Token?client_secret=" + self.daemon.secret, {
            "grant_type": "client_credentials", "client_id": self.daemon.client_id})
        self.refuse(answer, 400, "invalid_request")


class Introspect(ShimTest):
    def bearer(self, token=None):
        return {"Authorization": "Bearer " + (token or self.admin)}

    def test_a_live_token_is_told_with_its_scope_and_client(self):
        token = self.daemon.admin_token()
        answer = self.form("/OAuth/Introspect", {"token": token}, self.bearer())
        self.assertEqual(answer.code, 200)
        told = answer.json
        self.assertEqual((told["active"], told["client_id"], told["token_type"], told["scope"]),
                         (True, self.daemon.client_id, "Bearer", "resource_server user_manager"))
        self.assertIn(told["exp"] - told["iat"], range(20 * 60, 21 * 60))  # it is used some time after it was issued

    def test_a_dead_token_is_inactive_and_nothing_else(self):
        for token in ("x", "gate_at_" + "0" * 55, "é" * 20):
            answer = self.form("/OAuth/Introspect", {"token": token}, self.bearer())
            self.assertEqual((answer.code, answer.json), (200, {"active": False}))

    def test_a_token_that_is_not_ours_is_inactive_whatever_it_is(self):
        jwt = "eyJhbGciOiJSUzI1NiJ9." + "e30" * 3000 + ".c2ln"
        for text in (jwt, self.admin + "%0A", "%00", self.admin + "%00", "a%7Fb", "%FF%FE", "%C2%85", "%C3"):
            answer = self.form("/OAuth/Introspect", "token=" + text, self.bearer())
            self.assertEqual((answer.code, answer.json), (200, {"active": False}), text[:40])
            answer = self.form("/OAuth/Revoke", "token=" + text, self.bearer())
            self.assertEqual((answer.code, answer.text), (200, ""), text[:40])
        self.assertTrue(self.daemon.introspect(self.admin, self.admin).active)

    def ways(self, client_id, secret):
        """A client's two ways of authenticating: (fields, headers)."""
        return (({}, self.basic(client_id, secret)), ({"client_id": client_id, "client_secret": secret}, None))

    def test_a_client_with_the_role_introspects_by_its_secret(self):
        made = self.daemon.create(self.admin, "resource server", roles=("resource_server",))
        mine = made.credential.client_id, made.secret_key
        token = self.daemon.admin_token()
        for fields, headers in self.ways(*mine):
            answer = self.form("/OAuth/Introspect", {"token": token, "api": "GET /by-secret", **fields}, headers)
            self.assertEqual((answer.code, answer.json["active"], answer.json["client_id"]),
                             (200, True, self.daemon.client_id))
            answer = self.form("/OAuth/Introspect", {"token": "x", **fields}, headers)
            self.assertEqual((answer.code, answer.json), (200, {"active": False}))
        usage = self.json("GET", "/v1/usage?clientId=" + self.daemon.client_id).json["rows"]
        self.assertEqual(["2"], [row["allowed"] for row in usage if row["api"] == "GET /by-secret"])
        self.assertEqual(self.json("DELETE", "/v1/credentials/" + mine[0]).code, 200)
        for fields, headers in self.ways(*mine):
            answer = self.form("/OAuth/Introspect", {"token": token, **fields}, headers)
            self.assertEqual((answer.code, answer.json["error"]), (401, "invalid_client"))

    def test_a_client_without_the_role_or_with_a_wrong_secret_does_not(self):
        made = self.daemon.create(self.admin, "no resource server")
        token = self.daemon.issue(made.credential.client_id, made.secret_key).access_token
        for secret, code, error in ((made.secret_key, 403, "unauthorized_client"), ("wrong", 401, "invalid_client")):
            for fields, headers in self.ways(made.credential.client_id, secret):
                answer = self.form("/OAuth/Introspect", {"token": token, **fields}, headers)
                self.assertEqual((answer.code, answer.json["error"]), (code, error))
                self.assertEqual((answer.headers["WWW-Authenticate"] or "").startswith("Basic "), code == 401)

    def test_who_may_not_introspect_is_refused(self):
        other = self.daemon.create(self.admin, "introspect by other")
        token = self.daemon.issue(other.credential.client_id, other.secret_key).access_token
        answer = self.form("/OAuth/Introspect", {"token": token}, self.bearer(token))
        self.assertEqual((answer.code, answer.json["error"]), (403, "insufficient_scope"))
        answer = self.form("/OAuth/Introspect", {"token": token})
        self.assertEqual(answer.code, 401)
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer"))
        answer = self.form("/OAuth/Introspect", {"token": token}, self.bearer("gate_at_nothing"))
        self.assertEqual((answer.code, answer.json["error"]), (401, "invalid_token"))

    def test_the_token_is_needed_and_only_by_form(self):
        self.assertEqual(self.form("/OAuth/Introspect", {}, self.bearer()).json["error"], "invalid_request")
        self.assertEqual(self.ask("GET", "/OAuth/Introspect?token=x", headers=self.bearer()).code, 405)


class Revoke(ShimTest):
    def test_a_client_ends_its_own_token(self):
        for by_basic in (False, True):
            token = self.daemon.admin_token()
            fields, headers = {"token": token}, None
            if by_basic:
                headers = self.basic(self.daemon.client_id, self.daemon.secret)
            else:
                fields.update(client_id=self.daemon.client_id, client_secret=self.daemon.secret)
            self.assertTrue(self.daemon.introspect(self.admin, token).active)
            self.assertEqual(self.form("/OAuth/Revoke", fields, headers).code, 200)
            self.assertFalse(self.daemon.introspect(self.admin, token).active)
            self.assertEqual(self.form("/OAuth/Revoke", fields, headers).code, 200)  # RFC 7009, section 2.2

    def test_its_bearer_ends_it(self):
        token = self.daemon.admin_token()
        answer = self.form("/OAuth/Revoke", {"token": token}, {"Authorization": "Bearer " + token})
        self.assertEqual(answer.code, 200)
        self.assertFalse(self.daemon.introspect(self.admin, token).active)

    def test_another_client_does_not(self):
        other = self.daemon.create(self.admin, "revoke by other")
        token = self.daemon.admin_token()
        answer = self.form("/OAuth/Revoke", {"token": token, "client_id": other.credential.client_id,
                                             "client_secret": other.secret_key})
        self.assertEqual((answer.code, answer.json["error"]), (403, "unauthorized_client"))
        self.assertTrue(self.daemon.introspect(self.admin, token).active)

    def test_without_authentication_or_with_a_wrong_secret_nothing_ends(self):
        token = self.daemon.admin_token()
        self.assertEqual(self.form("/OAuth/Revoke", {"token": token}).code, 401)
        answer = self.form("/OAuth/Revoke", {"token": token, "client_id": self.daemon.client_id, "client_secret": "x"})
        self.assertEqual((answer.code, answer.json["error"]), (401, "invalid_client"))
        self.assertTrue(self.daemon.introspect(self.admin, token).active)


class Others(ShimTest):
    def test_live_and_ready(self):
        self.assertEqual(self.ask("GET", "/livez").code, 200)
        self.assertEqual(self.ask("GET", "/readyz").code, 200)
        self.assertEqual(self.ask("POST", "/livez", "").code, 405)

    def test_the_metadata_names_the_endpoints(self):
        answer = self.ask("GET", "/.well-known/oauth-authorization-server")
        base = f"http://127.0.0.1:{self.shim.http_port}"
        self.assertEqual(answer.json["issuer"], base)
        self.assertEqual(answer.json["token_endpoint"], base + "/OAuth/Token")
        self.assertEqual(answer.json["grant_types_supported"], ["client_credentials"])

    def test_each_way_of_authenticating_that_the_metadata_names_is_taken_and_no_other(self):
        metadata = self.ask("GET", "/.well-known/oauth-authorization-server").json
        path_of = {name: metadata[name + "_endpoint"].removeprefix(metadata["issuer"])
                   for name in ("token", "introspection", "revocation")}
        pair = self.daemon.client_id, self.daemon.secret
        ways = {"client_secret_basic": ({}, self.basic(*pair)),
                "client_secret_post": (dict(zip(("client_id", "client_secret"), pair)), None),
                "Bearer": ({}, {"Authorization": "Bearer " + self.admin}),
                "none": ({"client_id": pair[0]}, None)}
        for name, path in path_of.items():
            named = set(metadata[name + "_endpoint_auth_methods_supported"])
            for way, (fields, headers) in ways.items():
                asked = {"grant_type": "client_credentials"} if name == "token" else {"token": "x"}
                code = self.form(path, {**asked, **fields}, headers).code
                if (name, way) == ("revocation", "Bearer"):  # taken, and no name of client authentication for it
                    self.assertEqual(code, 200)
                else:
                    self.assertEqual((name, way, code == 200), (name, way, way in named))

    def test_an_unknown_path_is_404(self):
        self.assertEqual(self.ask("GET", "/nothing").code, 404)

    def test_check_answers_200_401_and_403_and_counts_the_api(self):
        made = self.daemon.create(self.admin, "check <é>")
        token = self.daemon.issue(made.credential.client_id, made.secret_key).access_token
        bearer = {"Authorization": "Bearer " + token}
        answer = self.ask("GET", "/OAuth/Check?role=work_creator", headers={
            **bearer, "X-Original-Method": "POST", "X-Original-URI": "/api/cases/17?secret=1"})
        self.assertEqual((answer.code, answer.text), (200, ""))
        self.assertEqual(answer.headers["X-Auth-Client-Id"], made.credential.client_id)
        self.assertEqual(answer.headers["X-Auth-Client-Name"], "check <%C3%A9>")
        self.assertEqual(answer.headers["X-Auth-Roles"], "work_creator")
        self.assertEqual(self.ask("HEAD", "/OAuth/Check", headers=bearer).code, 200)
        self.assertEqual(self.ask("GET", "/OAuth/Check?role=team_leader", headers=bearer).code, 403)
        self.assertEqual(self.ask("GET", "/OAuth/Check").code, 401)
        self.assertEqual(self.ask("GET", "/OAuth/Check", headers={"Authorization": "Bearer x"}).code, 401)
        self.assertEqual(self.ask("GET", "/OAuth/Check", headers={"Authorization": "Bearer " + "x" * 900}).code, 401)
        self.assertEqual(self.ask("GET", "/OAuth/Check?role=" + "x" * 65, headers=bearer).code, 400)  # not the bearer's fault
        usage = self.json("GET", "/v1/usage?clientId=" + made.credential.client_id).json["rows"]
        self.assertIn("POST /api/cases/{id}", [row["api"] for row in usage])

    def test_a_token_in_a_path_is_stored_nowhere(self):
        made = self.daemon.create(self.admin, "token in a path")
        token = self.daemon.issue(made.credential.client_id, made.secret_key).access_token
        self.ask("GET", "/OAuth/Check", headers={"Authorization": "Bearer " + token, "X-Original-Method": "GET",
                                                 "X-Original-URI": f"/share/{token}/file"})
        self.daemon.introspect(self.admin, token, api="key " + made.secret_key)
        usage = self.json("GET", "/v1/usage?clientId=" + made.credential.client_id).json["rows"]
        self.assertEqual(sorted(row["api"] for row in usage), ["GET /share/{token}/file", "key {token}"])

    def test_kubernetes_token_review(self):
        import json
        made = self.daemon.create(self.admin, "kubernetes")
        token = self.daemon.issue(made.credential.client_id, made.secret_key).access_token
        for text, is_good in ((token, True), ("x", False)):
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": text}}
            answer = self.ask("POST", "/k8s/TokenReview", json.dumps(review), {"Content-Type": "application/json"})
            self.assertEqual(answer.code, 200)
            self.assertEqual(answer.json["status"]["authenticated"], is_good)
        self.assertEqual(self.ask("POST", "/k8s/TokenReview", "{}").code, 400)


if __name__ == "__main__":
    unittest.main()

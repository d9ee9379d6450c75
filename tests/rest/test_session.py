# SPDX-License-Identifier: Apache-2.0
"""The console's cookie: whose requests it counts in, and in no other's."""
import unittest
import uuid

from shim import ShimTest

OWN = {"X-Gatehouse-Console": "1", "Sec-Fetch-Site": "same-origin"}
CORS = "https://allowed.example"


class SessionTest(ShimTest):
    prefix = ""

    def cookie_of(self, answer):
        """(what a browser sends back, its attributes)"""
        first, *attributes = answer.headers["Set-Cookie"].split("; ")
        return first, set(attributes)

    def sign_in(self, headers=None, client=None, **fields):
        client_id, secret = client or (self.daemon.client_id, self.daemon.secret)
        return self.form(self.prefix + "/console/session",
                         {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret,
                          "scope": "user_manager", **fields}, OWN if headers is None else headers)

    def cookie(self, **arguments):
        return self.cookie_of(self.sign_in(**arguments))[0]

    def read(self, cookie, headers=None, path="/v1/settings", method="GET", body=None):
        return self.ask(method, self.prefix + path, body, {"Cookie": cookie, **(OWN if headers is None else headers)})


class Session(SessionTest):
    settings = {"cors_origins": CORS, "metrics_address": "127.0.0.1:0"}

    def own(self):
        return f"http://127.0.0.1:{self.shim.http_port}"

    def test_the_token_is_in_the_cookie_and_nowhere_else(self):
        answer = self.sign_in()
        cookie, attributes = self.cookie_of(answer)
        self.assertEqual(200, answer.code)
        self.assertEqual({"Path=/", "HttpOnly", "SameSite=Strict"}, attributes)
        self.assertRegex(cookie, f"^gatehouse={self.daemon.client_id}[.]gate_at_")
        self.assertNotIn("gate_at_", answer.text)
        self.assertEqual((self.daemon.client_id, "user_manager"), (answer.json["client_id"], answer.json["scope"]))
        self.assertEqual("no-store", answer.headers["Cache-Control"])
        self.assertEqual(200, self.read(cookie).code)
        self.assertEqual({"client_id": self.daemon.client_id}, self.read(cookie, path="/console/session").json)
        self.assertEqual({}, self.ask("GET", "/console/session", headers=OWN).json)
        token = cookie.partition(".")[2]
        self.assertNotIn(token, self.shim.log_text() + self.daemon.log_text())

    def test_it_counts_only_where_the_consoles_own_page_asks(self):
        cookie = self.cookie()
        mark = {"X-Gatehouse-Console": "1"}
        for headers in ({}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": self.own()}, {"X-Gatehouse-Console": "2"},
                        *({**mark, "Sec-Fetch-Site": site} for site in ("cross-site", "same-site", "none", "")),
                        {**mark, "Sec-Fetch-Site": "cross-site", "Origin": self.own()},
                        *({**mark, "Origin": origin}
                          for origin in (CORS, "null", "http://127.0.0.1", self.own() + "0", "https://evil.example"))):
            with self.subTest(headers):
                answer = self.read(cookie, headers)
                self.assertEqual((401, "CALLER_UNKNOWN"), (answer.code, answer.json["error"]["details"][0]["reason"]))
                self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)
        for headers in (mark, {**mark, "Origin": self.own()}, {**OWN, "Origin": "http://renamed.by.a.proxy"}):
            with self.subTest(headers):
                self.assertEqual(200, self.read(cookie, headers).code)

    def test_a_change_needs_to_say_where_it_comes_from(self):
        cookie = self.cookie()
        mark = {"X-Gatehouse-Console": "1", "Content-Type": "application/json"}
        body = '{"credential":{"name":"by cookie %s"},"roles":["work_creator"]}'
        create = lambda headers, name: self.read(cookie, headers, "/v1/credentials", "POST", body % name).code
        self.assertEqual(401, create(mark, "a"))
        self.assertEqual(401, create({**mark, "Origin": CORS}, "b"))
        self.assertEqual(401, create({"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}, "c"))
        self.assertEqual(200, create({**mark, "Origin": self.own()}, "d"))
        self.assertEqual(200, create({**mark, **OWN}, "e"))

    def test_a_preflight_of_an_allowed_origin_allows_neither_the_header_nor_the_cookie(self):
        answer = self.ask("OPTIONS", "/v1/settings", headers={
            "Origin": CORS, "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "x-gatehouse-console"})
        self.assertEqual((204, CORS), (answer.code, answer.headers["Access-Control-Allow-Origin"]))
        self.assertNotIn("gatehouse", answer.headers["Access-Control-Allow-Headers"].lower())
        self.assertNotIn("Access-Control-Allow-Credentials", answer.headers)

    def test_it_never_counts_for_oauth(self):
        cookie = self.cookie()
        token = self.daemon.issue(self.daemon.client_id, self.daemon.secret).access_token
        for path in ("/OAuth/Introspect", "/OAuth/Revoke"):
            with self.subTest(path):
                self.assertEqual(401, self.form(path, {"token": token}, {"Cookie": cookie, **OWN}).code)
        self.assertEqual(401, self.read(cookie, path="/OAuth/Check").code)
        self.assertEqual(400, self.form("/OAuth/Token", {"grant_type": "client_credentials"},
                                        {"Cookie": cookie, **OWN}).code)

    def test_a_bearer_token_goes_first_and_a_proxys_password_says_nothing(self):
        cookie = self.cookie()
        self.assertEqual(401, self.read(cookie, {**OWN, "Authorization": "Bearer gate_at_wrong"}).code)
        self.assertEqual(200, self.read(cookie, {**OWN, "Authorization": "Basic YTpi"}).code)
        self.assertEqual(200, self.sign_in({**OWN, "Authorization": "Basic YTpi"}).code)

    def test_what_is_no_cookie_of_ours_or_there_twice_is_none(self):
        good = self.cookie()
        other = f"gatehouse={uuid.uuid4()}." + good.partition(".")[2]
        for cookie in ("", "gatehouse", "gatehouse=", "gatehouse=.", good[:-1], good + "; " + other, other + "; " + good,
                       "x" + good, good.replace("gatehouse=", "gatehouse2="), good.replace(".", "")):
            with self.subTest(cookie):
                self.assertEqual(401, self.read(cookie).code)
        self.assertEqual(200, self.read("a=b; " + good + "; c=gatehouse=d").code)

    def test_what_one_page_asks_is_not_done_as_who_signed_in_in_another(self):
        cookie = self.cookie()
        self.assertEqual(200, self.read(cookie, {**OWN, "X-Gatehouse-As": self.daemon.client_id}).code)
        self.assertEqual(401, self.read(cookie, {**OWN, "X-Gatehouse-As": str(uuid.uuid4())}).code)
        gone = self.read(cookie, {**OWN, "X-Gatehouse-As": str(uuid.uuid4())}, "/console/session", "DELETE")
        self.assertEqual((204, None), (gone.code, gone.headers["Set-Cookie"]))
        self.assertEqual(200, self.read(cookie).code)

    def test_signing_out_ends_the_token_and_takes_the_cookie_away(self):
        cookie, other = self.cookie(), self.cookie()
        for headers in ({}, {**OWN, "Sec-Fetch-Site": "cross-site"}):
            self.assertEqual(403, self.read(cookie, headers, "/console/session", "DELETE").code)
        self.assertEqual(200, self.read(cookie).code)
        for _ in range(2):
            answer = self.read(cookie, path="/console/session", method="DELETE")
            self.assertEqual(204, answer.code)
            self.assertEqual(("gatehouse=", {"Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=0"}),
                             self.cookie_of(answer))
            self.assertEqual(401, self.read(cookie).code)
        self.assertEqual(200, self.read(other).code)
        self.assertEqual(204, self.ask("DELETE", "/console/session", headers=OWN).code)

    def test_a_sign_in_over_anothers_cookie_ends_the_token_that_was_in_it(self):
        other = self.daemon.create(self.daemon.admin_token(), "Another", ("user_manager",))
        other = (other.credential.client_id, other.secret_key)
        first, apart = self.cookie(), self.cookie()

        def over(cookie, **arguments):
            return self.sign_in({**OWN, "Cookie": cookie}, **arguments)

        self.assertEqual(401, over(first, client=(other[0], "gate_sk_wrong")).code)
        self.assertEqual(400, over(first, scope="team_leader").code)
        self.assertEqual(403, self.sign_in({**OWN, "Sec-Fetch-Site": "cross-site", "Cookie": first}).code)
        self.assertEqual(200, self.read(first).code)
        second = self.cookie_of(over(first, client=other))[0]
        self.assertEqual([401, 200], [self.read(cookie).code for cookie in (first, second)])
        third = self.cookie_of(over(first))[0]  # what was in it has ended before
        self.assertEqual([200, 200], [self.read(cookie).code for cookie in (second, third)])
        fourth = self.cookie_of(over(third + "; " + second))[0]  # which of the two was ours?
        self.assertEqual([200] * 4, [self.read(cookie).code for cookie in (second, third, fourth, apart)])

    def test_nobody_is_signed_in_from_elsewhere(self):
        for headers in ({}, {"X-Gatehouse-Console": "1"}, {"X-Gatehouse-Console": "1", "Origin": CORS},
                        {"X-Gatehouse-Console": "1", "Sec-Fetch-Site": "same-site"}):
            with self.subTest(headers):
                answer = self.sign_in(headers)
                self.assertEqual((403, None), (answer.code, answer.headers["Set-Cookie"]))

    def test_a_wrong_key_gets_no_cookie_and_the_browser_does_not_ask_for_a_password(self):
        answer = self.sign_in(client=(self.daemon.client_id, "gate_sk_wrong"))
        self.assertEqual((401, "invalid_client", None),
                         (answer.code, answer.json["error"], answer.headers["Set-Cookie"]))
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer "))
        self.assertEqual((400, "invalid_scope"), (lambda a: (a.code, a.json["error"]))(self.sign_in(scope="team_leader")))
        self.assertEqual(400, self.sign_in(client_id="").code)
        self.assertEqual(415, self.ask("POST", "/console/session", "{}", {**OWN, "Content-Type": "application/json"}).code)
        answer = self.ask("PUT", "/console/session", headers=OWN)
        self.assertEqual((405, "GET, HEAD, POST, DELETE"), (answer.code, answer.headers["Allow"]))

    def test_a_client_id_in_capital_letters_is_the_same_one(self):
        cookie = self.cookie(client=(self.daemon.client_id.upper(), self.daemon.secret))
        self.assertEqual(200, self.read(cookie, {**OWN, "X-Gatehouse-As": self.daemon.client_id}).code)


class Named(SessionTest):
    """Behind a proxy that ends TLS."""
    prefix = "/Auth"
    settings = {"http_prefix": "/Auth", "public_url": "https://auth.example.com/gatehouse"}

    def test_the_cookie_is_for_the_public_url_and_for_tls_alone(self):
        cookie, attributes = self.cookie_of(self.sign_in())
        self.assertTrue(cookie.startswith("__Secure-gatehouse="))
        self.assertEqual({"Path=/gatehouse", "HttpOnly", "SameSite=Strict", "Secure"}, attributes)
        self.assertEqual(200, self.read(cookie).code)
        self.assertEqual(401, self.read(cookie.removeprefix("__Secure-")).code)
        origin = lambda text: self.read(cookie, {"X-Gatehouse-Console": "1", "Origin": text}).code
        self.assertEqual(200, origin("https://auth.example.com"))
        self.assertEqual([401] * 3, [origin("https://auth.example.co"), origin("http://auth.example.com"),
                                     origin("https://auth.example.com.evil.example")])


if __name__ == "__main__":
    unittest.main()

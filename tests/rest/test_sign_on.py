# SPDX-License-Identifier: Apache-2.0
"""People by name: whom a sign-on proxy vouches for, and who else is not believed."""
import http.client
import json
import unittest
import uuid
from urllib.parse import quote

from daemon import credential_admin_pb2 as pb
from shim import Answer, ShimTest

OWN = {"X-Gatehouse-Console": "1", "Sec-Fetch-Site": "same-origin"}
PROXY = "127.0.0.2"


class SignOn(ShimTest):
    settings = {"console_user_header": "X-Forwarded-User", "trusted_proxies": PROXY, "metrics_address": "127.0.0.1:0"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for user, role in (("ann", "user_manager"), ("carl", "auditor"), ("dora", "team_leader"), ("zoë w", "key_manager")):
            cls.set_roles(user, role)

    @classmethod
    def call(cls, method, request):
        return getattr(cls.daemon.admin, method)(request, metadata=cls.daemon.bearer(cls.admin))

    @classmethod
    def set_roles(cls, user, *roles):
        cls.call("SetUserRoles", pb.SetUserRolesRequest(user=user, roles=roles))

    def through(self, users, method="GET", path="/v1/settings", message=None, headers=None, source=PROXY):
        """users: what stands in the header's lines."""
        connection = http.client.HTTPConnection("127.0.0.1", self.shim.http_port, timeout=60, source_address=(source, 0))
        body = None if message is None else json.dumps(message)
        try:
            connection.putrequest(method, path)
            for user in [users] if isinstance(users, (str, bytes)) else users:
                connection.putheader("x-forwarded-user", user if isinstance(user, bytes) else user.encode())
            given = {**OWN, **(headers or {}), **({"Content-Type": "application/json"} if body else {})}
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body or "")))
            connection.endheaders(body and body.encode())
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def create(self, user, **arguments):
        name = f"by {user} {uuid.uuid4()}"
        answer = self.through(user, "POST", "/v1/credentials", {"credential": {"name": name}, "roles": ["work_creator"]},
                              **arguments)
        return answer, answer.code == 200 and answer.json["credential"]["clientId"]

    def events(self, filter):
        return self.call("ListAuditEvents", pb.ListAuditEventsRequest(filter=filter)).events

    def metric(self, name):
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.metrics_port, timeout=60)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + " "))

    def test_who_is_a_user_manager_in_the_directory_administers_and_the_audit_log_names_the_person(self):
        self.assertEqual({"user": "ann"}, self.through("ann", path="/console/session").json)
        answer, client_id = self.create("ann", headers={"X-Gatehouse-As": "ann", "X-Forwarded-For": "192.0.2.7"})
        self.assertEqual(200, answer.code, answer.text)
        event, = self.events(f"action=CreateCredential AND subject={client_id}")
        self.assertEqual(("user:ann", "192.0.2.7", "OK"), (event.actor, event.peer, event.outcome))

    def test_people_learn_who_they_are_here(self):
        told = self.through("carl", path="/v1/caller").json
        self.assertEqual(({"user", "administersAs", "address", "time"}, "carl", "auditor"),
                         (set(told), told["user"], told["administersAs"]))
        self.assertNotIn("administersAs", self.through("nobody of ours", path="/v1/caller").json)

    def test_each_may_what_the_role_says_and_who_has_none_nothing(self):
        self.assertEqual(200, self.through("carl").code)
        self.assertEqual(403, self.create("carl")[0].code)
        self.assertEqual(["user:carl"], sorted({event.actor for event in self.events('actor="user:carl"')}))
        for user in ("dora", "nobody of ours", "1"):
            with self.subTest(user):
                answer = self.through(user)
                self.assertEqual((403, "CALLER_NOT_ALLOWED"), (answer.code, answer.json["error"]["details"][0]["reason"]))
        answer = self.through("zoë w", headers={"X-Gatehouse-As": quote("zoë w")})
        self.assertEqual(200, answer.code)
        self.assertEqual({"user": "zoë w"}, self.through("zoë w", path="/console/session").json)

    def test_what_the_directory_takes_away_has_gone_with_the_next_request(self):
        self.set_roles("eve", "user_manager")
        self.assertEqual(200, self.create("eve")[0].code)
        self.set_roles("eve", "work_creator")
        self.assertEqual(403, self.create("eve")[0].code)
        self.set_roles("eve", "user_manager")
        self.assertEqual(200, self.create("eve")[0].code)
        self.call("DeleteUser", pb.DeleteUserRequest(user="eve"))
        self.assertEqual(403, self.create("eve")[0].code)

    def test_nobody_but_a_trusted_proxy_is_believed_and_that_is_told(self):
        before = self.metric("gatehouse_http_users_refused_total")
        for headers in ({}, {"X-Forwarded-For": PROXY}, {"X-Forwarded-For": f"{PROXY}, {PROXY}"}):
            with self.subTest(headers):
                self.assertEqual(401, self.through("ann", source="127.0.0.1", headers=headers).code)
        self.assertEqual({}, self.through("ann", path="/console/session", source="127.0.0.1").json)
        self.assertEqual(before + 4, self.metric("gatehouse_http_users_refused_total"))
        self.assertRegex(self.daemon.log_text(), "level=warn event=http_user_refused .*peer=127.0.0.1")

    def test_it_counts_only_where_the_consoles_own_page_asks(self):
        for headers in ({"X-Gatehouse-Console": None}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                        {"Sec-Fetch-Site": None, "Origin": "https://evil.example"}, {"X-Gatehouse-As": "carl"},
                        {"X-Gatehouse-As": "%"}):
            with self.subTest(headers):
                self.assertEqual(401, self.create("ann", headers=headers)[0].code)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for path in ("/OAuth/Introspect", "/OAuth/Revoke"):
            with self.subTest(path):
                answer = self.form(path, {"token": self.admin}, {**OWN, **form, "X-Forwarded-User": "ann"})
                self.assertEqual(401, answer.code)
        self.assertEqual(200, self.through("ann").code)

    def test_a_name_that_is_there_twice_or_is_no_text_is_nobodys(self):
        for users in (("ann", "carl"), ("dora", "ann"), ("ann", "ann"), b"ann\xff", b"a\tb", "a" * 257, (), ""):
            with self.subTest(users):
                self.assertEqual(401, self.through(users).code)

    def test_a_cookie_that_was_left_in_the_browser_makes_nobody_more_than_they_are(self):
        signed_in = self.form("/console/session", self.grant(scope="user_manager"), OWN)
        cookie = {"Cookie": signed_in.headers["Set-Cookie"].split(";")[0]}
        self.assertEqual(200, self.through((), headers=cookie).code)
        self.assertEqual(403, self.through("dora", headers=cookie).code)
        self.assertEqual(401, self.through(("ann", "dora"), headers=cookie).code)
        self.assertEqual({"user": "dora"}, self.through("dora", path="/console/session", headers=cookie).json)
        answer = self.through("dora", "DELETE", "/console/session", headers=cookie)
        self.assertEqual((204, None), (answer.code, answer.headers["Set-Cookie"]))

    def test_a_bearer_token_goes_first_and_a_proxys_password_says_nothing(self):
        self.assertEqual(200, self.through("dora", headers={"Authorization": "Bearer " + self.admin}).code)
        self.assertEqual(401, self.through("ann", headers={"Authorization": "Bearer gate_at_wrong"}).code)
        self.assertEqual(200, self.through("ann", headers={"Authorization": "Basic YTpi"}).code)

    def test_who_is_vouched_for_needs_no_key(self):
        answer = self.through("ann", "POST", "/console/session")
        self.assertEqual((403, "access_denied"), (answer.code, answer.json["error"]))


if __name__ == "__main__":
    unittest.main()

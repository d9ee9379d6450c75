# SPDX-License-Identifier: Apache-2.0
"""Envoy's question, asked with messages of Envoy's documented shape and with what a real Envoy sent."""
import contextlib
import itertools
import os
import random
import struct
import subprocess
import tempfile
import time
import unittest

import envoy_captured as captured
import grpc
from daemon import DEADLINE, LEASH, Daemon, auth_pb2, credential_admin_pb2 as pb, error_of
from envoy_shape import POOL, CheckRequest, CheckResponse
from google.protobuf import descriptor_pb2
from test_identity import issue_certificates

# The stubs of reflection lie in a folder named as grpcio itself is.
grpc.__path__.append(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(auth_pb2.__file__))), "grpc"))
from grpc.reflection.v1 import reflection_pb2, reflection_pb2_grpc  # noqa: E402

METHOD = "/envoy.service.auth.v3.Authorization/Check"
OK, UNAUTHENTICATED, PERMISSION_DENIED = 0, 16, 7
PLAIN = 'Bearer realm="gatehouse"'
INVALID_TOKEN, INSUFFICIENT_SCOPE = PLAIN + ', error="invalid_token"', PLAIN + ', error="insufficient_scope"'
OURS = ("x-auth-client-id", "x-auth-client-name", "x-auth-roles", "x-auth-owner")


def question(authorization=None, role=None, method="GET", path="/", raw=False, headers=()):
    """As Envoy makes it; raw: with encode_raw_headers."""
    request = CheckRequest()
    attributes = request.attributes
    attributes.source.address.socket_address.address = "192.0.2.7"
    attributes.source.labels["app"] = "x"
    attributes.destination.principal = "spiffe://example/api"
    attributes.request.time.seconds = 1700000000
    attributes.metadata_context.filter_metadata["envoy.lb"].fields["a"].string_value = "b"
    attributes.tls_session.sni = "api.example.com"
    http = attributes.request.http
    http.id, http.method, http.path, http.host, http.scheme, http.protocol = "7", method, path, "h", "https", "HTTP/2"
    http.size = -1
    http.body = "the body"
    if role is not None:
        attributes.context_extensions["role"] = role
    for key, value in [(":path", path), *headers, *([("authorization", authorization)] if authorization else [])]:
        if raw:
            http.header_map.headers.add(key=key, raw_value=value.encode() if isinstance(value, str) else value)
        else:
            http.headers[key] = value
    return request


def check(channel, request, metadata=()):
    message = request if isinstance(request, bytes) else request.SerializeToString()
    return channel.unary_unary(METHOD, response_deserializer=CheckResponse.FromString)(
        message, metadata=metadata, timeout=DEADLINE)


def applied(answer, headers):
    """The request's headers after Envoy: it sets first (append false: in place of what is there) and removes then."""
    result = list(headers)
    for option in answer.ok_response.headers:
        assert option.HasField("append") and not option.append.value and not option.append_action, option
        result = [item for item in result if item[0] != option.header.key] + [(option.header.key, option.header.value)]
    return [item for item in result if item[0] not in answer.ok_response.headers_to_remove]


class Envoy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.enterClassContext(Daemon({"log_level": "debug"}))
        cls.admin = cls.daemon.admin_token()
        cls.made = cls.daemon.create(cls.admin, "Café 100 %", roles=("work_creator", "service_agent"))
        cls.client_id = cls.made.credential.client_id
        cls.token = cls.issue()

    @classmethod
    def issue(cls):
        return cls.daemon.issue(cls.client_id, cls.made.secret_key).access_token

    def ask(self, authorization=None, role=None, **how):
        return check(self.daemon.channel, question(authorization, role, **how))

    def assert_denied(self, answer, code=401, challenge=INVALID_TOKEN):
        self.assertEqual(answer.WhichOneof("http_response"), "denied_response", answer)
        denied = answer.denied_response
        self.assertEqual((answer.status.code, denied.status.code),
                         (UNAUTHENTICATED if code == 401 else PERMISSION_DENIED, code))
        self.assertEqual([(item.header.key, item.header.value) for item in denied.headers],
                         [("www-authenticate", challenge)])

    def assert_allowed(self, answer):
        self.assertEqual((answer.status.code, answer.WhichOneof("http_response")), (OK, "ok_response"), answer)
        told = dict(applied(answer, []))
        self.assertEqual(told["x-auth-client-id"], self.client_id)

    def uses(self):
        answer = self.daemon.admin.QueryUsage(pb.QueryUsageRequest(client_id=self.client_id), timeout=DEADLINE,
                                              metadata=self.daemon.bearer(self.admin))
        return {row.api: (row.allowed, row.denied) for row in answer.rows}


class Answers(Envoy):
    def test_the_bearer_of_a_role_passes_and_the_service_behind_is_told_whose_token_it_is(self):
        for raw in (False, True):
            answer = self.ask("Bearer " + self.token, "work_creator", raw=raw)
            self.assert_allowed(answer)
            self.assertEqual(dict(applied(answer, [])), {
                "x-auth-client-id": self.client_id, "x-auth-client-name": "Caf%C3%A9 100 %25",
                "x-auth-roles": "service_agent work_creator"})

    def test_the_owner_is_told_where_there_is_one(self):
        made = self.daemon.create(self.admin, "owned", owner="Zoë")
        token = self.daemon.issue(made.credential.client_id, made.secret_key).access_token
        self.assertEqual(dict(applied(self.ask("Bearer " + token), []))["x-auth-owner"], "Zo%C3%AB")

    def test_what_a_client_says_by_these_names_does_not_reach_the_service_behind(self):
        names = {"".join(word) for name in OURS
                 for word in itertools.product(*("-_" if c == "-" else c for c in name))}
        self.assertEqual(len(names), 8 + 8 + 4 + 4)
        forged = [(name, "forged") for name in sorted(names)] + [("x-auth-token", "the client's own"), ("cookie", "a=b")]
        answer = self.ask("Bearer " + self.token, headers=forged)
        behind = applied(answer, forged)
        self.assertEqual(sorted(key for key, value in behind), ["cookie", *sorted(OURS[:3]), "x-auth-token"])
        self.assertNotIn("forged", dict(behind).values())
        for option in answer.ok_response.headers:
            self.assertNotIn(option.header.key, answer.ok_response.headers_to_remove)

    def test_no_bearer_token_is_401_with_a_bare_challenge(self):
        for authorization in (None, "Basic YTpi", "Bearer", "Bearer ", "Bearer  ", "BearerX y", "Digest x", self.token):
            for raw in (False, True):
                self.assert_denied(self.ask(authorization, "work_creator", raw=raw), 401, PLAIN)
        for request in (b"", b"\x0a\x00", b"\x0a\x02\x22\x00"):  # no attributes, no request, no http
            self.assert_denied(check(self.daemon.channel, request), 401, PLAIN)

    def test_a_token_that_is_not_live_is_401(self):
        ended = self.issue()
        self.daemon.auth.Revoke(auth_pb2.RevokeRequest(token=ended), metadata=self.daemon.bearer(ended), timeout=DEADLINE)
        wrong = self.token[:-1] + ("A" if self.token[-1] != "A" else "B")
        for text in (ended, wrong, "x", "x" * 900, "x" * 60000, self.token + ",Bearer " + self.token, self.token + " ",
                     self.token + "\t", "\x01", "é", self.token[:-1]):
            for raw in (False, True):
                self.assert_denied(self.ask("Bearer " + text, raw=raw))
        for text in (b"\xff", self.token.encode() + b"\xff", self.token.encode() + b"\r\nx: y"):
            self.assert_denied(self.ask(b"Bearer " + text, raw=True))

    def test_a_header_with_a_nul_is_none(self):
        self.assert_denied(self.ask(b"Bearer " + self.token.encode() + b"\0", raw=True), 401, PLAIN)

    def test_of_two_tokens_none_counts(self):
        good = "Bearer " + self.token
        for one, two in ((good, good), (good, "Bearer x"), ("Bearer x", good), (good, "Basic YTpi")):
            self.assert_denied(self.ask(two, raw=True, headers=[("authorization", one)]))
            self.assert_denied(self.ask(two, headers=[("Authorization", one)]))
            both = question(one)
            both.attributes.request.http.header_map.headers.add(key="authorization", raw_value=two.encode())
            self.assert_denied(check(self.daemon.channel, both))
        both = question()
        both.attributes.request.http.header_map.headers.add(key="authorization", raw_value=good.encode(), value=good)
        self.assert_denied(check(self.daemon.channel, both))

    def test_names_and_schemes_match_in_any_letter_case(self):
        for scheme in ("Bearer", "bearer", "BEARER"):
            for raw in (False, True):
                self.assert_allowed(self.ask(headers=[("Authorization", f"{scheme} {self.token}")], raw=raw))

    def test_a_token_without_one_of_the_roles_is_403(self):
        for role in ("team_leader", "work_creator,team_leader", "team_leader,work_creator", "no_such_role", "", ",",
                     "work_creator,", "Work_Creator", "work_creator service_agent", ",".join(["work_creator"] * 31) + ",x"):
            self.assert_denied(self.ask("Bearer " + self.token, role), 403, INSUFFICIENT_SCOPE)

    def test_a_token_with_each_of_the_roles_passes(self):
        for role in (None, "work_creator", "work_creator,service_agent", " work_creator ,\tservice_agent",
                     ",".join(["work_creator"] * 32)):
            self.assert_allowed(self.ask("Bearer " + self.token, role))

    def test_a_mistake_in_the_route_is_an_error_of_the_call_also_without_a_token(self):
        for authorization in ("Bearer " + self.token, "Bearer x", None):
            for key in ("roles", "Role", "", "role "):
                for also in (False, True):
                    request = question(authorization, "work_creator" if also else None)
                    request.attributes.context_extensions[key] = "work_creator"
                    self.assertEqual(error_of(lambda: check(self.daemon.channel, request)),
                                     ("INVALID_ARGUMENT", "INVALID_FIELD", "attributes.context_extensions"))
        for role in ("x" * 65, ",".join(["work_creator"] * 33)):
            self.assertEqual(error_of(lambda: self.ask("Bearer " + self.token, role)),
                             ("INVALID_ARGUMENT", "INVALID_FIELD", "required_roles"))

    def test_a_key_that_stands_twice_is_an_error(self):
        entry = b"\x52\x0c\x0a\x04role\x12\x04role"  # AttributeContext.context_extensions
        message = question("Bearer " + self.token).SerializeToString() + b"\x0a" + bytes([2 * len(entry)]) + 2 * entry
        self.assertEqual(error_of(lambda: check(self.daemon.channel, message))[:2],
                         ("INVALID_ARGUMENT", "INVALID_FIELD"))

    def test_the_called_api_is_counted_as_method_and_path(self):
        self.ask("Bearer " + self.token, "work_creator", method="POST", path="/counted/17?secret=1#x")
        self.ask("Bearer " + self.token, "team_leader", method="POST", path="/counted/18")
        self.ask("Bearer x", method="POST", path="/counted/never")
        self.ask("Bearer " + self.token, method="PUT", path="/counted?x=\x01")
        uses = self.uses()
        self.assertEqual(uses["PUT /counted"], (1, 0))
        self.assertEqual(uses["POST /counted/{id}"], (1, 1))
        self.assertNotIn("POST /counted/never", uses)

    def test_a_method_or_path_of_a_clients_making_is_no_error(self):
        for method, path in (("GET", "/x\x01y"), ("GET", "/\x7f"), ("GET", "/\u0085"), ("A\x01", "/odd"), ("", ""),
                             ("M" * 5000, "/" + "p" * 5000), ("GET", "?"), ("G T", "/gt"), ("GET", "/é" * 300)):
            self.assert_allowed(self.ask("Bearer " + self.token, "work_creator", method=method, path=path))
        for api in self.uses():
            self.assertTrue(api.isprintable() and len(api) <= 256, api)


class AtOnce(Envoy):
    """The very next call knows."""

    def refused_after(self, change, *expected):
        token = self.issue()
        self.assert_allowed(self.ask("Bearer " + token, "work_creator"))
        change(token)
        self.assert_denied(self.ask("Bearer " + token, "work_creator"), *expected)

    def do(self, method, request):
        return getattr(self.daemon.admin, method)(request, metadata=self.daemon.bearer(self.admin), timeout=DEADLINE)

    def test_a_revoked_token_is_denied(self):
        self.refused_after(lambda token: self.daemon.auth.Revoke(
            auth_pb2.RevokeRequest(token=token, client_id=self.client_id, client_secret=self.made.secret_key),
            timeout=DEADLINE))

    def test_a_token_whose_role_was_taken_away_is_denied(self):
        roles = {"client_id": self.client_id, "roles": ["work_creator"]}
        self.refused_after(lambda _: self.do("RevokeRoles", pb.RevokeRolesRequest(**roles)))
        self.assert_denied(self.ask("Bearer " + self.issue(), "work_creator"), 403, INSUFFICIENT_SCOPE)
        self.do("GrantRoles", pb.GrantRolesRequest(**roles))

    def test_a_token_of_a_deleted_credential_is_denied(self):
        made = self.daemon.create(self.admin, "deleted soon")
        token = self.daemon.issue(made.credential.client_id, made.secret_key).access_token
        self.assertEqual(self.ask("Bearer " + token).status.code, OK)
        self.do("DeleteCredential", pb.DeleteCredentialRequest(client_id=made.credential.client_id))
        self.assert_denied(self.ask("Bearer " + token))


class Captured(Envoy):
    """What Envoy 1.40.0 sent."""

    def test_each_form_of_its_request_is_understood(self):
        for number, form in enumerate((captured.EXAMPLE, captured.HEADERS, captured.RAW_HEADERS), 1):
            self.assert_allowed(check(self.daemon.channel, captured.request(form, self.token)))
            self.assertEqual(self.uses()["POST /api/cases/{id}"], (number, 0))
            self.assert_denied(check(self.daemon.channel, captured.request(form)))

    def test_two_authorization_headers_are_denied(self):
        for form in (captured.TWO_TOKENS, captured.TWO_TOKENS_RAW):
            self.assert_denied(check(self.daemon.channel, captured.request(form)))

    def test_over_another_http2_than_grpcs(self):
        """nghttp2, which is in Envoy as well."""
        for token, code in ((self.token, OK), (captured.TOKEN, UNAUTHENTICATED)):
            message = captured.request(captured.EXAMPLE, token)
            with tempfile.NamedTemporaryFile() as file:
                file.write(struct.pack(">BI", 0, len(message)) + message)
                file.flush()
                run = subprocess.run(["nghttp", "--data=" + file.name, "--timeout=60", "-H:method: POST", "-Hte: trailers",
                                      "-Hcontent-type: application/grpc",
                                      f"http://127.0.0.1:{self.daemon.grpc_port}{METHOD}"],
                                     capture_output=True, timeout=DEADLINE, check=True)
            flag, length = struct.unpack(">BI", run.stdout[:5])
            self.assertEqual((flag, length), (0, len(run.stdout) - 5))
            self.assertEqual(CheckResponse.FromString(run.stdout[5:]).status.code, code)


class Hostile(Envoy):
    def test_large_header_maps_are_read_and_larger_messages_refused(self):
        many = [(f"x-header-{number}", "v" * 100) for number in range(2000)]  # Envoy's own default bound is 60 KiB in all
        for raw in (False, True):
            self.assert_allowed(self.ask("Bearer " + self.token, "work_creator", raw=raw, headers=many))
            self.assert_allowed(self.ask("Bearer " + self.token, raw=raw, headers=[("cookie", "c" * 300000)]))
            self.assertEqual(error_of(lambda: self.ask("Bearer " + self.token, headers=[("cookie", "c" * 400000)]))[0],
                             "RESOURCE_EXHAUSTED")
        self.assert_allowed(self.ask("Bearer " + self.token))

    def test_text_that_is_no_utf8_is_unreadable_but_not_in_raw_headers(self):
        message = question("Bearer " + self.token, headers=[("x-name", "Espa?a")]).SerializeToString()
        self.assertEqual(error_of(lambda: check(self.daemon.channel, message.replace(b"Espa?a", b"Espa\xf1a")))[:2],
                         ("INVALID_ARGUMENT", "UNREADABLE_MESSAGE"))
        self.assert_allowed(self.ask("Bearer " + self.token, headers=[("x-name", b"Espa\xf1a")], raw=True))

    def test_no_damaged_message_opens_the_door_or_harms_the_next(self):
        """A dead token in messages cut, changed, repeated and mixed: an answer that lets nobody in, or a clear error."""
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        whole = [captured.request(form) for form in (captured.EXAMPLE, captured.HEADERS, captured.RAW_HEADERS)]
        call = self.daemon.channel.unary_unary(METHOD, response_deserializer=CheckResponse.FromString)
        outcomes = {}
        for _ in range(20):
            calls = [call.future(self.damage(chance, whole), timeout=DEADLINE) for _ in range(100)]
            for one in calls:
                code = one.code().name
                if code == "OK":
                    self.assertIn(one.result().status.code, (UNAUTHENTICATED, PERMISSION_DENIED), seed)
                outcomes[code] = outcomes.get(code, 0) + 1
        self.assertEqual(set(outcomes), {"OK", "INVALID_ARGUMENT"}, seed)
        self.assert_allowed(self.ask("Bearer " + self.token))

    @staticmethod
    def damage(chance, whole):
        message = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 4)):
            at, other = chance.randrange(len(message) + 1), chance.choice(whole)
            kind = chance.randrange(4)
            if kind == 0 and message:
                message[at % len(message)] = chance.randrange(256)
            elif kind == 1:
                del message[at:at + chance.randint(1, 20)]
            elif kind == 2:
                message[at:at] = other[chance.randrange(len(other)):][:chance.randint(1, 200)]
            else:
                message += other
        return bytes(message)

    def test_no_token_and_no_cookie_is_in_the_log(self):
        for token in (self.token, self.issue()[:-1] + "-"):
            for raw in (False, True):
                self.ask("Bearer " + token, "team_leader", raw=raw, headers=[("cookie", "session=my-cookie")],
                         path="/search?q=my-query")
        error_of(lambda: self.ask("Bearer " + self.token, "x" * 65))
        log = self.daemon.log_text()
        self.assertIn(METHOD, log)
        for secret in (self.token, self.token[8:40], "my-cookie", "my-query", "the body"):
            self.assertNotIn(secret, log)


class Callers(unittest.TestCase):
    """Who may ask."""

    def outcome(self, channel, request, metadata=()):
        try:
            return check(channel, request, metadata).status.code
        except grpc.RpcError:
            return error_of(lambda: check(channel, request, metadata))[:2]

    def test_without_the_setting_only_who_may_introspect(self):
        with Daemon({"check": "false"}) as daemon:
            admin = daemon.admin_token()
            made = daemon.create(admin, "worker")
            token = daemon.issue(made.credential.client_id, made.secret_key).access_token
            for request, code in ((question("Bearer " + token, "work_creator"), OK), (question(), UNAUTHENTICATED)):
                self.assertEqual(self.outcome(daemon.channel, request, daemon.bearer(admin)), code)
                self.assertEqual(self.outcome(daemon.channel, request), ("UNAUTHENTICATED", "CALLER_UNKNOWN"))
                self.assertEqual(self.outcome(daemon.channel, request, daemon.bearer("x")),
                                 ("UNAUTHENTICATED", "CALLER_UNKNOWN"))
                self.assertEqual(self.outcome(daemon.channel, request, daemon.bearer(token)),
                                 ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED"))

    def test_off_loopback_only_a_known_identity_unless_told_otherwise(self):
        for everyone in ("false", "true"):
            with Daemon({"http_address": "", "check_off_loopback": everyone}, start=False) as daemon:
                folder = daemon.folder
                issue_certificates(folder, ["localhost", "envoy", "nobody"])
                daemon.settings.update(grpc_cert=folder + "/localhost.pem", grpc_key=folder + "/localhost.key",
                                       grpc_client_ca=folder + "/ca.pem", introspect_identities="envoy",
                                       grpc_address="0.0.0.0:0")
                daemon.start()

                def read(name):
                    with open(folder + "/" + name, "rb") as file:
                        return file.read()

                outcomes = {}
                for name in ("envoy", "nobody"):
                    credentials = grpc.ssl_channel_credentials(read("ca.pem"), read(name + ".key"), read(name + ".pem"))
                    with grpc.secure_channel(f"localhost:{daemon.grpc_port}", credentials) as channel:
                        outcomes[name] = self.outcome(channel, question("Bearer x"))
                self.assertEqual(outcomes, {
                    "envoy": UNAUTHENTICATED,  # an answer: the token is not live
                    "nobody": UNAUTHENTICATED if everyone == "true" else ("UNAUTHENTICATED", "CALLER_UNKNOWN")})

    def test_while_gatehouse_is_away_the_call_fails(self):
        with Daemon() as daemon:
            token = daemon.admin_token()
            request = question("Bearer " + token)
            self.assertEqual(self.outcome(daemon.channel, request), OK)
            daemon.kill()
            self.assertEqual(error_of(lambda: check(daemon.channel, request))[0], "UNAVAILABLE")


class Broken(unittest.TestCase):
    def test_while_the_store_cannot_be_read_the_call_fails_and_nobody_is_answered_for(self):
        with tempfile.TemporaryDirectory() as folder:
            with Daemon({"store": f"sqlite:{folder}/gatehouse.db"}, folder=folder) as daemon:
                request = question("Bearer " + daemon.admin_token())
                daemon.kill()
                daemon.start()  # the token is in the store and not in memory
                with self.unreadable(daemon.process.pid):
                    self.assertEqual(error_of(lambda: check(daemon.channel, request)),
                                     ("UNAVAILABLE", "STORE_UNAVAILABLE", ""))
                self.assertEqual(check(daemon.channel, request).status.code, OK)

    @contextlib.contextmanager
    def unreadable(self, pid):
        """Every read of a file fails, as where the disk's quota is used up."""
        command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=pread64", "-e", "inject=pread64:error=EDQUOT"]
        tracer = subprocess.Popen([*LEASH, *([] if os.geteuid() == 0 else ["sudo", "-n"]), *command, "-p", str(pid)])
        try:
            end = time.monotonic() + DEADLINE
            while not self.is_traced(pid):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            yield
        finally:
            tracer.terminate()
            tracer.wait(DEADLINE)

    @staticmethod
    def is_traced(pid):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status") as file:
                if "TracerPid:\t0\n" in file.read():
                    return False
        return True


class Reflected(Envoy):
    def files(self, **request):
        stub = reflection_pb2_grpc.ServerReflectionStub(self.daemon.channel)
        answer, = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=DEADLINE)
        return answer

    def test_the_service_is_listed(self):
        names = [item.name for item in self.files(list_services="*").list_services_response.service]
        self.assertIn("envoy.service.auth.v3.Authorization", names)

    def test_each_name_number_and_type_is_as_envoy_documents_it(self):
        answer = self.files(file_containing_symbol="envoy.service.auth.v3.Authorization.Check")
        files = [descriptor_pb2.FileDescriptorProto.FromString(raw)
                 for raw in answer.file_descriptor_response.file_descriptor_proto]
        checked = set()
        for file in files:
            if file.package.startswith("envoy.") or file.package == "google.rpc":
                for message in file.message_type:
                    self.compare(file.package + "." + message.name, message, checked)
                for enum in file.enum_type:
                    known = POOL.FindEnumTypeByName(f"{file.package}.{enum.name}").values_by_name
                    self.assertEqual({value.name: value.number for value in enum.value},
                                     {value.name: known[value.name].number for value in enum.value})
        self.assertLessEqual({"envoy.service.auth.v3.CheckRequest.attributes", "google.rpc.Status.code",
                              "envoy.service.auth.v3.AttributeContext.HttpRequest.header_map",
                              "envoy.config.core.v3.HeaderValueOption.append", "envoy.type.v3.HttpStatus.code"}, checked)
        method, = next(file.service[0].method for file in files if file.service)
        self.assertEqual((method.input_type, method.output_type, method.client_streaming, method.server_streaming),
                         (".envoy.service.auth.v3.CheckRequest", ".envoy.service.auth.v3.CheckResponse", False, False))

    def compare(self, full_name, message, checked):
        documented = POOL.FindMessageTypeByName(full_name)
        for nested in message.nested_type:
            self.compare(f"{full_name}.{nested.name}", nested, checked)
        for field in message.field:
            wanted = documented.fields_by_name[field.name]
            kind = wanted.message_type or wanted.enum_type
            self.assertEqual(
                (field.number, field.type, field.label, field.type_name, field.HasField("oneof_index")),
                (wanted.number, wanted.type, wanted.label, "." + kind.full_name if kind else "",
                 wanted.containing_oneof is not None), f"{full_name}.{field.name}")
            checked.add(f"{full_name}.{field.name}")


if __name__ == "__main__":
    unittest.main()

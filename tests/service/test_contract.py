# SPDX-License-Identifier: Apache-2.0
"""Every field of every request, past what the .proto says of it and just within: refused by name over gRPC and over HTTP alike, and
not refused. The rules are read here by Google's protobuf, from the same files."""
import json
import re
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from daemon import DEADLINE, Daemon, auth_pb2, error_of
from gatehouse.v1 import credential_admin_pb2, options_pb2
from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf.json_format import MessageToDict

SOME = {"credential": "name", "role": "retired", "settings": "usage_retention"}  # a part that can be changed
SPECIAL = ("google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask")


def behavior(field):
    return list(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def rules(field):
    return field.GetOptions().Extensions[options_pb2.rules]


def route(method):
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    kind = rule.WhichOneof("pattern")
    return (kind.upper(), getattr(rule, kind), rule.body == "*") if kind else None


def camel(path):
    return re.sub("_([a-z])", lambda match: match[1].upper(), path)


def repeated(field):
    return field.label == field.LABEL_REPEATED


def is_message(field):
    return field.message_type is not None and field.message_type.full_name not in SPECIAL


def text_of(rule, size=1):
    """A text of this many characters (or bytes) that keeps to the rule's pattern and fills every place of it."""
    for letter in ("a", "0"):
        if not rule.pattern or re.search(rule.pattern, letter * size):
            return letter * size
    return "a" * 64


def fill(message):
    """What a request must have to be one."""
    for field in message.DESCRIPTOR.fields:
        required = field_behavior_pb2.REQUIRED in behavior(field) or field.name in ("client_id", "role_id")
        rule = rules(field)
        if repeated(field):
            if rule.repeated.min_items:
                entries = getattr(message, field.name)
                entries.add(token="x") if is_message(field) else entries.append("work_creator")
        elif not required or field_behavior_pb2.OUTPUT_ONLY in behavior(field):
            continue
        elif field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
            message.update_mask.paths.append("etag")  # replaced by what is changed
        elif is_message(field):
            getattr(message, field.name).SetInParent()
            fill(getattr(message, field.name))
        elif field.type == field.TYPE_STRING:
            setattr(message, field.name, text_of(rule.string))
    return message


def past_and_within(rule):
    """For each maximum of a rule: a value past it, and the greatest that it allows."""
    kind = rule.WhichOneof("type")
    one = getattr(rule, kind) if kind else None
    if kind == "string":
        if one.max_len:
            yield "a" * (one.max_len + 1), "a" * one.max_len
            yield "\U0001f600" * (one.max_len + 1), "\U0001f600" * one.max_len
        elif one.pattern.endswith("{64}$"):
            yield "a" * 65, "a" * 64
        elif one.max_bytes:
            yield text_of(one, one.max_bytes + 1), text_of(one, one.max_bytes)
        if one.pattern:
            yield "\u00e4 !", text_of(one)
        if one.one_line:
            yield "a\nb", "a b"
        if one.readable:
            yield "a\u202eb", "\u05d0"
    elif kind == "int32":
        if one.HasField("lte"):
            yield one.lte + 1, one.lte
        if one.HasField("gte"):
            yield one.gte - 1, one.gte
    elif kind == "duration":
        yield {"seconds": one.lte.seconds, "nanos": 1000}, {"seconds": one.lte.seconds}
        if one.gte.seconds:
            yield {"seconds": one.gte.seconds - 1}, {"seconds": one.gte.seconds}
    elif kind == "enum" and one.defined_only:
        yield 99, 1
    elif kind == "repeated":
        for past, within in past_and_within(one.items):
            yield [past], [within]
        if one.items.WhichOneof("type") == "enum":
            yield [0], [1]  # "not set" is no entry
        if one.max_items:
            each = "x" if one.items.WhichOneof("type") in (None, "string") else 1
            yield [each] * (one.max_items + 1), [each] * one.max_items
        if one.min_items:
            yield [], None


def put(message, name, value):
    field = message.DESCRIPTOR.fields_by_name[name]
    message.ClearField(name)
    if isinstance(value, list):
        getattr(message, name).extend(value)
    elif isinstance(value, dict):
        getattr(message, name).SetInParent()
        for key, number in value.items():
            setattr(getattr(message, name), key, number)
    elif field.message_type is None:
        setattr(message, name, value)


def cases(request, descriptor, above=()):
    """(path, request) of each that must be refused, and (path, request) of each that must not."""
    for field in descriptor.fields:
        if field_behavior_pb2.OUTPUT_ONLY in behavior(field):
            continue
        path = (*above, field.name)
        if is_message(field) and repeated(field):
            continue  # a batch, whose entries test_input looks at
        if is_message(field):
            yield from cases(request, field.message_type, path)
            continue
        values = list(past_and_within(rules(field)))
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Timestamp":
            values = [({"seconds": 253402300800}, {"seconds": 253402300799})]
        if field_behavior_pb2.REQUIRED in behavior(field) and field.type == field.TYPE_STRING:
            values.append(("", None))
        for past, within in values:
            for value, is_wrong in ((past, True), (within, False)):
                if value is None or (field.name in ("filter", "order_by", "networks", "peer") and not is_wrong):
                    continue  # these have a form of their own
                changed = type(request)()
                changed.CopyFrom(request)
                inner = changed
                for name in above:
                    inner = getattr(inner, name)
                put(inner, field.name, value)
                if hasattr(changed, "update_mask"):
                    some = next(name for part, name in SOME.items() if hasattr(changed, part))
                    is_changed = above and field.name not in ("client_id", "role_id", "etag")
                    changed.update_mask.paths[:] = [field.name if is_changed else some]
                yield ".".join(path), changed, is_wrong, value


class Contract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon({"http_address": "127.0.0.1:0"})
        cls.renew()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    @classmethod
    def renew(cls):
        cls.token, cls.renewed = cls.daemon.admin_token(), time.monotonic()

    def by_grpc(self, service, method, request):
        """(status, reason, field), or () where it was done."""
        call = self.daemon.channel.unary_unary(f"/{service}/{method.name}", request_serializer=lambda m: m.SerializeToString())
        try:
            call(request, metadata=Daemon.bearer(self.token), timeout=DEADLINE)
        except Exception:
            return error_of(lambda: call(request, metadata=Daemon.bearer(self.token), timeout=DEADLINE))
        return ()

    def by_http(self, method, request):
        verb, path, has_body = route(method)
        try:
            body = MessageToDict(request)
        except (OverflowError, ValueError):
            return None  # Python knows no such time
        for place in re.findall("{(.*?)}", path):
            inner = request
            for name in place.split("."):
                inner = getattr(inner, name)
            if inner == "":
                return None  # there is no such path
            path = path.replace("{%s}" % place, urllib.parse.quote(str(inner), safe=""))
        query = [] if has_body else [(name, str(each)) for name, value in body.items() for each in (
            value if isinstance(value, list) else [value])]
        query = [(name, value.lower() if value in ("True", "False") else value) for name, value in query]
        url = f"http://127.0.0.1:{self.daemon.http_port}{path}?{urllib.parse.urlencode(query)}"
        if len(url) > 7000:
            return None  # longer than a request's line may be
        asked = urllib.request.Request(url, method=verb, data=json.dumps(body).encode() if has_body else None, headers={
            "Authorization": "Bearer " + self.token, "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=DEADLINE):
                return ()
        except urllib.error.HTTPError as error:
            said = json.loads(error.read())["error"]
            fields = [violation["field"] for detail in said["details"] for violation in detail.get("fieldViolations", [])]
            self.assertTrue(not fields or said["message"].startswith(fields[0].split("[")[0]), said)
            return said["status"], said["details"][0]["reason"], *(fields or [""])

    def walk(self, module):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                request = fill(getattr(module, method.input_type.name)())
                for path, changed, is_wrong, value in cases(request, method.input_type):
                    yield service, method, path, changed, is_wrong, value

    def check(self, module):
        tried = set()
        for service, method, path, request, is_wrong, value in self.walk(module):
            if time.monotonic() > self.renewed + 10:
                self.renew()  # what is right is done, and one of them has made tokens as short-lived as they may be
            with self.subTest(method=method.name, path=path, is_wrong=is_wrong, value=str(value)[:60]):
                answers = [(self.by_grpc(service.full_name, method, request), path)]
                if route(method):
                    answers.append((self.by_http(method, request), camel(path)))
                for answer, name in answers:
                    if is_wrong and answer is not None:
                        self.assertEqual(answer, ("INVALID_ARGUMENT", "INVALID_FIELD", name))
                    elif answer:  # whatever else stands in the way, it is not this field
                        self.assertNotEqual(answer[1:], ("INVALID_FIELD", name))
                tried.add((method.name, path, len(answers)))
        return tried

    def test_administration(self):
        tried = self.check(credential_admin_pb2)
        self.assertTrue(all(ways == 2 for _, _, ways in tried))  # each over HTTP too
        self.assertLessEqual({("CreateCredential", "credential.name", 2), ("UpdateSettings", "settings.max_token_life", 2),
                              ("QueryUsage", "group_by", 2), ("EndToken", "accessor", 2), ("UpdateRole", "role.description", 2)}, tried)
        self.assertGreater(len(tried), 70)

    def test_tokens(self):
        tried = self.check(auth_pb2)
        self.assertLessEqual({("Introspect", "use_count", 1), ("IssueToken", "scopes", 1), ("Revoke", "client_secret", 1)}, tried)

    def test_tokens_by_form(self):
        good = {"client_id": self.daemon.client_id, "client_secret": self.daemon.secret}
        for path, fields in (("Token", {"client_id": "x" * 65}), ("Token", {"client_secret": "x" * 129}),
                             ("Introspect", {"api": "x" * 257}), ("Introspect", {"client_id": "x" * 65}),
                             ("Revoke", {"client_secret": "x\ny"})):
            form = {"grant_type": "client_credentials"} if path == "Token" else {"token": "x"}
            asked = urllib.request.Request(f"http://127.0.0.1:{self.daemon.http_port}/OAuth/{path}", urllib.parse.urlencode(
                {**form, **good, **fields}).encode())
            with self.assertRaises(urllib.error.HTTPError) as raised:
                urllib.request.urlopen(asked, timeout=DEADLINE)
            said = json.loads(raised.exception.read())
            self.assertEqual((raised.exception.code, said["error"]), (400, "invalid_request"), fields)
            self.assertTrue(said["error_description"].startswith(next(iter(fields)) + " "), said)

    def test_a_required_part_that_is_missing_is_named(self):
        for service, module in (("CredentialAdmin", credential_admin_pb2),):
            for method in module.DESCRIPTOR.services_by_name[service].methods:
                for field in method.input_type.fields:
                    if field_behavior_pb2.REQUIRED in behavior(field):
                        request = fill(getattr(module, method.input_type.name)())
                        request.ClearField(field.name)
                        said = self.by_grpc("gatehouse.v1." + service, method, request)
                        self.assertEqual(said[:2], ("INVALID_ARGUMENT", "INVALID_FIELD"), (method.name, field.name))


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document against the running daemon: every operation is there, and answers what the document says."""
import json
import random
import re
import unittest

from shim import ShimTest


class OpenApi(ShimTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = cls.ask(cls, "GET", "/openapi.json").json
        cls.schemas = cls.document["components"]["schemas"]
        cls.has_check = cls.ask(cls, "GET", "/OAuth/Check").code != 404

    def conforms(self, value, schema, where):
        """The part of JSON Schema that the document uses."""
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        if "maxLength" in schema:
            self.assertLessEqual(len(value), schema["maxLength"], where)
        if "maxItems" in schema:
            self.assertLessEqual(len(value), schema["maxItems"], where)
        kind = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}[schema["type"]]
        self.assertIs(type(value), kind, where)
        if kind is dict:
            self.assertLessEqual(set(schema.get("required", [])), set(value), where)
            for name, member in value.items():
                if "properties" in schema:
                    self.assertIn(name, schema["properties"], where)
                    self.conforms(member, schema["properties"][name], where + "." + name)
        for member in value if kind is list else ():
            self.conforms(member, schema["items"], where + "[]")
        if "pattern" in schema:
            self.assertRegex(value, schema["pattern"], where)
        if "enum" in schema:
            self.assertIn(value, schema["enum"], where)
        if schema.get("format") == "date-time":
            self.assertRegex(value, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", where)

    def operations(self):
        for path, item in self.document["paths"].items():
            if path in ("/OAuth/Check", "/k8s/TokenReview") and not self.has_check:
                continue
            for method, operation in item.items():
                yield path, method.upper(), operation

    def references(self, node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for member in node.values():
                yield from self.references(member)
        elif isinstance(node, list):
            for member in node:
                yield from self.references(member)

    def invent(self, schema, depth=0):
        """Some value: often right, at times of another kind."""
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"].rsplit("/", 1)[1]]
        if self.random.random() < 0.1:
            return self.random.choice([None, -1, 0, 2 ** 70, "", "x" * 5000, "\u00e9\u20ac\U0001f600", [], {}, True, 0.5])
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        kind = schema["type"]
        if kind == "object":
            return {name: self.invent(member, depth + 1) for name, member in schema.get("properties", {}).items()
                    if depth < 4 and self.random.random() < 0.6}
        if kind == "array":
            return [self.invent(schema["items"], depth + 1) for _ in range(self.random.randrange(3))]
        if kind == "string" and "pattern" in schema:
            return self.random.choice(["0", "7s", "1.5s", "-3", "9223372036854775807"])
        return {"string": self.random.choice(["2100-01-01T00:00:00Z", "name", "work_creator", "a b", "%00", "'"]),
                "integer": self.random.choice([0, 1, -5, 2 ** 31 - 1]), "boolean": self.random.random() < 0.5}[kind]

    def test_every_reference_leads_somewhere(self):
        self.assertEqual("3.1.0", self.document["openapi"])
        for reference in self.references(self.document):
            node = self.document
            for part in reference.removeprefix("#/").split("/"):
                self.assertIn(part, node, reference)
                node = node[part]
        ids = [operation["operationId"] for _, _, operation in self.operations()]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertGreaterEqual(len(ids), 29)
        shapes = [re.sub(r"\{[^}]*\}", "{}", path) for path in self.document["paths"]]
        self.assertEqual(len(shapes), len(set(shapes)), "templates that differ in a name only")

    def test_everything_is_described(self):
        """Each operation, parameter and property, by the comments of the .proto files; and with its limits, by the options."""
        for path, method, operation in self.operations():
            self.assertTrue(operation["summary"] and operation["description"], path)
            self.assertLess(len(operation["summary"]), 120, operation["summary"])
            for parameter in operation.get("parameters", []):
                self.assertTrue("$ref" in parameter or parameter["description"], (path, parameter))

        def look(schema, where):
            for name, member in schema.get("properties", {}).items():
                self.assertTrue("$ref" in member or member.get("description"), f"{where}.{name}")
                look(member, f"{where}.{name}")
        for name, schema in self.schemas.items():
            look(schema, name)
        name = self.schemas["Credential"]["properties"]["name"]
        self.assertEqual((name["minLength"], name["maxLength"]), (1, 100))
        self.assertTrue(self.schemas["Credential"]["properties"]["createdBy"]["readOnly"])
        self.assertEqual(self.schemas["CreateCredentialRequest"]["required"], ["credential", "roles"])
        roles = self.schemas["GrantRolesRequest"]["properties"]["roles"]
        self.assertEqual((roles["minItems"], roles["maxItems"], roles["items"]["pattern"]), (1, 64, "^[a-z][a-z0-9_]*$"))
        self.assertNotIn("clientId", self.schemas["GrantRolesRequest"]["properties"])  # it is in the path

    def test_what_is_served_is_described(self):
        """Every path that the daemon answers, and who may: no more security than there is."""
        self.assertLessEqual({"/OAuth/Token", "/OAuth/Introspect", "/OAuth/Revoke", "/OAuth/Check", "/k8s/TokenReview", "/livez",
                              "/.well-known/oauth-authorization-server", "/openapi.json", "/readyz"}, set(self.document["paths"]))
        self.assertEqual(self.document["paths"]["/OAuth/Token"]["post"]["security"], [{"basic": []}, {}])
        headers = {"Authorization": "Bearer " + self.admin, "Content-Type": "application/x-www-form-urlencoded"}
        self.assertNotEqual(200, self.ask("POST", "/OAuth/Token", "grant_type=client_credentials", headers).code)
        for path, method, operation in self.operations():
            if method == "GET" and {"$ref": "#/components/parameters/IfMatch"} in operation.get("parameters", []):
                self.assertIn("ETag", operation["responses"]["200"]["headers"], path)

    def test_it_is_asked_for_once(self):
        answer = self.ask("GET", "/openapi.json")
        tag = answer.headers["ETag"]
        self.assertEqual(304, self.ask("GET", "/openapi.json", headers={"If-None-Match": tag}).code)
        self.assertEqual(200, self.ask("GET", "/openapi.json", headers={"If-None-Match": '"other"'}).code)
        self.assertEqual(tag, self.ask("HEAD", "/openapi.json").headers["ETag"])

    def test_every_operation_is_served_and_no_other_method(self):
        for path, method, operation in self.operations():
            concrete = re.sub(r"\{[^}]*\}", "x", path)
            self.assertNotIn(self.json(method, concrete).code, (405, 501), (method, path))
            answer = self.json("OPTIONS", concrete)
            self.assertEqual(405, answer.code, path)
            self.assertIn(method, answer.headers["Allow"])

    def test_without_a_token_nothing_is_told(self):
        for path, method, operation in self.operations():
            if operation["tags"] == ["CredentialAdmin"]:
                self.assertEqual([{"bearer": []}], operation["security"])
                answer = self.ask(method, re.sub(r"\{[^}]*\}", "7", path))
                self.assertEqual(401, answer.code, (method, path, answer.text))
                self.assertEqual('Bearer realm="gatehouse"', answer.headers["WWW-Authenticate"])
                self.conforms(answer.json, self.schemas["Error"], path)

    def test_invented_requests_are_answered_as_the_document_says(self):
        self.random = random.Random(20261124)
        made = self.json("POST", "/v1/credentials", {"credential": {"name": "openapi"}, "roles": ["work_creator"]}).json
        client_id = made["credential"]["clientId"]
        operations = [each for each in self.operations() if each[2].get("tags") == ["CredentialAdmin"]]
        codes = set()
        for _ in range(600):
            path, method, operation = self.random.choice(operations)
            concrete = re.sub(r"\{[^}]*\}", lambda _: self.random.choice([client_id, client_id, "1", "%C3%A9", "x:y"]),
                              path)
            query = "&".join(f"{each['name']}={self.random.choice(['1', 'true', '', 'x', '2100-01-01T00:00:00Z', '%ff'])}"
                             for each in operation["parameters"] if each.get("in") == "query" and self.random.random() < 0.3)
            body = None
            if "requestBody" in operation:
                body = json.dumps(self.invent(operation["requestBody"]["content"]["application/json"]["schema"]))
            answer = self.ask(method, concrete + ("?" + query if query else ""), body, {
                "Authorization": "Bearer " + self.admin, "Content-Type": "application/json"})
            codes.add(answer.code)
            self.assertNotIn(answer.code, (500, 501), (method, concrete, query, body, answer.text))
            answers = operation["responses"]
            found = answers[str(answer.code) if answer.code < 400 else f"{answer.code // 100}XX"]
            if "$ref" in found:
                found = self.document["components"]["responses"][found["$ref"].rsplit("/", 1)[1]]
            schema = found["content"]["application/json"]["schema"]
            self.conforms(answer.json, schema, f"{method} {path}")
        self.assertIn(200, codes)
        self.assertIn(400, codes)


if __name__ == "__main__":
    unittest.main()

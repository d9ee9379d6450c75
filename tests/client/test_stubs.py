# SPDX-License-Identifier: Apache-2.0
"""test_stubs.py BUF: the command lines of client/README.md, each run as it stands there, and what they make."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

BUF = sys.argv.pop()
ROOT = os.path.abspath(os.path.dirname(__file__) + "/../..")


def of_debian(release):
    with open("/etc/os-release", encoding="utf-8") as file:
        return f'VERSION_ID="{release}"' in file.read()


HAS_RUST = of_debian(12)  # whose package deploy/packages lists


def blocks():
    """The heading of each block of commands, and the block."""
    with open(ROOT + "/client/README.md", encoding="utf-8") as file:
        text = re.search(r"(?ms)^## Stubs in any language$(.*?)^## ", file.read())[1]
    for part in re.split(r"^### ", text, flags=re.M)[1:]:
        for block in re.findall(r"^```sh\n(.*?)^```", part, re.M | re.S):
            yield part.split("\n")[0], block


class Stubs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        os.symlink(ROOT + "/proto", cls.folder + "/proto")
        environment = {**os.environ, "PATH": f"{os.path.dirname(BUF)}:{os.environ['PATH']}"}
        cls.said = {name: subprocess.run(["bash", "-ec", block], cwd=cls.folder, env=environment, capture_output=True, text=True,
                                         timeout=300) for name, block in blocks() if name != "Rust" or HAS_RUST}

    def read(self, path):
        with open(self.folder + "/" + path, encoding="utf-8") as file:
            return file.read()

    def has(self, path, text):
        self.assertTrue(text in self.read(path), f"{path}: {text}")

    def test_each_command_succeeds(self):
        self.assertEqual({"Go", "Java", "Python", "C#", "Buf"} | ({"Rust"} if HAS_RUST else set()), set(self.said))
        for name, result in self.said.items():
            self.assertEqual((result.returncode, result.stderr), (0, ""), name)

    def test_go(self):
        text = self.read("go/gatehouse/auth.pb.go")
        self.assertRegex(text[:5000], r"(?m)^package gatehousev1$")
        self.assertRegex(text[:5000], '"google.golang.org/genproto/googleapis/api/annotations"')
        self.assertEqual(subprocess.run(["gofmt", "-e", "-l", self.folder + "/go"], capture_output=True, text=True).stderr, "")

    def test_java(self):
        self.has("java/gatehouse/v1/IntrospectRequest.java", "package gatehouse.v1;")
        self.has("java/gatehouse/v1/CredentialAdminProto.java", "com.google.api.AnnotationsProto")
        self.has("java/gatehouse/v1/CredentialAdminGrpc.java", "class CredentialAdminGrpc")

    def test_python(self):
        program = ("from gatehouse.v1 import auth_pb2, auth_pb2_grpc, credential_admin_pb2_grpc as grpc\n"
                   "assert auth_pb2.IntrospectRequest(token='x').token == 'x' and grpc.CredentialAdminStub")
        result = subprocess.run(["/usr/bin/python3", "-c", program], env={**os.environ, "PYTHONPATH": self.folder + "/python"},
                                capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_csharp(self):
        self.has("csharp/Auth.cs", "namespace Gatehouse.V1 {")

    @unittest.skipUnless(HAS_RUST, "Debian 13 has no generator")
    def test_rust(self):
        self.has("rust/auth.rs", "pub struct IntrospectRequest {")
        self.has("rust/credential_admin.rs", "super::auth::Position")  # one file knows the other

    def test_buf_gives_names_of_ones_own(self):
        self.has("buf/java/com/example/gatehouse/v1/IntrospectRequest.java", "package com.example.gatehouse.v1;")
        self.has("buf/go/gatehouse/v1/auth.pb.go", "google.golang.org/genproto/googleapis/api/annotations")
        self.assertFalse(os.path.exists(self.folder + "/buf/go/google"))  # which have packages of their own


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""test_abi.py DRIVER OTHER PROTO: DRIVER is a program built with the library, OTHER a folder with the same library as of another
contract. A field more in a message is another ABI, as abidiff sees it, and a program meets another contract's library at its start
only."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

DRIVER, OTHER, PROTO = sys.argv[1:]
del sys.argv[1:]
INCOMPATIBLE, CHANGE = 8, 4  # bits of abidiff's exit status


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)


class Abi(unittest.TestCase):
    def build(self, name, change):
        """A library of auth.proto's messages, after `change` of its text."""
        folder = os.path.join(self.enterContext(tempfile.TemporaryDirectory()), name)
        os.makedirs(folder + "/gatehouse/v1")
        with open(PROTO + "/gatehouse/v1/auth.proto", encoding="utf-8") as file:
            text = change(file.read())
        with open(folder + "/gatehouse/v1/auth.proto", "w", encoding="utf-8") as file:
            file.write(text)
        made = run("protoc", "-I" + folder, "-I" + PROTO, "-I/usr/include", "--c_out=" + folder, "gatehouse/v1/auth.proto",
                   "gatehouse/v1/options.proto", "google/api/field_behavior.proto", "google/protobuf/timestamp.proto",
                   "google/protobuf/duration.proto", "google/protobuf/descriptor.proto")
        self.assertEqual(made.returncode, 0, made.stderr)
        library = folder + "/lib.so"
        built = run("cc", "-g", "-shared", "-fPIC", "-I" + folder, "-o", library, folder + "/gatehouse/v1/auth.pb-c.c")
        self.assertEqual(built.returncode, 0, built.stderr)
        return library

    def test_a_field_more_is_another_abi(self):
        before = self.build("before", lambda text: text)
        comment = self.build("comment", lambda text: text.replace("message RevokeRequest {", "message RevokeRequest {\n  // More.\n"))
        field = self.build("field", lambda text: text.replace("message RevokeRequest {", "message RevokeRequest {\n  string why = 99;\n"))
        self.assertEqual(run("abidiff", before, comment).returncode, 0)
        said = run("abidiff", before, field)
        self.assertTrue(said.returncode & CHANGE, said.stdout)
        self.assertIn("Gatehouse__V1__RevokeRequest", said.stdout)

    def check(self, before, after):
        """What a library that replaces another must be: nothing that a program had is gone or another."""
        said = run("abidiff", before, after)
        self.assertFalse(said.returncode & INCOMPATIBLE, said.stdout)

    def test_a_message_that_is_gone_or_a_symbol_of_another_contract_fails_the_check(self):
        before = self.build("before", lambda text: text)
        more = self.build("more", lambda text: text + "message New {}\n")
        gone = self.build("gone", lambda text: re.sub(r"(?s)message WatchResumed \{\}", "", text.replace("WatchResumed resumed", "WatchPong resumed")))
        self.check(before, more)
        self.assertRaises(AssertionError, self.check, before, gone)
        linked = re.search(r"libgatehouse\.so\.0 => (\S+)", run("ldd", DRIVER).stdout)[1]
        self.check(linked, linked)
        with self.assertRaises(AssertionError) as failed:
            self.check(linked, OTHER + "/libgatehouse.so.0")
        self.assertIn("gatehouse_introspect@", str(failed.exception))

    def test_a_program_is_not_started_with_another_contract(self):
        mine = run(DRIVER, env={**os.environ, "LD_BIND_NOW": "1"}, input="")
        self.assertNotIn("not found", mine.stderr)
        other = run(DRIVER, env={**os.environ, "LD_LIBRARY_PATH": OTHER, "LD_PRELOAD": ""}, input="")
        self.assertNotEqual(other.returncode, 0)
        self.assertRegex(other.stderr, "version `GATEHOUSE_0_[0-9a-f]{8}' not found")


if __name__ == "__main__":
    unittest.main()

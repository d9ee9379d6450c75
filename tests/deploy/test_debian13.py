# SPDX-License-Identifier: Apache-2.0
"""On a fresh Debian 13: the quickstart, without a warning of its compiler, and packages that are built and installed there.
And every name in deploy/packages is one of each release's."""
import re
import unittest

import machine
from machine import SOURCE, TRUST, TRUST_MOUNT, Root, as_root, run

STRICT = "-Wall -Wextra -Wconversion -Wshadow -Werror"


class Trixie(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = cls.enterClassContext(Root("debian13", "trixie"))
        run(as_root("sh", "-c", 'mkdir "$1/src"; git ls-files -z | tar -c --null -T - | tar -x -C "$1/src"', "sh", cls.root.path),
            cwd=SOURCE)

    def run_there(self, *command, **variables):
        with machine.apt_alone():
            return self.root.run(*command, folder="/src", environment={**TRUST, **variables}, mounts=TRUST_MOUNT, timeout=1200)[1]

    def test_1_every_name_of_the_list_is_known_there(self):
        with open(SOURCE + "/deploy/packages") as file:
            names = {line.split()[1] for line in file if not line.startswith("#")}
        said = self.run_there("apt-cache", "policy", *(name for entry in names for name in entry.split("|") if name != "-"))
        known = set(re.findall(r"(?m)^(\S+):\n  Installed: .*\n  Candidate: [^(]", said))
        self.assertEqual([entry for entry in sorted(names) if not (known | {"-"}) & set(entry.split("|"))], [])

    def test_2_the_quickstart_passes(self):
        said = self.run_there("deploy/quickstart", "--once", "--port-base", "46061", CFLAGS=STRICT)
        self.assertIn("== done", said)
        self.assertNotIn("warning:", said)

    def test_3_packages_that_are_made_there_are_installed_there(self):
        self.run_there("deploy/package/build", "/src/build/release")
        self.run_there("sh", "-c", "apt-get install -y -q --no-install-recommends /src/build/release/packages/*.deb")
        self.assertRegex(self.root.run("gatehoused", "--version")[1], r"\d")
        self.assertIn("grpc_address", self.root.run("gatehoused", "--print-config")[1])


if __name__ == "__main__":
    unittest.main()

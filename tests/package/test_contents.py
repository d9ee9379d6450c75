# SPDX-License-Identifier: Apache-2.0
"""What is in the packages."""
import json
import os
import re
import tempfile
import unittest

import packages
from packages import SOURCE, run


class Contents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = packages.find()
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        for name in ("gatehouse", "libgatehouse0", "libgatehouse-dev"):
            run(["dpkg-deb", "--extract", cls.files[name], f"{cls.folder}/{name}"])
        cls.library = run(["find", cls.folder + "/libgatehouse0", "-name", "libgatehouse.so.0.*"])[1].strip()
        cls.binaries = [cls.library, cls.folder + "/gatehouse/usr/sbin/gatehoused", cls.folder + "/gatehouse/usr/bin/gatehouse"]

    def lintian(self, *files):
        return run(["lintian", "--allow-root", "--tag-display-limit", "0", "--fail-on", "error", *files], check=False)

    def test_lintian_finds_no_error_and_no_warning_that_is_not_known(self):
        status, said = self.lintian(*(self.files[name] for name in ("gatehouse", "libgatehouse0", "libgatehouse-dev")))
        self.assertEqual(status, 0, said)
        # There is no bug to close; CPack writes scripts that call ldconfig beside the trigger.
        known = {"initial-upload-closes-no-bugs", "maintscript-calls-ldconfig"}
        self.assertLessEqual(set(re.findall(r"(?m)^[EW]: \S+: (\S+)", said)), known, said)

    def test_what_the_command_and_the_daemon_print_is_in_the_package(self):
        root = self.folder + "/gatehouse"
        completions = {"bash-completion/completions/gatehouse": "bash", "zsh/vendor-completions/_gatehouse": "zsh"}
        for path, shell in completions.items():
            with open(f"{root}/usr/share/{path}") as file:
                self.assertEqual(file.read(), run([root + "/usr/bin/gatehouse", "completion", shell])[1])
        with open(root + "/etc/gatehouse/gatehoused.conf") as file:
            text = file.read()
        # Nothing is set: a default that changes changes for all who did not choose otherwise.
        self.assertEqual(re.findall(r"(?m)^[^#\n].*", text), [])
        settings = re.findall(r"(?m)^#(\w+) = .*$", text)
        self.assertEqual(settings, re.findall(r"(?m)^(\w+) = ", run([root + "/usr/sbin/gatehoused", "--print-config"])[1]))
        # And as it stands without the "#", it is what the daemon reads.
        every = self.folder + "/every.conf"
        with open(every, "w") as file:
            file.write(re.sub(r"(?m)^#(\w+ = )", r"\1", text))
        run([root + "/usr/sbin/gatehoused", "--config", every, "--check-config"])

    def test_an_edge_is_told_what_it_lacks_before_it_is_configured(self):
        root = self.folder + "/gatehouse"
        with open(root + "/etc/gatehouse/edge.conf") as file:
            text = file.read()
        names = set(re.findall(r"(?m)^#?(\w+) = ", text))
        with open(root + "/etc/gatehouse/gatehoused.conf") as file:
            self.assertLessEqual(names, set(re.findall(r"(?m)^#(\w+) = ", file.read())))
        status, said = run([root + "/usr/sbin/gatehoused", "--config", root + "/etc/gatehouse/edge.conf", "--check-config"], check=False)
        self.assertEqual((status, "demands TLS (upstream_ca)" in said), (2, True), said)

    def test_built_again_elsewhere_they_are_the_same_bytes(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        run([SOURCE + "/deploy/package/build", folder], timeout=800)
        for name in ("gatehouse", "libgatehouse0", "libgatehouse-dev"):
            again = f"{folder}/packages/{os.path.basename(self.files[name])}"
            self.assertEqual(run(["sha256sum", again])[1].split()[0], run(["sha256sum", self.files[name]])[1].split()[0], name)

    def test_the_bill_of_materials_names_what_is_in_them(self):
        with open(self.folder + "/gatehouse/usr/share/doc/gatehouse/gatehouse.cdx.json") as file:
            bom = json.load(file)
        self.assertEqual((bom["bomFormat"], bom["specVersion"]), ("CycloneDX", "1.5"))
        parts = {part["name"]: part for part in bom["components"]}
        self.assertEqual(len(parts), len(bom["components"]))
        libraries = {name for package in ("gatehouse", "libgatehouse0") for name in packages.dependencies(self.files[package])}
        libraries = {name for name in libraries if name.startswith("lib")} - {"libgatehouse0"}
        self.assertGreater(len(libraries), 10)
        self.assertLessEqual(libraries, set(parts))
        for name in libraries:
            self.assertEqual(parts[name]["version"], run(["dpkg-query", "-W", "-f", "${Version}\n", name])[1].split()[0])
        with open(SOURCE + "/services/console/package.json") as file:
            bundled = json.load(file)["dependencies"]
        self.assertLessEqual(set(bundled), set(parts))
        self.assertNotIn("esbuild", parts)
        for part in parts.values():
            self.assertRegex(part["purl"], r"^pkg:(deb/debian|npm)/.+@.+")
        self.assertEqual({each["ref"] for each in bom["dependencies"]},
                         {part["bom-ref"] for part in parts.values()} | {bom["metadata"]["component"]["bom-ref"]})

    def test_every_option_of_the_daemon_is_in_its_manual(self):
        manual = self.folder + "/gatehouse/usr/share/man/man8/gatehoused.8.gz"
        text = run(["zcat", manual])[1]
        options = set(re.findall(r"--([a-z-]+)", run([self.binaries[1], "--help"])[1]))
        self.assertGreater(len(options), 10)
        for option in options:
            self.assertRegex(text, rf"Fl -{option}\b")

    def test_the_library_shows_its_functions_and_its_stubs_and_nothing_else(self):
        lines = run(["nm", "--dynamic", "--defined-only", self.library])[1].splitlines()
        shown = {line.split()[2].partition("@")[0] for line in lines}
        shown = {name for name in shown if not re.fullmatch("GATEHOUSE_0_[0-9a-f]{8}", name)}
        with open(self.folder + "/libgatehouse-dev/usr/include/gatehouse/gatehouse.h") as file:
            declared = set(re.findall(r"(?m)^[^/* \n][^*\n]*?\*?\b(gatehouse_[a-z_]+)\(", file.read()))
        self.assertEqual({name for name in shown if "__" not in name}, declared)
        stubs = re.compile(r"gatehouse__v1__|grpc__health__v1__")
        self.assertEqual([name for name in shown - declared if not stubs.match(name)], [])
        self.assertIn("gatehouse__v1__credential_admin__list_credentials", shown)
        self.assertRegex(run(["readelf", "--dynamic", self.library])[1], r"soname: \[libgatehouse\.so\.0\]")

    def test_the_library_has_no_state_of_its_own_but_what_fork_needs(self):
        sections = run(["size", "--format=sysv", packages.FOLDER + "/client/libgatehouse_client.a"])[1]
        files = {}
        for part in sections.split("\n\n"):
            name = re.search(r"(?m)^(\S+)\.c\.o\b", part)
            for size in re.findall(r"(?m)^(?:\.data|\.bss|\.tdata|\.tbss) +(\d+)", part) if name else ():
                files[name[1]] = files.get(name[1], 0) + int(size)
        self.assertGreater(len(files), 5)
        self.assertEqual({name for name, size in files.items() if size}, {"process"}, sections)

    def test_the_header_is_good_in_cplusplus(self):
        with open(self.folder + "/header.cc", "w") as file:
            file.write("#include <gatehouse.h>\n#include <gatehouse/v1/credential_admin.pb-c.h>\n"
                       "int main() { gatehouse_close(nullptr); }\n")
        run(["clang-19", "-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
             "-I" + self.folder + "/libgatehouse-dev/usr/include/gatehouse", file.name])

    def test_every_binary_is_hardened(self):
        for binary in self.binaries:
            headers, dynamic, symbols = (run(["readelf", "--wide", option, binary])[1]
                                         for option in ("--program-headers", "--dynamic", "--dyn-syms"))
            self.assertIn("GNU_RELRO", headers, binary)
            self.assertRegex(headers, r"GNU_STACK .* RW ", binary)
            self.assertRegex(dynamic, r"FLAGS.*\bBIND_NOW\b|FLAGS_1.*\bNOW\b", binary)
            self.assertRegex(symbols, r"__stack_chk_fail@", binary)
            self.assertRegex(symbols, r"__\w+_chk@", binary)
            if binary is not self.library:
                self.assertRegex(dynamic, r"FLAGS_1.*\bPIE\b", binary)
            self.assertNotIn(SOURCE.encode(), open(binary, "rb").read(), "the place where it was built is in " + binary)

    def test_the_protocol_and_examples_are_in_the_development_package(self):
        root = self.folder + "/libgatehouse-dev/usr/share"
        for package in ("gatehouse", "google/rpc", "grpc/health"):
            self.assertEqual(run(["diff", "-r", f"{SOURCE}/proto/{package}", f"{root}/gatehouse/proto/{package}"])[1], "")
        self.assertEqual(run(["diff", "-r", SOURCE + "/client/examples", root + "/doc/libgatehouse-dev/examples"])[1], "")


if __name__ == "__main__":
    unittest.main()

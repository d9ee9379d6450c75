# SPDX-License-Identifier: Apache-2.0
"""libgatehouse-dev on a machine of its own: the examples in C, built by pkg-config and by find_package, ask a real daemon."""
import re
import unittest

import packages
from daemon import Daemon
from machine import SOURCE, Root

PROJECT = """cmake_minimum_required(VERSION 3.25)
project(example C)
find_package(gatehouse 0.1 REQUIRED)
foreach(name introspect credentials check)
  add_executable(${name} /usr/share/doc/libgatehouse-dev/examples/c/${name}.c)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Werror)
  target_link_libraries(${name} PRIVATE gatehouse::gatehouse)
endforeach()
if(NOT EXISTS "${gatehouse_PROTO_DIR}/gatehouse/v1/auth.proto")
  message(FATAL_ERROR "no .proto files in ${gatehouse_PROTO_DIR}")
endif()
"""
PACKAGES = ("/libgatehouse0.deb", "/libgatehouse-dev.deb")
EXAMPLES = "/usr/share/doc/libgatehouse-dev/examples/c/"


class Library(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        files = packages.find()
        cls.root = cls.enterClassContext(Root("package-library"))
        for name in ("libgatehouse0", "libgatehouse-dev"):
            cls.root.put(files[name], f"/{name}.deb")
        cls.root.install("gcc", "libc6-dev", "pkg-config", "cmake", "make", *PACKAGES)
        cls.daemon = cls.enterClassContext(Daemon())
        admin = cls.daemon.admin_token()
        cls.server, cls.third_party = (cls.daemon.create(admin, name, (role,)) for name, role in
                                       (("Cases", "resource_server"), ("Acme billing", "work_creator")))

    def ask(self, program, **more):
        """(status, what it said) of an example that runs in there, and asks the daemon of this machine."""
        environment = {"GATEHOUSE_GRPC": f"127.0.0.1:{self.daemon.grpc_port}", "GATEHOUSE_CLIENT_ID": self.server.credential.client_id,
                       "GATEHOUSE_CLIENT_SECRET": self.server.secret_key, "GRPC_VERBOSITY": "NONE", **more}
        return self.root.run(program, environment=environment, check=False)

    def check(self, folder):
        """They say what is so."""
        issued = self.daemon.issue(self.third_party.credential.client_id, self.third_party.secret_key)
        self.assertEqual(self.ask(folder + "/introspect", TOKEN=issued.access_token), (0, "Acme billing\n"))
        self.assertEqual(self.ask(folder + "/introspect", TOKEN=self.daemon.issue(
            self.server.credential.client_id, self.server.secret_key).access_token), (1, "no\n"))
        self.assertEqual(self.ask(folder + "/introspect", TOKEN="nonsense"), (1, "no\n"))
        status, said = self.ask(folder + "/introspect", TOKEN=issued.access_token, GATEHOUSE_CLIENT_SECRET="wrong")
        self.assertEqual((status, said.rpartition(" ")[2]), (2, "(INVALID_CLIENT)\n"), said)
        status, said = self.ask(folder + "/introspect", GATEHOUSE_GRPC="nonsense")
        self.assertEqual((status, said), (2, '"nonsense" is not an address; expected host:port\n'))
        administrator = {"GATEHOUSE_CLIENT_ID": self.daemon.client_id, "GATEHOUSE_CLIENT_SECRET": self.daemon.secret}
        status, said = self.ask(folder + "/credentials", **administrator)
        self.assertEqual(status, 0, said)
        self.assertIn(f"{self.third_party.credential.client_id} Acme billing\n", said)
        status, said = self.ask(folder + "/credentials")
        self.assertEqual(status, 2, said)
        self.assertIn("(CALLER_NOT_ALLOWED)", said)

    def test_by_pkg_config(self):
        self.root.run("mkdir", "/by-pkg-config")
        for name in ("introspect", "credentials"):
            self.root.run("sh", "-ec", f"gcc -Wall -Wextra -Werror -o /by-pkg-config/{name} {EXAMPLES}{name}.c "
                                       "$(pkg-config --cflags --libs gatehouse)")
        needed = self.root.run("readelf", "--dynamic", "/by-pkg-config/introspect")[1]
        self.assertIn("[libgatehouse.so.0]", needed)
        self.assertNotIn("libgrpc", needed)
        self.assertTrue(self.root.run("test", "-f", self.root.run("pkg-config", "--variable=protodir", "gatehouse")[1].strip() +
                                      "/gatehouse/v1/auth.proto"))
        self.check("/by-pkg-config")

    def test_by_find_package(self):
        self.root.write("/project/CMakeLists.txt", PROJECT)
        self.root.run("cmake", "-S", "/project", "-B", "/by-find-package")
        self.root.run("cmake", "--build", "/by-find-package")
        self.check("/by-find-package")

    def test_a_version_that_is_too_new_is_not_found(self):
        self.root.write("/newer/CMakeLists.txt", PROJECT.replace("gatehouse 0.1", "gatehouse 9.9"))
        status, said = self.root.run("cmake", "-S", "/newer", "-B", "/newer/build", check=False)
        self.assertEqual(status, 1, said)
        self.assertRegex(said, r"compatible\s+with requested version\s+\"9\.9\"")

    def test_the_header_is_good_in_older_c(self):
        self.root.write("/old.c", "#include <gatehouse.h>\nint main(void) { return 0; }\n")
        self.root.run("sh", "-ec", "gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only /old.c $(pkg-config --cflags gatehouse)")

    def test_removed_they_leave_nothing(self):
        self.root.run("dpkg", "--purge", "libgatehouse-dev", "libgatehouse0")
        self.addCleanup(self.root.install, *PACKAGES)
        left = self.root.run("find", "/", "-xdev", "-path", "/by-*", "-prune", "-o", "-name", "*gatehouse*", "-print")[1]
        self.assertEqual(sorted(left.split()), sorted(PACKAGES))

    def test_the_readme_shows_the_example_as_it_is(self):
        with open(SOURCE + "/client/README.md") as readme, open(SOURCE + "/client/examples/c/introspect.c") as example:
            shown = re.search(r"(?s)```c\n(.*?)```", readme.read())[1]
            self.assertIn(shown, example.read())


if __name__ == "__main__":
    unittest.main()

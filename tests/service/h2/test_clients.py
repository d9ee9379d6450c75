# SPDX-License-Identifier: Apache-2.0
"""Clients that nobody here wrote: test_clients.py CLIENT FOLDER, where FOLDER is a place in the build tree. Each is of the newest
version that Debian's tools can build. Each gets, plainly, by TLS and by mutual TLS: a token, an introspection, a hundred of them in
one message, errors with their details, a health watch until its deadline, reflection; and a compressed request is refused by name."""
import os
import shutil
import subprocess
import sys
import unittest

from target import serve

FOLDER, CLIENT = sys.argv.pop(), sys.argv.pop()
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(HERE + "/../../..")
PROTO = ROOT + "/proto"
BUILD_TIMEOUT = 1500


def run(*command, **more):
    result = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT, **more)
    if result.returncode != 0:
        raise AssertionError(f"{command}: {result.returncode}\n{result.stdout[-5000:]}\n{result.stderr[-5000:]}")
    return result.stdout


def copy(name):
    """The client's sources into the build tree, beside what was built there before."""
    folder = os.path.join(FOLDER, os.path.basename(name))
    shutil.copytree(os.path.join(HERE, name), folder, dirs_exist_ok=True)
    return folder


def make_authority(folder):
    def openssl(*arguments):
        run("openssl", *arguments, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca")
    for name, names in (("server", "DNS:localhost,IP:127.0.0.1"), ("client", "DNS:client.internal")):
        with open(folder + "/ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\nextendedKeyUsage={name}Auth\n")
        openssl("req", *key, "-keyout", name + ".key", "-out", "csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", name + ".pem",
                "-days", "2", "-extfile", "ext")


def go_tools():
    folder = copy("go")
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false", "HOME": os.environ.get("HOME", "/root")}
    os.makedirs(folder + "/bin", exist_ok=True)
    os.makedirs(folder + "/pb", exist_ok=True)
    run("go", "build", "-o", "bin/", "google.golang.org/protobuf/cmd/protoc-gen-go",
        "google.golang.org/grpc/cmd/protoc-gen-go-grpc", "github.com/fullstorydev/grpcurl/cmd/grpcurl", cwd=folder, env=environment)
    package = "Mgatehouse/v1/auth.proto=gatehouse.test/interop/pb,Mgatehouse/v1/options.proto=gatehouse.test/interop/pb,module=gatehouse.test/interop"
    run("protoc", "-I" + PROTO, "--plugin=bin/protoc-gen-go", "--plugin=bin/protoc-gen-go-grpc", "--go_out=.",
        "--go_opt=" + package, "--go-grpc_out=.", "--go-grpc_opt=" + package, "gatehouse/v1/auth.proto", "gatehouse/v1/options.proto", cwd=folder)
    run("go", "build", "-o", "bin/client", ".", cwd=folder, env=environment)
    return folder


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.command = getattr(cls, "prepare_" + CLIENT)()

    @staticmethod
    def prepare_go():
        return [go_tools() + "/bin/client"]

    @staticmethod
    def prepare_node():
        folder = copy("../node")
        if not os.path.exists(folder + "/node_modules"):
            run("npm", "ci", "--silent", "--no-audit", "--no-fund", cwd=folder)
        return ["node", folder + "/interop.mjs"]

    @staticmethod
    def prepare_python():
        folder = copy("python")
        python = folder + "/venv/bin/python"
        if not os.path.exists(folder + "/installed"):
            run("/usr/bin/python3", "-m", "venv", folder + "/venv")
            run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "-r", "requirements.txt", cwd=folder)
            open(folder + "/installed", "w", encoding="ascii").close()
        os.makedirs(folder + "/stubs", exist_ok=True)
        run(python, "-m", "grpc_tools.protoc", "-I" + PROTO, "--python_out=stubs", "--grpc_python_out=stubs", "gatehouse/v1/auth.proto",
            "gatehouse/v1/options.proto", cwd=folder)
        return [python, folder + "/client.py"]

    @staticmethod
    def prepare_java():
        folder = copy("java")
        run("mvn", "--batch-mode", "--quiet", "-Dproto.folder=" + PROTO, "compile", "dependency:copy-dependencies", cwd=folder)
        return ["java", "-cp", f"{folder}/target/classes:{folder}/target/dependency/*", "interop.Client"]

    def interop(self, settings=(), *files):
        daemon = self.enterContext(serve(lambda folder: self.settings(folder, settings)))
        more = [daemon.folder + "/" + name for name in files]
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        said = run(*self.command, f"localhost:{daemon.grpc_port}", *self.arguments(daemon), *more, env=environment)
        self.assertIn("interop: ok", said)

    def arguments(self, daemon):
        folder = [PROTO] if CLIENT == "node" else []
        return [*folder, daemon.client_id, daemon.secret_file]

    @staticmethod
    def settings(folder, names):
        if names:
            make_authority(folder)
        files = {"grpc_cert": "server.pem", "grpc_key": "server.key", "grpc_client_ca": "ca.pem"}
        return {name: folder + "/" + files[name] for name in names}

    def test_plainly(self):
        self.interop()

    def test_by_tls(self):
        self.interop(("grpc_cert", "grpc_key"), "ca.pem")

    def test_by_mutual_tls(self):
        self.interop(("grpc_cert", "grpc_key", "grpc_client_ca"), "ca.pem", "client.pem", "client.key")


class Grpcurl(Clients):
    """A command that knows nothing of our messages but what reflection tells."""

    @classmethod
    def setUpClass(cls):
        cls.command = [go_tools() + "/bin/grpcurl"]

    def interop(self, settings=(), *files):
        daemon = self.enterContext(serve(lambda folder: self.settings(folder, settings)))
        options = [option + "=" + daemon.folder + "/" + name for option, name in zip(("-cacert", "-cert", "-key"), files)]
        where = options or ["-plaintext"]
        address = f"localhost:{daemon.grpc_port}"
        services = run(*self.command, *where, address, "list").split()
        self.assertLessEqual({"gatehouse.v1.AuthService", "gatehouse.v1.CredentialAdmin", "grpc.health.v1.Health"}, set(services))
        self.assertIn("rpc Introspect", run(*self.command, *where, address, "describe", "gatehouse.v1.AuthService"))
        asked = f'{{"client_id": "{daemon.client_id}", "client_secret": "{daemon.secret}"}}'
        self.assertIn('"tokenType": "Bearer"', run(*self.command, *where, "-d", asked, address, "gatehouse.v1.AuthService/IssueToken"))


if __name__ == "__main__":
    unittest.main(defaultTest="Grpcurl" if CLIENT == "grpcurl" else "Clients")

# SPDX-License-Identifier: Apache-2.0
"""Starts rpc_test_server and speaks its messages, without generated code: they come from the descriptor set."""

import os
import select
import subprocess
import sys
import tempfile
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVER, PROTOSET = sys.argv[1:3] if len(sys.argv) > 2 else ("", "")
TRANSPORT = os.environ.get("GATEHOUSE_TRANSPORT", "nghttp2")  # the server reads it as well
SLOW = 10 if os.environ.get("GATEHOUSE_SLOW") else 1  # under a sanitizer
TIMEOUT = 30 * SLOW
FOR_EVER = 3_600_000  # milliseconds: what is to be ended by something else

_pool = descriptor_pool.DescriptorPool()
_set = descriptor_pb2.FileDescriptorSet()
if PROTOSET:
    with open(PROTOSET, "rb") as file:
        _set.ParseFromString(file.read())
    for _file in _set.file:
        _pool.Add(_file)
_factory = message_factory.MessageFactory(_pool)


def message(name):
    """The class of a message, by its full name."""
    return _factory.GetPrototype(_pool.FindMessageTypeByName(name))


def stub(channel, path):
    """A callable for "package.Service/Method"."""
    service, name = path.split("/")
    method = _pool.FindServiceByName(service).FindMethodByName(name)
    streaming = {
        file_method.name: (file_method.client_streaming, file_method.server_streaming)
        for file in _set.file
        for file_service in file.service
        if f"{file.package}.{file_service.name}" == service
        for file_method in file_service.method
    }[name]
    make = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, True): channel.stream_stream,
    }[streaming]
    output = message(method.output_type.full_name)
    return make("/" + path, lambda request: request.SerializeToString(), output.FromString)


def details(error):
    """ErrorInfo, BadRequest and RetryInfo of an RpcError, by their names."""
    trailer = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    status = message("google.rpc.Status").FromString(trailer)
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    found = {}
    for any_message in status.details:
        name = any_message.type_url.split("/")[1]
        found[name.split(".")[-1]] = message(name).FromString(any_message.value)
    return found


def wait_until(condition, what):
    """Polls; a test that waits for less long than a busy machine needs is worth nothing."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"did not happen: {what}")
        time.sleep(0.02)


class Server:
    """A process of rpc_test_server."""

    def __init__(self, *options, expect_error=False):
        self.process = subprocess.Popen(
            [SERVER, "-p", PROTOSET, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.channels = []
        word, _, value = self.process.stdout.readline().strip().partition(" ")
        if expect_error:
            self.error = value if word == "error" else None
            self.process.stdin.close()
            self.process.wait(TIMEOUT)
            self.process.stdout.close()
            return
        assert word == "port", word
        self.port = int(value)
        self.address = f"127.0.0.1:{self.port}"

    def order(self, line):
        """What it says when it has done that; each answer is one line."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert select.select([self.process.stdout], [], [], TIMEOUT)[0], f"no end of {line!r}"
        return self.process.stdout.readline().strip()

    def channel(self, credentials=None, options=()):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0), *options]
        if credentials is None:
            channel = grpc.insecure_channel(self.address, options)
        else:
            options.append(("grpc.ssl_target_name_override", "localhost"))
            channel = grpc.secure_channel(self.address, credentials, options)
        self.channels.append(channel)
        return channel

    def resident_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))

    def close(self):
        """Ends it; a sanitizer that has found something makes the exit code another than 0."""
        for channel in self.channels:
            channel.close()
        self.process.stdin.close()
        code = self.process.wait(TIMEOUT)
        self.process.stdout.close()
        assert code == 0, f"the server ended with {code}"


class Authority:
    """A certificate authority in a temporary directory, made with the openssl command."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory()
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", "/CN=test authority", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    @staticmethod
    def _run(*arguments):
        subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def issue(self, name, common_name, alternative_names):
        """name.pem and name.key"""
        extension = self.path(name + ".ext")
        with open(extension, "w", encoding="ascii") as file:
            file.write("subjectAltName=" + alternative_names)
        self._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-subj", "/CN=" + common_name, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        self._run("x509", "-req", "-in", self.path(name + ".csr"), "-CA", self.path("ca.pem"), "-CAkey",
                  self.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", extension, "-out",
                  self.path(name + ".pem"))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An HTTP service that protects itself: of each request it asks Gatehouse what the bearer may do.

    GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET=… service.py PROTOS [PORT]

PROTOS is the folder of the .proto files (/usr/share/gatehouse/proto); the stubs are generated from it at the start.
The credential is the service's own and holds the role resource_server. GATEHOUSE_GRPC says where Gatehouse is
(127.0.0.1:50051). Debian: python3-grpcio, python3-grpc-tools.
"""
import json
import os
import re
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import grpc_tools
from grpc_tools import protoc

ROLES = {("GET", "/cases"): "service_agent", ("POST", "/cases"): "work_creator"}
TOKEN = re.compile("[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
DEADLINE = 2  # seconds


def load_stubs(protos):
    """The modules auth_pb2 and auth_pb2_grpc."""
    with tempfile.TemporaryDirectory() as folder:
        google = os.path.dirname(grpc_tools.__file__) + "/_proto"
        if protoc.main(["protoc", "-I" + protos, "-I" + google, "--python_out=" + folder, "--grpc_python_out=" + folder,
                        "gatehouse/v1/auth.proto", "gatehouse/v1/options.proto", "google/api/field_behavior.proto"]) != 0:
            sys.exit("the .proto files cannot be compiled")
        sys.path.insert(0, folder)
        from gatehouse.v1 import auth_pb2, auth_pb2_grpc
        sys.path.remove(folder)
    return auth_pb2, auth_pb2_grpc


class Gatehouse:
    """Any thread may ask. Its token is got when it is first wanted, and again when it has died."""

    def __init__(self, address, client_id, client_secret, stubs):
        self.messages, services = stubs
        self.stub = services.AuthServiceStub(grpc.insecure_channel(address))
        self.client_id, self.client_secret = client_id, client_secret
        self.lock = threading.Lock()
        self.token = None

    def own_token(self, dead=None):
        with self.lock:
            if self.token is None or self.token == dead:
                self.token = self.stub.IssueToken(self.messages.IssueTokenRequest(
                    client_id=self.client_id, client_secret=self.client_secret), timeout=DEADLINE).access_token
            return self.token

    def introspect(self, token, api, role):
        request = self.messages.IntrospectRequest(token=token, api=api, required_roles=[role])
        own = self.own_token()
        try:
            return self.ask(request, own)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAUTHENTICATED:
                raise
            return self.ask(request, self.own_token(dead=own))

    def ask(self, request, own):
        return self.stub.Introspect(request, metadata=[("authorization", "Bearer " + own)], timeout=DEADLINE)


class Handler(BaseHTTPRequestHandler):
    def handle_request(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        role = ROLES.get((self.command, self.path))
        if role is None:
            return self.answer(404, {"error": "not_found"})
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self.answer(401, {"error": "missing_token"}, "Bearer")
        if not TOKEN.fullmatch(token.strip()):  # it cannot even be asked about
            return self.answer(401, {"error": "invalid_token"}, 'Bearer error="invalid_token"')
        try:
            bearer = self.server.gatehouse.introspect(token.strip(), f"{self.command} {self.path}", role)
        except grpc.RpcError as error:  # no answer is no permission
            print(error.code().name, error.details(), file=sys.stderr)
            return self.answer(503, {"error": "temporarily_unavailable"})
        if not bearer.active:
            return self.answer(401, {"error": "invalid_token"}, 'Bearer error="invalid_token"')
        if not bearer.allowed:
            return self.answer(403, {"error": "insufficient_scope"}, f'Bearer error="insufficient_scope", scope="{role}"')
        return self.answer(200, {"caller": bearer.credential_name, "roles": list(bearer.roles)})

    do_GET = do_POST = handle_request

    def answer(self, status, content, challenge=None):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Not each request."""


def main():
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2]) if len(sys.argv) > 2 else 8000), Handler)
    server.gatehouse = Gatehouse(os.environ.get("GATEHOUSE_GRPC", "127.0.0.1:50051"), os.environ["GATEHOUSE_CLIENT_ID"],
                                 os.environ["GATEHOUSE_CLIENT_SECRET"], load_stubs(sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_port}/cases", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

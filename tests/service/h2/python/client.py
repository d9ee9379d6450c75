# SPDX-License-Identifier: Apache-2.0
"""A client on the newest grpcio: client.py ADDRESS CLIENT_ID SECRET_FILE [CA_FILE [CERT_FILE KEY_FILE]]."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "stubs"))

import grpc  # noqa: E402
from gatehouse.v1 import auth_pb2 as pb, auth_pb2_grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # noqa: E402

ADDRESS, CLIENT_ID, SECRET_FILE, *FILES = sys.argv[1:]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def fails(code, reason, call):
    """The error must be of this code, with an ErrorInfo of this reason."""
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info) and (info.reason, info.domain) == (reason, "gatehouse"), status
        return
    raise AssertionError(answer)


def tokens(channel):
    auth, secret = auth_pb2_grpc.AuthServiceStub(channel), read(SECRET_FILE).decode().strip()
    issued = auth.IssueToken(pb.IssueTokenRequest(client_id=CLIENT_ID, client_secret=secret), timeout=60)
    bearer = [("authorization", "Bearer " + issued.access_token)]
    request = pb.IntrospectRequest(token=issued.access_token, api="GET /python")
    told = auth.Introspect(request, metadata=bearer, timeout=60)
    assert told.active and len(told.roles) == 2, told
    batch = auth.BatchIntrospect(pb.BatchIntrospectRequest(requests=[pb.BatchIntrospectEntry(token=issued.access_token)] * 100), metadata=bearer, timeout=60)
    assert [answer.active for answer in batch.responses] == [True] * 100
    wrong = pb.IssueTokenRequest(client_id=CLIENT_ID, client_secret="wrong")
    fails(grpc.StatusCode.UNAUTHENTICATED, "INVALID_CLIENT", lambda: auth.IssueToken(wrong, timeout=60))
    wrong.client_secret *= 100  # what does not become smaller, this client does not compress
    fails(grpc.StatusCode.UNIMPLEMENTED, "COMPRESSED_MESSAGE",
          lambda: auth.IssueToken(wrong, timeout=60, compression=grpc.Compression.Gzip))
    auth.Revoke(pb.RevokeRequest(token=issued.access_token, client_id=CLIENT_ID, client_secret=secret), timeout=60)
    fails(grpc.StatusCode.UNAUTHENTICATED, "CALLER_UNKNOWN", lambda: auth.Introspect(request, metadata=bearer, timeout=60))


def watch(channel):
    changes = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="gatehouse.v1.AuthService"), timeout=2)
    assert next(changes).status == health_pb2.HealthCheckResponse.SERVING
    try:
        raise AssertionError(next(changes))
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error


def reflect(channel):
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")] * 3
    answers = list(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(requests), timeout=60))
    assert len(answers) == 3
    assert "gatehouse.v1.AuthService" in [service.name for service in answers[2].list_services_response.service]


def main():
    if FILES:
        ca, *pair = [read(path) for path in FILES]
        certificate, key = pair or (None, None)
        channel = grpc.secure_channel(ADDRESS, grpc.ssl_channel_credentials(ca, key, certificate))
    else:
        channel = grpc.insecure_channel(ADDRESS)
    with channel:
        tokens(channel)
        watch(channel)
        reflect(channel)
    print("interop: ok")


if __name__ == "__main__":
    main()

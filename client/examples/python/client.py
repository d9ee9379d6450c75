# SPDX-License-Identifier: Apache-2.0
"""Asks Gatehouse, by a token of its own."""
import json
from asyncio import create_task, shield
from pathlib import Path

import grpc
from gatehouse.v1.auth_pb2 import IntrospectRequest, IssueTokenRequest
from gatehouse.v1.auth_pb2_grpc import AuthServiceStub

TIMEOUT = 2  # seconds
# An introspection that nobody answered is tried once more, after about 100 ms (gRPC adds the jitter).
RETRIES = {"methodConfig": [{
    "name": [{"service": "gatehouse.v1.AuthService", "method": "Introspect"}],
    "retryPolicy": {"maxAttempts": 2, "initialBackoff": "0.1s", "maxBackoff": "0.1s", "backoffMultiplier": 1,
                    "retryableStatusCodes": ["UNAVAILABLE"]}}]}
OPTIONS = [("grpc.service_config", json.dumps(RETRIES)),
           ("grpc.max_reconnect_backoff_ms", 5000)]  # by default the pauses grow to two minutes


class Gatehouse:
    """For the tasks of one event loop, in which it is made."""

    def __init__(self, address, client_id, secret_file):
        self.auth = AuthServiceStub(grpc.aio.insecure_channel(address, OPTIONS))
        self.client_id, self.secret_file = client_id, Path(secret_file)
        self.own = None  # the task that gets our token, or has got it

    async def issue(self):
        secret = self.secret_file.read_text().strip()  # anew each time: it may have been replaced
        request = IssueTokenRequest(client_id=self.client_id, client_secret=secret)
        return (await self.auth.IssueToken(request, timeout=TIMEOUT)).access_token

    async def own_token(self, ended=None):
        """Got when it is first wanted, and again when the one we have has ended. Whoever wants it meanwhile waits for the same call."""
        if self.own is None or self.own.done() and (self.own.exception() or self.own.result() == ended):
            self.own = create_task(self.issue())
        return await shield(self.own)

    async def call(self, method, request, timeout=TIMEOUT):
        """method: one of self.auth. Called once more where our own token has ended meanwhile."""
        own = await self.own_token()
        try:
            return await method(request, metadata=bearing(own), timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAUTHENTICATED:
                raise
        return await method(request, metadata=bearing(await self.own_token(ended=own)), timeout=timeout)

    async def introspect(self, token, api, role, peer):
        request = IntrospectRequest(token=token, api=api, required_roles=[role], peer=peer)
        return await self.call(self.auth.Introspect, request)


def bearing(token):
    return (("authorization", "Bearer " + token),)

# SPDX-License-Identifier: Apache-2.0
"""An HTTP service that protects itself: of each request it asks Gatehouse what the bearer may do.

    GATEHOUSE_CLIENT_ID=… GATEHOUSE_CLIENT_SECRET_FILE=… uvicorn --no-proxy-headers service:app

The credential is the service's own and holds the role resource_server. GATEHOUSE_GRPC says where Gatehouse, or an edge of
it, is (127.0.0.1:50051). client/README.md says how the stubs are made. Debian: python3-fastapi, python3-uvicorn, python3-grpcio.
"""
import logging
import os
import re

import grpc
from fastapi import Depends, FastAPI, HTTPException, Request

from client import Gatehouse

BEARER = re.compile("bearer +(.*)", re.IGNORECASE)
TOKEN = re.compile("[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
app = FastAPI()


@app.on_event("startup")
async def connect():
    app.state.gatehouse = Gatehouse(os.environ.get("GATEHOUSE_GRPC", "127.0.0.1:50051"), os.environ["GATEHOUSE_CLIENT_ID"],
                                    os.environ["GATEHOUSE_CLIENT_SECRET_FILE"])


def require(role):
    """Lets through only bearers of a live token with this role; gives the handler what is known of them."""
    async def check(request: Request):
        bearer = BEARER.fullmatch(request.headers.get("authorization", ""))
        if not bearer:
            raise HTTPException(401, "missing_token", {"WWW-Authenticate": "Bearer"})
        invalid = HTTPException(401, "invalid_token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        if not TOKEN.fullmatch(bearer[1]):
            raise invalid
        # The route's template, such as "/cases/{id}", never the path with its ids.
        api = f"{request.method} {request.scope['route'].path}"
        # Whoever is connected, and not what a header says, if uvicorn is told so: --no-proxy-headers.
        peer = request.client.host if request.client else ""
        try:
            caller = await request.app.state.gatehouse.introspect(bearer[1], api, role, peer)
        except (grpc.aio.AioRpcError, OSError) as error:  # no answer is no permission
            logging.error("gatehouse: %s", error.details() if isinstance(error, grpc.aio.AioRpcError) else error)
            raise HTTPException(503, "temporarily_unavailable", {"Retry-After": "1"}) from None
        if not caller.active:
            raise invalid
        if not caller.allowed:
            raise HTTPException(403, "insufficient_scope",
                                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{role}"'})
        return caller
    return Depends(check)


@app.post("/cases")
async def create(caller=require("work_creator")):
    return {"caller": caller.client_id}


@app.get("/cases/{id}")
async def show(id: str, caller=require("service_agent")):
    return {"caller": caller.client_id, "id": id}

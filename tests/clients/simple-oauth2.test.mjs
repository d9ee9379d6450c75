// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClientCredentials } from "simple-oauth2";
import { base, clientId, secret } from "./settings.mjs";

const url = new URL(base);
const make = (authorizationMethod, password = secret) => new ClientCredentials({
  client: { id: clientId, secret: password },
  auth: {
    tokenHost: url.origin, tokenPath: `${url.pathname}/OAuth/Token`, revokePath: `${url.pathname}/OAuth/Revoke`,
  },
  options: { authorizationMethod },
});

test("the header and the body give a token, which is not expired", async () => {
  for (const method of ["header", "body"]) {
    const { token, expired } = await make(method).getToken({});
    assert.equal(token.token_type, "Bearer");
    assert.match(token.access_token, /^gate_at_/);
    assert.equal(typeof expired, "function");
  }
});

test("scope narrows", async () => {
  const { token } = await make("body").getToken({ scope: ["work_reader"] });
  assert.equal(token.scope, "work_reader");
});

test("a wrong secret is a 401 with invalid_client", async () => {
  for (const method of ["header", "body"])
    await assert.rejects(make(method, "wrong").getToken({}), (error) =>
      error.output.statusCode === 401 && error.data.payload.error === "invalid_client");
});

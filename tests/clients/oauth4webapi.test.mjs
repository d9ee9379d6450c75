// SPDX-License-Identifier: Apache-2.0
// The strictest of the libraries about what a response must look like.
import { base, bearer, clientId, introspector, secret, serverId, serverSecret } from "./settings.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";
import * as oauth from "oauth4webapi";

const issuer = new URL(base);
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: "oauth2" }));
const client = { client_id: clientId };

async function grant(authentication, parameters = {}) {
  const response = await oauth.clientCredentialsGrantRequest(as, client, authentication, new URLSearchParams(parameters));
  return oauth.processClientCredentialsResponse(as, client, response);
}

async function introspect(token) {
  const response = await oauth.introspectionRequest(as, client, bearer(introspector), token);
  return oauth.processIntrospectionResponse(as, client, response);
}

test("both ways of authenticating give a token that is live", async () => {
  for (const authentication of [oauth.ClientSecretPost(secret), oauth.ClientSecretBasic(secret)]) {
    const token = await grant(authentication);
    const told = await introspect(token.access_token);
    assert.deepEqual([told.active, told.client_id, told.scope], [true, clientId, "work_creator work_reader"]);
  }
});

test("a resource server introspects as the client that it is", async () => {
  const { access_token: token } = await grant(oauth.ClientSecretPost(secret));
  const server = { client_id: serverId };
  for (const authentication of [oauth.ClientSecretPost(serverSecret), oauth.ClientSecretBasic(serverSecret)]) {
    const response = await oauth.introspectionRequest(as, server, authentication, token);
    const told = await oauth.processIntrospectionResponse(as, server, response);
    assert.deepEqual([told.active, told.client_id], [true, clientId]);
  }
  const refused = await oauth.introspectionRequest(as, client, oauth.ClientSecretBasic(secret), token);
  await assert.rejects(oauth.processIntrospectionResponse(as, client, refused), { error: "unauthorized_client" });
});

test("scope narrows, and a repeated scope is refused", async () => {
  assert.equal((await grant(oauth.ClientSecretPost(secret), { scope: "work_creator" })).scope, "work_creator");
  await assert.rejects(grant(oauth.ClientSecretPost(secret), [["scope", "work_creator"], ["scope", "work_reader"]]),
    { name: "ResponseBodyError", error: "invalid_request", status: 400 });
});

test("a wrong secret is refused as the RFC says, by the form and by Basic", async () => {
  await assert.rejects(grant(oauth.ClientSecretPost("wrong")),
    (error) => error.status === 401 && error.cause[0].scheme === "basic"); // RFC 9110, section 15.5.2: every 401 has one
  await assert.rejects(grant(oauth.ClientSecretBasic("wrong")),
    (error) => error.status === 401 && error.cause[0].scheme === "basic");
});

test("a revoked token is inactive", async () => {
  const { access_token: token } = await grant(oauth.ClientSecretPost(secret));
  for (let time = 0; time < 2; time++) { // a token that is gone already is no error
    const response = await oauth.revocationRequest(as, client, oauth.ClientSecretBasic(secret), token);
    assert.equal(await oauth.processRevocationResponse(response), undefined);
  }
  assert.deepEqual(await introspect(token), { active: false });
});

test("who may not introspect is told so by a challenge", async () => {
  const { access_token: token } = await grant(oauth.ClientSecretPost(secret));
  const response = await oauth.introspectionRequest(as, client, bearer(token), token);
  await assert.rejects(oauth.processIntrospectionResponse(as, client, response),
    (error) => error.status === 403 || error.response?.status === 403);
});

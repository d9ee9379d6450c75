// SPDX-License-Identifier: Apache-2.0
import { base, bearer, clientId, introspector, secret, serverId, serverSecret } from "./settings.mjs";
import assert from "node:assert/strict";
import { test } from "node:test";
import * as client from "openid-client";

const discover = (authentication, password = secret, id = clientId) =>
  client.discovery(new URL(base), id, { client_secret: password }, authentication, { algorithm: "oauth2" });

test("the server is found by its metadata, and both ways of authenticating give a token", async () => {
  for (const authentication of [client.ClientSecretPost(secret), client.ClientSecretBasic(secret)]) {
    const config = await discover(authentication);
    assert.equal(config.serverMetadata().issuer, base);
    const token = await client.clientCredentialsGrant(config);
    assert.equal(token.token_type, "bearer"); // the library's spelling of it
    assert.match(token.access_token, /^gate_at_/);
    assert.ok(token.expiresIn() > 0);
    assert.equal(token.scope, "work_creator work_reader");
  }
});

test("scope narrows, and a scope that is not the client's is invalid_scope", async () => {
  const config = await discover(client.ClientSecretPost(secret));
  const token = await client.clientCredentialsGrant(config, { scope: "work_reader" });
  assert.equal(token.scope, "work_reader");
  await assert.rejects(client.clientCredentialsGrant(config, { scope: "user_manager" }),
    { name: "ResponseBodyError", error: "invalid_scope", status: 400 });
});

test("a wrong secret is a challenge, by the form as by Basic", async () => {
  for (const way of [client.ClientSecretPost, client.ClientSecretBasic])
    await assert.rejects(client.clientCredentialsGrant(await discover(way("wrong"))),
      (error) => error.status === 401 && error.cause[0].scheme === "basic");
});

test("a token is introspected and revoked", async () => {
  const config = await discover(client.ClientSecretBasic(secret));
  const resourceServer = await discover(bearer(introspector));
  const { access_token: token } = await client.clientCredentialsGrant(config);
  const told = await client.tokenIntrospection(resourceServer, token);
  assert.deepEqual([told.active, told.client_id], [true, clientId]);
  await client.tokenRevocation(config, token);
  assert.deepEqual(await client.tokenIntrospection(resourceServer, token), { active: false });
});

test("a resource server introspects as the client that it is", async () => {
  const { access_token: token } = await client.clientCredentialsGrant(await discover(client.ClientSecretBasic(secret)));
  for (const authentication of [client.ClientSecretPost(serverSecret), client.ClientSecretBasic(serverSecret)]) {
    const told = await client.tokenIntrospection(await discover(authentication, serverSecret, serverId), token);
    assert.deepEqual([told.active, told.client_id], [true, clientId]);
  }
});

test("the JSON of the administration is read with the token as a protected resource", async () => {
  const config = await discover(client.ClientSecretBasic(secret));
  const url = new URL(`${base}/v1/credentials?filter=${encodeURIComponent("name:library")}`);
  const answer = await client.fetchProtectedResource(config, introspector, url, "GET");
  assert.equal(answer.status, 200);
  assert.deepEqual((await answer.json()).credentials.map((one) => one.clientId), [clientId]);
  await assert.rejects(client.fetchProtectedResource(config, "gate_at_nothing", url, "GET"),
    (error) => error.status === 401 && error.cause[0].scheme === "bearer");
});

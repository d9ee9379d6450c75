// SPDX-License-Identifier: Apache-2.0
// What test_node.py hands over, and how a resource server authenticates: with a token of its own, or as a client.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Debian's Node 18 does not have it by that name

export const { GATEHOUSE_BASE: base, GATEHOUSE_ID: clientId, GATEHOUSE_SECRET: secret,
  GATEHOUSE_INTROSPECTOR: introspector, GATEHOUSE_SERVER_ID: serverId,
  GATEHOUSE_SERVER_SECRET: serverSecret } = process.env;

export const bearer = (token) => (_as, _client, _body, headers) => headers.set("authorization", `Bearer ${token}`);

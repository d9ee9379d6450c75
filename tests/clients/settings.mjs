// SPDX-License-Identifier: Apache-2.0
// What test_node.py hands over, and how a resource server authenticates: with a token of its own.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto; // Debian's Node 18 does not have it by that name

export const { GATEHOUSE_BASE: base, GATEHOUSE_ID: clientId, GATEHOUSE_SECRET: secret,
  GATEHOUSE_INTROSPECTOR: introspector } = process.env;

export const bearer = (token) => (_as, _client, _body, headers) => headers.set("authorization", `Bearer ${token}`);

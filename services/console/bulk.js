// SPDX-License-Identifier: Apache-2.0
// The same act on many credentials: what it would end in all, and then each for itself, for somebody else may have changed one.
import { withQuery } from "./api.js";
import { asApiError } from "./load.js";
import { call } from "./session.js";
/** @typedef {import("./types.js").Credential} Credential */
/** @typedef {import("./types.js").Impact} Impact */

const AT_ONCE = 4;

/** What an act needs besides the credentials. @typedef {{ roles: string[], expireTime: string }} Choice */
/** @typedef {"grant" | "revoke" | "extend" | "suspend" | "resume" | "delete"} Act */
/** @typedef {{ validateOnly?: boolean, everywhere?: boolean }} How */
/** What became of one. @typedef {{ credential: Credential, answer?: any, error?: import("./api.js").ApiError }} Outcome */

/** @type {Record<Act, (credential: Credential, choice: Choice, how: How) => Promise<any>>} */
const acts = {
  grant: ({ clientId, etag }, { roles }, how) => post(`${clientId}:grantRoles`, { roles, etag, ...how }),
  revoke: ({ clientId, etag }, { roles }, how) => post(`${clientId}:revokeRoles`, { roles, etag, ...how }),
  suspend: ({ clientId, etag }, _, how) => post(`${clientId}:suspend`, { etag, ...how }),
  resume: ({ clientId, etag }, _, { validateOnly }) => post(`${clientId}:resume`, { etag, validateOnly }),
  delete: ({ clientId, etag }, _, how) => call("DELETE", withQuery(`v1/credentials/${clientId}`, { etag, ...how })),
  extend: ({ clientId, etag }, { expireTime }, how) =>
    call("PATCH", `v1/credentials/${clientId}`, {
      body: { updateMask: "expireTime", credential: { expireTime: expireTime || undefined, etag }, ...how },
    }),
};

/** @param {string} path @param {object} body */
const post = (path, body) => call("POST", `v1/credentials/${path}`, { body });

/**
 * A few at a time, all of them, whatever becomes of one.
 * @param {Credential[]} credentials
 * @param {(credential: Credential) => Promise<any>} act
 * @param {(done: number) => void} onStep
 */
async function each(credentials, act, onStep) {
  /** @type {Outcome[]} */
  const outcomes = [];
  let next = 0;
  async function work() {
    while (next < credentials.length) {
      const at = next++;
      const credential = credentials[at];
      try {
        outcomes[at] = { credential, answer: await act(credential) };
      } catch (error) {
        outcomes[at] = { credential, error: asApiError(error) };
      }
      onStep(outcomes.filter(Boolean).length);
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes;
}

/** What it would end, in all; which of them it can be done to, as they are now; and which not, and why. @param {Act} name @param {Credential[]} credentials @param {Choice} choice @param {(done: number) => void} onStep */
export async function preview(name, credentials, choice, onStep) {
  const outcomes = await each(
    credentials,
    async ({ clientId }) => {
      const { credential } = await call("GET", `v1/credentials/${clientId}`);
      return { credential, impact: (await acts[name](credential, choice, { validateOnly: true })).impact };
    },
    onStep,
  );
  const good = outcomes.filter(({ error }) => !error);
  return {
    impact: sum(good.map(({ answer }) => answer.impact)),
    able: good.map(({ answer }) => answer.credential),
    failed: failures(outcomes),
  };
}

/** Does it, to the credentials as they were looked at. @param {Act} name @param {Credential[]} credentials @param {Choice} choice @param {(done: number) => void} onStep */
export async function perform(name, credentials, choice, onStep) {
  const outcomes = await each(
    credentials,
    (credential) => acts[name](credential, choice, { everywhere: true }),
    onStep,
  );
  const done = outcomes.filter(({ error }) => !error);
  return {
    done: done.map(({ credential }) => credential),
    waits: done.map(({ answer }) => answer.everywhereAfter),
    failed: failures(outcomes),
  };
}

/** @param {Outcome[]} outcomes */
const failures = (outcomes) => outcomes.filter(({ error }) => error);

/** @param {(Impact | undefined)[]} impacts @returns {Impact} */
function sum(impacts) {
  const total = (/** @type {"tokensEnded" | "credentialsAffected"} */ field) =>
    String(impacts.reduce((before, impact) => before + Number(impact?.[field] ?? 0), 0));
  /** @type {Map<string, import("./types.js").UsageRow>} */
  const apis = new Map();
  for (const row of impacts.flatMap((impact) =>
    Number(impact?.tokensEnded ?? 0) > 0 ? (impact?.recentUsage ?? []) : [],
  )) {
    const allowed = Number(apis.get(row.api ?? "")?.allowed ?? 0) + Number(row.allowed ?? 0);
    apis.set(row.api ?? "", { api: row.api, allowed: String(allowed) });
  }
  const recentUsage = [...apis.values()].sort((a, b) => Number(b.allowed) - Number(a.allowed));
  return { tokensEnded: total("tokensEnded"), credentialsAffected: total("credentialsAffected"), recentUsage };
}

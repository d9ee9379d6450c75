// SPDX-License-Identifier: Apache-2.0
// Who is signed in. The bearer token is held by this module and nowhere else: not in storage, not in a cookie, not in a
// component's state. It ends by the idle timeout, as every token does; the page says so and lets one go on.
import { ApiError, exchange } from "./api.js";
import { Store } from "./store.js";

/** The roles of administrators, each with what the one before it may. */
const grades = /** @type {const} */ (["auditor", "key_manager", "user_manager"]);
/** @typedef {(typeof grades)[number]} Grade */
/** What to ask for: a token for the console is good for nothing else. */
const scopes = ["user_manager", "auditor key_manager", "key_manager", "auditor"];

/**
 * out: sign in first. in: go on. ended: was in; work is kept until the same person is in again.
 * @typedef {object} Session
 * @property {"out"|"in"|"ended"} phase
 * @property {string} clientId
 * @property {string} name
 * @property {string[]} roles those of the administrators' that the token carries
 * @property {number} idleSeconds
 * @property {string} why of "ended", in words
 * @property {boolean} isWarned it is about to end
 */

/** @type {Session} */
const nobody = { phase: "out", clientId: "", name: "", roles: [], idleSeconds: 0, why: "", isWarned: false };
export const session = new Store(nobody);

let token = "";
let lastUse = 0; // when the server saw the token last
/** @type {Set<() => void>} */
const waiting = new Set(); // calls that go on once somebody is in

/** @param {Record<string, string>} fields */
const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields) });

/** May whoever is signed in do what needs this role? @param {Grade} grade */
export const may = (grade) =>
  session.value.roles.some((role) => grades.indexOf(/** @type {Grade} */ (role)) >= grades.indexOf(grade));

/** Its keys, sessions and expiry date, that is. @param {import("./types.js").Credential} credential */
export const mayTouch = (credential) =>
  may("user_manager") || (may("key_manager") && !(credential.roles ?? []).some(isAdministrators));

/** @param {import("./types.js").GrantedRole} role */
const isAdministrators = ({ role, state }) =>
  state !== "GRANTED_ROLE_STATE_REVOKED" && grades.includes(/** @type {Grade} */ (role));

/**
 * A token with the most that the credential may do here.
 * @param {string} clientId
 * @param {string} secret
 */
async function getToken(clientId, secret) {
  for (const scope of scopes) {
    const fields = { grant_type: "client_credentials", client_id: clientId, client_secret: secret, scope };
    try {
      return await exchange("OAuth/Token", form(fields), true);
    } catch (error) {
      const isWithout = error instanceof ApiError && error.reason === "invalid_scope";
      if (!isWithout || scope === scopes.at(-1)) throw explainSignIn(error);
    }
  }
}

/**
 * @param {string} clientId
 * @param {string} secret
 */
export async function signIn(clientId, secret) {
  const answer = await getToken(clientId, secret);
  const isAnother = session.value.phase === "ended" && session.value.clientId !== clientId;
  token = answer.access_token;
  lastUse = Date.now();
  session.update({
    phase: "in",
    clientId,
    name: isAnother ? "" : session.value.name,
    why: "",
    isWarned: false,
    roles: answer.scope.split(" "),
    idleSeconds: answer.expires_in,
  });
  for (const go of waiting) go();
  waiting.clear();
  call("GET", `v1/credentials/${clientId}`)
    .then(({ credential }) => session.update({ name: credential.name }))
    .catch(() => {}); // then its client ID is shown
}

/** @param {unknown} error */
function explainSignIn(error) {
  if (!(error instanceof ApiError)) return error;
  if (error.reason === "invalid_client")
    return new ApiError(
      error.code,
      error.reason,
      "The client ID or the secret key is wrong, or the credential has expired or was deleted.",
    );
  if (error.reason === "invalid_scope")
    return new ApiError(
      error.code,
      error.reason,
      "This credential holds none of the roles that the console is for: User Manager, Key Manager, Auditor.",
    );
  if (error.code === 429)
    return new ApiError(error.code, error.reason, "There were too many attempts. Wait a moment, then try again.");
  return error;
}

/** Ends the token on the server too. What is on the page is gone. */
export async function signOut() {
  const mine = token;
  token = "";
  session.update(nobody);
  await revoke(mine);
}

/** @param {string} mine */
async function revoke(mine) {
  if (!mine) return;
  const init = form({ token: mine });
  await exchange("OAuth/Revoke", { ...init, headers: { authorization: `Bearer ${mine}` } }, true).catch(() => {});
}

/** @param {string} why */
function end(why) {
  token = "";
  if (session.value.phase === "in") session.update({ phase: "ended", why, isWarned: false });
}

/** In words. @param {number} seconds */
function minutes(seconds) {
  if (seconds < 120) return `${seconds} seconds`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`;
}

/**
 * A call of the API as whoever is signed in. Where the session has ended, reading waits until somebody signs in and goes
 * on; a change is refused instead, so that nothing is done that one no longer expects.
 * @param {string} method
 * @param {string} path
 * @param {{ body?: object, isRepeatable?: boolean }} [options]
 * @returns {Promise<any>}
 */
export async function call(method, path, { body, isRepeatable = method === "GET" } = {}) {
  for (;;) {
    if (session.value.phase !== "in") await new Promise((resolve) => waiting.add(() => resolve(undefined)));
    const mine = token;
    const start = Date.now();
    /** @type {Record<string, string>} */
    const headers = { authorization: `Bearer ${mine}` };
    if (body) headers["content-type"] = "application/json";
    try {
      const answer = await exchange(path, { method, headers, body: body && JSON.stringify(body) }, isRepeatable);
      lastUse = Math.max(lastUse, start);
      if (session.value.isWarned) session.update({ isWarned: false });
      return answer;
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 401) throw error;
      if (mine === token)
        end("Your session has ended: it was not used for too long, or it was ended by an administrator.");
      if (method !== "GET")
        throw new ApiError(
          401,
          "SESSION_ENDED",
          "Your session had ended, so nothing was changed. Do it again once you are signed in.",
        );
    }
  }
}

/** The idle timeout may have been changed. @param {number} seconds */
export const setIdleSeconds = (seconds) => session.update({ idleSeconds: seconds });

/** Uses the token, so that it lives on. */
export const stay = () => call("GET", "v1/settings").catch(() => {});

function watchIdleness() {
  const { phase, idleSeconds, isWarned } = session.value;
  if (phase !== "in") return;
  const left = lastUse + idleSeconds * 1000 - Date.now();
  if (left <= 0) {
    revoke(token); // by our clock; the server's may be a little behind
    end(`Your session has ended: it was not used for ${minutes(idleSeconds)}.`);
  } else if (!isWarned && left <= Math.min(60_000, idleSeconds * 250)) {
    session.update({ isWarned: true });
  }
}

/** Somebody who types is not idle, even if nothing has been sent for a while. */
function noteActivity() {
  const { phase, idleSeconds } = session.value;
  if (phase !== "in" || Date.now() - lastUse < idleSeconds * 500) return;
  lastUse = Date.now(); // once, not at every key
  stay();
}

setInterval(watchIdleness, 1000);
for (const event of ["keydown", "pointerdown"]) addEventListener(event, noteActivity, { passive: true });

// SPDX-License-Identifier: Apache-2.0
// Who is signed in. The bearer token is in a cookie that no script can read (services/rest/session.c), or a sign-on proxy in
// front vouches for a person: this page knows only who it is, and says so with every call. All tabs share it. It ends by the idle timeout, as every token does; the
// page says so and lets one stay.
import { ApiError, base, exchange } from "./api.js";
import { Store } from "./store.js";

/** The roles of administrators, each with what the one before it may. */
const grades = /** @type {const} */ (["auditor", "key_manager", "user_manager"]);
/** @typedef {(typeof grades)[number]} Grade */
/** What to ask for: a token for the console is good for nothing else. */
const scopes = ["user_manager", "auditor key_manager", "key_manager", "auditor"];

/**
 * starting: it is being asked. out: sign in first. in: signed in. ended: was in; work is kept until the same person is in again.
 * @typedef {object} Session
 * @property {"starting"|"out"|"in"|"ended"} phase
 * @property {string} clientId "": of a person
 * @property {string} user the person for whom a sign-on proxy vouches; "": of a credential
 * @property {string} name
 * @property {string[]} roles those of the administrators' that the token carries
 * @property {number} idleSeconds
 * @property {string} why of "ended", in words; of "out" where there is something to say
 * @property {boolean} isWarned it is about to end
 */

/** @type {Session} */
const nobody = { phase: "out", clientId: "", user: "", name: "", roles: [], idleSeconds: 0, why: "", isWarned: false };
export const session = new Store(/** @type {Session} */ ({ ...nobody, phase: "starting" }));

let turn = 0; // of signing in: what was asked in an earlier one says nothing about this one
/** @type {Set<() => void>} */
const waiting = new Set(); // calls that continue once somebody is in

/** By these headers the server takes the cookie. as: for whom one asks; if another is in by now, nothing is done. */
const own = (as = session.value.user || session.value.clientId) => ({
  "x-gatehouse-console": "1",
  ...(as ? { "x-gatehouse-as": encodeURIComponent(as) } : {}),
});

/** @param {Record<string, string>} fields */
const form = (fields) => ({ method: "POST", body: new URLSearchParams(fields), headers: own("") });

// What the tabs tell each other, by storage: who signed in when ("": signed out), and when the server saw the token last.
const WHO = `gatehouse who ${base.pathname}`;
const USED = `gatehouse used ${base.pathname}`;
/** @type {Record<string, string>} */
const alone = {}; // where there is no storage

/** @param {string} key */
function read(key) {
  try {
    return localStorage.getItem(key) ?? "";
  } catch {
    return alone[key] ?? "";
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
function write(key, value) {
  alone[key] = value;
  try {
    localStorage.setItem(key, value);
  } catch {
    // Then this tab is by itself.
  }
}

const lastUse = () => Number(read(USED));

/** @param {number} at */
const noteUse = (at) => at > lastUse() && write(USED, String(at));

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
 * A token with the most that the credential may do here, into the cookie.
 * @param {string} clientId
 * @param {string} secret
 */
async function getToken(clientId, secret) {
  for (const scope of scopes) {
    const fields = { grant_type: "client_credentials", client_id: clientId, client_secret: secret, scope };
    try {
      return await exchange("console/session", form(fields), true);
    } catch (error) {
      const isWithout = error instanceof ApiError && error.reason === "invalid_scope";
      if (!isWithout || scope === scopes.at(-1)) throw explainSignIn(error);
    }
  }
}

/**
 * Begins as whoever the server takes this page for.
 * @param {string} as who that must be
 */
async function enter(as) {
  const { credential, token, user = "", administersAs, time } = await exchange("v1/caller", { headers: own(as) }, true);
  if (!administersAs) {
    session.update({ user });
    throw new ApiError(
      403,
      "CALLER_NOT_ALLOWED",
      `You are signed on as ${user}, who has none of the roles that the console needs: User Manager, Key Manager or Auditor.`,
    );
  }
  noteUse(Date.now());
  begin({
    clientId: credential?.clientId ?? "",
    user,
    name: user || credential.name,
    roles: [administersAs],
    idleSeconds: token ? Math.round((Date.parse(token.expireTime) - Date.parse(time)) / 1000) : 0,
  });
}

/**
 * @param {string} clientId
 * @param {string} secret
 */
export async function signIn(clientId, secret) {
  const { client_id: id } = await getToken(clientId, secret);
  try {
    await enter(id);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 401) throw error;
    throw new ApiError(
      401,
      "NO_COOKIE",
      "Your browser did not keep the session. Allow cookies for this address, and open the console at the address that the server knows (public_url).",
    );
  }
  write(WHO, `${id} ${Date.now()}`);
}

/** @param {Pick<Session, "clientId" | "user" | "name" | "roles" | "idleSeconds">} who */
function begin(who) {
  turn++;
  session.update({ ...who, phase: "in", why: "", isWarned: false });
  for (const go of waiting) go();
  waiting.clear();
}

/** Goes on as whoever is in already: after a reload, in a new tab, or because another tab signed in. */
async function resume() {
  try {
    const { client_id: clientId, user } = await exchange("console/session", { headers: own("") }, true);
    if (clientId || user) await enter(user || clientId);
    else if (session.value.phase === "starting") session.update(nobody);
  } catch (error) {
    const why = error instanceof ApiError && error.code === 401 ? "" : asText(error);
    if (session.value.phase === "starting") session.update({ ...nobody, user: session.value.user, why });
  }
}

/** @param {unknown} error */
const asText = (error) => (error instanceof Error ? error.message : String(error));

/** Another tab has signed in, or out. */
function follow() {
  const [who] = read(WHO).split(" ");
  const { phase, clientId, user } = session.value;
  if (user) return; // a sign-on proxy says who it is
  if (!who && phase !== "out") session.update(nobody);
  else if (who && (phase !== "in" || who !== clientId)) resume();
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
      "This credential has none of the roles that the console needs: User Manager, Key Manager or Auditor.",
    );
  if (error.code === 429)
    return new ApiError(error.code, error.reason, "Too many attempts. Wait a moment, then try again.");
  return error;
}

/** In every tab, and the token ends on the server too. What is on the page is gone. */
export async function signOut() {
  const ended = revoke();
  session.update(nobody);
  write(WHO, "");
  await ended.catch(() =>
    session.update({
      why: "The server could not be reached, so this browser may still be signed in until the session ends by itself.",
    }),
  );
}

/** Ends the token, and takes the cookie away. */
const revoke = () => exchange("console/session", { method: "DELETE", headers: own() }, true);

/** @param {string} why */
function end(why) {
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
    const mine = turn;
    const start = Date.now();
    /** @type {Record<string, string>} */
    const headers = own();
    if (body) headers["content-type"] = "application/json";
    try {
      const answer = await exchange(path, { method, headers, body: body && JSON.stringify(body) }, isRepeatable);
      noteUse(start);
      if (session.value.isWarned) session.update({ isWarned: false });
      return answer;
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== 401) throw error;
      if (mine === turn)
        end(
          session.value.user
            ? "Your sign-on has ended. Reload the page to sign on again; what you entered is lost then."
            : "Your session has ended: it was idle for too long, or an administrator ended it.",
        );
      if (method !== "GET")
        throw new ApiError(
          401,
          "SESSION_ENDED",
          "Your session had ended, so nothing was changed. Sign in and try again.",
        );
    }
  }
}

/** The idle timeout may have been changed. @param {number} seconds */
export const setIdleSeconds = (seconds) => session.update({ idleSeconds: seconds });

/** Uses the token, so that it lives on. */
export const stay = () => call("GET", "v1/settings").catch(() => {});

function watchIdleness() {
  const { phase, user, idleSeconds, isWarned } = session.value;
  if (phase !== "in" || user) return;
  const left = lastUse() + idleSeconds * 1000 - Date.now();
  const isNear = left <= Math.min(60_000, idleSeconds * 250);
  if (left <= 0) {
    revoke().catch(() => {}); // by our clock; the server's may be a little behind
    end(`Your session has ended: it was not used for ${minutes(idleSeconds)}.`);
  } else if (isNear !== isWarned) {
    session.update({ isWarned: isNear }); // another tab may have used it
  }
}

/** Somebody who types is not idle, even if nothing has been sent for a while. */
function noteActivity() {
  const { phase, user, idleSeconds } = session.value;
  if (phase !== "in" || user || Date.now() - lastUse() < idleSeconds * 500) return;
  noteUse(Date.now()); // once, not at every key
  stay();
}

resume();
addEventListener("storage", ({ key }) => key === WHO && follow());
setInterval(watchIdleness, 1000);
for (const event of ["keydown", "pointerdown"]) addEventListener(event, noteActivity, { passive: true });

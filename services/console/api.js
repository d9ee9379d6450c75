// SPDX-License-Identifier: Apache-2.0
// Calls of the JSON API. Where the page was served from is where the API is: every address is relative to it, so that any
// path prefix works.
import { Store } from "./store.js";

/** Is the server reachable? Components show it. */
export const connection = new Store({ isLost: false });

export const base = new URL(".", document.baseURI);
const TIMEOUT_MS = 30_000;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

/** What went wrong, in words and with the names that the API gives. */
export class ApiError extends Error {
  /**
   * @param {number} code HTTP status; 0: no answer
   * @param {string} reason as in the .proto, such as NAME_TAKEN
   * @param {string} message
   * @param {Record<string, string>} [fields] what is wrong with which field
   */
  constructor(code, reason, message, fields = {}) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.fields = fields;
  }

  /** Did the answer not come, so that it is not known whether anything was done? */
  get isUnknown() {
    return this.code === 0 || this.code >= 502;
  }
}

/** @param {string} text */
function sentence(text) {
  const trimmed = text.trim();
  if (!trimmed) return "";
  return trimmed[0].toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
}

/** @type {Record<string, string>} */
const words = {
  NAME_TAKEN: "Another credential already has this name.",
  ROLE_RETIRED: "One of these roles is retired and can no longer be granted.",
  LAST_ADMINISTRATOR:
    "This is the last credential with the role User Manager and a secret key that works for another day. Without it, nobody could administer Gatehouse.",
  STORE_UNAVAILABLE: "The server cannot reach its database at the moment. Nothing is lost; try again in a moment.",
  DRAINING: "The server is restarting. Try again in a moment.",
  CALLER_NOT_ALLOWED: "You do not have the role that this needs.",
  ADMINISTRATOR_CREDENTIAL: "Only a User Manager may change the credential of an administrator.",
  NO_SUCH_CREDENTIAL: "This credential does not exist, or no longer does.",
  NO_SUCH_USER: "This user does not exist, or no longer does.",
  NO_SUCH_SECRET: "This secret key has already ended.",
  CREDENTIAL_DELETED: "This credential has been deleted.",
  CREDENTIAL_SUSPENDED: "This credential is suspended. Another administrator can resume it.",
  OWN_CREDENTIAL: "You are signed in with this credential. Another administrator can suspend it.",
  OWN_ADDRESS: "You are signed in with this credential, from an address that is not in these networks.",
  OLDER_SERVER: "A server of an older version is still running, and cannot do this. Try again once it is upgraded.",
  NOT_DELETED: "This credential is not deleted.",
  SIGN_ON_ENDED: "Your sign-on has ended.",
  ROLE_EXISTS: "A role with this ID already exists.",
};

/** The form's name of a field that the server calls "credential.expireTime". @param {string} path */
const nameOf = (path) => path.replace(/.*[.]/, "").replace(/[A-Z]/g, (letter) => "_" + letter.toLowerCase());

/**
 * @param {number} code
 * @param {any} body
 */
function readError(code, body) {
  const error = body?.error;
  if (typeof error === "string") return new ApiError(code, error, sentence(body.error_description ?? error));
  let reason = "";
  /** @type {Record<string, string>} */
  const fields = {};
  for (const detail of error?.details ?? []) {
    reason ||= detail.reason ?? "";
    for (const violation of detail.fieldViolations ?? [])
      fields[nameOf(violation.field)] = sentence(
        `${violation.description ?? ""}`.replace(violation.field + " ", "it ").replace(violation.field + ": ", ""),
      );
  }
  if (reason === "NAME_TAKEN") fields.name = words.NAME_TAKEN;
  const message = words[reason] ?? sentence(error?.message ?? `The server answered ${code}`);
  return new ApiError(code, reason, message, fields);
}

/** @param {number} ms */
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * One HTTP exchange, repeated as long as that is harmless and may help.
 * @param {string} path relative, such as "v1/credentials"
 * @param {RequestInit} init
 * @param {boolean} isRepeatable doing it twice does no harm
 * @returns {Promise<any>}
 */
export async function exchange(path, init, isRepeatable) {
  for (let attempt = 0; ; attempt++) {
    /** @type {ApiError} */
    let failure;
    let pause = RETRY_MS[attempt];
    try {
      const response = await fetch(new URL(path, base), {
        ...init,
        cache: "no-store",
        credentials: "same-origin",
        redirect: "manual", // none of ours: a sign-on proxy wants people to sign on again
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (response.type === "opaqueredirect") throw new ApiError(401, "SIGN_ON_ENDED", words.SIGN_ON_ENDED);
      const text = await response.text();
      const body = text && response.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : {};
      if (response.ok) {
        if (connection.value.isLost) connection.update({ isLost: false });
        return body;
      }
      failure = readError(response.status, body);
      pause = Math.max(pause ?? 0, 1000 * Number(response.headers.get("retry-after") ?? 0));
      if (response.status < 502 || response.status > 504) throw failure;
    } catch (error) {
      if (error instanceof ApiError && !error.isUnknown) throw error;
      failure =
        error instanceof ApiError
          ? error
          : new ApiError(0, "", "The server could not be reached. Check the connection and try again.");
    }
    connection.update({ isLost: true });
    if (!isRepeatable || attempt >= RETRY_MS.length) throw failure;
    await wait(pause);
  }
}

/**
 * @param {string} path
 * @param {Record<string, string | number | boolean | string[] | undefined>} query empty values are left out
 */
export function withQuery(path, query) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== undefined && one !== "" && one !== false) search.append(name, String(one));
  return search.size > 0 ? `${path}?${search}` : path;
}

/** A filter's value, quoted. @param {string} text */
export const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;

/** Of a request that may be sent again. (crypto.randomUUID is there with TLS only.) */
export const newRequestId = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

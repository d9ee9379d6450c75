// SPDX-License-Identifier: Apache-2.0
// What components read from the API.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./api.js";
import { call } from "./session.js";
import { Store } from "./store.js";
/** @typedef {import("./types.js").Role} Role */

/**
 * @template T
 * @typedef {object} Loaded
 * @property {T | undefined} data the last that came, also while something newer is on its way
 * @property {ApiError | undefined} error
 * @property {boolean} isLoading
 * @property {() => void} reload
 */

/** @param {unknown} error */
export function asApiError(error) {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError(-1, "", "Something went wrong in this page. Reload it and try again.");
}

/**
 * @template T
 * @param {string} path
 * @param {(answer: any) => T} pick
 * @returns {Loaded<T>}
 */
export function useLoad(path, pick) {
  const [state, setState] = useState(
    /** @type {{ data?: T, error?: ApiError, isLoading: boolean }} */ ({ isLoading: true }),
  );
  const turn = useRef(0);
  const reload = useCallback(async () => {
    const mine = ++turn.current; // only the newest may say something
    setState((before) => ({ ...before, isLoading: true }));
    try {
      const answer = await call("GET", path);
      if (mine === turn.current) setState({ data: pick(answer), isLoading: false });
    } catch (error) {
      if (mine === turn.current) setState((before) => ({ ...before, error: asApiError(error), isLoading: false }));
    }
  }, [path]);
  useEffect(() => {
    reload();
    return () => void turn.current++;
  }, [reload]);
  return { data: state.data, error: state.error, isLoading: state.isLoading, reload };
}

/** A function that does something slowly, and whether it is at it. One at a time. */
export function useWork() {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {ApiError | undefined} */ (undefined));
  const busy = useRef(false);
  /** @param {() => Promise<void>} work */
  async function run(work) {
    if (busy.current) return;
    busy.current = true;
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (failure) {
      setError(asApiError(failure));
    }
    busy.current = false;
    setBusy(false);
  }
  return { isBusy, error, setError, run };
}

/** The catalogue of roles; nearly every screen shows some. */
export const catalogue = new Store({ roles: /** @type {Role[]} */ ([]) });

export async function loadCatalogue() {
  const { roles } = await call("GET", "v1/roles?showRetired=true");
  catalogue.update({ roles: roles ?? [] });
}

/** @param {string} id */
export const roleName = (id) => catalogue.value.roles.find((role) => role.roleId === id)?.name ?? id;

/** Names of credentials, by client ID, to say who did something. */
export const names = new Store(/** @type {Record<string, string>} */ ({}));
/** @type {Set<string>} */
const asked = new Set();

/** @param {string} clientId */
export async function learnName(clientId) {
  if (asked.has(clientId)) return;
  asked.add(clientId);
  try {
    const { credential } = await call("GET", `v1/credentials/${clientId}`);
    names.update({ [clientId]: credential.name });
  } catch {
    // Purged: its client ID is all that is left of it.
  }
}

/** @param {import("./types.js").Credential[]} credentials */
export function noteNames(credentials) {
  for (const { clientId, name } of credentials) (asked.add(clientId), (names.value[clientId] = name));
}

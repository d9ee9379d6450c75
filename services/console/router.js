// SPDX-License-Identifier: Apache-2.0
// Where one is: "#/credentials/ID?status=active". The fragment never holds a secret.
import { useEffect } from "preact/hooks";
import { Store } from "./store.js";

/** @typedef {{ path: string[], query: Record<string, string> }} Place */

/** @returns {Place} */
function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    path: path.split("/").filter(Boolean).map(decode),
    query: Object.fromEntries(new URLSearchParams(query ?? "")),
  };
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const place = new Store(read());
let question = ""; // of whoever has something unsaved; "": nobody

addEventListener("hashchange", ({ oldURL }) => {
  if (question && new URL(oldURL).hash !== location.hash) {
    if (!confirm(question)) return history.replaceState(null, "", new URL(oldURL).hash);
    question = "";
  }
  return place.update(read());
});

/** Going elsewhere in the page asks first. @param {string | false} asked the question, while there is one */
export function useStay(asked) {
  useEffect(() => {
    question = asked || "";
    return () => void (question = "");
  }, [asked]);
}

/**
 * @param {string[]} path
 * @param {Record<string, string | undefined>} [query] empty values are left out
 */
export function link(path, query = {}) {
  const search = new URLSearchParams(Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : [])));
  return "#/" + path.map(encodeURIComponent).join("/") + (search.size > 0 ? "?" + search : "");
}

/** Changes the query without a new entry in the history. @param {Record<string, string | undefined>} change */
export function refine(change) {
  const { path, query } = place.value;
  history.replaceState(null, "", link(path, { ...query, ...change }));
  place.update(read());
}

/** @param {string} to as link() gives it */
export function go(to) {
  location.hash = to;
}

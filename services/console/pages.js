// SPDX-License-Identifier: Apache-2.0
// Page by page through a list of the API. A page token is good for its filter only, so another filter begins anew. Coming
// back to a list shows the page that was left.
import { useState } from "preact/hooks";
import { withQuery } from "./api.js";
import { useLoad } from "./load.js";
import { call } from "./session.js";

/** @typedef {{ key: string, tokens: string[], total: number | undefined }} Page */
/** @type {Map<string, Page>} */
const left = new Map();
const LEFT_MOST = 20; // lists

/** @param {Page} page */
function remember(page) {
  left.delete(page.key);
  left.set(page.key, page);
  for (const key of left.keys()) if (left.size > LEFT_MOST) left.delete(key);
}

/**
 * @template T
 * @param {string} path
 * @param {Record<string, string | string[] | boolean | undefined>} query
 * @param {number} size
 * @param {(answer: any) => T[]} pick
 */
export function usePages(path, query, size, pick) {
  const key = JSON.stringify([path, query, size]);
  const [, redraw] = useState({});
  const at = left.get(key) ?? { key, tokens: [""], total: undefined };
  const { tokens } = at;
  const setAt = (/** @type {Page} */ page) => (remember(page), redraw({}));
  const address = withQuery(path, { ...query, pageSize: size, pageToken: tokens[tokens.length - 1] });
  const { data, error, isLoading, reload } = useLoad(address, (answer) => ({
    address,
    key,
    rows: pick(answer),
    next: String(answer.nextPageToken ?? ""),
    total: answer.totalSize === undefined ? undefined : Number(answer.totalSize),
  }));
  const isOther = !!data && data.address !== address; // the page that was there before, or another list
  // The first page says how many there are in all; it is kept for those after it.
  const total = tokens.length === 1 ? data?.total : at.total;
  return {
    rows: data?.rows,
    total,
    error,
    isLoading,
    reload,
    pager: {
      page: tokens.length - 1,
      size,
      shown: data?.rows.length ?? 0,
      total,
      hasNext: isOther ? data.key === key : !!data?.next,
      onPrevious: () => setAt({ key, tokens: tokens.slice(0, -1), total }),
      onNext: () => data && !isOther && setAt({ key, tokens: [...tokens, data.next], total }),
    },
  };
}

/**
 * All of a list, a page after the other.
 * @template T
 * @param {string} path
 * @param {Record<string, any>} query
 * @param {(answer: any) => T[]} pick
 */
export async function allPages(path, query, pick) {
  /** @type {T[]} */
  const rows = [];
  for (let pageToken = ""; ;) {
    const answer = await call("GET", withQuery(path, { ...query, pageSize: 1000, pageToken }));
    rows.push(...pick(answer));
    pageToken = answer.nextPageToken ?? "";
    if (!pageToken) return rows;
  }
}

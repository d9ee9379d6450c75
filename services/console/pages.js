// SPDX-License-Identifier: Apache-2.0
// Page by page through a list of the API. A page token is good for its filter only, so another filter begins anew.
import { useState } from "preact/hooks";
import { withQuery } from "./api.js";
import { useLoad } from "./load.js";

/**
 * @template T
 * @param {string} path
 * @param {Record<string, string | undefined>} query
 * @param {number} size
 * @param {(answer: any) => T[]} pick
 */
export function usePages(path, query, size, pick) {
  const key = JSON.stringify([path, query]);
  const [at, setAt] = useState({ key, tokens: [""], total: /** @type {number | undefined} */ (undefined) });
  const tokens = at.key === key ? at.tokens : [""];
  const { data, error, isLoading, reload } = useLoad(
    withQuery(path, { ...query, pageSize: size, pageToken: tokens[tokens.length - 1] }),
    (answer) => ({
      rows: pick(answer),
      next: String(answer.nextPageToken ?? ""),
      total: answer.totalSize === undefined ? undefined : Number(answer.totalSize),
    }),
  );
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
      hasNext: !!data?.next,
      onPrevious: () => setAt({ key, tokens: tokens.slice(0, -1), total }),
      onNext: () => data && setAt({ key, tokens: [...tokens, data.next], total }),
    },
  };
}

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
  const [at, setAt] = useState({ key, tokens: [""] });
  const tokens = at.key === key ? at.tokens : [""];
  const { data, error, isLoading, reload } = useLoad(
    withQuery(path, { ...query, pageSize: size, pageToken: tokens[tokens.length - 1] }),
    (answer) => ({
      rows: pick(answer),
      next: String(answer.nextPageToken ?? ""),
      total: answer.totalSize === undefined ? undefined : Number(answer.totalSize),
    }),
  );
  return {
    rows: data?.rows,
    total: data?.total,
    error,
    isLoading,
    reload,
    pager: {
      page: tokens.length - 1,
      size,
      shown: data?.rows.length ?? 0,
      total: data?.total,
      hasNext: !!data?.next,
      onPrevious: () => setAt({ key, tokens: tokens.slice(0, -1) }),
      onNext: () => data && setAt({ key, tokens: [...tokens, data.next] }),
    },
  };
}

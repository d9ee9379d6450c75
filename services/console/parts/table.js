// SPDX-License-Identifier: Apache-2.0
// A table that becomes cards where there is no room. The roles are said, for such a layout takes them away.
import { h } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Failed, Icon } from "./basic.js";
import { SelectField } from "./field.js";
/** @typedef {import("preact").ComponentChildren} Children */

/**
 * @template T
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: T) => Children} cell
 * @property {string} [sort] what the API calls it; "" for the one it sorts by itself
 * @property {string} [kind] a class
 * @property {() => Children} [head] instead of the title, which is still what it is called
 */

/**
 * (h() cannot tell the type of the rows from the columns; those who define columns say it.)
 * @param {{ label: string, columns: Column<any>[], rows: any[], rowKey: (row: any) => string, isLoading?: boolean,
 *   orderBy?: string, onSort?: (orderBy: string) => void }} props
 */
export function Table({ label, columns, rows, rowKey, isLoading, orderBy = "", onSort }) {
  return h(
    "table",
    { role: "table", "aria-label": label, "aria-busy": isLoading ? "true" : undefined },
    h(
      "thead",
      { role: "rowgroup" },
      h(
        "tr",
        { role: "row" },
        columns.map((column) => h(HeadCell, { key: column.title, column, orderBy, onSort })),
      ),
    ),
    h(
      "tbody",
      { role: "rowgroup" },
      rows.map((row) =>
        h(
          "tr",
          { role: "row", key: rowKey(row) },
          columns.map((column) =>
            h(
              "td",
              { role: "cell", key: column.title, class: column.kind, "data-label": column.title },
              h("div", null, column.cell(row)),
            ),
          ),
        ),
      ),
    ),
  );
}

/** @param {{ column: Column<any>, orderBy: string, onSort?: (orderBy: string) => void }} props */
function HeadCell({ column, orderBy, onSort }) {
  const { title, sort, kind, head } = column;
  if (sort === undefined || !onSort)
    return h("th", { role: "columnheader", scope: "col", class: kind }, head ? head() : title);
  const isDown = orderBy === `${sort} desc`;
  const isUp = orderBy === sort;
  return h(
    "th",
    {
      role: "columnheader",
      scope: "col",
      class: kind,
      "aria-sort": isUp ? "ascending" : isDown ? "descending" : undefined,
    },
    h(
      "button",
      { type: "button", class: "sort", onClick: () => onSort(isUp ? `${sort} desc` : sort) },
      title,
      h("span", { class: isUp ? "arrow up" : isDown ? "arrow down" : "arrow", "aria-hidden": "true" }),
    ),
  );
}

export const pageSizes = [25, 50, 100, 250];

/** Some grey lines where rows will be. @param {{ lines?: number }} props */
export const Skeleton = ({ lines = 5 }) =>
  h(
    "div",
    { class: "skeleton", role: "status" },
    h("span", { class: "hidden" }, "Loading…"),
    Array.from({ length: lines }, (_, index) => h("i", { key: index })),
  );

/**
 * @param {{ page: number, size: number, shown: number, total?: number, hasNext: boolean, onPrevious: () => void, onNext: () => void,
 *   onSize?: (size: number) => void }} props onSize: how many rows a page has can be chosen
 */
export function Pager({ page, size, shown, total, hasNext, onPrevious, onNext, onSize }) {
  const nav = useRef(/** @type {HTMLElement | null} */ (null));
  // Another page may be longer: the focus stays in sight.
  useEffect(() => {
    if (nav.current?.contains(document.activeElement)) document.activeElement?.scrollIntoView({ block: "nearest" });
  }, [page, shown]);
  if (page === 0 && !hasNext && (!onSize || shown <= pageSizes[0])) return null;
  const first = page * size + 1;
  const text = shown === 0 ? "" : `${first}–${first + shown - 1}${total === undefined ? "" : ` of ${total}`}`;
  return h(
    "nav",
    { ref: nav, class: "pager", "aria-label": "Pages" },
    h("span", { role: "status" }, text),
    h(
      "span",
      { class: "actions" },
      onSize &&
        h(SelectField, {
          label: "Rows per page",
          isHiddenLabel: true,
          value: String(size),
          onChange: (chosen) => onSize(Number(chosen)),
          options: pageSizes.map((one) => /** @type {[string, string]} */ ([String(one), `${one} rows`])),
        }),
      h(Turn, { isEnd: page === 0, onTurn: onPrevious }, "Previous"),
      h(Turn, { isEnd: !hasNext, onTurn: onNext }, "Next"),
    ),
  );
}

/** It keeps the focus at the end, where it does nothing. @param {{ isEnd: boolean, onTurn: () => void, children?: Children }} props */
const Turn = ({ isEnd, onTurn, children }) =>
  h(
    "button",
    {
      type: "button",
      class: "button small",
      "aria-disabled": isEnd ? "true" : undefined,
      onClick: isEnd ? undefined : onTurn,
    },
    children,
  );

/** Nothing there yet, and what to do about it. @param {{ icon: string, title: string, children?: Children }} props */
export const Empty = ({ icon, title, children }) =>
  h(
    "div",
    { class: "empty" },
    h("div", { class: "empty-icon" }, h(Icon, { name: icon })),
    h("h2", null, title),
    children,
  );

/**
 * A list of the API in each of its states: not there yet, not to be had, empty, there.
 * @param {{ list: { rows?: unknown[], error?: Error, reload: () => void, pager: Parameters<typeof Pager>[0] }, empty: Children,
 *   onSize?: (size: number) => void, children?: Children }} props
 */
export function Listing({ list: { rows, error, reload, pager }, empty, onSize, children }) {
  if (error && !rows) return h(Failed, { error, onRetry: reload });
  if (!rows) return h(Skeleton, null);
  if (rows.length === 0) return h("div", null, empty);
  return h("div", { class: "table-card" }, children, h(Pager, { ...pager, onSize }));
}

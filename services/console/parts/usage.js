// SPDX-License-Identifier: Apache-2.0
// "Better tracking of which APIs are accessed by third party applications": how often over time, and which. What is
// asked for is kept in the address.
import { h } from "preact";
import { useMemo } from "preact/hooks";
import { withQuery } from "../api.js";
import { saveCsv } from "../csv.js";
import { count } from "../format.js";
import { useLoad, useWork } from "../load.js";
import { allPages, usePages } from "../pages.js";
import { link, place, refine } from "../router.js";
import { useStore } from "../store.js";
import { Button, ErrorNotice, Time } from "./basic.js";
import { Chart } from "./chart.js";
import { CheckField, SelectField, TextField } from "./field.js";
import { Pager, Skeleton, Table } from "./table.js";
/** @typedef {import("../types.js").UsageRow} UsageRow */

const HOUR = 3600;
const DAY = 24 * HOUR;
/** @type {Record<string, { text: string, seconds: number }>} */
const ranges = {
  day: { text: "Last 24 hours", seconds: DAY },
  week: { text: "Last 7 days", seconds: 7 * DAY },
  month: { text: "Last 30 days", seconds: 30 * DAY },
  quarter: { text: "Last 90 days", seconds: 90 * DAY },
};

/** Midnight here. @param {string | undefined} day as an <input type="date"> has it @returns {number} seconds, or NaN */
const midnight = (day) => Date.parse(`${day}T00:00`) / 1000;

/** The period that the address names, in whole hours, so that the same question stays the same. @param {Record<string, string>} query */
function periodOf(query) {
  const from = midnight(query.from);
  const to = midnight(query.to) + DAY;
  const now = Math.floor(Date.now() / 1000);
  if (query.range === "custom" && from < to)
    return {
      name: "custom",
      text: `${query.from} to ${query.to}`,
      start: from,
      end: Math.min(to, now),
      isEnded: to < now,
    };
  const name = Object.hasOwn(ranges, query.range ?? "") ? query.range : "month";
  const { text, seconds } = ranges[name];
  return { name, text, start: Math.floor(now / HOUR) * HOUR - seconds, end: now, isEnded: false };
}

/** Steps without a use are zero, not missing. @param {UsageRow[]} rows @param {number} start @param {number} end @param {number} step */
function fill(rows, start, end, step) {
  const found = new Map(rows.map((row) => [Date.parse(row.startTime ?? "") / 1000, row]));
  const points = [];
  for (let time = start - (start % step); time <= end; time += step) {
    const row = found.get(time);
    const [allowed, denied, observed] = [row?.allowed, row?.denied, row?.observed].map((value) => Number(value ?? 0));
    points.push({ time, allowed, denied, observed });
  }
  return points;
}

/** Calls are all, the refused among them; as in the command. @param {{ allowed?: string | number, denied?: string | number }} row */
const callsOf = (row) => Number(row.allowed ?? 0) + Number(row.denied ?? 0);

/** @type {Record<string, string>} */
const orders = {
  "calls desc": "USAGE_ORDER_CALLS",
  "refused desc": "USAGE_ORDER_REFUSED",
  "observed desc": "USAGE_ORDER_OBSERVED",
  "last desc": "USAGE_ORDER_LAST_USE",
  name: "USAGE_ORDER_UNSPECIFIED",
};

/** @type {import("./table.js").Column<UsageRow>[]} */
const figures = [
  { title: "Calls", kind: "number", sort: "calls", cell: (row) => count(callsOf(row)) },
  {
    title: "Refused",
    kind: "number",
    sort: "refused",
    cell: (row) => (Number(row.denied ?? 0) > 0 ? h("span", { class: "bad-text" }, count(row.denied)) : "0"),
  },
  { title: "Last call", sort: "last", cell: (row) => h(Time, { at: row.lastUseTime, isRelative: true }) },
];
/** What is only observed would have refused so many. @type {import("./table.js").Column<UsageRow>} */
const observedFigure = {
  title: "Observed",
  kind: "number",
  sort: "observed",
  cell: (row) => count(row.observed ?? 0),
};
/** @type {import("./table.js").Column<UsageRow>} */
const apiColumn = {
  title: "API",
  kind: "main",
  cell: (row) => (row.api ? h("code", null, row.api) : h("span", { class: "faint" }, "(not named)")),
};
/** @type {import("./table.js").Column<UsageRow>} */
const whoColumn = {
  title: "Credential",
  cell: (row) => h("a", { href: link(["credentials", row.clientId ?? ""]) }, row.credentialName || row.clientId),
};

/** @type {Record<string, { groupBy?: string[], columns: import("./table.js").Column<UsageRow>[] }>} */
const groupings = {
  both: { columns: [apiColumn, whoColumn] },
  api: { groupBy: ["USAGE_GROUPING_API"], columns: [apiColumn] },
  credential: { groupBy: ["USAGE_GROUPING_CREDENTIAL"], columns: [whoColumn] },
};

const pick = (/** @type {any} */ answer) => /** @type {UsageRow[]} */ (answer.rows ?? []);

/** All of it, as a file. @param {{ query: Record<string, any> }} props */
function Download({ query }) {
  const { isBusy, error, run } = useWork();
  const save = () =>
    run(async () => {
      const rows = await allPages("v1/usage", query, pick);
      saveCsv("usage.csv", [
        ["client_id", "credential", "api", "calls", "refused", "observed", "first_call", "last_call"],
        ...rows.map((row) => [
          row.clientId,
          row.credentialName,
          row.api,
          callsOf(row),
          Number(row.denied ?? 0),
          Number(row.observed ?? 0),
          row.firstUseTime,
          row.lastUseTime,
        ]),
      ]);
    });
  return [h(Button, { onClick: save, isBusy }, "Download CSV"), h(ErrorNotice, { error })];
}

/** From one day to another, both whole. @param {{ query: Record<string, string> }} props */
function Days({ query }) {
  if (query.range !== "custom") return null;
  const isWrong = !(midnight(query.from) <= midnight(query.to));
  return [
    h(TextField, { label: "From", type: "date", value: query.from ?? "", onInput: (from) => refine({ from }) }),
    h(TextField, { label: "To", type: "date", value: query.to ?? "", onInput: (to) => refine({ to }) }),
    isWrong &&
      h(
        "p",
        { class: "hint", role: "status" },
        "Choose two days, the earlier one first. Until then: the last 30 days.",
      ),
  ];
}

/** @param {{ query: Record<string, string>, clientId?: string }} props */
function Choices({ query, clientId }) {
  /** @type {[string, string][]} */
  const periods = Object.entries(ranges).map(([key, one]) => [key, one.text]);
  return h(
    "div",
    { class: "filters" },
    h(SelectField, {
      label: "Period",
      isHiddenLabel: true,
      value: query.range || "month",
      onChange: (range) => refine({ range: range === "month" ? "" : range }),
      options: [...periods, ["custom", "From … to …"]],
    }),
    h(Days, { query }),
    !clientId &&
      h(SelectField, {
        label: "Group by",
        isHiddenLabel: true,
        kind: "wide",
        value: query.by || "both",
        onChange: (by) => refine({ by: by === "both" ? "" : by }),
        options: [
          ["both", "By API and credential"],
          ["api", "By API"],
          ["credential", "By credential"],
        ],
      }),
    h(CheckField, {
      label: "Include Gatehouse's own calls",
      value: query.internal === "1",
      onChange: (is) => refine({ internal: is ? "1" : "" }),
    }),
  );
}

/** @param {{ clientId?: string, contains?: string }} props none: of all */
export function UsagePanel({ clientId, contains }) {
  const { query } = useStore(place);
  const period = useMemo(() => periodOf(query), [query.range, query.from, query.to]);
  const { text, start, end, isEnded } = period;
  const step = end - start <= 2 * DAY ? HOUR : DAY;
  const { groupBy, columns } = clientId
    ? { groupBy: undefined, columns: [apiColumn] }
    : (groupings[query.by ?? ""] ?? groupings.both);
  const orderBy = Object.hasOwn(orders, query.order ?? "") ? query.order : "calls desc";
  const asked = {
    clientId,
    apiContains: contains,
    includeInternal: query.internal === "1",
    startTime: new Date(start * 1000).toISOString(),
    endTime: isEnded ? new Date(end * 1000).toISOString() : undefined,
  };
  const chart = useLoad(
    withQuery("v1/usage", {
      ...asked,
      groupBy: step === HOUR ? "USAGE_GROUPING_HOUR" : "USAGE_GROUPING_DAY",
      pageSize: 1000,
    }),
    (answer) => fill(answer.rows ?? [], start, end, step),
  );
  const tableQuery = { ...asked, groupBy, order: orders[orderBy] };
  const table = usePages("v1/usage", tableQuery, 20, pick);
  const calls = (chart.data ?? []).reduce((sum, point) => sum + callsOf(point), 0);
  const refused = (chart.data ?? []).reduce((sum, point) => sum + point.denied, 0);
  const observed = (chart.data ?? []).reduce((sum, point) => sum + point.observed, 0);
  return h(
    "div",
    { class: "usage" },
    h(Choices, { query, clientId }),
    h(
      "div",
      { class: "usage-head" },
      h(
        "div",
        { class: "figures", role: "status" },
        h("div", null, h("strong", null, count(calls)), h("span", null, "calls")),
        h("div", null, h("strong", null, count(refused)), h("span", null, "of them refused")),
        observed > 0 &&
          h(
            "div",
            null,
            h("strong", null, count(observed)),
            h("span", null, "would be refused by what is only observed"),
          ),
      ),
      h("div", { class: "usage-actions" }, h(Download, { query: tableQuery })),
    ),
    h(ErrorNotice, { error: chart.error ?? table.error }),
    chart.data &&
      h(Chart, {
        points: chart.data,
        label: `${text}: ${count(calls)} calls, ${count(refused)} refused. The table has the numbers.`,
      }),
    !table.rows
      ? h(Skeleton, { lines: 3 })
      : table.rows.length === 0
        ? h("p", { class: "faint" }, "No calls in this period.")
        : [
            h(Table, {
              label: "Calls by API",
              rows: table.rows,
              isLoading: table.isLoading,
              columns: observed > 0 ? [...columns, ...figures, observedFigure] : [...columns, ...figures],
              rowKey: (row) => `${row.clientId} ${row.api}`,
              orderBy,
              onSort: (order) => refine({ order: order.endsWith(" desc") ? order : `${order} desc` }),
            }),
            h(Pager, table.pager),
          ],
  );
}

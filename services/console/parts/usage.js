// SPDX-License-Identifier: Apache-2.0
// "Better tracking of which APIs are accessed by third party applications": how often over time, and which.
import { h } from "preact";
import { useMemo, useState } from "preact/hooks";
import { withQuery } from "../api.js";
import { count } from "../format.js";
import { useLoad } from "../load.js";
import { usePages } from "../pages.js";
import { link } from "../router.js";
import { ErrorNotice, Time } from "./basic.js";
import { Chart } from "./chart.js";
import { SelectField } from "./field.js";
import { Pager, Skeleton, Table } from "./table.js";
/** @typedef {import("../types.js").UsageRow} UsageRow */

const HOUR = 3600;
/** @type {Record<string, { text: string, seconds: number, step: number, grouping: string }>} */
const ranges = {
  day: { text: "Last 24 hours", seconds: 24 * HOUR, step: HOUR, grouping: "USAGE_GROUPING_HOUR" },
  week: { text: "Last 7 days", seconds: 7 * 24 * HOUR, step: 24 * HOUR, grouping: "USAGE_GROUPING_DAY" },
  month: { text: "Last 30 days", seconds: 30 * 24 * HOUR, step: 24 * HOUR, grouping: "USAGE_GROUPING_DAY" },
  quarter: { text: "Last 90 days", seconds: 90 * 24 * HOUR, step: 24 * HOUR, grouping: "USAGE_GROUPING_DAY" },
};

/** Steps without a use are zero, not missing. @param {UsageRow[]} rows @param {number} start @param {number} step */
function fill(rows, start, step) {
  const found = new Map(rows.map((row) => [Date.parse(row.startTime ?? "") / 1000, row]));
  const points = [];
  for (let time = start - (start % step); time <= Date.now() / 1000; time += step) {
    const row = found.get(time);
    points.push({ time, allowed: Number(row?.allowed ?? 0), denied: Number(row?.denied ?? 0) });
  }
  return points;
}

/** @type {import("./table.js").Column<UsageRow>[]} */
const figures = [
  { title: "Calls", kind: "number", cell: (row) => count(row.allowed) },
  {
    title: "Refused",
    kind: "number",
    cell: (row) => (Number(row.denied ?? 0) > 0 ? h("span", { class: "bad-text" }, count(row.denied)) : "0"),
  },
  { title: "Last call", cell: (row) => h(Time, { at: row.lastUseTime, isRelative: true }) },
];
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

/** @param {{ clientId?: string, api?: string }} props none: of all */
export function UsagePanel({ clientId, api }) {
  const [range, setRange] = useState("month");
  const { text, seconds, step, grouping } = ranges[range];
  // To the hour, so that the same question stays the same.
  const start = useMemo(() => Math.floor(Date.now() / 1000 / HOUR) * HOUR - seconds, [range]);
  const query = { clientId, api, startTime: new Date(start * 1000).toISOString() };
  const chart = useLoad(withQuery("v1/usage", { ...query, groupBy: grouping, pageSize: 1000 }), (answer) =>
    fill(answer.rows ?? [], start, step),
  );
  const table = usePages(
    "v1/usage",
    { ...query, orderByUses: "true" },
    20,
    (answer) => /** @type {UsageRow[]} */ (answer.rows ?? []),
  );
  const calls = (chart.data ?? []).reduce((sum, point) => sum + point.allowed, 0);
  const refused = (chart.data ?? []).reduce((sum, point) => sum + point.denied, 0);
  const error = chart.error ?? table.error;
  return h(
    "div",
    { class: "usage" },
    h(
      "div",
      { class: "usage-head" },
      h(
        "div",
        { class: "figures", role: "status" },
        h("div", null, h("strong", null, count(calls)), h("span", null, "calls")),
        h("div", null, h("strong", null, count(refused)), h("span", null, "refused for a missing role")),
      ),
      h(SelectField, {
        label: "Period",
        isHiddenLabel: true,
        value: range,
        onChange: setRange,
        options: Object.entries(ranges).map(([key, one]) => /** @type {[string, string]} */ ([key, one.text])),
      }),
    ),
    h(ErrorNotice, { error }),
    chart.data &&
      h(Chart, {
        points: chart.data,
        label: `${text}: ${count(calls)} calls, ${count(refused)} refused. The table has the numbers.`,
      }),
    !table.rows
      ? h(Skeleton, { lines: 3 })
      : table.rows.length === 0
        ? h("p", { class: "faint" }, "No call in this period.")
        : [
            h(Table, {
              label: "Calls by API",
              rows: table.rows,
              isLoading: table.isLoading,
              columns: clientId ? [apiColumn, ...figures] : [apiColumn, whoColumn, ...figures],
              rowKey: (row) => `${row.clientId} ${row.api}`,
            }),
            h(Pager, table.pager),
          ],
  );
}

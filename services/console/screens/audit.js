// SPDX-License-Identifier: Apache-2.0
// Who did what, to what, when, from where, and how it ended.
import { h } from "preact";
import { useState } from "preact/hooks";
import { quoted } from "../api.js";
import { count, fromInput, isClientId, plural } from "../format.js";
import { useWork } from "../load.js";
import { usePages } from "../pages.js";
import { Actor, Button, ErrorNotice, Failed, Heading, Notice, Time } from "../parts/basic.js";
import { Field, SelectField } from "../parts/field.js";
import { Empty, Pager, Skeleton, Table } from "../parts/table.js";
import { place, refine } from "../router.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { Search } from "./credentials.js";
/** @typedef {import("../types.js").AuditEvent} AuditEvent */

const actions = [
  "CreateCredential",
  "UpdateCredential",
  "DeleteCredential",
  "UndeleteCredential",
  "RegenerateSecret",
  "EndSecret",
  "GrantRoles",
  "RevokeRoles",
  "EndToken",
  "EndTokens",
  "SetUserRoles",
  "DeleteUser",
  "CreateRole",
  "UpdateRole",
  "UpdateSettings",
  "Revoke",
  "TokenRefused",
  "CallerRefused",
];
/** "CreateCredential" to "Create credential". @param {string} action */
const inWords = (action) => action.replace(/(?<=[a-z])[A-Z]/g, (letter) => " " + letter.toLowerCase());

/** @param {{ event: AuditEvent }} props */
function Outcome({ event }) {
  if (event.outcome === "OK") return h("span", { class: "badge good" }, "OK");
  return h("span", { class: "badge bad" }, (event.outcome ?? "").toLowerCase().replaceAll("_", " "));
}

/** @param {{ events: AuditEvent[], isShort?: boolean, isLoading?: boolean }} props */
export function EventTable({ events, isShort, isLoading }) {
  /** @type {import("../parts/table.js").Column<AuditEvent>[]} */
  const columns = [
    { title: "When", cell: (row) => h(Time, { at: row.eventTime }) },
    {
      title: "What",
      kind: "main",
      cell: (row) =>
        h(
          "div",
          { class: "name" },
          h("strong", null, inWords(row.action)),
          row.detail && h("span", { class: "hint" }, row.detail),
        ),
    },
    { title: "By", cell: (row) => h(Actor, { id: row.actor }) },
    {
      title: "On",
      cell: (row) =>
        row.subject && isClientId(row.subject)
          ? h(Actor, { id: row.subject })
          : h(
              "span",
              { class: "wrap" },
              (row.subject ?? "").length > 40 ? row.subject?.slice(0, 12) + "…" : row.subject || "–",
            ),
    },
    { title: "From", cell: (row) => h("span", { class: "mono" }, row.peer || "–") },
    { title: "Outcome", cell: (row) => h(Outcome, { event: row }) },
  ];
  return h(Table, {
    label: "Events",
    columns: columns.filter(({ title }) => !isShort || title !== "On"),
    rows: events,
    rowKey: (row) => row.sequence,
    isLoading,
  });
}

/** @param {Record<string, string>} query of the address */
function filterOf({ q, action, subject, actor, outcome, since, until }) {
  const terms = [];
  if (q) terms.push(`detail:${quoted(q)}`);
  if (action) terms.push(`action=${action}`);
  if (subject) terms.push(`subject=${quoted(subject)}`);
  if (actor) terms.push(`actor=${quoted(actor)}`);
  if (outcome) terms.push(`outcome=${outcome}`);
  const from = fromInput(since ?? "", false);
  const to = fromInput(until ?? "", false);
  if (from) terms.push(`time>${from.toISOString()}`);
  if (to) terms.push(`time<${to.toISOString()}`);
  return terms.join(" AND ");
}

/** @param {{ label: string, name: string, value?: string }} props */
const Moment = ({ label, name, value = "" }) =>
  h(Field, {
    label,
    children: (attributes) =>
      h("input", {
        ...attributes,
        type: "datetime-local",
        value,
        onChange: (/** @type {Event} */ event) =>
          refine({ [name]: /** @type {HTMLInputElement} */ (event.currentTarget).value }),
      }),
  });

export function AuditScreen() {
  const { query } = useStore(place);
  const filter = filterOf(query);
  const { rows, error, isLoading, reload, pager } = usePages(
    "v1/audit",
    { filter },
    50,
    (answer) => /** @type {AuditEvent[]} */ (answer.events ?? []),
  );
  /** @param {string} name @param {string} label */
  const text = (name, label) =>
    h(
      "div",
      null,
      h("span", { class: "small-label", "aria-hidden": "true" }, label),
      h(Search, { label, placeholder: "", value: query[name] ?? "", onChange: (value) => refine({ [name]: value }) }),
    );
  return h(
    "div",
    { class: "screen" },
    h(
      Heading,
      {
        title: "Audit log",
        lead: "Every administrative act and every security event. No secret and no token is in it.",
      },
      h(Verify, null),
    ),
    h(
      "div",
      { class: "filters tall", role: "search" },
      text("q", "Details contain"),
      h(SelectField, {
        label: "What",
        value: query.action ?? "",
        onChange: (action) => refine({ action }),
        options: [
          ["", "Anything"],
          ...actions.map((action) => /** @type {[string, string]} */ ([action, inWords(action)])),
        ],
      }),
      text("actor", "By (client ID)"),
      text("subject", "On (client ID, user, role)"),
      h(SelectField, {
        label: "Outcome",
        value: query.outcome ?? "",
        onChange: (outcome) => refine({ outcome }),
        options: [
          ["", "Any"],
          ["OK", "OK"],
          ["UNAUTHENTICATED", "Unauthenticated"],
          ["PERMISSION_DENIED", "Permission denied"],
          ["INVALID_ARGUMENT", "Invalid argument"],
          ["ABORTED", "Aborted"],
          ["FAILED_PRECONDITION", "Failed precondition"],
        ],
      }),
      h(Moment, { label: "Since", name: "since", value: query.since }),
      h(Moment, { label: "Until", name: "until", value: query.until }),
    ),
    error && !rows
      ? h(Failed, { error, onRetry: reload })
      : !rows
        ? h(Skeleton, null)
        : rows.length === 0
          ? h(Empty, { icon: "search", title: "No event fits this search" })
          : h("div", { class: "table-card" }, h(EventTable, { events: rows, isLoading }), h(Pager, pager)),
  );
}

/** Has anybody altered the log? */
function Verify() {
  const { isBusy, error, run } = useWork();
  const [result, setResult] = useState(/** @type {any} */ (undefined));
  return h(
    "div",
    { class: "verify" },
    h(
      Button,
      { icon: "check", isBusy, onClick: () => run(async () => setResult(await call("GET", "v1/audit:verify"))) },
      "Verify",
    ),
    h(ErrorNotice, { error }),
    result &&
      h(
        Notice,
        { kind: result.intact ? "info" : "bad" },
        result.intact
          ? `Intact: all ${plural(result.eventsChecked, "event")} fit together.`
          : `Altered: the log does not fit together from event ${count(result.firstBrokenSequence)} on.`,
      ),
  );
}

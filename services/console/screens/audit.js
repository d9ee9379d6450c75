// SPDX-License-Identifier: Apache-2.0
// Who did what, to what, when, from where, and how it ended.
import { h } from "preact";
import { useState } from "preact/hooks";
import { quoted, withQuery } from "../api.js";
import { changesIn, count, fromInput, isClientId, plural } from "../format.js";
import { useWork } from "../load.js";
import { usePages } from "../pages.js";
import { Actor, Button, ErrorNotice, Heading, Notice, Time } from "../parts/basic.js";
import { Field, SelectField } from "../parts/field.js";
import { Empty, Listing, Table } from "../parts/table.js";
import { place, refine } from "../router.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { Search } from "./credentials.js";
/** @typedef {import("../types.js").AuditEvent} AuditEvent */

/** "CreateCredential" to "Create credential". @param {string} action */
const inWords = (action) => action.replace(/(?<=[a-z])[A-Z]/g, (letter) => " " + letter.toLowerCase());

/** @type {[string, string][]} */
const actions = [
  ["", "Anything"],
  ...[
    "CreateCredential",
    "UpdateCredential",
    "DeleteCredential",
    "UndeleteCredential",
    "RegenerateSecret",
    "SuspendCredential",
    "ResumeCredential",
    "SuspensionAnnounced",
    "LimitObserved",
    "SourceAddressObserved",
    "SourceAddressRefused",
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
    "TrimAuditLog",
    "Revoke",
    "SignIn",
    "ClientRefused",
    "CallerRefused",
    "CredentialExpires",
    "SecretKeyEnds",
  ].map((action) => /** @type {[string, string]} */ ([action, inWords(action)])),
];
/** @type {[string, string][]} */
const outcomes = [
  ["", "Any"],
  ["OK", "OK"],
  ["UNAUTHENTICATED", "Unauthenticated"],
  ["PERMISSION_DENIED", "Permission denied"],
  ["INVALID_ARGUMENT", "Invalid argument"],
  ["ABORTED", "Aborted"],
  ["FAILED_PRECONDITION", "Failed precondition"],
];

/** @param {{ text: string }} props */
function Detail({ text }) {
  const { changes, rest } = changesIn(text);
  return h(
    "span",
    { class: "hint detail" },
    changes.map(({ what, before, after }) =>
      h(
        "span",
        { key: what },
        `${what}: `,
        h("del", null, before),
        h("span", { class: "hidden" }, " became "),
        h("span", { "aria-hidden": "true" }, " → "),
        h("ins", null, after),
      ),
    ),
    rest && h("span", { key: "rest" }, rest),
  );
}

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
          row.detail && h(Detail, { text: row.detail }),
        ),
    },
    { title: "By", kind: "person", cell: (row) => h(Actor, { id: row.actor, name: row.actorName }) },
    {
      title: "On",
      kind: "person",
      cell: (row) =>
        row.subject && isClientId(row.subject)
          ? h(Actor, { id: row.subject, name: row.subjectName })
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
  if (subject) terms.push(`subject${isClientId(subject) ? "=" : ":"}${quoted(subject)}`);
  if (actor) terms.push(`actor${isClientId(actor) ? "=" : ":"}${quoted(actor)}`);
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

/** @param {{ label: string, name: string, value?: string }} props */
const Text = ({ label, name, value = "" }) =>
  h(
    "div",
    null,
    h("span", { class: "small-label", "aria-hidden": "true" }, label),
    h(Search, { label, placeholder: "", value, onChange: (text) => refine({ [name]: text }) }),
  );

/** @param {{ label: string, name: string, value?: string, options: [string, string][] }} props */
const Choice = ({ label, name, value = "", options }) =>
  h(SelectField, { label, value, onChange: (chosen) => refine({ [name]: chosen }), options });

/** @param {{ query: Record<string, string> }} props */
const Filters = ({ query }) =>
  h(
    "div",
    { class: "filters tall", role: "search" },
    h(Text, { label: "Details contain", name: "q", value: query.q }),
    h(Choice, { label: "What", name: "action", value: query.action, options: actions }),
    h(Text, { label: "By (name or ID)", name: "actor", value: query.actor }),
    h(Text, { label: "On (name or ID)", name: "subject", value: query.subject }),
    h(Choice, { label: "Outcome", name: "outcome", value: query.outcome, options: outcomes }),
    h(Moment, { label: "Since", name: "since", value: query.since }),
    h(Moment, { label: "Until", name: "until", value: query.until }),
  );

const pick = (/** @type {any} */ answer) => /** @type {AuditEvent[]} */ (answer.events ?? []);
const lead = "Every administrative act and every security event. It contains no secrets and no tokens.";

export function AuditScreen() {
  const { query } = useStore(place);
  const list = usePages("v1/audit", { filter: filterOf(query) }, 50, pick);
  return h(
    "div",
    { class: "screen" },
    h(Heading, { title: "Audit log", lead }, h(Verify, null)),
    h(Filters, { query }),
    h(
      Listing,
      { list, empty: h(Empty, { icon: "search", title: "No events match this search" }) },
      h(EventTable, { events: list.rows ?? [], isLoading: list.isLoading }),
    ),
  );
}

/**
 * Part by part: a long log is checked while others ask for other things, and one sees how far it is.
 * @param {(text: string) => void} say
 */
async function verify(say) {
  let checked = 0;
  let pageToken = "";
  for (;;) {
    const part = await call("GET", withQuery("v1/audit:verify", { pageSize: 100000, pageToken }));
    checked += Number(part.eventsChecked);
    pageToken = String(part.nextPageToken ?? "");
    if (!pageToken) return { ...part, eventsChecked: String(checked) };
    say(`${count(checked)} of ${count(part.totalSize)}`);
  }
}

/** Has anybody altered the log? */
function Verify() {
  const { isBusy, error, run } = useWork();
  const [progress, say] = useState("");
  const [result, setResult] = useState(/** @type {any} */ (undefined));
  return h(
    "div",
    { class: "verify" },
    h(Button, { icon: "check", isBusy, onClick: () => run(async () => setResult(await verify(say))) }, "Verify"),
    isBusy && progress,
    h(ErrorNotice, { error }),
    !isBusy &&
      result &&
      h(
        Notice,
        { kind: result.intact ? "info" : "bad" },
        result.intact
          ? `Verified: all ${plural(result.eventsChecked, "event")} are intact${Number(result.firstSequence) > 1 ? `, from event ${count(result.firstSequence)} on` : ""}.`
          : `Altered: the log is not intact from event ${count(result.firstBrokenSequence)} on.`,
      ),
  );
}

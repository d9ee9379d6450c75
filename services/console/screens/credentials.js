// SPDX-License-Identifier: Apache-2.0
// "A list of any existing Application Credentials, the roles it includes and the expiry date."
import { h } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { quoted } from "../api.js";
import { saveCsv } from "../csv.js";
import { BulkBar } from "../dialogs/bulk.js";
import { CreateDialog } from "../dialogs/create.js";
import { isClientId, plural } from "../format.js";
import { linesOf } from "../labels.js";
import { limitWords, networkWords } from "../limits.js";
import { catalogue, noteNames, useWork } from "../load.js";
import { grantedRoles } from "../merge.js";
import { allPages, usePages } from "../pages.js";
import { Button, ErrorNotice, Expiry, Heading, RoleChips, StatusBadge, Time } from "../parts/basic.js";
import { SelectField, TextField } from "../parts/field.js";
import { Empty, Listing, pageSizes, Table } from "../parts/table.js";
import { link, place, refine } from "../router.js";
import { may } from "../session.js";
import { useStore } from "../store.js";
/** @typedef {import("../types.js").Credential} Credential */

const SOON = 30 * 86_400_000;

/** @param {Record<string, string>} query of the address */
function filterOf({ q, by, status, role }) {
  const terms = [];
  if (q) terms.push(searchOf(q.trim(), by));
  if (status === "soon") terms.push("status=active", `expires<${new Date(Date.now() + SOON).toISOString()}`);
  else if (status) terms.push(`status=${status}`);
  if (role) terms.push(`role=${role}`);
  return terms.join(" AND ");
}

/** "team" finds what has this label, "team=payments" what has it with this value. @param {string} text @param {string} [by] */
function searchOf(text, by) {
  const [, key, is, value] = /^([a-z0-9][a-z0-9._/-]*)(=?)(.*)$/s.exec(text) ?? [];
  if (by === "contact") return `contact:${quoted(text)}`;
  if (by === "label") return key && (is || !value) ? `labels.${key}${is || ":"}${quoted(value)}` : "client_id=none";
  return isClientId(text) ? `client_id=${text}` : `name:${quoted(text)}`;
}

/** How the list was left, and by which row: coming back shows it so. @type {{ query: Record<string, string>, clientId: string }} */
export const left = { query: {}, clientId: "" };

/** @type {import("../parts/table.js").Column<Credential>[]} */
const columns = [
  {
    title: "Name",
    sort: "name",
    kind: "main",
    cell: (row) =>
      h(
        "div",
        { class: "name" },
        h("a", { href: link(["credentials", row.clientId]), onClick: () => (left.clientId = row.clientId) }, row.name),
        h("span", { class: "mono faint" }, row.clientId),
        row.owner && h("span", { class: "owner-line hint" }, `Owner: ${row.owner}`),
      ),
  },
  { title: "Roles", cell: (row) => h(RoleChips, { roles: row.roles ?? [], most: 3 }) },
  {
    title: "Owner",
    kind: "owner",
    cell: (row) => (row.owner ? h("a", { href: link(["users", row.owner]) }, row.owner) : "–"),
  },
  { title: "Expires", sort: "expire_time", cell: (row) => h(Expiry, { at: row.expireTime }) },
  { title: "Status", cell: (row) => h(StatusBadge, { credential: row }) },
  {
    title: "Last used",
    sort: "last_use_time",
    cell: (row) => h(Time, { at: row.lastUseTime, none: "Never", isRelative: true }),
  },
];

const pick = (/** @type {any} */ answer) => /** @type {Credential[]} */ (answer.credentials ?? []);
const lead = "Each gives one third-party system its own client ID, secret key and roles.";

export function CredentialsScreen() {
  const { query } = useStore(place);
  const [isCreating, setCreating] = useState(false);
  const filter = useMemo(() => filterOf(query), [query.q, query.by, query.status, query.role]); // of one moment
  const sort = query.sort || (query.status === "soon" ? "expire_time" : "name");
  const size = pageSizes.find((one) => String(one) === query.size) ?? pageSizes[0];
  const list = usePages("v1/credentials", { filter, orderBy: sort }, size, pick);
  const { rows = [], total, isLoading, reload } = list;
  const choice = useChoice(filter);
  useEffect(() => noteNames(rows), [rows]);
  useEffect(() => void (left.query = query), [query]);
  useEffect(() => {
    if (!left.clientId || rows.length === 0) return;
    const row = document.querySelector(`main td a[href$="/${left.clientId}"]`);
    left.clientId = "";
    if (row instanceof HTMLElement) row.focus();
  }, [rows]);
  const create = () => setCreating(true);
  return h(
    "div",
    { class: "screen" },
    h(
      Heading,
      { title: "Application credentials", lead },
      h(SaveList, { filter, sort, isDisabled: rows.length === 0 }),
      may("user_manager") && h(Button, { kind: "primary", icon: "plus", onClick: create }, "New credential"),
    ),
    h(Filters, { query, total }),
    choice.chosen.size > 0 &&
      h(BulkBar, {
        chosen: [...choice.chosen.values()],
        onClear: choice.clear,
        onDone: (done) => (choice.drop(done), reload()),
      }),
    h(
      Listing,
      {
        list,
        empty: h(Nothing, { isFiltered: filter !== "", onCreate: create }),
        onSize: (size) => refine({ size: size === pageSizes[0] ? "" : String(size) }),
      },
      h(Table, {
        label: "Application credentials",
        columns: may("key_manager") ? [choice.column(rows), ...columns] : columns,
        rows,
        rowKey: (row) => row.clientId,
        isLoading,
        orderBy: sort,
        onSort: (sort) => refine({ sort }),
      }),
    ),
    isCreating && h(CreateDialog, { onClose: () => setCreating(false), onCreated: reload }),
  );
}

/** Where to look, and what is to be written. @type {[string, string, string][]} */
const searches = [
  ["", "By name or ID", "Name or client ID"],
  ["contact", "By contact", "Part of a contact"],
  ["label", "By label", "team=payments, or team"],
];

/** @type {[string, string][]} */
const statuses = [
  ["", "Not deleted"],
  ["active", "Active"],
  ["soon", "Expires within 30 days"],
  ["expired", "Expired"],
  ["suspended", "Suspended"],
  ["deleted", "Deleted"],
  ["any", "All"],
];

/** Which are chosen, on whatever page; of another filter, none. @param {string} filter */
function useChoice(filter) {
  const [chosen, setChosen] = useState(/** @type {Map<string, Credential>} */ (new Map()));
  useEffect(() => setChosen(new Map()), [filter]);
  /** @param {Credential[]} some @param {boolean} isChosen */
  function set(some, isChosen) {
    const next = new Map(chosen);
    for (const one of some) isChosen ? next.set(one.clientId, one) : next.delete(one.clientId);
    setChosen(next);
  }
  /** @param {string} label @param {Credential[]} some */
  const box = (label, some) =>
    h("input", {
      type: "checkbox",
      "aria-label": label,
      checked: some.length > 0 && some.every((one) => chosen.has(one.clientId)),
      onChange: (/** @type {Event} */ event) =>
        set(some, /** @type {HTMLInputElement} */ (event.currentTarget).checked),
    });
  return {
    chosen,
    clear: () => setChosen(new Map()),
    drop: (/** @type {Credential[]} */ some) => set(some, false),
    /** @param {Credential[]} rows @returns {import("../parts/table.js").Column<Credential>} */
    column: (rows) => ({
      title: "Selected",
      kind: "choose",
      head: () => box("Select all on this page", rows),
      cell: (row) => box(`Select ${row.name}`, [row]),
    }),
  };
}

const titles =
  "client_id,name,status,owner,contact,labels,granted_roles,effective_roles,limits,networks,expires,last_used,last_used_from,created,created_by".split(
    ",",
  );
/** @param {Credential} row */
const lineOf = (row) => [
  row.clientId,
  row.name,
  row.status.replace("CREDENTIAL_STATUS_", "").toLowerCase(),
  row.owner,
  row.contact,
  linesOf(row.labels).replaceAll("\n", "; "),
  grantedRoles(row).join(" "),
  (row.effectiveRoles ?? []).join(" "),
  limitWords(row.limits ?? {})
    .map(({ text }) => text)
    .join("; "),
  networkWords(row.addresses ?? {}).join("; "),
  row.expireTime ?? "never",
  row.lastUseTime,
  row.lastUseFrom,
  row.createTime,
  row.createdBy,
];

/** All pages of the list as it is filtered and sorted. @param {{ filter: string, sort: string, isDisabled: boolean }} props */
function SaveList({ filter, sort, isDisabled }) {
  const { isBusy, error, run } = useWork();
  const save = () =>
    run(async () => {
      const rows = await allPages("v1/credentials", { filter, orderBy: sort }, pick);
      saveCsv("credentials.csv", [titles, ...rows.map(lineOf)]);
    });
  return [
    h(ErrorNotice, { key: "error", error }),
    h(Button, { key: "save", isBusy, isDisabled, onClick: save }, "Download CSV"),
  ];
}

/** @param {{ query: Record<string, string>, total?: number }} props */
function Filters({ query, total }) {
  return h(
    "div",
    { class: "filters", role: "search" },
    h(Search, {
      value: query.q ?? "",
      label: "Search",
      placeholder: searches.find(([by]) => by === (query.by ?? ""))?.[2] ?? "",
      onChange: (q) => refine({ q }),
    }),
    h(SelectField, {
      label: "Search by",
      isHiddenLabel: true,
      value: query.by ?? "",
      onChange: (by) => refine({ by }),
      options: searches.map(([by, text]) => /** @type {[string, string]} */ ([by, text])),
    }),
    h(SelectField, {
      label: "Status",
      isHiddenLabel: true,
      value: query.status ?? "",
      onChange: (status) => refine({ status }),
      options: statuses,
    }),
    h(RoleFilter, { value: query.role }),
    total !== undefined && h("span", { class: "total", role: "status" }, plural(total, "credential")),
  );
}

/** @param {{ value?: string }} props */
export function RoleFilter({ value = "" }) {
  const { roles } = useStore(catalogue);
  /** @type {[string, string][]} */
  const options = roles.map((role) => [role.roleId, role.name]);
  const onChange = (/** @type {string} */ role) => refine({ role });
  return h(SelectField, {
    label: "Role",
    isHiddenLabel: true,
    value,
    onChange,
    options: [["", "Any role"], ...options],
  });
}

/** @param {{ isFiltered: boolean, onCreate: () => void }} props */
function Nothing({ isFiltered, onCreate }) {
  if (isFiltered)
    return h(
      Empty,
      { icon: "search", title: "Nothing matches" },
      h("p", null, "No credentials match this search."),
      h(Button, { onClick: () => refine({ q: "", by: "", status: "", role: "" }) }, "Show all"),
    );
  return h(
    Empty,
    { icon: "key", title: "No credentials yet" },
    h("p", null, "Create one for each third-party system that is to call your APIs."),
    may("user_manager") && h(Button, { kind: "primary", icon: "plus", onClick: onCreate }, "New credential"),
  );
}

/** Asks a moment after the last key. @param {{ label: string, value: string, placeholder: string, onChange: (text: string) => void }} props */
export function Search({ label, value, placeholder, onChange }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onChange(text), 250);
    return () => clearTimeout(timer);
  }, [text]);
  return h(
    "div",
    { class: "search" },
    h(TextField, { label, isHiddenLabel: true, value: text, onInput: setText, placeholder, type: "search" }),
  );
}

// SPDX-License-Identifier: Apache-2.0
// "A list of any existing Application Credentials, the roles it includes and the expiry date."
import { h } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { quoted } from "../api.js";
import { CreateDialog } from "../dialogs/create.js";
import { isClientId, plural } from "../format.js";
import { catalogue, noteNames } from "../load.js";
import { usePages } from "../pages.js";
import { Button, Expiry, Heading, RoleChips, StatusBadge, Time } from "../parts/basic.js";
import { SelectField, TextField } from "../parts/field.js";
import { Empty, Listing, Table } from "../parts/table.js";
import { link, place, refine } from "../router.js";
import { may } from "../session.js";
import { useStore } from "../store.js";
/** @typedef {import("../types.js").Credential} Credential */

const SOON = 30 * 86_400_000;

/** @param {Record<string, string>} query of the address */
function filterOf({ q, status, role }) {
  const terms = [];
  if (q) terms.push(isClientId(q.trim()) ? `client_id=${q.trim()}` : `name:${quoted(q)}`);
  if (status === "soon") terms.push("status=active", `expires<${new Date(Date.now() + SOON).toISOString()}`);
  else if (status) terms.push(`status=${status}`);
  if (role) terms.push(`role=${role}`);
  return terms.join(" AND ");
}

/** How the list was left, and by which row: who comes back finds it so. @type {{ query: Record<string, string>, clientId: string }} */
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
      ),
  },
  { title: "Roles", cell: (row) => h(RoleChips, { roles: row.roles ?? [], most: 3 }) },
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
  const filter = useMemo(() => filterOf(query), [query.q, query.status, query.role]); // of one moment
  const sort = query.sort || (query.status === "soon" ? "expire_time" : "name");
  const list = usePages("v1/credentials", { filter, orderBy: sort }, 25, pick);
  const { rows = [], total, isLoading, reload } = list;
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
      may("user_manager") && h(Button, { kind: "primary", icon: "plus", onClick: create }, "New credential"),
    ),
    h(Filters, { query, total }),
    h(
      Listing,
      { list, empty: h(Nothing, { isFiltered: filter !== "", onCreate: create }) },
      h(Table, {
        label: "Application credentials",
        columns,
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

/** @param {{ query: Record<string, string>, total?: number }} props */
function Filters({ query, total }) {
  return h(
    "div",
    { class: "filters", role: "search" },
    h(Search, {
      value: query.q ?? "",
      label: "Search",
      placeholder: "Name or client ID",
      onChange: (q) => refine({ q }),
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
      h("p", null, "No credential fits this search."),
      h(Button, { onClick: () => refine({ q: "", status: "", role: "" }) }, "Show all"),
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

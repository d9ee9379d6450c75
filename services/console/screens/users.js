// SPDX-License-Identifier: Apache-2.0
// The owners of credentials, and "changes made to a user's roles". Their directory tells them to Gatehouse; here one can
// see and correct them.
import { h } from "preact";
import { useState } from "preact/hooks";
import { quoted, withQuery } from "../api.js";
import { ConfirmDialog } from "../dialogs/impact.js";
import { UserRolesDialog } from "../dialogs/user.js";
import { count, everywhere, plural } from "../format.js";
import { useLoad } from "../load.js";
import { usePages } from "../pages.js";
import { Button, Card, Failed, Heading, RoleChips, StatusBadge, Time } from "../parts/basic.js";
import { Empty, Listing, Skeleton, Table } from "../parts/table.js";
import { say } from "../parts/toast.js";
import { go, link, place, refine } from "../router.js";
import { call, may } from "../session.js";
import { useStore } from "../store.js";
import { RoleFilter, Search } from "./credentials.js";
/** @typedef {import("../types.js").User} User */
/** @typedef {import("../types.js").Credential} Credential */

/** @param {User} user */
const rolesOf = (user) => [
  ...(user.roles ?? []).map((role) => ({ role })),
  ...(user.revokedRoles ?? []).map((role) => ({ role, state: "GRANTED_ROLE_STATE_REVOKED" })),
];

/** @type {import("../parts/table.js").Column<User>[]} */
const columns = [
  { title: "User", kind: "main", cell: (row) => h("a", { href: link(["users", row.user]) }, row.user) },
  { title: "Roles", cell: (row) => h(RoleChips, { roles: rolesOf(row), most: 4 }) },
  { title: "Credentials", kind: "number", cell: (row) => count(row.credentialCount) },
  { title: "Changed", cell: (row) => h(Time, { at: row.updateTime, isRelative: true }) },
];

const pick = (/** @type {any} */ answer) => /** @type {User[]} */ (answer.users ?? []);
const lead = "A credential can only use roles that its owner also has.";

export function UsersScreen() {
  const { query } = useStore(place);
  const [isAdding, setAdding] = useState(false);
  const terms = [query.q && `user:${quoted(query.q)}`, query.role && `role=${query.role}`].filter(Boolean);
  const list = usePages("v1/users", { filter: terms.join(" AND ") }, 25, pick);
  const { rows = [], total, isLoading, reload } = list;
  const empty =
    terms.length > 0
      ? h(Empty, { icon: "search", title: "Nothing matches" })
      : h(
          Empty,
          { icon: "people", title: "No users yet" },
          h("p", null, "Your directory sends them (SetUserRoles), or you add them here."),
        );
  return h(
    "div",
    { class: "screen" },
    h(
      Heading,
      { title: "Users", lead },
      may("user_manager") && h(Button, { icon: "plus", onClick: () => setAdding(true) }, "Add user"),
    ),
    h(
      "div",
      { class: "filters", role: "search" },
      h(Search, { value: query.q ?? "", label: "Search", placeholder: "User", onChange: (q) => refine({ q }) }),
      h(RoleFilter, { value: query.role }),
      total !== undefined && h("span", { class: "total", role: "status" }, plural(total, "user")),
    ),
    h(Listing, { list, empty }, h(Table, { label: "Users", columns, rows, rowKey: (row) => row.user, isLoading })),
    isAdding && h(UserRolesDialog, { onClose: () => setAdding(false), onSaved: reload }),
  );
}

/** @type {import("../parts/table.js").Column<Credential>[]} */
const credentialColumns = [
  { title: "Name", kind: "main", cell: (row) => h("a", { href: link(["credentials", row.clientId]) }, row.name) },
  { title: "Roles", cell: (row) => h(RoleChips, { roles: row.roles ?? [] }) },
  { title: "Status", cell: (row) => h(StatusBadge, { credential: row }) },
];

/** Whose roles go with the user. @param {{ credentials?: Credential[] }} props */
function Owned({ credentials }) {
  if (!credentials) return h("p", { class: "hint" }, "Looking up the credentials that act for this user…");
  if (credentials.length === 0) return h("p", null, "No credential acts for this user.");
  return [
    h(
      "p",
      null,
      `${plural(credentials.length, "credential")} act for this user and lose all roles:`.replace(
        "1 credential act for this user and lose",
        "1 credential acts for this user and loses",
      ),
    ),
    h(
      "ul",
      { class: "names" },
      credentials.slice(0, 20).map((one) => h("li", { key: one.clientId }, one.name)),
      credentials.length > 20 && h("li", null, `and ${plural(credentials.length - 20, "other")}`),
    ),
  ];
}

/** @param {{ id: string }} props */
export function UserScreen({ id }) {
  const path = `v1/users/${encodeURIComponent(id)}`;
  const { data: user, error, reload } = useLoad(path, (answer) => /** @type {User} */ (answer.user));
  const owned = useLoad(
    withQuery("v1/credentials", { filter: `owner=${quoted(id)}`, pageSize: 200 }) + `#${user?.etag ?? ""}`,
    (answer) => /** @type {Credential[]} */ (answer.credentials ?? []),
  );
  const [open, setOpen] = useState("");
  const back = { href: link(["users"]), text: "Users" };
  if (!user)
    return h(
      "div",
      { class: "screen" },
      h(Heading, { title: id, back }),
      error ? h(Failed, { error, onRetry: reload }) : h(Skeleton, null),
    );
  return h(
    "div",
    { class: "screen" },
    h(
      Heading,
      { title: user.user, back, lead: ["Changed ", h(Time, { at: user.updateTime, isRelative: true })] },
      may("user_manager") && h(Button, { onClick: () => setOpen("edit") }, "Change roles"),
      may("user_manager") && h(Button, { kind: "danger", onClick: () => setOpen("delete") }, "Delete"),
    ),
    h(
      Card,
      { title: "Roles" },
      h(RoleChips, { roles: rolesOf(user) }),
      rolesOf(user).length === 0 && h("p", { class: "faint" }, "None."),
    ),
    h(
      Card,
      { title: "Credentials that act for this user" },
      (owned.data?.length ?? 0) > 0
        ? h(Table, {
            label: "Credentials",
            columns: credentialColumns,
            rows: owned.data ?? [],
            rowKey: (row) => row.clientId,
          })
        : h("p", { class: "faint" }, "None."),
    ),
    open === "edit" && h(UserRolesDialog, { user, onClose: () => setOpen(""), onSaved: reload }),
    open === "delete" &&
      h(
        ConfirmDialog,
        {
          title: `Delete ${user.user}?`,
          action: "Delete",
          onClose: () => setOpen(""),
          preview: () => call("DELETE", withQuery(path, { validateOnly: true }), { isRepeatable: true }),
          onDo: async () => {
            const answer = await call("DELETE", withQuery(path, { etag: user.etag, everywhere: true }));
            say(`${user.user} is deleted ${everywhere(answer)}.`);
            go(link(["users"]));
          },
        },
        h(Owned, { credentials: owned.data }),
      ),
  );
}

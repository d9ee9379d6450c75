// SPDX-License-Identifier: Apache-2.0
// The catalogue of roles: the nine that Gatehouse brings, and an operator's own.
import { h } from "preact";
import { useState } from "preact/hooks";
import { catalogue, loadCatalogue, useWork } from "../load.js";
import { Button, Card, ErrorNotice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { TextField } from "../parts/field.js";
import { Table } from "../parts/table.js";
import { say } from "../parts/toast.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
/** @typedef {import("../types.js").Role} Role */

export function RolesCard() {
  const { roles } = useStore(catalogue);
  const [open, setOpen] = useState(/** @type {Role | "new" | undefined} */ (undefined));
  /** @type {import("../parts/table.js").Column<Role>[]} */
  const columns = [
    {
      title: "Role",
      kind: "main",
      cell: (row) =>
        h(
          "div",
          { class: "name" },
          h("strong", null, row.name, row.retired && h("small", { class: "tag" }, "retired")),
          h("span", { class: "hint" }, row.description),
        ),
    },
    { title: "Group", cell: (row) => row.group },
    { title: "ID", cell: (row) => h("code", null, row.roleId) },
    {
      title: "Edit",
      kind: "end",
      cell: (row) => h(Button, { kind: "quiet", label: `Edit ${row.name}`, onClick: () => setOpen(row) }, "Edit"),
    },
  ];
  return h(
    Card,
    { title: "Roles", aside: h(Button, { icon: "plus", onClick: () => setOpen("new") }, "Add role") },
    h(Table, { label: "Roles", columns, rows: roles, rowKey: (row) => row.roleId }),
    open && h(RoleDialog, { role: open === "new" ? undefined : open, onClose: () => setOpen(undefined) }),
  );
}

/** @param {{ role?: Role, onClose: () => void }} props none: a new one */
function RoleDialog({ role, onClose }) {
  const [form, setForm] = useState({
    roleId: role?.roleId ?? "",
    name: role?.name ?? "",
    group: role?.group ?? "",
    description: role?.description ?? "",
    retired: role?.retired ?? false,
  });
  const { isBusy, error, run } = useWork();
  /** @param {keyof typeof form} name */
  const set = (name) => (/** @type {string | boolean} */ value) => setForm({ ...form, [name]: value });
  const submit = () =>
    run(async () => {
      if (role)
        await call("PATCH", `v1/roles/${role.roleId}`, {
          body: { role: { ...form, etag: role.etag }, updateMask: "name,group,description,retired" },
        });
      else await call("POST", "v1/roles", { body: { role: form } });
      await loadCatalogue();
      say("Saved.");
      onClose();
    });
  const fields = error?.fields ?? {};
  return h(
    Dialog,
    {
      title: role ? `Edit ${role.name}` : "Add role",
      onClose,
      isDirty: form.name !== (role?.name ?? ""),
      onSubmit: submit,
      footer: [
        h(Button, { onClick: onClose }, "Cancel"),
        h(Button, { kind: "primary", type: "submit", isBusy }, "Save"),
      ],
    },
    error &&
      Object.keys(fields).length === 0 &&
      h(ErrorNotice, {
        error:
          error.reason === "STALE_ETAG"
            ? new Error("Somebody else changed it in the meantime. Close this and open it again.")
            : error,
      }),
    !role &&
      h(TextField, {
        label: "ID",
        value: form.roleId,
        onInput: set("roleId"),
        isFirst: true,
        isMono: true,
        error: fields.role_id,
        hint: "Small letters, digits and _; it cannot be changed later.",
      }),
    h(TextField, { label: "Name", value: form.name, onInput: set("name"), isFirst: !!role, error: fields.name }),
    h(TextField, {
      label: "Group",
      value: form.group,
      onInput: set("group"),
      list: "groups",
      error: fields.group,
      hint: "The heading that it stands under.",
    }),
    h(
      "datalist",
      { id: "groups" },
      [...new Set(catalogue.value.roles.map((one) => one.group))].map((group) =>
        h("option", { key: group, value: group }),
      ),
    ),
    h(TextField, {
      label: "Description",
      value: form.description,
      onInput: set("description"),
      error: fields.description,
    }),
    role &&
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", checked: form.retired, onChange: () => set("retired")(!form.retired) }),
        "Retired: not granted any more; who holds it keeps it",
      ),
  );
}

// SPDX-License-Identifier: Apache-2.0
// The catalogue of roles: those that Gatehouse brings, and an operator's own.
import { h } from "preact";
import { useState } from "preact/hooks";
import { catalogue, loadCatalogue, useWork } from "../load.js";
import { Button, Card, ErrorNotice, FormError } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { TextField } from "../parts/field.js";
import { Table } from "../parts/table.js";
import { say } from "../parts/toast.js";
import { call, may } from "../session.js";
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
      cell: (row) =>
        may("user_manager") &&
        h(Button, { kind: "quiet", label: `Edit ${row.name}`, onClick: () => setOpen(row) }, "Edit"),
    },
  ];
  return h(
    Card,
    {
      title: "Roles",
      aside: may("user_manager") && h(Button, { icon: "plus", onClick: () => setOpen("new") }, "Add role"),
    },
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
  const stale = "Someone else has changed it. Close this and open it again.";
  const dialog = {
    title: role ? `Edit ${role.name}` : "Add role",
    onClose,
    isDirty: form.name !== (role?.name ?? ""),
    onSubmit: submit,
    footer: [
      h(Button, { key: "cancel", onClick: onClose }, "Cancel"),
      h(Button, { key: "do", kind: "primary", type: "submit", isBusy }, "Save"),
    ],
  };
  return h(
    Dialog,
    dialog,
    error?.reason === "STALE_ETAG" ? h(ErrorNotice, { error: new Error(stale) }) : h(FormError, { error }),
    h(RoleFields, { form, set, wrong: error?.fields ?? {}, isNew: !role }),
    role &&
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", checked: form.retired, onChange: () => set("retired")(!form.retired) }),
        "Retired: can no longer be granted; credentials and users that have it keep it",
      ),
  );
}

/** @typedef {{ roleId: string, name: string, group: string, description: string, retired: boolean }} Form */

/**
 * @param {{ form: Form, set: (name: keyof Form) => (value: string | boolean) => void, wrong: Record<string, string>,
 *   isNew: boolean }} props
 */
function RoleFields({ form, set, wrong, isNew }) {
  const groups = [...new Set(catalogue.value.roles.map((one) => one.group))];
  /** @param {"roleId" | "name" | "group" | "description"} name @param {string} label @param {object} [more] */
  const text = (name, label, more) =>
    h(TextField, { key: name, label, value: form[name], onInput: set(name), ...more });
  return [
    isNew &&
      text("roleId", "ID", {
        isFirst: true,
        isMono: true,
        error: wrong.role_id,
        hint: "Lowercase letters, digits and _. It cannot be changed later.",
      }),
    text("name", "Name", { isFirst: !isNew, error: wrong.name }),
    text("group", "Group", { list: "groups", error: wrong.group, hint: "The heading under which it is listed." }),
    h(
      "datalist",
      { key: "groups", id: "groups" },
      groups.map((group) => h("option", { key: group, value: group })),
    ),
    text("description", "Description", { error: wrong.description }),
  ];
}

// SPDX-License-Identifier: Apache-2.0
// Which roles a user has.
import { h } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { plural } from "../format.js";
import { catalogue, roleName, useWork } from "../load.js";
import { Button, ErrorNotice, Notice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { RolePicker, TextField } from "../parts/field.js";
import { say } from "../parts/toast.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { ImpactNotice, tokensEnded } from "./impact.js";
/** @typedef {import("../types.js").User} User */

/** @param {{ user?: User, onClose: () => void, onSaved: () => void }} props none: a new one */
export function UserRolesDialog({ user, onClose, onSaved }) {
  const { roles } = useStore(catalogue);
  const [base, setBase] = useState(user);
  const [id, setId] = useState(user?.user ?? "");
  const [chosen, setChosen] = useState(new Set(user?.roles ?? []));
  const [impact, setImpact] = useState(/** @type {import("../types.js").Impact | undefined} */ (undefined));
  const [isStale, setStale] = useState(false);
  const { isBusy, error, setError, run } = useWork();
  const path = `v1/users/${encodeURIComponent(id.trim())}`;
  const isDirty = user
    ? [...chosen].sort().join() !== [...(base?.roles ?? [])].sort().join()
    : id !== "" || chosen.size > 0;
  async function save() {
    const body = { roles: [...chosen], etag: base?.etag };
    try {
      if (!user && !impact) await refuseExisting(path);
      if (!impact) {
        const preview = await call("PUT", `${path}/roles`, {
          body: { ...body, validateOnly: true },
          isRepeatable: true,
        });
        if (tokensEnded(preview.impact) > 0) return setImpact(preview.impact);
      }
      await call("PUT", `${path}/roles`, { body });
      say("Saved.");
      onSaved();
      onClose();
    } catch (failure) {
      setImpact(undefined);
      if (!(failure instanceof ApiError) || failure.reason !== "STALE_ETAG") throw failure;
      setBase((await call("GET", path)).user);
      setStale(true);
    }
  }
  function submit() {
    if (!id.trim()) return setError(new ApiError(400, "", "", { user: "Enter the ID that your directory uses." }));
    return isDirty || !user ? run(save) : onClose();
  }
  const fields = error?.fields ?? {};
  const revoked = new Set(base?.revokedRoles ?? []);
  return h(
    Dialog,
    {
      title: user ? `Roles of ${user.user}` : "Add user",
      onClose,
      isDirty,
      isWide: true,
      onSubmit: submit,
      footer: [
        h(Button, { onClick: onClose }, "Cancel"),
        h(
          Button,
          { kind: impact ? "danger" : "primary", type: "submit", isBusy },
          impact ? `Save and end ${plural(tokensEnded(impact), "session")}` : "Save",
        ),
      ],
    },
    error && Object.keys(fields).length === 0 && h(ErrorNotice, { error }),
    isStale &&
      h(
        Notice,
        { kind: "warn" },
        "Somebody else changed this user's roles in the meantime. They are now: ",
        h("strong", null, (base?.roles ?? []).map(roleName).join(", ") || "none"),
        ". Below is your choice; saving it replaces theirs. ",
        h(
          "div",
          { class: "actions" },
          h(Button, { onClick: () => (setChosen(new Set(base?.roles ?? [])), setStale(false)) }, "Take theirs"),
        ),
      ),
    !user &&
      h(TextField, {
        label: "User",
        value: id,
        onInput: (value) => (setId(value), setImpact(undefined)),
        isFirst: true,
        error: fields.user,
        hint: "The ID that your directory uses, such as an e-mail address.",
      }),
    h(RolePicker, {
      roles,
      chosen,
      onChange: (next) => (setChosen(next), setImpact(undefined)),
      error: fields.roles,
      isGone: (role) => revoked.has(role) && !chosen.has(role),
      note: (role) =>
        revoked.has(role) &&
        h("span", { class: "note" }, h("b", null, "Revoked"), chosen.has(role) && ". It will be granted again."),
    }),
    impact && h(ImpactNotice, { impact }),
  );
}

/** Adding is not to change one that is there. @param {string} path */
async function refuseExisting(path) {
  try {
    await call("GET", path);
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return;
    throw error;
  }
  throw new ApiError(409, "", "", { user: "There is a user with this ID already." });
}

// SPDX-License-Identifier: Apache-2.0
// Which roles a user has.
import { h } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { saidSaved } from "../format.js";
import { asApiError, catalogue, roleName, useWork } from "../load.js";
import { Button, FormError, Notice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { RolePicker, TextField } from "../parts/field.js";
import { say } from "../parts/toast.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { SaveButton } from "./fields.js";
import { ImpactNotice, tokensEnded } from "./impact.js";
/** @typedef {import("../types.js").User} User */

/** @typedef {{ user?: User, onClose: () => void, onSaved: () => void }} Props user: none: a new one */

/** What editing does, without how it looks. @param {Props} props */
function useUserRoles({ user, onClose, onSaved }) {
  const [base, setBase] = useState(user);
  const [id, setId] = useState(user?.user ?? "");
  const [chosen, setChosen] = useState(new Set(user?.roles ?? []));
  const [impact, setImpact] = useState(/** @type {import("../types.js").Impact | undefined} */ (undefined));
  const [isStale, setStale] = useState(false);
  const { isBusy, error, setError, run } = useWork();
  const path = `v1/users/${encodeURIComponent(id.trim())}`;
  const listed = (/** @type {Iterable<string>} */ roles) => [...roles].sort().join();
  const isDirty = listed(chosen) !== listed(base?.roles ?? []) || id !== (user?.user ?? "");

  async function save() {
    const body = { roles: [...chosen], etag: base?.etag };
    const dry = { body: { ...body, validateOnly: true }, isRepeatable: true };
    try {
      if (!user && !impact) await refuseExisting(path);
      const preview = impact ? {} : await call("PUT", `${path}/roles`, dry);
      if (tokensEnded(preview.impact) > 0) return setImpact(preview.impact);
      const answer = await call("PUT", `${path}/roles`, { body: { ...body, everywhere: !!impact } });
      say(saidSaved([answer.everywhereAfter]));
      onSaved();
      onClose();
    } catch (failure) {
      setImpact(undefined);
      if (asApiError(failure).reason !== "STALE_ETAG") throw failure;
      setBase((await call("GET", path)).user);
      setStale(true);
    }
  }
  function submit() {
    if (!id.trim()) return setError(new ApiError(400, "", "", { user: "Enter the ID that your directory uses." }));
    return isDirty || !user ? run(save) : onClose();
  }
  /** The preview was of something else then. @template T @param {(value: T) => void} set */
  const changing = (set) => (/** @type {T} */ value) => {
    set(value);
    setImpact(undefined);
  };
  return {
    ...{ base, id, chosen, impact, isStale, isDirty, isBusy, error, submit },
    setId: changing(setId),
    setChosen: changing(setChosen),
    takeTheirs: () => (setChosen(new Set(base?.roles ?? [])), setStale(false)),
  };
}

/** @param {Props} props */
export function UserRolesDialog(props) {
  const edit = useUserRoles(props);
  const { base, chosen, impact, error } = edit;
  const { roles } = useStore(catalogue);
  const { user, onClose } = props;
  const revoked = new Set(base?.revokedRoles ?? []);
  const dialog = {
    title: user ? `Roles of ${user.user}` : "Add user",
    onClose,
    isDirty: edit.isDirty,
    isWide: true,
    onSubmit: edit.submit,
    note: impact && h(ImpactNotice, { impact }),
    footer: [
      h(Button, { key: "cancel", onClick: onClose }, "Cancel"),
      h(SaveButton, { key: "save", impact, isBusy: edit.isBusy }),
    ],
  };
  const again = ". It will be granted again.";
  return h(
    Dialog,
    dialog,
    h(FormError, { error }),
    edit.isStale && h(StaleRoles, { now: base?.roles ?? [], onTake: edit.takeTheirs }),
    !user &&
      h(TextField, {
        label: "User",
        value: edit.id,
        onInput: edit.setId,
        isFirst: true,
        error: error?.fields.user,
        hint: "The ID that your directory uses, such as an e-mail address.",
      }),
    h(RolePicker, {
      roles,
      chosen,
      onChange: edit.setChosen,
      error: error?.fields.roles,
      isGone: (role) => revoked.has(role) && !chosen.has(role),
      note: (role) =>
        revoked.has(role) && h("span", { class: "note" }, h("b", null, "Revoked"), chosen.has(role) && again),
    }),
  );
}

/** @param {{ now: string[], onTake: () => void }} props */
const StaleRoles = ({ now, onTake }) =>
  h(
    Notice,
    { kind: "warn" },
    "Someone else has changed this user's roles. They are now: ",
    h("strong", null, now.map(roleName).join(", ") || "none"),
    ". Your choice is below; saving it replaces theirs. ",
    h("div", { class: "actions" }, h(Button, { onClick: onTake }, "Take theirs")),
  );

/** Adding is not to change one that is there. @param {string} path */
async function refuseExisting(path) {
  try {
    await call("GET", path);
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return;
    throw error;
  }
  throw new ApiError(409, "", "", { user: "A user with this ID already exists." });
}

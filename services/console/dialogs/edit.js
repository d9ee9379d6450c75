// SPDX-License-Identifier: Apache-2.0
// "You can subsequently edit its name and expiry date"; roles are granted and revoked here, and "these revoked roles will
// appear in grey in the application credentials edit pop-up".
import { h } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { asApiError, catalogue, useWork } from "../load.js";
import { changesOf, draftOf, grantedRoles, isChanged, merge } from "../merge.js";
import { Actor, Button, ErrorNotice, Time } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { expiryOf, ExpiryField, expiryTime, RolePicker, TextField } from "../parts/field.js";
import { say } from "../parts/toast.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { plural } from "../format.js";
import { Conflict } from "./conflict.js";
import { checkForm, OwnerList } from "./create.js";
import { ImpactNotice, tokensEnded } from "./impact.js";
/** @typedef {import("../types.js").Credential} Credential */
/** @typedef {import("../types.js").Impact} Impact */
/** @typedef {import("../merge.js").Draft} Draft */

/**
 * Sends the changes one after the other, each on the etag that the one before gave.
 * @param {Credential} credential
 * @param {Draft} draft
 * @param {boolean} validateOnly
 * @param {(credential: Credential) => void} onStep
 */
async function send(credential, draft, validateOnly, onStep) {
  const changes = changesOf(draftOf(credential), draft);
  const path = `v1/credentials/${credential.clientId}`;
  const mask = /** @type {const} */ (["name", "owner", "expireTime"]).filter((field) => changes[field]);
  let { etag } = credential;
  /** @type {Impact} */
  let most = {};
  /** @param {Promise<{ credential: Credential, impact?: Impact }>} sent */
  async function step(sent) {
    const answer = await sent;
    if (!validateOnly) etag = answer.credential.etag;
    if (!validateOnly) onStep(answer.credential);
    if (tokensEnded(answer.impact) > tokensEnded(most)) most = answer.impact ?? {};
  }
  if (mask.length > 0)
    await step(
      call("PATCH", path, {
        body: {
          updateMask: mask.join(","),
          validateOnly,
          credential: { name: draft.name, owner: draft.owner, expireTime: draft.expireTime || undefined, etag },
        },
      }),
    );
  if (changes.added.length > 0)
    await step(call("POST", `${path}:grantRoles`, { body: { roles: changes.added, etag, validateOnly } }));
  if (changes.removed.length > 0)
    await step(call("POST", `${path}:revokeRoles`, { body: { roles: changes.removed, etag, validateOnly } }));
  return most;
}

/** @param {{ credential: Credential, onClose: () => void, onSaved: () => void }} props */
export function EditDialog({ credential, onClose, onSaved }) {
  const { roles } = useStore(catalogue);
  const [base, setBase] = useState(credential);
  const [name, setName] = useState(credential.name);
  const [owner, setOwner] = useState(credential.owner ?? "");
  const [expiry, setExpiry] = useState(expiryOf(credential.expireTime));
  const [chosen, setChosen] = useState(new Set(grantedRoles(credential)));
  const [impact, setImpact] = useState(/** @type {Impact | undefined} */ (undefined));
  const [theirs, setTheirs] = useState(/** @type {Credential | undefined} */ (undefined));
  const { isBusy, error, setError, run } = useWork();
  const time = expiryTime(expiry);
  /** @type {Draft} */
  const draft = { name: name.trim(), owner, expireTime: time ?? "", roles: [...chosen].sort() };
  const isDirty = time === null || isChanged(changesOf(draftOf(base), draft));

  /** Anything that is edited makes the preview old. @template T @param {(value: T) => void} set */
  const editing = (set) => (/** @type {T} */ value) => {
    set(value);
    setImpact(undefined);
  };
  async function save() {
    try {
      if (!impact) {
        const preview = await send(base, draft, true, () => {});
        if (tokensEnded(preview) > 0) return setImpact(preview);
      }
      await send(base, draft, false, setBase);
      say("Saved.");
      onSaved();
      onClose();
    } catch (failure) {
      setImpact(undefined);
      if (asApiError(failure).reason !== "STALE_ETAG") throw failure;
      setTheirs((await call("GET", `v1/credentials/${base.clientId}`)).credential);
    }
  }
  function submit() {
    const fields = checkForm(name, time, new Set(["any"]));
    if (Object.keys(fields).length > 0) return setError(new ApiError(400, "", "", fields));
    return isDirty ? run(save) : onClose();
  }
  /** @param {Partial<Record<"name" | "owner" | "expireTime", "mine" | "theirs">>} choice */
  function settle(choice) {
    if (!theirs) return;
    const merged = merge(draftOf(base), draftOf(theirs), draft, choice);
    setBase(theirs);
    setName(merged.name);
    setOwner(merged.owner);
    setExpiry(expiryOf(merged.expireTime || undefined));
    setChosen(new Set(merged.roles));
    setTheirs(undefined);
    onSaved();
  }
  if (theirs) return h(Conflict, { before: draftOf(base), theirs, mine: draft, onSettle: settle, onClose });
  const fields = error?.fields ?? {};
  const states = new Map((base.roles ?? []).map((role) => [role.role, role]));
  return h(
    Dialog,
    {
      title: `Edit ${base.name}`,
      onClose,
      isWide: true,
      isDirty,
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
    h(
      "div",
      { class: "two" },
      h(TextField, {
        label: "Name",
        value: name,
        onInput: editing(setName),
        isFirst: true,
        maxLength: 100,
        error: fields.name,
      }),
      h(TextField, {
        label: "Owner (optional)",
        value: owner,
        onInput: editing(setOwner),
        list: "owners",
        error: fields.owner,
      }),
    ),
    h(OwnerList, { id: "owners" }),
    h(ExpiryField, { value: expiry, onChange: editing(setExpiry), error: fields.expire_time }),
    h(RolePicker, {
      roles: roles.filter((role) => !role.retired || states.has(role.roleId)),
      chosen,
      onChange: editing(setChosen),
      error: fields.roles,
      isGone: (id) => !!states.get(id)?.revokeTime && !isRegained(states.get(id), chosen),
      note: (id) => h(RoleNote, { role: states.get(id), isChosen: chosen.has(id) }),
    }),
    impact && h(ImpactNotice, { impact }),
  );
}

/** Revoked before, and ticked again now. @param {import("../types.js").GrantedRole | undefined} role @param {Set<string>} chosen */
const isRegained = (role, chosen) => role?.state === "GRANTED_ROLE_STATE_REVOKED" && chosen.has(role.role);

/** @param {{ role?: import("../types.js").GrantedRole, isChosen?: boolean, isLabelled?: boolean }} props isLabelled: what it is stands beside it already */
export function RoleNote({ role, isChosen, isLabelled }) {
  if (role?.state === "GRANTED_ROLE_STATE_REVOKED")
    return h(
      "span",
      { class: "note" },
      isLabelled ? "Revoked " : [h("b", null, "Revoked"), " "],
      h(Time, { at: role.revokeTime }),
      " by ",
      h(Actor, { id: role.revokedBy }),
      isChosen && ". It will be granted again.",
    );
  if (role?.state === "GRANTED_ROLE_STATE_REVOKED_FROM_OWNER")
    return h(
      "span",
      { class: "note" },
      isLabelled ? "Revoked " : [h("b", null, "Revoked from its owner"), " "],
      h(Time, { at: role.revokeTime }),
    );
  if (role?.state === "GRANTED_ROLE_STATE_NOT_HELD_BY_OWNER")
    return h(
      "span",
      { class: "note" },
      isLabelled ? "Granted, but" : h("b", null, "Not held by its owner"),
      " not in its tokens",
    );
  return null;
}

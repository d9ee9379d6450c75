// SPDX-License-Identifier: Apache-2.0
// "You can subsequently edit its name and expiry date"; roles are granted and revoked here, and "these revoked roles will
// appear in grey in the application credentials edit pop-up".
import { h } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { saidSaved } from "../format.js";
import { linesOf, readLines } from "../labels.js";
import { limitFormOf, limitText, networkFormOf, networkText, parsed } from "../limits.js";
import { asApiError, catalogue, useWork } from "../load.js";
import { changesOf, draftFields, draftOf, grantedRoles, isChanged, merge } from "../merge.js";
import { Actor, Button, FormError, Time } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { expiryOf, expiryTime } from "../parts/field.js";
import { say } from "../parts/toast.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { Conflict } from "./conflict.js";
import { checkForm, CredentialFields, SaveButton } from "./fields.js";
import { ImpactNotice, tokensEnded } from "./impact.js";
/** @typedef {import("../types.js").Credential} Credential */
/** @typedef {import("../types.js").Impact} Impact */
/** @typedef {import("../merge.js").Draft} Draft */

/**
 * Sends the changes one after the other, each on the etag that the one before gave.
 * @param {Credential} credential
 * @param {Draft} draft
 * @param {{ validateOnly?: boolean, everywhere?: boolean }} how
 * @param {(credential: Credential, everywhereAfter?: string) => void} onStep
 */
async function send(credential, draft, how, onStep) {
  const changes = changesOf(draftOf(credential), draft);
  const path = `v1/credentials/${credential.clientId}`;
  const mask = draftFields.filter((field) => changes[field]);
  let { etag } = credential;
  /** @type {Impact} */
  let most = {};
  /** @param {Promise<{ credential: Credential, impact?: Impact, everywhereAfter?: string }>} sent */
  async function step(sent) {
    const answer = await sent;
    if (!how.validateOnly) etag = answer.credential.etag;
    if (!how.validateOnly) onStep(answer.credential, answer.everywhereAfter);
    if (tokensEnded(answer.impact) > tokensEnded(most)) most = answer.impact ?? {};
  }
  if (mask.length > 0)
    await step(
      call("PATCH", path, {
        body: {
          updateMask: mask.join(","),
          ...how,
          credential: {
            name: draft.name,
            owner: draft.owner,
            expireTime: draft.expireTime || undefined,
            contact: draft.contact,
            labels: readLines(draft.labels).labels,
            limits: parsed(draft.limits),
            addresses: parsed(draft.addresses),
            etag,
          },
        },
      }),
    );
  if (changes.added.length > 0)
    await step(call("POST", `${path}:grantRoles`, { body: { roles: changes.added, etag, ...how } }));
  if (changes.removed.length > 0)
    await step(call("POST", `${path}:revokeRoles`, { body: { roles: changes.removed, etag, ...how } }));
  return most;
}

/** @param {Credential} credential @returns {import("./fields.js").Form} */
const formOf = (credential) => ({
  name: credential.name,
  owner: credential.owner ?? "",
  contact: credential.contact ?? "",
  labels: linesOf(credential.labels),
  limits: limitFormOf(credential.limits),
  networks: networkFormOf(credential.addresses),
  expiry: expiryOf(credential.expireTime),
  roles: new Set(grantedRoles(credential)),
});

/** @param {import("./fields.js").Form} form @returns {Draft} */
const draftOfForm = ({ name, owner, contact, labels, limits, networks, expiry, roles }) => ({
  name: name.trim(),
  owner,
  contact: contact.trim(),
  labels: linesOf(readLines(labels).labels),
  limits: limitText(limits),
  addresses: networkText(networks),
  expireTime: expiryTime(expiry) ?? "",
  roles: [...roles].sort(),
});

/** What editing does, without how it looks. @param {{ credential: Credential, onClose: () => void, onSaved: () => void }} props */
function useEdit({ credential, onClose, onSaved }) {
  const [base, setBase] = useState(credential);
  const [form, setForm] = useState(() => formOf(credential));
  const [impact, setImpact] = useState(/** @type {Impact | undefined} */ (undefined));
  const [theirs, setTheirs] = useState(/** @type {Credential | undefined} */ (undefined));
  const { isBusy, error, setError, run } = useWork();
  const draft = draftOfForm(form);
  const isDirty =
    expiryTime(form.expiry) === null || !!readLines(form.labels).wrong || isChanged(changesOf(draftOf(base), draft));

  /** The preview was of something else then. @param {import("./fields.js").Form} next */
  function change(next) {
    setForm(next);
    setImpact(undefined);
  }
  async function save() {
    try {
      const preview = impact ? {} : await send(base, draft, { validateOnly: true }, () => {});
      if (tokensEnded(preview) > 0) return setImpact(preview);
      /** @type {(string | undefined)[]} */
      const waits = [];
      await send(base, draft, { everywhere: !!impact }, (saved, everywhereAfter) => {
        setBase(saved);
        waits.push(everywhereAfter);
      });
      say(saidSaved(waits));
      onSaved();
      onClose();
    } catch (failure) {
      setImpact(undefined);
      if (asApiError(failure).reason !== "STALE_ETAG") throw failure;
      setTheirs((await call("GET", `v1/credentials/${base.clientId}`)).credential);
    }
  }
  function submit() {
    const wrong = checkForm(form, false);
    if (Object.keys(wrong).length > 0) return setError(new ApiError(400, "", "", wrong));
    return isDirty ? run(save) : onClose();
  }
  /** @param {import("./conflict.js").Choices} choice */
  function settle(choice) {
    if (!theirs) return;
    const merged = merge(draftOf(base), draftOf(theirs), draft, choice);
    setBase(theirs);
    change({
      ...merged,
      limits: limitFormOf(parsed(merged.limits)),
      networks: networkFormOf(parsed(merged.addresses)),
      expiry: expiryOf(merged.expireTime || undefined),
      roles: new Set(merged.roles),
    });
    setTheirs(undefined);
    onSaved();
  }
  return { base, form, change, draft, theirs, settle, impact, isDirty, isBusy, error, submit };
}

/** @param {{ credential: Credential, onClose: () => void, onSaved: () => void }} props */
export function EditDialog(props) {
  const { base, form, change, draft, theirs, settle, impact, isDirty, isBusy, error, submit } = useEdit(props);
  const { roles } = useStore(catalogue);
  const { onClose } = props;
  if (theirs) return h(Conflict, { before: draftOf(base), theirs, mine: draft, onSettle: settle, onClose });
  const states = new Map((base.roles ?? []).map((role) => [role.role, role]));
  const dialog = {
    title: `Edit ${base.name}`,
    onClose,
    isWide: true,
    isDirty,
    onSubmit: submit,
    note: impact && h(ImpactNotice, { impact }),
    footer: [h(Button, { key: "cancel", onClick: onClose }, "Cancel"), h(SaveButton, { key: "save", impact, isBusy })],
  };
  return h(
    Dialog,
    dialog,
    h(FormError, { error }),
    h(CredentialFields, {
      form,
      onChange: change,
      wrong: error?.fields ?? {},
      roles: roles.filter((role) => !role.retired || states.has(role.roleId)),
      isGone: (id) => !!states.get(id)?.revokeTime && !isRegained(states.get(id), form.roles),
      note: (id) => h(RoleNote, { role: states.get(id), isChosen: form.roles.has(id) }),
    }),
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

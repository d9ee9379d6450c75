// SPDX-License-Identifier: Apache-2.0
// Somebody else saved the same credential in the meantime: what they changed, and which of the two shall hold.
import { h } from "preact";
import { useState } from "preact/hooks";
import { local, utc } from "../format.js";
import { limitWords, networkWords, parsed } from "../limits.js";
import { roleName, useLoad } from "../load.js";
import { compare, draftOf } from "../merge.js";
import { quoted, withQuery } from "../api.js";
import { Actor, Button, Time } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
/** @typedef {import("../merge.js").Difference} Difference */

const titles = {
  name: "Name",
  owner: "Owner",
  expireTime: "Expiry date",
  contact: "Contact",
  labels: "Labels",
  limits: "Limits",
  addresses: "Networks",
};

/** @param {Difference["field"]} field @param {string} value */
function inWords(field, value) {
  if (field === "limits")
    return limitWords(parsed(value) ?? {})
      .map(({ text }) => text)
      .join("\n");
  return field === "addresses" ? networkWords(parsed(value) ?? {}).join("\n") : value;
}

/** @param {{ field: Difference["field"], value: string }} props */
function Value({ field, value }) {
  if (field === "expireTime") return h("span", { title: value && utc(value) }, value ? local(value) : "Never expires");
  return h("span", { class: "lines" }, inWords(field, value) || "(none)");
}

/** @typedef {Partial<Record<Difference["field"], "mine" | "theirs">>} Choices */

/**
 * @param {{ before: import("../merge.js").Draft, theirs: import("../types.js").Credential, mine: import("../merge.js").Draft,
 *   onSettle: (choice: Choices) => void, onClose: () => void }} props
 */
export function Conflict({ before, theirs, mine, onSettle, onClose }) {
  const { fields, added, removed } = compare(before, draftOf(theirs), mine);
  const [choice, setChoice] = useState(/** @type {Choices} */ ({}));
  const isOpen = fields.some(({ field, isConflict }) => isConflict && !choice[field]);
  const dialog = {
    title: "Changed by someone else",
    onClose,
    isDirty: true,
    isWide: true,
    onSubmit: () => isOpen || onSettle(choice),
    footer: [
      h(Button, { key: "discard", onClick: onClose }, "Discard mine"),
      h(Button, { key: "do", kind: "primary", type: "submit", isDisabled: isOpen }, "Continue"),
    ],
  };
  const hasRoles = added.length > 0 || removed.length > 0;
  return h(
    Dialog,
    dialog,
    h(LastChange, { clientId: theirs.clientId }),
    fields.map((difference) =>
      h(DifferenceBox, {
        key: difference.field,
        difference,
        chosen: choice[difference.field],
        onChoose: (key) => setChoice({ ...choice, [difference.field]: key }),
      }),
    ),
    hasRoles &&
      h(
        "fieldset",
        { class: "difference" },
        h("legend", null, "Roles"),
        added.length > 0 && h("p", null, "Granted: ", h("strong", null, added.map(roleName).join(", "))),
        removed.length > 0 && h("p", null, "Revoked: ", h("strong", null, removed.map(roleName).join(", "))),
        h("p", { class: "hint" }, "Your own changes to roles come on top of these."),
      ),
    fields.length === 0 &&
      !hasRoles &&
      h(
        "p",
        { class: "hint" },
        "None of it affects the fields that you are editing (perhaps it was a new key). You can continue.",
      ),
  );
}

/** Who it was, from the audit log. @param {{ clientId: string }} props */
function LastChange({ clientId }) {
  const filter = `subject=${quoted(clientId)} AND outcome=OK`;
  const pick = (/** @type {any} */ answer) => /** @type {import("../types.js").AuditEvent[]} */ (answer.events ?? []);
  const { data } = useLoad(withQuery("v1/audit", { filter, pageSize: 1 }), pick);
  const event = data?.[0];
  const who = event && [
    h(Actor, { id: event.actor }),
    " saved a change (",
    h(Time, { at: event.eventTime, isRelative: true }),
    ").",
  ];
  return h(
    "p",
    null,
    "While you were editing, ",
    who ?? "this credential was changed.",
    " Nothing of yours was saved yet.",
  );
}

/** @param {{ difference: Difference, chosen?: "mine" | "theirs", onChoose: (key: "mine" | "theirs") => void }} props */
function DifferenceBox({ difference: { field, before, theirs, mine, isConflict }, chosen, onChoose }) {
  /** @param {"mine" | "theirs"} key @param {string} text @param {string} value */
  const choice = (key, text, value) =>
    h(
      "label",
      { class: "choice" },
      h("input", { type: "radio", name: field, checked: chosen === key, onChange: () => onChoose(key) }),
      h("span", null, h("small", null, text), h(Value, { field, value })),
    );
  return h(
    "fieldset",
    { class: "difference" },
    h("legend", null, titles[field]),
    h("p", { class: "hint" }, "It was ", h(Value, { field, value: before }), "."),
    isConflict
      ? [choice("theirs", "Theirs", theirs), choice("mine", "Yours", mine)]
      : h("p", null, "It is now ", h("strong", null, h(Value, { field, value: theirs })), ", which is kept."),
  );
}

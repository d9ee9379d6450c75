// SPDX-License-Identifier: Apache-2.0
// Somebody else saved the same credential in the meantime: what they changed, and which of the two shall hold.
import { h } from "preact";
import { useState } from "preact/hooks";
import { local, utc } from "../format.js";
import { roleName, useLoad } from "../load.js";
import { compare, draftOf } from "../merge.js";
import { quoted, withQuery } from "../api.js";
import { Actor, Button, Time } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
/** @typedef {import("../merge.js").Difference} Difference */

const titles = { name: "Name", owner: "Owner", expireTime: "Expiry date" };

/** @param {{ field: Difference["field"], value: string }} props */
function Value({ field, value }) {
  if (field === "expireTime") return h("span", { title: value && utc(value) }, value ? local(value) : "Never expires");
  return h("span", null, value || "(none)");
}

/**
 * @param {{ before: import("../merge.js").Draft, theirs: import("../types.js").Credential, mine: import("../merge.js").Draft,
 *   onSettle: (choice: Partial<Record<Difference["field"], "mine" | "theirs">>) => void, onClose: () => void }} props
 */
export function Conflict({ before, theirs, mine, onSettle, onClose }) {
  const { fields, added, removed } = compare(before, draftOf(theirs), mine);
  const [choice, setChoice] = useState(/** @type {Partial<Record<Difference["field"], "mine" | "theirs">>} */ ({}));
  const { data } = useLoad(
    withQuery("v1/audit", { filter: `subject=${quoted(theirs.clientId)} AND outcome=OK`, pageSize: 1 }),
    (answer) => /** @type {import("../types.js").AuditEvent[]} */ (answer.events ?? []),
  );
  const isOpen = fields.some(({ field, isConflict }) => isConflict && !choice[field]);
  return h(
    Dialog,
    {
      title: "Changed by somebody else",
      onClose,
      isDirty: true,
      isWide: true,
      onSubmit: () => isOpen || onSettle(choice),
      footer: [
        h(Button, { onClick: onClose }, "Discard mine"),
        h(Button, { kind: "primary", type: "submit", isDisabled: isOpen }, "Continue"),
      ],
    },
    h(
      "p",
      null,
      "While you were editing, ",
      data?.[0]
        ? [
            h(Actor, { id: data[0].actor }),
            " saved a change (",
            h(Time, { at: data[0].eventTime, isRelative: true }),
            ").",
          ]
        : "this credential was changed.",
      " Nothing of yours was saved yet.",
    ),
    fields.map(({ field, before: was, theirs: now, mine: my, isConflict }) =>
      h(
        "fieldset",
        { key: field, class: "difference" },
        h("legend", null, titles[field]),
        h("p", { class: "hint" }, "It was ", h(Value, { field, value: was }), "."),
        isConflict
          ? [/** @type {const} */ (["theirs", now, "Theirs"]), /** @type {const} */ (["mine", my, "Yours"])].map(
              ([key, value, text]) =>
                h(
                  "label",
                  { key, class: "choice" },
                  h("input", {
                    type: "radio",
                    name: field,
                    checked: choice[field] === key,
                    onChange: () => setChoice({ ...choice, [field]: key }),
                  }),
                  h("span", null, h("small", null, text), h(Value, { field, value })),
                ),
            )
          : h(
              "p",
              null,
              "It is now ",
              h("strong", null, h(Value, { field, value: now })),
              ". You did not change it, so this is kept.",
            ),
      ),
    ),
    (added.length > 0 || removed.length > 0) &&
      h(
        "fieldset",
        { class: "difference" },
        h("legend", null, "Roles"),
        added.length > 0 && h("p", null, "Granted: ", h("strong", null, added.map(roleName).join(", "))),
        removed.length > 0 && h("p", null, "Revoked: ", h("strong", null, removed.map(roleName).join(", "))),
        h("p", { class: "hint" }, "Your own changes to roles come on top of these."),
      ),
    fields.length === 0 &&
      added.length === 0 &&
      removed.length === 0 &&
      h("p", { class: "hint" }, "None of it is in the fields that you edit (a new key, perhaps). You can go on."),
  );
}

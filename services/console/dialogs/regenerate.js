// SPDX-License-Identifier: Apache-2.0
// "Generate a new secret key for it": at once, or with an overlap; what that ends is said before.
import { h } from "preact";
import { useMemo, useState } from "preact/hooks";
import { newRequestId } from "../api.js";
import { everywhere } from "../format.js";
import { useWork } from "../load.js";
import { Button, ErrorNotice, Time } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { SelectField } from "../parts/field.js";
import { say } from "../parts/toast.js";
import { call } from "../session.js";
import { ImpactNotice, tokensEnded, useImpact } from "./impact.js";
import { KeyDialog } from "./key.js";

/** @type {[string, string][]} */
const overlaps = [
  ["3600", "1 hour"],
  ["86400", "24 hours"],
  ["259200", "3 days"],
  ["604800", "7 days"],
  ["2592000", "30 days"],
];

/** @param {{ credential: import("../types.js").Credential, onClose: () => void, onDone: () => void }} props */
export function RegenerateDialog({ credential, onClose, onDone }) {
  const [isOverlapping, setOverlapping] = useState(true);
  const [length, setLength] = useState("86400");
  const [secretKey, setSecretKey] = useState(/** @type {string | undefined} */ (undefined));
  const { isBusy, error, run } = useWork();
  const overlap = isOverlapping ? `${length}s` : "0s";
  const requestId = useMemo(newRequestId, [overlap]);
  const path = `v1/credentials/${credential.clientId}:regenerateSecret`;
  const preview = useImpact(overlap, () =>
    call("POST", path, { body: { overlap, validateOnly: true }, isRepeatable: true }),
  );
  if (secretKey !== undefined)
    return h(KeyDialog, { clientId: credential.clientId, name: credential.name, secretKey, onClose });
  const submit = () =>
    run(async () => {
      const body = { overlap, requestId, everywhere: !isOverlapping };
      const answer = await call("POST", path, { body, isRepeatable: true });
      if (!isOverlapping && tokensEnded(preview.impact) > 0) say(`Sessions have ended ${everywhere(answer)}.`);
      setSecretKey(answer.secretKey ?? "");
      onDone();
    });
  const dialog = {
    title: `New secret key for ${credential.name}`,
    onClose,
    onSubmit: submit,
    footer: [
      h(Button, { key: "cancel", onClick: onClose }, "Cancel"),
      h(Button, { key: "do", kind: isOverlapping ? "primary" : "danger", type: "submit", isBusy }, "Generate key"),
    ],
  };
  return h(
    Dialog,
    dialog,
    h(ErrorNotice, { error }),
    h(OverlapChoice, { isOverlapping, setOverlapping, length, setLength }),
    h(EndedKeys, { secrets: (credential.secrets ?? []).slice(isOverlapping ? 1 : 0) }),
    preview.error ? h(ErrorNotice, { error: preview.error }) : h(ImpactNotice, { impact: preview.impact }),
  );
}

/** @param {{ title: string, hint: string, isChecked: boolean, onChoose: () => void, isFirst?: boolean }} props */
const Choice = ({ title, hint, isChecked, onChoose, isFirst }) =>
  h(
    "label",
    { class: "choice" },
    h("input", { type: "radio", name: "overlap", checked: isChecked, onChange: onChoose, "data-focus": isFirst }),
    h("span", null, h("strong", null, title), h("span", { class: "hint" }, hint)),
  );

/**
 * @param {{ isOverlapping: boolean, setOverlapping: (isOverlapping: boolean) => void, length: string,
 *   setLength: (length: string) => void }} props
 */
function OverlapChoice({ isOverlapping, setOverlapping, length, setLength }) {
  return h(
    "fieldset",
    { class: "plain" },
    h("legend", null, "Current key"),
    h(Choice, {
      title: "Keep working for a while",
      hint: "Time to put the new key in place. Live sessions continue.",
      isChecked: isOverlapping,
      onChoose: () => setOverlapping(true),
      isFirst: true,
    }),
    isOverlapping &&
      h(
        "div",
        { class: "indent" },
        h(SelectField, { label: "For how long", value: length, onChange: setLength, options: overlaps }),
      ),
    h(Choice, {
      title: "Revoke now",
      hint: "If it may be in the wrong hands. Live sessions end too.",
      isChecked: !isOverlapping,
      onChoose: () => setOverlapping(false),
    }),
  );
}

/** @param {{ secrets: import("../types.js").SecretInfo[] }} props */
function EndedKeys({ secrets }) {
  if (secrets.length === 0) return null;
  const listed = secrets.map((secret, index) => [
    index > 0 && " and ",
    h("code", null, `…${secret.hint}`),
    " (created ",
    h(Time, { at: secret.createTime }),
    ")",
  ]);
  const isOne = secrets.length === 1;
  return h("p", null, isOne ? "The key " : "The keys ", listed, isOne ? " stops working." : " stop working.");
}

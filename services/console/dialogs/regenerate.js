// SPDX-License-Identifier: Apache-2.0
// "Generate a new secret key for it": at once, or with an overlap; what that ends is said before.
import { h } from "preact";
import { useMemo, useState } from "preact/hooks";
import { newRequestId } from "../api.js";
import { useWork } from "../load.js";
import { Button, ErrorNotice, Time } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { SelectField } from "../parts/field.js";
import { call } from "../session.js";
import { ImpactNotice, useImpact } from "./impact.js";
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
  const secrets = credential.secrets ?? [];
  const ended = isOverlapping ? secrets.slice(1) : secrets;
  const submit = () =>
    run(async () => {
      const answer = await call("POST", path, { body: { overlap, requestId }, isRepeatable: true });
      setSecretKey(answer.secretKey ?? "");
      onDone();
    });
  return h(
    Dialog,
    {
      title: `New secret key for ${credential.name}`,
      onClose,
      onSubmit: submit,
      footer: [
        h(Button, { onClick: onClose }, "Cancel"),
        h(Button, { kind: isOverlapping ? "primary" : "danger", type: "submit", isBusy }, "Generate key"),
      ],
    },
    h(ErrorNotice, { error }),
    h(
      "fieldset",
      { class: "plain" },
      h("legend", null, "The key it has now"),
      h(
        "label",
        { class: "choice" },
        h("input", {
          type: "radio",
          name: "overlap",
          checked: isOverlapping,
          onChange: () => setOverlapping(true),
          "data-focus": true,
        }),
        h(
          "span",
          null,
          h("strong", null, "Goes on for a while"),
          h("span", { class: "hint" }, "Time to put the new key in place. Live sessions go on."),
        ),
      ),
      isOverlapping &&
        h(
          "div",
          { class: "indent" },
          h(SelectField, { label: "For how long", value: length, onChange: setLength, options: overlaps }),
        ),
      h(
        "label",
        { class: "choice" },
        h("input", { type: "radio", name: "overlap", checked: !isOverlapping, onChange: () => setOverlapping(false) }),
        h(
          "span",
          null,
          h("strong", null, "Ends at once"),
          h("span", { class: "hint" }, "If it may be in wrong hands. Live sessions end too."),
        ),
      ),
    ),
    ended.length > 0 &&
      h(
        "p",
        null,
        ended.length === 1 ? "The key " : "The keys ",
        ended.map((secret, index) => [
          index > 0 && " and ",
          h("code", null, `…${secret.hint}`),
          " (made ",
          h(Time, { at: secret.createTime }),
          ")",
        ]),
        ended.length === 1 ? " stops working." : " stop working.",
      ),
    preview.error ? h(ErrorNotice, { error: preview.error }) : h(ImpactNotice, { impact: preview.impact }),
  );
}

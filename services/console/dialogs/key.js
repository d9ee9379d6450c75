// SPDX-License-Identifier: Apache-2.0
// "You will only be able to access this secret key once, at this point." It is in this component's properties while it is
// shown, and gone with it. Nothing closes it before both it and the client ID were copied, or it is said to be stored.
import { h } from "preact";
import { useState } from "preact/hooks";
import { Button, CopyButton, Notice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";

/** secretKey: "" where it got lost. @typedef {{ clientId: string, name: string, secretKey: string }} Made */

/** @param {Made & { isNew?: boolean, onClose: () => void }} props */
export function KeyDialog({ clientId, name, secretKey, isNew, onClose }) {
  const [hasId, setHasId] = useState(!isNew); // it has had that before
  const [hasKey, setHasKey] = useState(false);
  const [isStored, setStored] = useState(false);
  const mayClose = (hasId && hasKey) || isStored || !secretKey;
  const both = `client_id=${clientId}\nclient_secret=${secretKey}\n`;
  const address = new URL("OAuth/Token", document.baseURI).href;
  const curl = `curl ${address} -d grant_type=client_credentials -d client_id=${clientId} -d client_secret=${secretKey}`;
  const copiedBoth = () => (setHasId(true), setHasKey(true));
  return h(
    Dialog,
    {
      title: isNew ? "Copy the secret key now" : "Copy the new secret key now",
      onClose,
      isLocked: !mayClose,
      footer: h(Button, { kind: "primary", isDisabled: !mayClose, onClick: onClose }, "Done"),
    },
    secretKey
      ? h(
          Notice,
          { kind: "warn" },
          "This is the only time the secret key of ",
          h("strong", null, name),
          " is shown. If it is lost, you can generate a new one.",
        )
      : h(
          Notice,
          { kind: "warn" },
          "The credential was saved, but the answer with its secret key was lost. Generate a new key for it.",
        ),
    h(
      "dl",
      { class: "keys" },
      h("dt", null, "Client ID"),
      h(
        "dd",
        null,
        h("code", { tabIndex: 0 }, clientId),
        h(CopyButton, { text: clientId, label: "Copy the client ID", onCopied: () => setHasId(true) }),
      ),
      secretKey && h("dt", null, "Secret key"),
      secretKey &&
        h(
          "dd",
          null,
          h("code", { tabIndex: 0, class: "secret" }, secretKey),
          h(CopyButton, { text: secretKey, label: "Copy the secret key", onCopied: () => setHasKey(true) }),
        ),
    ),
    secretKey &&
      h(
        "div",
        { class: "row" },
        h(CopyButton, { text: both, label: "Copy both", isNamed: true, onCopied: copiedBoth }),
        h(CopyButton, { text: curl, label: "Copy as curl", isNamed: true, onCopied: copiedBoth }),
      ),
    secretKey &&
      h(
        "p",
        { class: "hint" },
        "The third-party system sends both to ",
        h("code", null, address),
        " with grant_type=client_credentials, and gets a bearer token; the curl command does that.",
      ),
    secretKey &&
      h(
        "label",
        { class: "check" },
        h("input", { type: "checkbox", checked: isStored, onChange: () => setStored(!isStored) }),
        "I have stored the secret key in a safe place",
      ),
  );
}

// SPDX-License-Identifier: Apache-2.0
// "Credential records can also be deleted if desired", once their name was typed.
import { h } from "preact";
import { useState } from "preact/hooks";
import { ApiError, withQuery } from "../api.js";
import { everywhere, seconds, span } from "../format.js";
import { useLoad, useWork } from "../load.js";
import { Button, ErrorNotice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { TextField } from "../parts/field.js";
import { say } from "../parts/toast.js";
import { call } from "../session.js";
import { ImpactNotice, useImpact } from "./impact.js";

/** @param {{ credential: import("../types.js").Credential, onClose: () => void, onDone: () => void }} props */
export function DeleteDialog({ credential, onClose, onDone }) {
  const [typed, setTyped] = useState("");
  const { isBusy, error, setError, run } = useWork();
  const path = `v1/credentials/${credential.clientId}`;
  const preview = useImpact("", () => call("DELETE", withQuery(path, { validateOnly: true }), { isRepeatable: true }));
  const { data: retention } = useLoad("v1/settings", (answer) => seconds(answer.settings.deletionRetention));
  function submit() {
    if (typed.trim() !== credential.name.trim())
      return setError(new ApiError(400, "", "", { name: "The name doesn't match." }));
    return run(async () => {
      const answer = await call("DELETE", withQuery(path, { etag: credential.etag, everywhere: true }));
      say(`${credential.name} is deleted ${everywhere(answer)}.`);
      onDone();
      onClose();
    });
  }
  return h(
    Dialog,
    {
      title: `Delete ${credential.name}?`,
      onClose,
      onSubmit: submit,
      footer: [
        h(Button, { onClick: onClose }, "Cancel"),
        h(Button, { kind: "danger", type: "submit", isBusy }, "Delete"),
      ],
    },
    error &&
      !error.fields.name &&
      h(ErrorNotice, {
        error:
          error.reason === "STALE_ETAG"
            ? new Error("Someone else has changed it. Close this and look at it before you delete it.")
            : error,
      }),
    preview.error
      ? h(ErrorNotice, { error: preview.error })
      : h(ImpactNotice, { impact: preview.impact, also: "Its secret keys stop working." }),
    h(
      "p",
      null,
      retention === undefined
        ? ""
        : retention > 0
          ? `You can restore it for ${span(retention)}; after that it is gone for good.`
          : "You cannot restore it.",
    ),
    h(TextField, {
      label: `Type its name to confirm: ${credential.name}`,
      value: typed,
      onInput: setTyped,
      isFirst: true,
      error: error?.fields.name,
    }),
  );
}

// SPDX-License-Identifier: Apache-2.0
// "Click on '+' link, and fill in details in the resulting popup", then the key.
import { h } from "preact";
import { useMemo, useState } from "preact/hooks";
import { ApiError, newRequestId } from "../api.js";
import { toInput } from "../format.js";
import { readLines } from "../labels.js";
import { limitFormOf, limitText, networkFormOf, networkText, parsed } from "../limits.js";
import { catalogue, useWork } from "../load.js";
import { Button, FormError } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { expiryTime } from "../parts/field.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { checkForm, CredentialFields } from "./fields.js";
import { KeyDialog } from "./key.js";
/** @typedef {import("./fields.js").Form} Form */

/** @returns {Form} */
const empty = () => ({
  name: "",
  owner: "",
  contact: "",
  labels: "",
  limits: limitFormOf(undefined),
  networks: networkFormOf(undefined),
  expiry: { text: toInput(new Date(Date.now() + 90 * 86_400_000), false), isUtc: false, isNever: false },
  roles: new Set(),
});

/** @param {{ onClose: () => void, onCreated: () => void }} props */
export function CreateDialog({ onClose, onCreated }) {
  const { roles } = useStore(catalogue);
  const [form, setForm] = useState(empty);
  const [made, setMade] = useState(/** @type {import("./key.js").Made | undefined} */ (undefined));
  const { isBusy, error, setError, run } = useWork();
  const body = {
    credential: {
      name: form.name.trim(),
      owner: form.owner,
      expireTime: expiryTime(form.expiry) || undefined,
      contact: form.contact.trim(),
      labels: readLines(form.labels).labels,
      limits: parsed(limitText(form.limits)),
      addresses: parsed(networkText(form.networks)),
    },
    roles: [...form.roles],
  };
  const requestId = useMemo(newRequestId, [JSON.stringify(body)]); // sending the same again makes nothing twice
  if (made) return h(KeyDialog, { ...made, isNew: true, onClose });

  function submit() {
    const wrong = checkForm(form, true);
    if (Object.keys(wrong).length > 0) return setError(new ApiError(400, "", "", wrong));
    return run(async () => {
      const answer = await call("POST", "v1/credentials", { body: { ...body, requestId }, isRepeatable: true });
      const { clientId, name } = answer.credential;
      setMade({ clientId, name, secretKey: answer.secretKey ?? "" });
      onCreated();
    });
  }
  const dialog = {
    title: "New credential",
    onClose,
    isWide: true,
    onSubmit: submit,
    isDirty:
      form.name + form.owner + form.contact + form.labels + limitText(form.limits) + form.networks.text !== "" ||
      form.roles.size > 0,
    footer: [
      h(Button, { key: "cancel", onClick: onClose }, "Cancel"),
      h(Button, { key: "do", kind: "primary", type: "submit", isBusy }, "Generate key"),
    ],
  };
  const offered = roles.filter((role) => !role.retired);
  return h(
    Dialog,
    dialog,
    h(FormError, { error }),
    h(CredentialFields, { form, onChange: setForm, wrong: error?.fields ?? {}, roles: offered }),
  );
}

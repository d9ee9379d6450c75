// SPDX-License-Identifier: Apache-2.0
// "Click on '+' link, and fill in details in the resulting popup", then the key.
import { h } from "preact";
import { useMemo, useState } from "preact/hooks";
import { expiryTime, expiryOf, ExpiryField, RolePicker, TextField } from "../parts/field.js";
import { catalogue, useLoad, useWork } from "../load.js";
import { Button, ErrorNotice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { call } from "../session.js";
import { useStore } from "../store.js";
import { toInput } from "../format.js";
import { ApiError, newRequestId } from "../api.js";
import { KeyDialog } from "./key.js";

/**
 * What is wrong before the API is asked; it says the same otherwise.
 * @param {string} name @param {string | null} time @param {Set<string>} roles
 */
export function checkForm(name, time, roles) {
  /** @type {Record<string, string>} */
  const fields = {};
  if (!name.trim()) fields.name = "Enter a name.";
  if (time === null) fields.expire_time = "Enter a date and time, or choose Never expires.";
  if (roles.size === 0) fields.roles = "Choose at least one role.";
  return fields;
}

/** Users to choose an owner from. @param {{ id: string }} props */
export function OwnerList({ id }) {
  const { data } = useLoad(
    "v1/users?pageSize=200",
    (answer) => /** @type {import("../types.js").User[]} */ (answer.users ?? []),
  );
  return h(
    "datalist",
    { id },
    (data ?? []).map(({ user }) => h("option", { key: user, value: user })),
  );
}

/** @param {{ onClose: () => void, onCreated: () => void }} props */
export function CreateDialog({ onClose, onCreated }) {
  const { roles } = useStore(catalogue);
  const [name, setName] = useState("");
  const [owner, setOwner] = useState("");
  const [expiry, setExpiry] = useState(() => ({
    ...expiryOf(undefined),
    isNever: false,
    text: toInput(new Date(Date.now() + 90 * 86_400_000), false),
  }));
  const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
  const [made, setMade] = useState(
    /** @type {{ clientId: string, name: string, secretKey: string } | undefined} */ (undefined),
  );
  const { isBusy, error, setError, run } = useWork();
  const body = {
    credential: { name: name.trim(), owner, expireTime: expiryTime(expiry) || undefined },
    roles: [...chosen],
  };
  const written = JSON.stringify(body);
  const requestId = useMemo(() => newRequestId(), [written]); // sending the same again makes nothing twice
  if (made) return h(KeyDialog, { ...made, isNew: true, onClose });

  function submit() {
    const fields = checkForm(name, expiryTime(expiry), chosen);
    if (Object.keys(fields).length > 0) return setError(new ApiError(400, "", "", fields));
    return run(async () => {
      const { credential, secretKey = "" } = await call("POST", "v1/credentials", {
        body: { ...body, requestId },
        isRepeatable: true,
      });
      setMade({ clientId: credential.clientId, name: credential.name, secretKey });
      onCreated();
    });
  }
  const fields = error?.fields ?? {};
  return h(
    Dialog,
    {
      title: "New credential",
      onClose,
      isWide: true,
      onSubmit: submit,
      isDirty: name !== "" || chosen.size > 0 || owner !== "",
      footer: [
        h(Button, { onClick: onClose }, "Cancel"),
        h(Button, { kind: "primary", type: "submit", isBusy }, "Generate key"),
      ],
    },
    error && Object.keys(fields).length === 0 && h(ErrorNotice, { error }),
    h(
      "div",
      { class: "two" },
      h(TextField, {
        label: "Name",
        value: name,
        onInput: setName,
        isFirst: true,
        maxLength: 100,
        error: fields.name,
        hint: "Such as the system that will use it.",
      }),
      h(TextField, {
        label: "Owner (optional)",
        value: owner,
        onInput: setOwner,
        list: "owners",
        error: fields.owner,
        hint: "The user it acts for. It never has a role that this user has not.",
      }),
    ),
    h(OwnerList, { id: "owners" }),
    h(ExpiryField, { value: expiry, onChange: setExpiry, error: fields.expire_time }),
    h(RolePicker, { roles: roles.filter((role) => !role.retired), chosen, onChange: setChosen, error: fields.roles }),
  );
}

// SPDX-License-Identifier: Apache-2.0
// What creating and editing a credential have in common.
import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import { plural } from "../format.js";
import { readLines } from "../labels.js";
import { checkLimits } from "../limits.js";
import { useLoad } from "../load.js";
import { Button } from "../parts/basic.js";
import { ExpiryField, expiryTime, RolePicker, TextField } from "../parts/field.js";
import { call, may } from "../session.js";
import { tokensEnded } from "./impact.js";
import { LimitFields, NetworkFields } from "./limits.js";
/** @typedef {import("preact").ComponentChildren} Children */

/** As it is being filled in. @typedef {{ name: string, owner: string, contact: string, labels: string, limits: import("../limits.js").Amounts, networks: import("../limits.js").Sources, expiry: import("../parts/field.js").Expiry, roles: Set<string> }} Form */

/** What is wrong before the API is asked; it says the same otherwise. @param {Form} form @param {boolean} needsRole */
export function checkForm(form, needsRole) {
  /** @type {Record<string, string>} */
  const fields = checkLimits(form.limits);
  if (!form.name.trim()) fields.name = "Enter a name.";
  if (expiryTime(form.expiry) === null) fields.expire_time = "Enter a date and time, or choose Never expires.";
  const { wrong } = readLines(form.labels);
  if (wrong) fields.labels = wrong;
  if (needsRole && form.roles.size === 0) fields.roles = "Choose at least one role.";
  return fields;
}

/** Users to choose an owner from. */
function OwnerList() {
  const pick = (/** @type {any} */ answer) => /** @type {import("../types.js").User[]} */ (answer.users ?? []);
  const { data } = useLoad("v1/users?pageSize=200", pick);
  return h(
    "datalist",
    { id: "owners" },
    (data ?? []).map(({ user }) => h("option", { key: user, value: user })),
  );
}

/** A misspelt owner makes a credential without roles, in silence. @param {{ owner: string }} props */
function OwnerHint({ owner }) {
  const [known, setKnown] = useState(/** @type {{ owner: string, is: boolean } | undefined} */ (undefined));
  useEffect(() => {
    if (!owner) return undefined;
    const timer = setTimeout(
      () =>
        call("GET", `v1/users/${encodeURIComponent(owner)}`).then(
          () => setKnown({ owner, is: true }),
          (error) => error.code === 404 && setKnown({ owner, is: false }),
        ),
      300,
    );
    return () => clearTimeout(timer);
  }, [owner]);
  if (owner && known?.owner === owner && !known.is)
    return h(
      "span",
      { class: "soon", role: "status" },
      `No user has the ID ${owner}. The credential has no effective roles until your directory gives this user some.`,
    );
  return "The user it acts for. It can only use roles that this user also has.";
}

/**
 * @param {{ form: Form, onChange: (form: Form) => void, wrong: Record<string, string>, roles: import("../types.js").Role[],
 *   note?: (role: string) => Children, isGone?: (role: string) => boolean }} props
 */
export function CredentialFields({ form, onChange, wrong, roles, note, isGone }) {
  const expiry = h(ExpiryField, {
    key: "expiry",
    value: form.expiry,
    onChange: (expiry) => onChange({ ...form, expiry }),
    error: wrong.expire_time,
  });
  if (!may("user_manager")) return [expiry]; // the one field that a key_manager may change
  return [
    h(
      "div",
      { class: "two", key: "names" },
      h(TextField, {
        label: "Name",
        value: form.name,
        onInput: (name) => onChange({ ...form, name }),
        isFirst: true,
        maxLength: 100,
        error: wrong.name,
        hint: "For example, the system that will use it.",
      }),
      h(TextField, {
        label: "Owner (optional)",
        value: form.owner,
        onInput: (owner) => onChange({ ...form, owner }),
        list: "owners",
        error: wrong.owner,
        hint: h(OwnerHint, { owner: form.owner.trim() }),
      }),
    ),
    h(OwnerList, { key: "owners" }),
    expiry,
    h(RolePicker, {
      key: "roles",
      roles,
      chosen: form.roles,
      onChange: (chosen) => onChange({ ...form, roles: chosen }),
      error: wrong.roles,
      note,
      isGone,
    }),
    h(ContactFields, { key: "contact", form, onChange, wrong }),
    h(LimitFields, { key: "limits", form, onChange, wrong }),
    h(NetworkFields, { key: "networks", form, onChange, wrong }),
  ];
}

/** They concern people and lists, no token. @param {{ form: Form, onChange: (form: Form) => void, wrong: Record<string, string> }} props */
const ContactFields = ({ form, onChange, wrong }) =>
  h(
    "div",
    { class: "two" },
    h(TextField, {
      label: "Contact (optional)",
      value: form.contact,
      onInput: (contact) => onChange({ ...form, contact }),
      maxLength: 200,
      error: wrong.contact,
      hint: "Whom to ask about it: a person, a team, an address.",
    }),
    h(TextField, {
      label: "Labels (optional)",
      value: form.labels,
      onInput: (labels) => onChange({ ...form, labels }),
      isLong: true,
      isMono: true,
      placeholder: "team=payments",
      error: wrong.labels ?? wrong.key ?? wrong.value,
      hint: "key=value, one per line, at most 16. Keys: lowercase letters, digits and . _ / -",
    }),
  );

/** Says what it ends once that is known. @param {{ impact?: import("../types.js").Impact, isBusy: boolean, isDisabled?: boolean }} props */
export function SaveButton({ impact, isBusy, isDisabled }) {
  return h(
    Button,
    { kind: impact ? "danger" : "primary", type: "submit", isBusy, isDisabled },
    impact ? `Save and end ${plural(tokensEnded(impact), "session")}` : "Save",
  );
}

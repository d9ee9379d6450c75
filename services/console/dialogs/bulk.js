// SPDX-License-Identifier: Apache-2.0
// One act on the credentials that were chosen: what to do, one preview of all that it ends, then what became of each.
import { h } from "preact";
import { useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { perform, preview } from "../bulk.js";
import { plural, saidSaved } from "../format.js";
import { catalogue, useWork } from "../load.js";
import { Button, FormError, Notice } from "../parts/basic.js";
import { Dialog } from "../parts/dialog.js";
import { ExpiryField, expiryOf, expiryTime, RolePicker, TextField } from "../parts/field.js";
import { say } from "../parts/toast.js";
import { may } from "../session.js";
import { useStore } from "../store.js";
import { ImpactNotice, tokensEnded } from "./impact.js";
/** @typedef {import("../types.js").Credential} Credential */
/** @typedef {import("../bulk.js").Act} Act */
/** @typedef {import("../bulk.js").Outcome} Outcome */

/** @type {Record<Act, { title: string, verb: string, done: string, grade: "key_manager" | "user_manager", note?: string }>} */
const acts = {
  grant: { title: "Grant roles", verb: "Grant to", done: "Granted", grade: "user_manager" },
  revoke: { title: "Revoke roles", verb: "Revoke from", done: "Revoked", grade: "user_manager" },
  extend: { title: "Expiry date", verb: "Set for", done: "Set", grade: "key_manager" },
  suspend: {
    title: "Suspend",
    verb: "Suspend",
    done: "Suspended",
    grade: "key_manager",
    note: "They get no new session until they are resumed.",
  },
  resume: { title: "Resume", verb: "Resume", done: "Resumed", grade: "key_manager" },
  delete: {
    title: "Delete",
    verb: "Delete",
    done: "Deleted",
    grade: "user_manager",
    note: "Their secret keys stop working.",
  },
};

/** What can be done to those that are chosen. @param {{ chosen: Credential[], onClear: () => void, onDone: (done: Credential[]) => void }} props */
export function BulkBar({ chosen, onClear, onDone }) {
  const [open, setOpen] = useState(/** @type {Act | ""} */ (""));
  const names = /** @type {Act[]} */ (Object.keys(acts)).filter((name) => may(acts[name].grade));
  return h(
    "div",
    { class: "bulk", role: "region", "aria-label": "Selected credentials" },
    h("span", { role: "status" }, `${plural(chosen.length, "credential")} selected`),
    h(
      "span",
      { class: "actions" },
      names.map((name) =>
        h(
          Button,
          { key: name, kind: name === "delete" ? "danger" : "plain", onClick: () => setOpen(name) },
          acts[name].title,
        ),
      ),
      h(Button, { key: "clear", kind: "quiet", onClick: onClear }, "Clear"),
    ),
    open && h(BulkDialog, { name: open, chosen, onClose: () => setOpen(""), onDone }),
  );
}

/** What the dialog does, without how it looks. @param {{ name: Act, chosen: Credential[], onClose: () => void, onDone: (done: Credential[]) => void }} props */
function useBulk({ name, chosen, onClose, onDone }) {
  const [credentials] = useState(chosen); // those of the moment at which it was opened
  const [form, setForm] = useState(() => ({ roles: new Set(), expiry: expiryOf(inDays(90)), typed: "" }));
  const [looked, setLooked] = useState(/** @type {Awaited<ReturnType<typeof preview>> | undefined} */ (undefined));
  const [failed, setFailed] = useState(/** @type {{ done: number, failed: Outcome[] } | undefined} */ (undefined));
  const [progress, setProgress] = useState(0);
  const { isBusy, error, setError, run } = useWork();
  const choice = { roles: /** @type {string[]} */ ([...form.roles]), expireTime: expiryTime(form.expiry) ?? "" };

  /** @returns {Record<string, string>} */
  function check() {
    if ((name === "grant" || name === "revoke") && choice.roles.length === 0)
      return { roles: "Choose at least one role." };
    if (name === "extend" && expiryTime(form.expiry) === null)
      return { expire_time: "Enter a date and time, or choose Never expires." };
    if (looked && name === "delete" && form.typed.trim().toLowerCase() !== "delete")
      return { typed: "Type the word delete." };
    return {};
  }
  async function act() {
    setProgress(0);
    if (!looked) return setLooked(await preview(name, credentials, choice, setProgress));
    const made = await perform(name, looked.able, choice, setProgress);
    const all = [...looked.failed, ...made.failed];
    onDone(made.done);
    if (all.length > 0) return setFailed({ done: made.done.length, failed: all });
    say(`${acts[name].done}: ${plural(made.done.length, "credential")}. ${saidSaved(made.waits)}`);
    return onClose();
  }
  function submit() {
    const wrong = check();
    if (Object.keys(wrong).length > 0) return setError(new ApiError(400, "", "", wrong));
    return run(act);
  }
  /** The preview was of something else then. @param {object} change */
  const change = (change) => (setForm({ ...form, ...change }), "typed" in change || setLooked(undefined));
  return { credentials, form, change, looked, failed, progress, isBusy, error, submit };
}

/** @param {number} days */
const inDays = (days) => new Date(Date.now() + days * 86_400_000).toISOString();

/** @param {{ name: Act, chosen: Credential[], onClose: () => void, onDone: (done: Credential[]) => void }} props */
function BulkDialog(props) {
  const bulk = useBulk(props);
  const { credentials, looked, failed, progress, isBusy, error, submit } = bulk;
  const { name, onClose } = props;
  const { title, verb } = acts[name];
  const many = plural(looked?.able.length ?? credentials.length, "credential");
  if (failed) return h(Report, { name, ...failed, onClose });
  const ends = looked ? tokensEnded(looked.impact) : 0;
  const isDanger = name === "delete" || ends > 0;
  return h(
    Dialog,
    {
      title: `${title}: ${plural(credentials.length, "credential")}`,
      onClose,
      isWide: name === "grant" || name === "revoke",
      isLocked: isBusy,
      onSubmit: submit,
      note: looked && h(Looked, { looked, also: acts[name].note }),
      footer: [
        isBusy &&
          h(
            "span",
            { key: "progress", role: "status", class: "hint" },
            `${progress} of ${looked?.able.length ?? credentials.length}`,
          ),
        h(Button, { key: "cancel", onClick: onClose, isDisabled: isBusy }, "Cancel"),
        looked
          ? h(
              Button,
              {
                key: "do",
                kind: isDanger ? "danger" : "primary",
                type: "submit",
                isBusy,
                isDisabled: looked.able.length === 0,
              },
              `${verb} ${many}${ends > 0 ? ` and end ${plural(ends, "session")}` : ""}`,
            )
          : h(Button, { key: "look", kind: "primary", type: "submit", isBusy }, "Preview"),
      ],
    },
    h(FormError, { error }),
    h(Inputs, { name, bulk }),
    h(Names, { credentials }),
  );
}

/** @param {{ name: Act, bulk: ReturnType<typeof useBulk> }} props */
function Inputs({ name, bulk: { form, change, error, looked } }) {
  const { roles } = useStore(catalogue);
  const wrong = error?.fields ?? {};
  if (name === "grant" || name === "revoke")
    return h(RolePicker, {
      roles: roles.filter((role) => name === "revoke" || !role.retired),
      chosen: /** @type {Set<string>} */ (form.roles),
      onChange: (roles) => change({ roles }),
      error: wrong.roles,
    });
  if (name === "extend")
    return h(ExpiryField, { value: form.expiry, onChange: (expiry) => change({ expiry }), error: wrong.expire_time });
  if (name === "delete" && looked)
    return h(TextField, {
      label: "Type delete to confirm",
      value: form.typed,
      onInput: (typed) => change({ typed }),
      isFirst: true,
      error: wrong.typed,
    });
  return null;
}

/** @param {{ credentials: Credential[] }} props */
const Names = ({ credentials }) =>
  h(
    "details",
    { open: credentials.length <= 5 },
    h("summary", null, plural(credentials.length, "credential")),
    h(
      "ul",
      { class: "plain-list" },
      credentials.map(({ clientId, name }) => h("li", { key: clientId }, name)),
    ),
  );

/** @param {{ looked: Awaited<ReturnType<typeof preview>>, also?: string }} props */
const Looked = ({ looked: { impact, able, failed }, also }) => [
  able.length > 0 && h(ImpactNotice, { key: "impact", impact, also }),
  failed.length > 0 &&
    h(
      Notice,
      { key: "failed", kind: "warn" },
      h("p", null, `This cannot be done to ${plural(failed.length, "credential")}:`),
      h(Failures, { failed }),
    ),
];

/** @param {{ failed: Outcome[] }} props */
const Failures = ({ failed }) =>
  h(
    "ul",
    { class: "failures" },
    failed.map(({ credential, error }) =>
      h(
        "li",
        { key: credential.clientId },
        h("strong", null, credential.name),
        ": ",
        error?.reason === "STALE_ETAG"
          ? "Someone else has changed it. Look at it before you try again."
          : error?.isUnknown
            ? "The server did not answer. It may have been done: check the credential."
            : error?.message,
      ),
    ),
  );

/** @param {{ name: Act, done: number, failed: Outcome[], onClose: () => void }} props */
const Report = ({ name, done, failed, onClose }) =>
  h(
    Dialog,
    {
      title: `${acts[name].done}: ${done} of ${plural(done + failed.length, "credential")}`,
      onClose,
      footer: h(Button, { kind: "primary", onClick: onClose }, "Close"),
    },
    h(
      Notice,
      { kind: "bad" },
      h("p", null, `Not done to ${plural(failed.length, "credential")}, which stay selected:`),
      h(Failures, { failed }),
    ),
  );

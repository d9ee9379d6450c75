// SPDX-License-Identifier: Apache-2.0
// "The 'Idle Session Timeout' setting in the General Settings section", and the rest.
import { h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../api.js";
import { SaveButton } from "../dialogs/fields.js";
import { ImpactNotice, tokensEnded } from "../dialogs/impact.js";
import { RolesCard } from "../dialogs/role.js";
import { duration, saidSaved, seconds, span, split } from "../format.js";
import { asApiError, useLoad, useWork } from "../load.js";
import { Button, Card, Failed, FormError, Heading, Notice } from "../parts/basic.js";
import { useFirstWrong, useHold } from "../parts/dialog.js";
import { AmountField } from "../parts/field.js";
import { Skeleton } from "../parts/table.js";
import { say } from "../parts/toast.js";
import { useStay } from "../router.js";
import { call, may, setIdleSeconds } from "../session.js";
/** @typedef {import("../types.js").Settings} Settings */
/** @typedef {{ idle: string, idleUnit: string, life: string, lifeUnit: string, tokens: string, deletion: string, usage: string, audit: string, unused: string }} Form */

/** @param {Settings} settings @returns {Form} */
function formOf(settings) {
  const [idle, idleUnit] = split(seconds(settings.idleSessionTimeout));
  const [life, lifeUnit] = split(seconds(settings.maxTokenLife));
  return {
    idle,
    idleUnit,
    life,
    lifeUnit,
    tokens: settings.maxTokensPerCredential ? String(settings.maxTokensPerCredential) : "",
    deletion: String(seconds(settings.deletionRetention) / 86_400),
    usage: String(seconds(settings.usageRetention) / 86_400),
    audit: settings.auditRetention ? String(seconds(settings.auditRetention) / 86_400) : "",
    unused: settings.suspendUnusedAfter ? String(seconds(settings.suspendUnusedAfter) / 86_400) : "",
  };
}

/** @param {Form} form @param {string} etag */
function settingsOf(form, etag) {
  return {
    idleSessionTimeout: duration(form.idle, form.idleUnit),
    maxTokenLife: duration(form.life, form.lifeUnit),
    maxTokensPerCredential: Number(form.tokens || 0),
    deletionRetention: duration(form.deletion, 86_400),
    usageRetention: duration(form.usage, 86_400),
    auditRetention: duration(form.audit, 86_400),
    suspendUnusedAfter: duration(form.unused, 86_400),
    etag,
  };
}

/** @param {Form} form */
function check(form) {
  /** @type {Record<string, string>} */
  const fields = {};
  const isNumber = (/** @type {string} */ text) => text.trim() !== "" && Number(text) >= 0;
  if (!isNumber(form.idle)) fields.idle_session_timeout = "Enter a number.";
  if (form.life.trim() && !isNumber(form.life)) fields.max_token_life = "Enter a number, or leave it empty.";
  if (form.tokens.trim() && !Number.isInteger(Number(form.tokens)))
    fields.max_tokens_per_credential = "Enter a whole number, or leave it empty.";
  if (!isNumber(form.deletion)) fields.deletion_retention = "Enter a number.";
  if (!isNumber(form.usage)) fields.usage_retention = "Enter a number.";
  if (form.audit.trim() && !isNumber(form.audit)) fields.audit_retention = "Enter a number, or leave it empty.";
  if (form.unused.trim() && !isNumber(form.unused)) fields.suspend_unused_after = "Enter a number, or leave it empty.";
  return fields;
}

export function SettingsScreen() {
  const { data, error, reload } = useLoad("v1/settings", (answer) => /** @type {Settings} */ (answer.settings));
  return h(
    "div",
    { class: "screen narrow" },
    h(Heading, { title: "Settings", lead: "Apply to all credentials immediately, including live sessions." }),
    data
      ? h(SettingsForm, { settings: data, onSaved: reload })
      : error
        ? h(Failed, { error, onRetry: reload })
        : h(Skeleton, null),
    h(RolesCard, null),
  );
}

const mask =
  "idleSessionTimeout,maxTokenLife,maxTokensPerCredential,deletionRetention,usageRetention,auditRetention,suspendUnusedAfter";

/** What editing them does, without how it looks. @param {{ settings: Settings, onSaved: () => void }} props */
function useSettings({ settings, onSaved }) {
  const [base, setBase] = useState(settings);
  const [form, setForm] = useState(formOf(settings));
  const [impact, setImpact] = useState(/** @type {import("../types.js").Impact | undefined} */ (undefined));
  const [isStale, setStale] = useState(false);
  const { isBusy, error, setError, run } = useWork();
  const isDirty = JSON.stringify(form) !== JSON.stringify(formOf(base));
  useHold(isDirty);
  useStay(isDirty && "Leave without saving these settings?");

  /** @param {Settings} from @param {Form} next */
  function begin(from, next) {
    setBase(from);
    setForm(next);
    setImpact(undefined);
    setError(undefined);
    setStale(false);
  }
  useEffect(() => {
    if (!isDirty) begin(settings, formOf(settings));
  }, [settings]);

  async function save() {
    const body = { settings: settingsOf(form, base.etag), updateMask: mask };
    const dry = { body: { ...body, validateOnly: true }, isRepeatable: true };
    try {
      const preview = impact ? {} : await call("PATCH", "v1/settings", dry);
      if (tokensEnded(preview.impact) > 0) return setImpact(preview.impact);
      const answer = await call("PATCH", "v1/settings", { body: { ...body, everywhere: !!impact } });
      const saved = answer.settings;
      begin(saved, formOf(saved));
      setIdleSeconds(seconds(saved.idleSessionTimeout));
      say(saidSaved([answer.everywhereAfter]).replace("Saved", "The settings are saved"));
    } catch (failure) {
      setImpact(undefined);
      if (asApiError(failure).reason !== "STALE_ETAG") throw failure;
      setStale(true);
      onSaved();
    }
  }
  function submit(/** @type {Event} */ event) {
    event.preventDefault();
    const wrong = check(form);
    if (Object.keys(wrong).length > 0) return setError(new ApiError(400, "", "", wrong));
    return run(save);
  }
  /** @param {keyof Form} name */
  const set = (name) => (/** @type {string} */ value) => {
    setForm({ ...form, [name]: value });
    setImpact(undefined);
  };
  return { base, form, set, begin, impact, isStale, isDirty, isBusy, error, submit };
}

/** @type {{ name: keyof Form, unit: keyof Form | "days" | "at most", field: string, label: string, hint: string }[]} */
const amounts = [
  {
    name: "idle",
    unit: "idleUnit",
    field: "idle_session_timeout",
    label: "Idle Session Timeout",
    hint: "A bearer token that is not used to call an API for this long expires.",
  },
  {
    name: "life",
    unit: "lifeUnit",
    field: "max_token_life",
    label: "Maximum token lifetime",
    hint: "Used or not. Leave empty for no limit.",
  },
  {
    name: "tokens",
    unit: "at most",
    field: "max_tokens_per_credential",
    label: "Live tokens of one credential",
    hint: "Further ones are refused. Leave empty for no limit.",
  },
  {
    name: "deletion",
    unit: "days",
    field: "deletion_retention",
    label: "Deleted credentials can be restored for",
    hint: "Then they are gone for good.",
  },
  {
    name: "usage",
    unit: "days",
    field: "usage_retention",
    label: "Usage is kept for",
    hint: "Older counts are removed.",
  },
  {
    name: "audit",
    unit: "days",
    field: "audit_retention",
    label: "The audit log is kept for",
    hint: "Older events are removed. Leave empty to keep all.",
  },
  {
    name: "unused",
    unit: "days",
    field: "suspend_unused_after",
    label: "Suspend a credential not used for",
    hint: "Announced up to 7 days before. Leave empty to suspend none.",
  },
];

/** @param {{ settings: Settings, onSaved: () => void }} props */
function SettingsForm(props) {
  const { base, form, set, begin, impact, isStale, isDirty, isBusy, error, submit } = useSettings(props);
  const { settings } = props;
  const root = useRef(null);
  useFirstWrong(root);
  return h(
    "form",
    { ref: root, onSubmit: submit, noValidate: true },
    h(
      Card,
      { title: "General Settings" },
      h(FormError, { error }),
      isStale && h(StaleSettings, { mine: form, theirs: settings, onChoose: (chosen) => begin(settings, chosen) }),
      amounts.map(({ name, unit, field, label, hint }) =>
        h(AmountField, {
          key: name,
          kind: "setting",
          label,
          hint,
          value: form[name],
          onInput: set(name),
          error: error?.fields[field],
          ...(unit === "days" || unit === "at most" ? { unit } : { unit: form[unit], onUnit: set(unit) }),
        }),
      ),
      impact && h(ImpactNotice, { impact }),
      h(
        "div",
        { class: "actions end" },
        isDirty && h(Button, { onClick: () => begin(base, formOf(base)) }, "Undo"),
        h(SaveButton, { impact, isBusy, isDisabled: !isDirty || !may("user_manager") }),
      ),
    ),
  );
}

/** @param {{ mine: Form, theirs: Settings, onChoose: (form: Form) => void }} props */
function StaleSettings({ mine, theirs, onChoose }) {
  const now = [
    `Idle Session Timeout ${span(seconds(theirs.idleSessionTimeout))}`,
    `maximum token lifetime ${theirs.maxTokenLife ? span(seconds(theirs.maxTokenLife)) : "no limit"}`,
    `live tokens ${theirs.maxTokensPerCredential || "no limit"}`,
    `deleted kept ${span(seconds(theirs.deletionRetention))}`,
    `usage kept ${span(seconds(theirs.usageRetention))}`,
    `audit log kept ${theirs.auditRetention ? span(seconds(theirs.auditRetention)) : "forever"}`,
    `unused suspended ${theirs.suspendUnusedAfter ? `after ${span(seconds(theirs.suspendUnusedAfter))}` : "never"}`,
  ].join("; ");
  return h(
    Notice,
    { kind: "warn" },
    h("p", null, "Someone else has changed the settings. They are now: ", now, "."),
    h(
      "div",
      { class: "actions" },
      h(Button, { onClick: () => onChoose(formOf(theirs)) }, "Take theirs"),
      h(Button, { onClick: () => onChoose(mine) }, "Keep mine"),
    ),
  );
}

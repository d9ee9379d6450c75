// SPDX-License-Identifier: Apache-2.0
// Limits of a credential's own, and from where it may be used: in the form of a credential.
import { h } from "preact";
import { limitRows } from "../limits.js";
import { AmountField, CheckField, TextField } from "../parts/field.js";
/** @typedef {import("../limits.js").Key} Key */
/** @typedef {{ form: import("./fields.js").Form, onChange: (form: import("./fields.js").Form) => void, wrong: Record<string, string> }} Props */

/** @type {Record<Key, string>} */
const hints = {
  idleTimeout: "A token that is not used for this long expires.",
  maxTokenLife: "Used or not.",
  maxTokens: "Further ones are refused.",
  maxTokensPerHour: "Tokens issued. There is no such limit in the settings.",
};

/** @param {{ of: string, value: boolean, isDisabled: boolean, onChange: (value: boolean) => void }} props */
const ObserveField = ({ of, ...field }) =>
  h(CheckField, { ...field, label: ["Observe only", h("span", { key: "of", class: "hidden" }, `: ${of}`)] });

/** @param {Props} props */
export const LimitFields = ({ form, onChange, wrong }) =>
  h(
    "fieldset",
    { class: "plain" },
    h("legend", null, "Limits of its own (optional)"),
    h(
      "p",
      { class: "hint" },
      "They replace the settings. A limit that is only observed counts what it would refuse, and refuses nothing.",
    ),
    h(
      "div",
      { class: "two" },
      limitRows.map(({ key, field, title }) => {
        const limit = form.limits[key];
        /** @param {Partial<typeof limit>} part */
        const change = (part) => onChange({ ...form, limits: { ...form.limits, [key]: { ...limit, ...part } } });
        return h(
          "div",
          { key },
          h(AmountField, {
            label: title,
            hint: hints[key],
            value: limit.amount,
            onInput: (amount) => change({ amount }),
            error: wrong[field],
            ...(limit.unit
              ? { unit: limit.unit, onUnit: (/** @type {string} */ unit) => change({ unit }) }
              : { unit: "at most" }),
          }),
          h(ObserveField, {
            of: title,
            value: limit.isObserved,
            isDisabled: !limit.amount.trim(),
            onChange: (isObserved) => change({ isObserved }),
          }),
        );
      }),
    ),
  );

/** @param {Props} props */
export const NetworkFields = ({ form, onChange, wrong }) =>
  h(
    "div",
    null,
    h(TextField, {
      label: "Networks (optional)",
      value: form.networks.text,
      onInput: (text) => onChange({ ...form, networks: { ...form.networks, text } }),
      isLong: true,
      isMono: true,
      placeholder: "10.0.0.0/8",
      error: wrong.networks ?? wrong.observe_only,
      hint: "Where it may be used from: networks and addresses, one per line, at most 64. Leave empty for anywhere.",
    }),
    h(ObserveField, {
      of: "Networks",
      value: form.networks.isObserved,
      isDisabled: !form.networks.text.trim(),
      onChange: (isObserved) => onChange({ ...form, networks: { ...form.networks, isObserved } }),
    }),
  );

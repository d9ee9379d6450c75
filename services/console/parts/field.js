// SPDX-License-Identifier: Apache-2.0
// Fields of forms: each with its label, a hint, and what is wrong with it, said where it is.
import { h } from "preact";
import { useId } from "preact/hooks";
import { ago, fromInput, local, toInput, utc, zone } from "../format.js";
/** @typedef {import("preact").ComponentChildren} Children */

/**
 * @param {{ label: string, hint?: Children, error?: string, isHiddenLabel?: boolean, kind?: string,
 *   children: (attributes: { id: string, "aria-describedby"?: string, "aria-invalid"?: "true" }) => Children }} props
 */
export function Field({ label, hint, error, isHiddenLabel, kind, children }) {
  const id = useId();
  const describedBy = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  return h(
    "div",
    { class: kind ? `field ${kind}` : "field" },
    h("label", { for: id, class: isHiddenLabel ? "hidden" : undefined }, label),
    children({ id, "aria-describedby": describedBy, "aria-invalid": error ? "true" : undefined }),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    error && h("p", { class: "wrong", id: `${id}-error`, role: "alert" }, error),
  );
}

/**
 * @param {{ label: string, value: string, onInput: (value: string) => void, hint?: Children, error?: string, type?: string,
 *   isHiddenLabel?: boolean, isFirst?: boolean, isMono?: boolean, list?: string, placeholder?: string, maxLength?: number,
 *   autoComplete?: string, isLong?: boolean }} props isLong: of several lines
 */
export function TextField({
  isLong,
  value,
  onInput,
  type = "text",
  isFirst,
  isMono,
  list,
  placeholder,
  maxLength,
  autoComplete = "off",
  ...field
}) {
  return h(Field, {
    ...field,
    children: (attributes) =>
      h(isLong ? "textarea" : "input", {
        ...attributes,
        ...(isLong ? { rows: 3 } : { type }),
        value,
        list,
        placeholder,
        maxLength,
        autoComplete,
        spellcheck: false,
        class: isMono ? "mono" : undefined,
        "data-focus": isFirst || undefined,
        onInput: (/** @type {Event} */ event) => onInput(/** @type {HTMLInputElement} */ (event.currentTarget).value),
      }),
  });
}

/**
 * @param {{ label: string, value: string, onChange: (value: string) => void, options: [string, string][], hint?: Children,
 *   error?: string, isHiddenLabel?: boolean, kind?: string }} props
 */
export function SelectField({ value, onChange, options, ...field }) {
  return h(Field, {
    ...field,
    children: (attributes) =>
      h(
        "select",
        {
          ...attributes,
          value,
          onChange: (/** @type {Event} */ event) =>
            onChange(/** @type {HTMLSelectElement} */ (event.currentTarget).value),
        },
        options.map(([key, text]) => h("option", { key, value: key, selected: key === value }, text)),
      ),
  });
}

const units = /** @type {[string, string][]} */ ([
  ["60", "minutes"],
  ["3600", "hours"],
  ["86400", "days"],
]);

/**
 * A number with its unit.
 * @param {{ kind?: string, label: string, hint: string, error?: string, value: string, onInput: (value: string) => void, unit: string,
 *   onUnit?: (unit: string) => void }} props
 */
export function AmountField({ kind, label, hint, error, value, onInput, unit, onUnit }) {
  return h(Field, {
    kind,
    label,
    hint,
    error,
    children: (attributes) =>
      h(
        "div",
        { class: "row amount" },
        h("input", {
          ...attributes,
          inputMode: "decimal",
          value,
          autoComplete: "off",
          onInput: (/** @type {Event} */ event) => onInput(/** @type {HTMLInputElement} */ (event.currentTarget).value),
        }),
        onUnit
          ? h(
              "select",
              {
                "aria-label": `${label}, unit`,
                value: unit,
                onChange: (/** @type {Event} */ event) =>
                  onUnit(/** @type {HTMLSelectElement} */ (event.currentTarget).value),
              },
              units.map(([key, text]) => h("option", { key, value: key }, text)),
            )
          : h("span", { class: "unit" }, unit),
      ),
  });
}

/** @param {{ label: Children, value: boolean, isDisabled?: boolean, onChange: (value: boolean) => void }} props */
export const CheckField = ({ label, value, isDisabled, onChange }) =>
  h(
    "label",
    { class: "check" },
    h("input", { type: "checkbox", checked: value, disabled: isDisabled, onChange: () => onChange(!value) }),
    label,
  );

/** @typedef {{ text: string, isUtc: boolean, isNever: boolean }} Expiry */

/** @param {string | undefined} time @returns {Expiry} */
export const expiryOf = (time) => ({ text: time ? toInput(new Date(time), false) : "", isUtc: false, isNever: !time });

/** RFC 3339; "": never; null: not readable. @param {Expiry} expiry */
export function expiryTime(expiry) {
  if (expiry.isNever) return "";
  return fromInput(expiry.text, expiry.isUtc)?.toISOString() ?? null;
}

const presets = /** @type {[string, number][]} */ ([
  ["30 days", 30],
  ["90 days", 90],
  ["1 year", 365],
]);

/** Date, time and zone. @param {{ value: Expiry, onChange: (value: Expiry) => void, error?: string }} props */
export function ExpiryField({ value, onChange, error }) {
  const id = useId();
  const time = expiryTime(value);
  const date = fromInput(value.text, value.isUtc);
  /** @param {number} days */
  const after = (days) =>
    onChange({ ...value, isNever: false, text: toInput(new Date(Date.now() + days * 86_400_000), value.isUtc) });
  return h(
    "fieldset",
    { class: "plain expiry", "aria-describedby": `${id}-hint` },
    h("legend", null, "Expiry date"),
    h(
      "div",
      { class: "row" },
      h("input", {
        type: "datetime-local",
        "aria-label": "Expiry date and time",
        value: value.text,
        disabled: value.isNever,
        "aria-invalid": error ? "true" : undefined,
        "aria-describedby": error ? `${id}-error` : undefined,
        onInput: (/** @type {Event} */ event) =>
          onChange({ ...value, text: /** @type {HTMLInputElement} */ (event.currentTarget).value }),
      }),
      h(
        "select",
        {
          "aria-label": "Time zone",
          disabled: value.isNever,
          value: value.isUtc ? "utc" : "local",
          onChange: (/** @type {Event} */ event) => {
            const isUtc = /** @type {HTMLSelectElement} */ (event.currentTarget).value === "utc";
            onChange({ ...value, isUtc, text: date ? toInput(date, isUtc) : value.text });
          },
        },
        h("option", { value: "local" }, zone),
        h("option", { value: "utc" }, "UTC"),
      ),
    ),
    h(
      "div",
      { class: "row presets" },
      presets.map(([text, days]) =>
        h("button", { type: "button", key: text, class: "button small", onClick: () => after(days) }, text),
      ),
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          checked: value.isNever,
          onChange: () => onChange({ ...value, isNever: !value.isNever }),
        }),
        "Never expires",
      ),
    ),
    h(
      "p",
      { class: "hint", id: `${id}-hint` },
      value.isNever
        ? "It can be used until it is deleted."
        : time
          ? `Expires ${ago(time)}: ${value.isUtc ? `${local(time)} in ${zone}` : utc(time)}.`
          : "It then gets no more tokens, and its live sessions end.",
    ),
    error && h("p", { class: "wrong", id: `${id}-error`, role: "alert" }, error),
  );
}

/**
 * The catalogue in its groups, to choose from.
 * @param {{ roles: import("../types.js").Role[], chosen: Set<string>, onChange: (chosen: Set<string>) => void, error?: string,
 *   note?: (role: string) => Children, isGone?: (role: string) => boolean }} props
 */
export function RolePicker({ roles, chosen, onChange, error, note, isGone }) {
  const id = useId();
  const groups = [...new Set(roles.map((role) => role.group))];
  /** @param {string} role */
  function toggle(role) {
    const next = new Set(chosen);
    if (!next.delete(role)) next.add(role);
    onChange(next);
  }
  return h(
    "div",
    { class: "roles", "aria-describedby": error ? id : undefined },
    error && h("p", { class: "wrong", id, role: "alert" }, error), // above, as the list is long
    groups.map((group) =>
      h(
        "fieldset",
        { key: group, class: "plain" },
        h("legend", null, group),
        roles
          .filter((role) => role.group === group)
          .map((role) =>
            h(
              "label",
              { key: role.roleId, class: isGone?.(role.roleId) ? "role gone" : "role" },
              h("input", {
                type: "checkbox",
                checked: chosen.has(role.roleId),
                disabled: role.retired && !chosen.has(role.roleId),
                onChange: () => toggle(role.roleId),
              }),
              h(
                "span",
                null,
                h("strong", null, role.name, role.retired && h("small", { class: "tag" }, "retired")),
                h("span", { class: "hint" }, role.description),
                note?.(role.roleId),
              ),
            ),
          ),
      ),
    ),
  );
}

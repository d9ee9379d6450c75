// SPDX-License-Identifier: Apache-2.0
// The small parts that every screen is made of.
import { h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ago, isClientId, local, utc, zone } from "../format.js";
import { learnName, names, roleName } from "../load.js";
import { link } from "../router.js";
import { useStore } from "../store.js";
/** @typedef {import("preact").ComponentChildren} Children */

/** @type {Record<string, string>} */
const paths = {
  key: "M8 20a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM11 13l9-9M15.5 8.5l3 3M18 6l2.5 2.5",
  chart: "M4 20V11M10 20V4M16 20v-6M21 20H3",
  people:
    "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20a6.5 6.5 0 0 1 13 0M16 4.5a3.5 3.5 0 0 1 0 6M18 14a6.5 6.5 0 0 1 3.5 6",
  list: "M8 6h13M8 12h13M8 18h13M3.5 6h.01M3.5 12h.01M3.5 18h.01",
  gear: "M4 7h10M18 7h2M4 17h2M10 17h10M16 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM8 19.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  plus: "M12 5v14M5 12h14",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  check: "M5 12.5l4.5 4.5L19 7.5",
  close: "M6 6l12 12M18 6L6 18",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM20 20l-4.8-4.8",
  back: "M15 5l-7 7 7 7",
  warn: "M12 4L2.5 20h19zM12 10v4.5M12 17.5h.01",
  exit: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
};

/** @param {{ name: string }} props */
export const Icon = ({ name }) =>
  h("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, h("path", { d: paths[name] }));

/**
 * @param {{ kind?: "primary" | "danger" | "quiet" | "plain", icon?: string, isBusy?: boolean, isDisabled?: boolean,
 *   type?: "submit" | "button", label?: string, form?: string, onClick?: () => void, children?: Children }} props
 */
export function Button({ kind = "plain", icon, isBusy, isDisabled, type = "button", label, form, onClick, children }) {
  return h(
    "button",
    {
      type,
      form,
      class: `button ${kind}`,
      disabled: isDisabled,
      "aria-busy": isBusy ? "true" : undefined,
      "aria-label": label,
      title: label,
      onClick: isBusy && type === "button" ? undefined : onClick,
    },
    icon && h(Icon, { name: icon }),
    children && h("span", null, children),
    isBusy && h("span", { class: "spinner" }),
  );
}

/** A time in the reader's zone, in UTC on hover. @param {{ at?: string, none?: string, isRelative?: boolean }} props */
export function Time({ at, none = "–", isRelative }) {
  if (!at) return h("span", { class: "faint" }, none);
  return h(
    "time",
    { dateTime: at, title: isRelative ? `${local(at)} (${zone})\n${utc(at)}` : utc(at) },
    isRelative ? ago(at) : local(at),
  );
}

const SOON = 30 * 86_400_000; // when it is announced first
/** Says it louder when it is soon. @param {{ at?: string }} props */
export function Expiry({ at }) {
  const left = at ? new Date(at).getTime() - Date.now() : Infinity;
  return h(
    "div",
    { class: "name" },
    h(Time, { at, none: "Never" }),
    left > 0 && left < SOON && at && h("small", { class: "soon" }, ago(at)),
  );
}

/** Copies without showing. isNamed: the label is in sight. @param {{ text: string, label: string, isNamed?: boolean, onCopied?: () => void }} props */
export function CopyButton({ text, label, isNamed, onCopied }) {
  const [state, setState] = useState("");
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setState("Copied");
      onCopied?.();
    } catch {
      setState("Select and copy it by hand");
    }
  }
  useEffect(() => {
    const timer = setTimeout(() => setState(""), 2500);
    return () => clearTimeout(timer);
  }, [state]);
  return h(
    "span",
    { class: "copy" },
    h(
      "button",
      { type: "button", class: "button quiet small", "aria-label": label, title: label, onClick: copy },
      h(Icon, { name: state === "Copied" ? "check" : "copy" }),
      h("span", null, state === "Copied" ? "Copied" : isNamed ? label : "Copy"),
    ),
    h("span", { class: "hidden", role: "status" }, state),
  );
}

/** @type {Record<string, [string, string]>} */
const statuses = {
  CREDENTIAL_STATUS_ACTIVE: ["good", "Active"],
  CREDENTIAL_STATUS_EXPIRED: ["warn", "Expired"],
  CREDENTIAL_STATUS_DELETED: ["off", "Deleted"],
  CREDENTIAL_STATUS_SUSPENDED: ["warn", "Suspended"],
};
/** One that gets tokens without a role is of no use to anybody. @param {{ credential: import("../types.js").Credential }} props */
export function StatusBadge({ credential: { status, effectiveRoles = [] } }) {
  const [kind, text] =
    status === "CREDENTIAL_STATUS_ACTIVE" && effectiveRoles.length === 0
      ? ["warn", "No effective roles"]
      : (statuses[status] ?? ["off", status]);
  return h("span", { class: `badge ${kind}` }, text);
}

/** What became of a role, in a word. @type {Record<string, string>} */
export const roleStates = {
  GRANTED_ROLE_STATE_REVOKED: "revoked",
  GRANTED_ROLE_STATE_REVOKED_FROM_OWNER: "revoked from owner",
  GRANTED_ROLE_STATE_NOT_HELD_BY_OWNER: "not held by owner",
};

/** Grey and labelled where it is not in new tokens. @param {{ role: string, state?: string }} props */
export function RoleChip({ role, state = "" }) {
  const label = roleStates[state];
  return h("span", { class: label ? "chip gone" : "chip" }, roleName(role), label && h("small", null, label));
}

/** @param {{ roles: { role: string, state?: string }[], most?: number }} props */
export function RoleChips({ roles, most = 99 }) {
  const sorted = [...roles].sort((a, b) => Number(!!roleStates[a.state ?? ""]) - Number(!!roleStates[b.state ?? ""]));
  const rest = sorted.slice(most);
  return h(
    "span",
    { class: "chips" },
    sorted.slice(0, most).map((one) => h(RoleChip, { key: one.role, ...one })),
    rest.length > 0 &&
      h("span", { class: "chip more", title: rest.map((one) => roleName(one.role)).join(", ") }, `+${rest.length}`),
  );
}

/** Who did it: a credential's name (where the answer does not tell it, it is asked for), or whatever else the API calls the actor. @param {{ id?: string, name?: string }} props */
export function Actor({ id, name }) {
  const known = useStore(names);
  useEffect(() => {
    if (id && isClientId(id) && name === undefined) learnName(id);
  }, [id, name]);
  if (!id) return h("span", { class: "faint" }, "not known");
  if (!isClientId(id)) return h("span", null, id);
  return h("a", { href: link(["credentials", id]), title: id }, name || known[id] || id.slice(0, 8) + "…");
}

/** @param {{ kind?: "bad"|"warn"|"info", children?: Children }} props */
export const Notice = ({ kind = "info", children }) =>
  h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : undefined }, h("div", null, children));

/** @param {{ error?: Error }} props */
export const ErrorNotice = ({ error }) => (error ? h(Notice, { kind: "bad" }, error.message) : null);

/** What is wrong as a whole; what is wrong with a field is said there. @param {{ error?: import("../api.js").ApiError }} props */
export const FormError = ({ error }) =>
  error && Object.keys(error.fields).length === 0 ? h(ErrorNotice, { error }) : null;

/** What a screen says that could not be read. @param {{ error: Error, onRetry: () => void }} props */
export const Failed = ({ error, onRetry }) =>
  h(
    "div",
    { class: "empty" },
    h("h2", null, "This could not be loaded"),
    h("p", { role: "alert" }, error.message),
    h(Button, { onClick: onRetry }, "Try again"),
  );

/**
 * The heading of a screen: takes the focus when one gets there.
 * @param {{ title: string, lead?: Children, back?: { href: string, text: string }, children?: Children }} props
 */
export function Heading({ title, lead, back, children }) {
  const heading = useRef(/** @type {HTMLHeadingElement | null} */ (null));
  useEffect(() => {
    document.title = `${title} · Gatehouse`;
  }, [title]);
  useEffect(() => heading.current?.focus({ preventScroll: true }), []);
  return h(
    "header",
    { class: "heading" },
    back && h("a", { class: "back", href: back.href }, h(Icon, { name: "back" }), back.text),
    h(
      "div",
      { class: "heading-row" },
      h("div", null, h("h1", { ref: heading, tabIndex: -1 }, title), lead && h("p", { class: "lead" }, lead)),
      h("div", { class: "actions" }, children),
    ),
  );
}

/** @param {{ title: string, aside?: Children, children?: Children }} props */
export const Card = ({ title, aside, children }) =>
  h(
    "section",
    { class: "card", "aria-label": title },
    h("div", { class: "card-head" }, h("h2", null, title), aside),
    children,
  );

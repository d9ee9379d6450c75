// SPDX-License-Identifier: Apache-2.0
// A credential's own limits and the networks it is bound to: in the API, in a form, as text to compare, and in words.
import { duration, plural, seconds, span, split } from "./format.js";
/** @typedef {import("./types.js").Limits} Limits */
/** @typedef {import("./types.js").Addresses} Addresses */
/** @typedef {"idleTimeout" | "maxTokenLife" | "maxTokens" | "maxTokensPerHour"} Key */
/** @typedef {{ amount: string, unit: string, isObserved: boolean }} Limit unit: seconds in one; "": a number */
/** @typedef {Record<Key, Limit>} Amounts */
/** @typedef {{ text: string, isObserved: boolean }} Sources text: one a line */

/** @type {{ key: Key, field: string, name: string, title: string, isTime: boolean }[]} name: in the API's lists */
export const limitRows = [
  { key: "idleTimeout", field: "idle_timeout", name: "LIMIT_IDLE_TIMEOUT", title: "Idle timeout", isTime: true },
  {
    key: "maxTokenLife",
    field: "max_token_life",
    name: "LIMIT_MAX_TOKEN_LIFE",
    title: "Maximum token lifetime",
    isTime: true,
  },
  { key: "maxTokens", field: "max_tokens", name: "LIMIT_MAX_TOKENS", title: "Live tokens", isTime: false },
  {
    key: "maxTokensPerHour",
    field: "max_tokens_per_hour",
    name: "LIMIT_MAX_TOKENS_PER_HOUR",
    title: "Tokens per hour",
    isTime: false,
  },
];

/** @param {Limits | undefined} limits @returns {Amounts} */
export function limitFormOf(limits = {}) {
  /** @param {typeof limitRows[number]} row */
  function limitOf({ key, name, isTime }) {
    const [amount, unit] = isTime ? split(seconds(`${limits[key] ?? ""}`)) : [`${limits[key] ?? ""}`, ""];
    return { amount, unit, isObserved: (limits.observeOnly ?? []).includes(name) };
  }
  return /** @type {Amounts} */ (Object.fromEntries(limitRows.map((row) => [row.key, limitOf(row)])));
}

/** What is wrong with them, by the API's names. @param {Amounts} form */
export function checkLimits(form) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const { key, field, isTime } of limitRows) {
    const amount = form[key].amount.trim();
    if (amount && isTime && !/^\d{1,9}([.]\d+)?$/.test(amount)) fields[field] = "Enter a number, or leave it empty.";
    if (amount && !isTime && !/^0*[1-9]\d{0,8}$/.test(amount))
      fields[field] = "Enter a whole number from 1, or leave it empty.";
  }
  return fields;
}

/** To compare, and to be sent by `parsed`; "": none. @param {Amounts} form */
export function limitText(form) {
  const given = limitRows.filter(({ key }) => form[key].amount.trim());
  const values = given.map(({ key }) => {
    const { amount, unit } = form[key];
    return [key, unit ? duration(amount, unit) : Number(amount)];
  });
  const observeOnly = given.filter(({ key }) => form[key].isObserved).map(({ name }) => name);
  return given.length > 0 ? JSON.stringify({ ...Object.fromEntries(values), observeOnly }) : "";
}

/** @param {Addresses | undefined} addresses @returns {Sources} */
export const networkFormOf = (addresses) => ({
  text: (addresses?.networks ?? []).join("\n"),
  isObserved: !!addresses?.observeOnly,
});

/** To compare, and to be sent by `parsed`; "": from anywhere. @param {Sources} form */
export function networkText({ text, isObserved }) {
  const networks = text.split(/[\s,]+/).filter(Boolean);
  return networks.length > 0 ? JSON.stringify({ networks, observeOnly: isObserved }) : "";
}

/** What `limitText` or `networkText` made, as the API has it. @param {string} text */
export const parsed = (text) => (text ? JSON.parse(text) : undefined);

/** "5 minutes, observed only", and what that would have done. @param {Limits} limits */
export function limitWords(limits) {
  return limitRows
    .filter(({ key }) => limits[key])
    .map(({ key, name, title, isTime }) => {
      const value = isTime ? span(seconds(`${limits[key]}`)) : plural(limits[key], "token");
      const isObserved = (limits.observeOnly ?? []).includes(name);
      const seen = (limits.observed ?? []).find(({ limit }) => limit === name);
      const refused = plural(seen?.count, isTime ? "use" : "token");
      return { key, text: `${title}: ${value}${isObserved ? ", observed only" : ""}`, isObserved, refused, seen };
    });
}

/** A line each. @param {Addresses} addresses */
export const networkWords = ({ networks = [], observeOnly }) => [
  ...networks,
  ...(observeOnly ? ["observed only"] : []),
];

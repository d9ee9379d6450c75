// SPDX-License-Identifier: Apache-2.0
// Times, durations and numbers, as a reader wants them.

export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const dateOnly = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const number = new Intl.NumberFormat();

/** @param {string | number | undefined} value int64 comes as text */
export const count = (value) => number.format(Number(value ?? 0));

/**
 * "1 session", "2 sessions"
 * @param {string | number | undefined} value
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (value, one, many = one + "s") => `${count(value)} ${Number(value ?? 0) === 1 ? one : many}`;

/** @param {string} time */
export const local = (time) => dateTime.format(new Date(time));
/** @param {string} time */
export const day = (time) => dateOnly.format(new Date(time));
/** @param {string} time */
export const utc = (time) => new Date(time).toISOString().slice(0, 19).replace("T", " ") + " UTC";

/** Days since 1970 in the reader's zone: what differs by one is yesterday and today. @param {Date} date */
const dayNumber = (date) => Math.floor((date.getTime() - date.getTimezoneOffset() * 60_000) / 86_400_000);

/** "3 minutes ago", "in 2 days" (by the calendar), "in 90 days". @param {string} time */
export function ago(time) {
  const date = new Date(time);
  const now = new Date();
  const seconds = (date.getTime() - now.getTime()) / 1000;
  const days = dayNumber(date) - dayNumber(now);
  if (Math.abs(days) >= 730) return relative.format(Math.round(days / 365.25), "year");
  if (Math.abs(days) >= 100) return relative.format(Math.round(days / 30.44), "month");
  if (Math.abs(seconds) >= 86_400) return relative.format(days, "day");
  if (Math.abs(seconds) >= 3600) return relative.format(Math.trunc(seconds / 3600), "hour");
  if (Math.abs(seconds) >= 60) return relative.format(Math.trunc(seconds / 60), "minute");
  return seconds > 0 ? "in less than a minute" : "just now";
}

/** "1200s" to 1200. @param {string | undefined} duration */
export const seconds = (duration) => (duration ? Number.parseFloat(duration) : 0);

/** "everywhere, after 3 ms". @param {{ everywhereAfter?: string }} answer to a change that was asked for everywhere */
export const everywhere = ({ everywhereAfter }) =>
  `everywhere, after ${count(Math.round(seconds(everywhereAfter) * 1000))} ms`;

/** What is said of a change that ended sessions, or of several, if it did. @param {(string | undefined)[]} waits each one's everywhereAfter */
export function saidSaved(waits) {
  const longest = Math.max(...waits.map((wait) => (wait ? seconds(wait) : -1)));
  return longest < 0 ? "Saved." : `Saved. Sessions have ended ${everywhere({ everywhereAfter: `${longest}s` })}.`;
}

/** @type {[string, number][]} */
const spans = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** 5400 to "1 hour 30 minutes". @param {number} value */
export function span(value) {
  const parts = [];
  let left = value;
  for (const [unit, size] of spans) {
    const whole = Math.floor(left / size);
    if (whole > 0) parts.push(plural(whole, unit));
    left -= whole * size;
  }
  return parts.join(" ") || "0 seconds";
}

/** An amount and the largest unit that leaves no rest; nothing for 0. @param {number} value @returns {[string, string]} */
export function split(value) {
  const unit = [86_400, 3600, 60].find((size) => value > 0 && value % size === 0) ?? 60;
  return [value > 0 ? String(value / unit) : "", String(unit)];
}

/** Of an amount in a form; nothing if that is empty. @param {string} text @param {string | number} unit */
export const duration = (text, unit) => (text.trim() ? `${Math.round(Number(text) * Number(unit))}s` : undefined);

/** For <input type="datetime-local">, in the reader's zone or in UTC. @param {Date} date @param {boolean} isUtc */
export function toInput(date, isUtc) {
  const shifted = isUtc ? date : new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

/** The other way. @param {string} text @param {boolean} isUtc @returns {Date | null} */
export function fromInput(text, isUtc) {
  const date = new Date(isUtc ? text + "Z" : text);
  return text && !Number.isNaN(date.getTime()) ? date : null;
}

/** Is it a client ID? @param {string} text */
export const isClientId = (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

const TEXT = String.raw`"(?:[^"\\]|\\.)*"|[^";]*?`;
const CHANGE = new RegExp(`^([^:;"]+): (${TEXT}) -> (${TEXT})(?:; |$)`);

/** What a detail says of changes: "name: "A" -> "B"; …". What is nothing of that kind stands as it is. @param {string} text */
export function changesIn(text) {
  /** @type {{ what: string, before: string, after: string }[]} */
  const changes = [];
  let rest = text;
  for (let found; (found = CHANGE.exec(rest)); rest = rest.slice(found[0].length))
    changes.push({ what: found[1], before: found[2], after: found[3] });
  return { changes, rest };
}

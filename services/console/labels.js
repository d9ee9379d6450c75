// SPDX-License-Identifier: Apache-2.0
// A credential's labels: a map in the API, a line for each in a form.

/** @param {Record<string, string> | undefined} labels @returns {string} "team=payments", a line for each, by key */
export const linesOf = (labels = {}) =>
  Object.keys(labels)
    .sort()
    .map((key) => `${key}=${labels[key]}`)
    .join("\n");

/** The other way; what is no label is told. @param {string} text @returns {{ labels: Record<string, string>, wrong?: string }} */
export function readLines(text) {
  /** @type {Map<string, string>} */
  const labels = new Map();
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const at = line.indexOf("=");
    const key = line.slice(0, Math.max(at, 0)).trim();
    if (!key) return { labels: {}, wrong: `Write a label as key=value: "${line.trim()}".` };
    if (labels.has(key)) return { labels: {}, wrong: `The label ${key} stands there twice.` };
    labels.set(key, line.slice(at + 1).trim());
  }
  return { labels: Object.fromEntries(labels) };
}

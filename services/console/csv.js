// SPDX-License-Identifier: Apache-2.0
// Tables as files (RFC 4180).

/** A spreadsheet takes what begins like a formula for one. @param {unknown} value */
function cell(value) {
  const text = String(value ?? "");
  const safe = /^[=+\-@\t\r]/.test(text) ? "'" + text : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {unknown[][]} rows the first of them: the titles */
export const toCsv = (rows) => rows.map((row) => row.map(cell).join(",") + "\r\n").join("");

/** Gives the reader a file. @param {string} name @param {unknown[][]} rows */
export function saveCsv(name, rows) {
  const address = URL.createObjectURL(new Blob(["\ufeff", toCsv(rows)], { type: "text/csv;charset=utf-8" }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

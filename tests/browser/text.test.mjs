// SPDX-License-Identifier: Apache-2.0
// Times as a reader wants them, and tables as files (services/console/format.js, csv.js), without a browser.
import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { pathToFileURL } from "node:url";

process.env.TZ = "Europe/Berlin";
const source = (name) => import(pathToFileURL(`${process.env.CONSOLE_SOURCES}/${name}`));
const { ago, changesIn } = await source("format.js");
const { toCsv } = await source("csv.js");
afterEach(() => mock.timers.reset());

/** What is said of `then` when it is `now` in Berlin. */
function said(now, then) {
  mock.timers.enable({ apis: ["Date"], now: new Date(now) });
  const text = ago(new Date(then).toISOString());
  mock.timers.reset();
  return text;
}

test("days are counted by the calendar", () => {
  assert.equal(said("2026-11-29T20:00", "2026-12-01T10:00"), "in 2 days");
  assert.equal(said("2026-11-29T10:00", "2026-12-01T23:00"), "in 2 days");
  assert.equal(said("2026-11-29T10:00", "2026-11-30T11:00"), "tomorrow");
  assert.equal(said("2026-11-29T20:00", "2026-11-30T10:00"), "in 14 hours");
  assert.equal(said("2026-12-01T10:00", "2026-11-29T20:00"), "2 days ago");
  assert.equal(said("2026-11-29T23:30", "2026-11-30T00:15"), "in 45 minutes");
  assert.equal(said("2027-03-27T12:00", "2027-03-29T11:30"), "in 2 days"); // the clocks change in between
});

test("long times are not cut down", () => {
  assert.equal(said("2026-11-29T10:00", "2027-02-27T10:00"), "in 90 days");
  assert.equal(said("2026-11-29T10:00", "2027-11-29T10:00"), "in 12 months");
  assert.equal(said("2026-11-29T10:00", "2029-11-28T10:00"), "in 3 years");
  assert.equal(said("2026-11-29T10:00", "2026-08-31T10:00"), "90 days ago");
  assert.equal(said("2026-11-29T10:00:00", "2026-11-29T10:00:30"), "in less than a minute");
  assert.equal(said("2026-11-29T10:00:30", "2026-11-29T10:00:00"), "just now");
});

test("a file for spreadsheets quotes what must be quoted, and holds no formula", () => {
  assert.equal(
    toCsv([["a", 'say "hi"', "x,y", "two\nlines", 7, undefined]]),
    'a,"say ""hi""","x,y","two\nlines",7,\r\n',
  );
  assert.equal(toCsv([["=1+1", "+1", "-1", "@x", "a=b"]]), "'=1+1,'+1,'-1,'@x,a=b\r\n");
});

test("a detail of the audit log is old and new values, and whoever names a thing writes no second one into it", () => {
  const said = (text) => changesIn(text).changes.map(({ what, before, after }) => [what, before, after]);
  assert.deepEqual(said('name: "A" -> "B"; expires: never -> 2027-01-01T00:00:00Z; tokens ended: 2'), [
    ["name", '"A"', '"B"'],
    ["expires", "never", "2027-01-01T00:00:00Z"],
  ]);
  assert.equal(changesIn('name: "A" -> "B"; tokens ended: 2').rest, "tokens ended: 2");
  assert.deepEqual(said(String.raw`name: "a\"; owner: \"x" -> "b -> \\"; owner: "" -> "y"`), [
    ["name", String.raw`"a\"; owner: \"x"`, String.raw`"b -> \\"`],
    ["owner", '""', '"y"'],
  ]);
  for (const text of ["name: A; roles: work_creator", "granted: a, b; tokens ended: 1", "", 'name: "A -> B'])
    assert.deepEqual(changesIn(text), { changes: [], rest: text });
});

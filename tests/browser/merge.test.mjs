// SPDX-License-Identifier: Apache-2.0
// Two administrators' changes brought together (services/console/merge.js), without a browser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { changesOf, compare, draftOf, isChanged, merge } = await import(
  pathToFileURL(`${process.env.CONSOLE_SOURCES}/merge.js`)
);
const before = {
  name: "A",
  owner: "",
  expireTime: "2027-01-01T10:00:30Z",
  contact: "Ann",
  labels: "env=prod\nteam=a",
  limits: "",
  addresses: "",
  roles: ["a", "b"],
};
const { linesOf, readLines } = await import(pathToFileURL(`${process.env.CONSOLE_SOURCES}/labels.js`));
const { checkLimits, limitFormOf, limitText, limitWords, networkFormOf, networkText, parsed } = await import(
  pathToFileURL(`${process.env.CONSOLE_SOURCES}/limits.js`)
);

test("what only one of the two changed is kept from both", () => {
  const merged = merge(before, { ...before, name: "Theirs" }, { ...before, owner: "mine" }, {});
  assert.deepEqual(merged, { ...before, name: "Theirs", owner: "mine" });
});

test("what both changed is theirs unless one chooses one's own", () => {
  const theirs = { ...before, name: "Theirs" };
  const mine = { ...before, name: "Mine" };
  assert.equal(compare(before, theirs, mine).fields[0].isConflict, true);
  assert.equal(merge(before, theirs, mine, {}).name, "Theirs");
  assert.equal(merge(before, theirs, mine, { name: "theirs" }).name, "Theirs");
  assert.equal(merge(before, theirs, mine, { name: "mine" }).name, "Mine");
});

test("the same change by both is no conflict", () => {
  assert.equal(compare(before, { ...before, name: "X" }, { ...before, name: "X" }).fields[0].isConflict, false);
});

test("labels are one thing: what only one changed is kept, what both changed is chosen", () => {
  const theirs = { ...before, labels: "env=test\nteam=a" };
  assert.equal(merge(before, theirs, { ...before, contact: "Ben" }, {}).labels, "env=test\nteam=a");
  assert.equal(merge(before, theirs, { ...before, contact: "Ben" }, {}).contact, "Ben");
  assert.equal(compare(before, theirs, { ...before, labels: "" }).fields[0].isConflict, true);
  assert.equal(isChanged(changesOf(before, theirs)), true);
});

test("labels are written as lines, and read from them", () => {
  assert.equal(linesOf(undefined), "");
  assert.equal(linesOf({ team: "a=b", env: "" }), "env=\nteam=a=b");
  assert.deepEqual(readLines(" team = a=b \n\nenv=\n__proto__=x"), {
    labels: Object.fromEntries([
      ["team", "a=b"],
      ["env", ""],
      ["__proto__", "x"],
    ]),
  });
  assert.match(readLines("team").wrong, /team/);
  assert.match(readLines("=x").wrong, /=x/);
  assert.match(readLines("a=1\na=2").wrong, /twice/);
});

test("limits and networks come back from a form as they were, without what was observed", () => {
  const limits = { idleTimeout: "5400s", maxTokenLife: "61s", maxTokens: 3, observeOnly: ["LIMIT_MAX_TOKENS"] };
  const observed = [{ limit: "LIMIT_MAX_TOKENS", count: "4" }];
  const addresses = { networks: ["10.0.0.0/8", "2001:db8::/32"], observeOnly: true };
  const draft = draftOf({ name: "A", limits: { ...limits, observed }, addresses });
  assert.deepEqual([parsed(draft.limits), parsed(draft.addresses)], [limits, addresses]);
  assert.equal(limitText(limitFormOf(parsed(draft.limits))), draft.limits);
  assert.deepEqual(draftOf({ name: "A" }).limits + draftOf({ name: "A" }).addresses, "");
  assert.deepEqual(
    limitWords({ ...limits, observed }).map(({ text, refused }) => [text, refused]),
    [
      ["Idle timeout: 1 hour 30 minutes", "0 uses"],
      ["Maximum token lifetime: 1 minute 1 second", "0 uses"],
      ["Live tokens: 3 tokens, observed only", "4 tokens"],
    ],
  );
  assert.equal(networkText({ ...networkFormOf(addresses), text: " 10.0.0.0/8 \n\n2001:db8::/32\n" }), draft.addresses);
  assert.equal(networkText({ text: " \n", isObserved: true }), "");
});

test("an amount that is none is told, and is a change", () => {
  const form = limitFormOf(undefined);
  assert.deepEqual(checkLimits(form), {});
  for (const amount of ["x", "-1", "1e3", "Infinity"]) {
    const wrong = { ...form, idleTimeout: { ...form.idleTimeout, amount } };
    assert.deepEqual(Object.keys(checkLimits(wrong)), ["idle_timeout"]);
    assert.notEqual(limitText(wrong), "");
  }
  for (const amount of ["0", "1.5", "99999999999"])
    assert.ok(checkLimits({ ...form, maxTokens: { ...form.maxTokens, amount } }).max_tokens);
});

test("roles granted and revoked by the two add up", () => {
  const merged = merge(before, { ...before, roles: ["a", "b", "c"] }, { ...before, roles: ["b", "d"] }, {});
  assert.deepEqual(merged.roles, ["b", "c", "d"]);
});

test("seconds that a field does not show are no change, a minute is", () => {
  assert.equal(isChanged(changesOf(before, { ...before, expireTime: "2027-01-01T10:00:00.000Z" })), false);
  assert.equal(isChanged(changesOf(before, { ...before, expireTime: "2027-01-01T10:01:00.000Z" })), true);
  assert.equal(isChanged(changesOf(before, { ...before, expireTime: "" })), true);
});

test("a role that its owner lost is still granted, one that was revoked is not", () => {
  const roles = [
    { role: "b", state: "GRANTED_ROLE_STATE_REVOKED_FROM_OWNER" },
    { role: "c", state: "GRANTED_ROLE_STATE_REVOKED" },
    { role: "a", state: "GRANTED_ROLE_STATE_NOT_HELD_BY_OWNER" },
  ];
  assert.deepEqual(draftOf({ name: "A", roles }).roles, ["a", "b"]);
});

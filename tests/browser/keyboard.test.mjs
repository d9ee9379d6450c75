// SPDX-License-Identifier: Apache-2.0
// Every screen is reached, and its work done, by the keyboard alone. Before each key the focus must be somewhere, and seen;
// an act that takes away what had it (a row, a button that no longer applies) leaves it where that was.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { dialog, launch, newPage } from "./browser.mjs";
import { Daemon, until } from "./daemon.mjs";

const viewport = { width: 1024, height: 700 };
let daemon, browser, page, storageState;
before(async () => {
  daemon = await Daemon.start();
  browser = await launch();
  await begin();
  await page.getByLabel("Client ID").waitFor();
  await type(daemon.clientId);
  await tabTo("Secret key");
  await type(daemon.secret);
  await press("Enter");
  await at("Application credentials");
  storageState = await page.context().storageState();
  await page.context().close();
});
after(async () => {
  await browser?.close();
  await daemon?.remove();
});
async function begin() {
  page = await newPage(browser, { viewport, storageState });
  await page.addInitScript(watchFocus);
  await page.goto(daemon.url);
}
beforeEach(async () => {
  await begin(); // signed in already
  await page.getByRole("heading", { name: "Application credentials" }).waitFor();
  await page.keyboard.press("Tab"); // from here on, one sees where one is
});
afterEach(async () => {
  const { complaints } = page;
  await page.context().close();
  assert.deepEqual(complaints, []);
});

/** Runs in the page, from its start on. */
function watchFocus() {
  let last = null;
  addEventListener("focusin", ({ target }) => (last = target));
  /** The focus: where it is, what that is called, and what is wrong with it. */
  window.lookAtFocus = () => {
    const element = document.activeElement ?? document.body;
    // Past the last element Tab leads out of the page.
    if (element === document.body)
      return { name: "", wrong: last && (!last.isConnected || last.disabled) ? `lost: ${last.outerHTML}` : "" };
    const name = element.getAttribute("aria-label") ?? element.labels?.[0]?.textContent ?? element.textContent ?? "";
    const { outlineStyle, outlineWidth } = getComputedStyle(element);
    const { top, bottom, right, left } = element.getBoundingClientRect();
    const isOutlined = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    const isInSight = bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
    const wrong = !isOutlined ? "not outlined" : isInSight ? "" : "out of sight";
    return { name: name.trim(), wrong: wrong && `${wrong}: ${element.outerHTML}` };
  };
}

const look = () => page.evaluate(() => window.lookAtFocus());
const text = (said, within = page) => within.getByText(said).first().waitFor();

/** Waits until the focus is seen, and fits. @returns its name */
async function focused(what = "a focus that one sees", fits = () => true) {
  let seen;
  const isThere = async () => !(seen = await look()).wrong && fits(seen.name);
  await until(what, isThere, 8000).catch(() =>
    assert.fail(`${what}; but it is ${seen.wrong || seen.name.slice(0, 100)}`),
  );
  return seen.name;
}

async function press(...keys) {
  for (const key of keys) {
    await focused();
    await page.keyboard.press(key);
  }
}

async function type(text) {
  await focused();
  await page.keyboard.type(text);
}

/** "Edit" is not "Edited"; a label may have its hint after it. */
const isCalled = (is, name) => is.startsWith(name) && !/^[a-z]/.test(is.slice(name.length));

/** The focus goes to what is called so. */
const at = (name) => focused(`the focus at ${name}`, (is) => isCalled(is, name));

/** Tab until it is there, as a person would. */
async function tabTo(name, key = "Tab") {
  const passed = [];
  for (let i = 0; i < 120; i++) {
    passed.push((await focused()).slice(0, 40));
    if (isCalled(passed.at(-1), name)) return;
    await page.keyboard.press(key);
  }
  assert.fail(`${name} is not reached by ${key}; passed: ${passed.join(" | ")}`);
}

/** Tab to a button or a link, and press it. */
async function use(name, key = "Enter", tab = "Tab") {
  await tabTo(name, tab);
  await press(key);
}
const useBefore = (name) => use(name, "Enter", "Shift+Tab");

/** What comes late may move what is there. */
const isLoaded = () => page.locator(".skeleton").first().waitFor({ state: "detached" });

/** Opens a screen by the sections beside it. */
async function section(name, heading) {
  await use(name);
  await at(heading);
  await isLoaded();
}

/** Opens a credential from the list. */
async function open(name) {
  await tabTo("Search");
  await press("Control+a");
  await type(name);
  await until(name, async () => (await page.getByRole("row").count()) === 2);
  await use(name);
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  await at(name);
  await isLoaded();
}

const isClosed = () => dialog(page).waitFor({ state: "detached" });

test("a credential and its key are made; who closes a dialog is where it was opened", async () => {
  await use("New credential");
  await at("Name");
  await type("By keyboard");
  await press("Escape");
  await text("Discard what you entered?");
  await at("Keep editing"); // the question is what one is asked
  await press("Enter");
  await at("Name"); // and where one was
  await press("Escape");
  await at("Keep editing");
  await press("Shift+Tab", "Enter");
  await isClosed();
  await at("New credential");

  await press("Enter");
  await type("By keyboard");
  await use("Generate key");
  await text("Choose at least one role.");
  await tabTo("Work Assigner");
  await press("Space");
  await tabTo("Time zone");
  await press("ArrowDown");
  await use("1 year");
  await use("Generate key");
  await dialog(page).locator("code.secret").waitFor();
  await press("Escape"); // not yet
  await use("Copy both");
  await text("Copied", dialog(page));
  await use("Done");
  await isClosed();
  await at("New credential");
  await open("By keyboard");
  await use("Application credentials");
  await at("By keyboard"); // its row
});

test("a credential is edited, its roles granted and revoked, suspended, resumed, deleted and restored", async () => {
  const { clientId, secretKey } = await daemon.create("Edited", ["work_creator", "team_leader"]);
  await daemon.issue(clientId, secretKey);
  await open("Edited");
  await use("Edit");
  await at("Name");
  await type(" twice"); // the text is not selected
  await tabTo("Work Assigner");
  await press("Space");
  await tabTo("Team Leader");
  await press("Space");
  await use("Save");
  await text("This ends 1 live session at once.");
  await use("Save and end 1 session");
  await isClosed();
  await at("Edit");

  await use("Suspend");
  await use("Suspend");
  await text(/is suspended everywhere/);
  await at("Edited twice"); // there is no "Suspend" any more
  await use("Resume");
  await text(/is resumed/);
  await at("Edited twice");
  await use("Allow");
  await page.getByRole("button", { name: "Forbid" }).waitFor();
  await at("Forbid");

  await useBefore("Delete");
  await at("Type its name");
  await type("Edited");
  await press("Enter");
  await text("The name doesn't match.");
  await at("Type its name");
  await type(" twice");
  await press("Enter");
  await text(/is deleted everywhere/);
  await at("Edited twice");
  await use("Restore");
  await text(/is restored/);
  await at("Edited twice");
});

test("a key is added and ended, and sessions are", async () => {
  const { clientId, secretKey } = await daemon.create("Keys");
  for (let i = 0; i < 3; i++) await daemon.issue(clientId, secretKey);
  await open("Keys");
  await use("New key");
  await at("Keep working for a while");
  await press("ArrowDown"); // the other radio button
  await text("This ends 3 live sessions at once.");
  await press("ArrowUp");
  await use("For how long", "ArrowDown");
  await use("Generate key");
  await dialog(page).locator("code.secret").waitFor();
  await use("I have stored", "Space");
  await use("Done");
  await isClosed();
  await at("New key");

  await use("End the key");
  await use("End key");
  await text("The key has ended.");
  await at("Secret keys"); // there is one left, which has no "End"
  await use("End the session");
  await use("End session");
  await text(/The session has ended everywhere/);
  await at("Live sessions");
  await use("End all 2");
  await use("End all");
  await text("Nobody is using it at the moment.");
  await at("Live sessions");
});

test("many are selected and changed at once", async () => {
  for (let i = 0; i < 3; i++) await daemon.create(`Many ${i}`);
  await tabTo("Search");
  await type("Many");
  await text("3 credentials");
  await use("Select all on this page", "Space");
  await text("3 credentials selected");
  await useBefore("Clear");
  await at("Application credentials"); // nothing is selected
  await use("Select all on this page", "Space");
  await text("3 credentials selected");
  await useBefore("Grant roles");
  await use("Team Leader", "Space");
  await use("Preview");
  await at("No live session ends."); // what one wanted to know
  await use("Grant to 3 credentials");
  await text(/Granted: 3 credentials/);
  await at("Application credentials");

  await use("Select Many 1", "Space");
  await useBefore("Suspend");
  await press("Escape");
  await isClosed();
  await at("Suspend");
  await use("Delete");
  await use("Preview");
  await at("Type delete to confirm");
  await type("delete");
  await press("Enter");
  await text(/Deleted: 1 credential/);
  await at("Application credentials");
});

test("the list is sorted, paged and filtered, and shown whole again", async () => {
  for (let i = 0; i < 30; i++) await daemon.create(`Page ${i}`);
  await tabTo("Search");
  await type("Page");
  await text("30 credentials");
  await use("Expires");
  await page.locator("th[aria-sort=ascending]", { hasText: "Expires" }).waitFor();
  await at("Expires");
  await use("Next");
  await text("26–30 of 30");
  await at("Next"); // at the end: it does nothing, but one is still there
  await press("Enter");
  await useBefore("Previous");
  await text("1–25 of 30");
  await at("Previous");
  await tabTo("Role", "Shift+Tab");
  await press("ArrowDown");
  await text("Nothing matches");
  await at("Role");
  await use("Show all");
  await page.getByRole("table").waitFor();
  await at("Application credentials");
});

test("users are added, changed and deleted", async () => {
  await section("Users", "Users");
  await use("Add user");
  await at("User");
  await press("Enter");
  await text("Enter the ID that your directory uses.");
  await at("User");
  await type("kay");
  await use("Team Leader", "Space");
  await use("Save");
  await isClosed();
  await at("Add user");
  await use("kay");
  await at("kay");
  await use("Change roles");
  await use("Team Leader", "Space");
  await use("Save");
  await isClosed();
  await at("Change roles");
  await use("Delete");
  await use("Delete");
  await text(/kay is deleted everywhere/);
  await at("Users");
});

test("usage and the audit log are searched", async () => {
  const { clientId, secretKey } = await daemon.create("Caller");
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;
  for (const api of ["POST /api/cases", "GET /api/queues"]) await daemon.use(token, api);
  await section("Usage", "Usage");
  await text("POST /api/cases");
  await tabTo("API");
  await type("queues");
  await page.getByText("POST /api/cases").waitFor({ state: "detached" });
  await tabTo("Period");
  await press("ArrowUp", "ArrowUp");
  await page.getByRole("img", { name: "Last 24 hours" }).waitFor();
  await at("Period");
  await tabTo("Include Gatehouse's own calls");
  await press("Space");
  await at("Include Gatehouse's own calls");
  await tabTo("Last call");
  await press("Enter");
  await at("Last call");
  await use("Caller");
  await at("Caller");

  await use("All events");
  await at("Audit log");
  await text("Create credential", page.getByRole("table", { name: "Events" }));
  await tabTo("What");
  await type("Regen"); // as a person chooses in a list
  await text("No events match this search");
  await at("What");
  await press("Home");
  await tabTo("Since");
  await type("01012020");
  await useBefore("Verify");
  await text(/Verified: all/);
  await at("Verify");
});

test("settings are saved, undone, and asked about before one leaves; roles are added", async () => {
  await section("Settings", "Settings");
  const idle = page.getByLabel("Idle Session Timeout", { exact: true });
  await tabTo("Idle Session Timeout");
  await press("Control+a");
  await type("30");
  await use("Undo");
  await at("General Settings");
  assert.equal(await idle.inputValue(), "20");
  await tabTo("Idle Session Timeout");
  await press("Control+a");
  await type("25");
  const asked = page.waitForEvent("dialog").then((question) => question.dismiss().then(() => question.message()));
  await useBefore("Users");
  assert.match(await asked, /Leave without saving/);
  await at("Users");
  assert.equal(await idle.inputValue(), "25");
  await use("Save");
  await text("The settings are saved");
  await at("General Settings");

  await use("Add role");
  await at("ID");
  await type("key_role");
  await tabTo("Name");
  await type("Key Role");
  await tabTo("Group");
  await type("Keys");
  await press("Enter");
  await isClosed();
  await at("Add role");
  await use("Edit Key Role");
  await use("Retired", "Space");
  await use("Save");
  await isClosed();
  await at("Edit Key Role");
});

test("one skips to the content, signs in again where one was, and signs out", async () => {
  await section("Users", "Users");
  await press("Shift+Tab");
  await useBefore("Skip to the content");
  await at("Users");
  await section("Credentials", "Application credentials");
  await use("New credential");
  await type("Begun before");
  await use("Work Assigner", "Space");
  const { credential } = await daemon.call("GET", `v1/credentials/${daemon.clientId}`);
  await daemon.call("POST", `v1/credentials/${credential.clientId}:endTokens`, {});
  daemon.token = undefined;
  await use("Generate key");
  await at("Secret key");
  await type(daemon.secret);
  await press("Enter");
  await page.getByRole("dialog", { name: "Sign in again" }).waitFor({ state: "detached" });
  await text(/nothing was changed/);
  await at("Generate key");
  await press("Escape");
  await at("Keep editing");
  await press("Shift+Tab", "Enter");
  await isClosed();
  await useBefore("Sign out");
  await at("Client ID");
});

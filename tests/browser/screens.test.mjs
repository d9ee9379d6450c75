// SPDX-License-Identifier: Apache-2.0
// The other screens: sessions and usage, users, settings, audit log.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { dialog, launch, newPage, signIn, visit } from "./browser.mjs";
import { Daemon, until } from "./daemon.mjs";

let daemon, browser, page;
before(async () => {
  daemon = await Daemon.start();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await daemon?.remove();
});
beforeEach(async () => {
  page = await newPage(browser);
  await signIn(page, daemon);
});
afterEach(async () => {
  const { complaints } = page;
  await page.context().close();
  assert.deepEqual(complaints, []);
});

const button = (name, within = page) => within.getByRole("button", { name, exact: true });
const isActive = async (token) => (await daemon.use(token, "GET /asked")).active;

test("usage says which API was called by whom and how often, in a chart and in a table beside it", async () => {
  const { clientId, secretKey } = await daemon.create("Caller");
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;
  for (let i = 0; i < 7; i++) await daemon.use(token, "POST /api/cases");
  for (let i = 0; i < 2; i++) await daemon.use(token, "GET /api/queues");
  await visit(page, `credentials/${clientId}`);
  const table = page.getByRole("table", { name: "Calls by API" });
  const row = table.getByRole("row").filter({ hasText: "POST /api/cases" });
  await row.getByRole("cell", { name: "7", exact: true }).waitFor();
  await page.getByRole("img", { name: "Last 30 days: 9 calls, 0 refused" }).waitFor();
  assert.ok(
    await page.locator(".chart canvas").evaluate((canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      return data.some((value) => value > 0);
    }),
    "nothing is drawn",
  );

  await visit(page, "usage");
  await page.getByRole("searchbox", { name: "API" }).fill("GET /api/queues");
  const line = page.getByRole("table", { name: "Calls by API" }).getByRole("row").filter({ hasText: "Caller" });
  await line.getByRole("cell", { name: "2", exact: true }).waitFor();
  await page.getByText("POST /api/cases").waitFor({ state: "detached" });
  await page.getByLabel("Period").selectOption("Last 24 hours");
  await page.getByRole("img", { name: "Last 24 hours: 2 calls" }).waitFor();
  await line.getByRole("link", { name: "Caller" }).click();
  await page.getByRole("heading", { name: "Caller", level: 1 }).waitFor();
});

test("live sessions are shown, one is ended, then all", async () => {
  const { clientId, secretKey } = await daemon.create("Sessions");
  const tokens = [];
  for (let i = 0; i < 3; i++) tokens.push((await daemon.issue(clientId, secretKey)).json.access_token);
  await daemon.use(tokens[1], "PATCH /api/tickets");
  await visit(page, `credentials/${clientId}`);
  const table = page.getByRole("table", { name: "Live sessions" });
  const row = table.getByRole("row").filter({ hasText: "PATCH /api/tickets" });
  await row.getByRole("button", { name: "End the session" }).click();
  await button("End session").click();
  await page.getByText(/^The session has ended everywhere, after [0-9.,]+ ms\.$/).waitFor();
  assert.deepEqual(await Promise.all(tokens.map(isActive)), [true, false, true]);
  await button("End all 2").click();
  await dialog(page).getByText("This ends 2 live sessions at once.").waitFor();
  await button("End all").click();
  await page.getByText("Nobody is using it at the moment.").waitFor();
  assert.deepEqual(await Promise.all(tokens.map(isActive)), [false, false, false]);
});

test("a user is added, and changing roles says which sessions of which credentials it ends", async () => {
  await visit(page, "users");
  await button("Add user").click();
  await button("Save").click();
  await dialog(page).getByText("Enter the ID that your directory uses.").waitFor();
  await dialog(page).getByLabel("User", { exact: true }).fill("eve@example.com");
  await dialog(page).getByLabel("Work Creator").check();
  await dialog(page).getByLabel("Team Leader").check();
  await button("Save").click();
  await page.getByRole("link", { name: "eve@example.com" }).waitFor();
  const { clientId, secretKey } = await daemon.create("Eve's", ["work_creator", "team_leader"], {
    owner: "eve@example.com",
  });
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;

  await page.getByRole("link", { name: "eve@example.com" }).click();
  await page.getByRole("link", { name: "Eve's" }).waitFor();
  await button("Change roles").click();
  await dialog(page).getByLabel("Team Leader").uncheck();
  await button("Save").click();
  await dialog(page).getByText("This ends 1 live session at once.").waitFor();
  assert.equal(await isActive(token), true);
  await button("Save and end 1 session").click();
  await page.locator(".chip.gone", { hasText: "Team Leader" }).first().getByText("revoked").waitFor();
  assert.equal(await isActive(token), false);

  await button("Delete").click();
  await button("Delete", dialog(page)).click();
  await page.getByText(/^eve@example\.com is deleted everywhere, after [0-9.,]+ ms\.$/).waitFor();
  await page.getByRole("heading", { name: "Users", level: 1 }).waitFor();
});

test("a shorter idle session timeout says how many live sessions it ends", async () => {
  const own = await Daemon.start({ clock: true });
  const other = await newPage(browser);
  try {
    const { clientId, secretKey } = await own.create("Idle");
    const tokens = [];
    for (let i = 0; i < 2; i++) tokens.push((await own.issue(clientId, secretKey)).json.access_token);
    own.moveClock(600); // half of the 20 minutes
    own.token = undefined;
    await signIn(other, own);
    await visit(other, "settings");
    const timeout = other.getByLabel("Idle Session Timeout", { exact: true });
    assert.equal(await timeout.inputValue(), "20");
    await timeout.fill("0.5");
    await button("Save", other).click();
    await other.locator(".setting .wrong").waitFor();
    await timeout.fill("5");
    await button("Save", other).click();
    await other.getByText(/This ends 3 live sessions/).waitFor(); // the two, and one of the test's own
    await button("Save and end 3 sessions", other).click();
    await other.getByText(/^The settings are saved\. Sessions have ended everywhere, after [0-9.,]+ ms\.$/).waitFor();
    assert.equal((await own.call("GET", "v1/settings")).settings.idleSessionTimeout, "300s");
    for (const token of tokens) assert.equal((await own.use(token, "GET /x")).active, false);
    assert.deepEqual(other.complaints, []);
  } finally {
    await other.context().close();
    await own.remove();
  }
});

test("a role of one's own is added and can be chosen; retired it cannot be granted", async () => {
  await visit(page, "settings");
  await button("Add role").click();
  await dialog(page).getByLabel("ID").fill("Not Valid");
  await dialog(page).getByLabel("Name").fill("Invoice Reader");
  await dialog(page).getByLabel("Group").fill("Finance");
  await button("Save", dialog(page)).click();
  await dialog(page).locator(".wrong, .notice.bad").first().waitFor();
  await dialog(page).getByLabel("ID").fill("invoice_reader");
  await button("Save", dialog(page)).click();
  await page.getByRole("row", { name: "Invoice Reader" }).waitFor();
  await visit(page, "credentials");
  await button("New credential").click();
  await dialog(page).getByRole("group", { name: "Finance" }).getByLabel("Invoice Reader").waitFor();
  await page.keyboard.press("Escape");
  await visit(page, "settings");
  await button("Edit Invoice Reader").click();
  await dialog(page).getByLabel("Retired").check();
  await button("Save", dialog(page)).click();
  await page.getByRole("row", { name: "Invoice Reader" }).getByText("retired").waitFor();
  await visit(page, "credentials");
  await button("New credential").click();
  await dialog(page).getByLabel("Work Creator").waitFor();
  assert.equal(await dialog(page).getByLabel("Invoice Reader").count(), 0);
});

test("the audit log is searched, and says whether it was altered", async () => {
  const { clientId } = await daemon.create("Audited");
  await daemon.issue(clientId, "gate_sk_wrong");
  await daemon.call("POST", `v1/credentials/${clientId}:grantRoles`, { roles: ["team_leader"] });
  await visit(page, "audit");
  const table = page.getByRole("table", { name: "Events" });
  await page.getByRole("searchbox", { name: "On (name or ID)" }).fill(clientId);
  await table.getByText("Grant roles").waitFor();
  // It is written a moment after.
  await until(
    "the refused token in the log",
    async () =>
      (
        await daemon.call(
          "GET",
          `v1/audit?filter=${encodeURIComponent(`subject="${clientId}" AND outcome=UNAUTHENTICATED`)}`,
        )
      ).events?.length,
  );
  await page.getByLabel("Outcome").selectOption("Unauthenticated");
  await table.getByRole("row").filter({ hasText: "unauthenticated" }).first().waitFor();
  await table.getByText("Grant roles").waitFor({ state: "detached" });
  await page.getByLabel("Outcome").selectOption("Any");
  await page.getByLabel("What").selectOption("Create credential");
  await table.getByText("name: Audited").waitFor();
  await page.getByLabel("Since").fill("2020-01-01T00:00");
  await page.getByLabel("Until").fill("2020-01-02T00:00");
  await page.getByLabel("Until").blur();
  await page.getByRole("heading", { name: "No events match this search" }).waitFor();
  await button("Verify").click();
  await page.getByText(/Verified: all \d+ events are intact/).waitFor();
});

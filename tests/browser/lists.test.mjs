// SPDX-License-Identifier: Apache-2.0
// The list of credentials in hundreds: contact and labels, pages, files, and one act on many of them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { dialog, expectAccessible, launch, newPage, signIn, visit } from "./browser.mjs";
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
const get = async (clientId) => (await daemon.call("GET", `v1/credentials/${clientId}`)).credential;
const total = (text) => page.getByRole("status").filter({ hasText: text }).first().waitFor();
const bar = () => page.getByRole("region", { name: "Selected credentials" });
/** @param {string} mark part of the names */
async function chooseAll(mark, count) {
  await visit(page, `credentials?q=${encodeURIComponent(mark)}`);
  await total(`${count} credential`);
  await page.getByLabel("Select all on this page").check();
  await bar().getByText(`${count} credentials selected`).waitFor();
}

test("contact and labels are entered, shown as text, found and changed", async () => {
  const markup = "<img src=x onerror=alert(1)> & Søren";
  await button("New credential").click();
  await dialog(page).getByLabel("Name").fill("Labelled");
  await dialog(page).getByLabel("Team Leader").check();
  await dialog(page).getByLabel("Contact (optional)").fill(markup);
  await dialog(page).getByLabel("Labels (optional)").fill("team=payments\nenv");
  await button("Generate key").click();
  await dialog(page).getByText('Write a label as key=value: "env".').waitFor();
  await dialog(page).getByLabel("Labels (optional)").fill("team=payments\nTeam=x");
  await button("Generate key").click();
  await dialog(page).getByText("must be of the form").waitFor();
  await dialog(page).getByLabel("Labels (optional)").fill("team=<b>pay</b>\n env/tier = prod ");
  await button("Generate key").click();
  await button("Copy both").click();
  await button("Done").click();

  await page.getByLabel("Search by").selectOption("By contact");
  await page.getByRole("searchbox").fill("SØREN");
  await total("1 credential");
  await page.getByRole("link", { name: "Labelled" }).click();
  await page.getByText(markup, { exact: true }).waitFor();
  const clientId = /credentials\/([^?]+)/.exec(await page.evaluate(() => location.hash))[1];
  assert.deepEqual((await get(clientId)).labels, { "env/tier": "prod", team: "<b>pay</b>" });
  assert.equal(await page.locator("main img, main b").count(), 0);
  await page.getByRole("link", { name: "team=<b>pay</b>" }).click();
  await total("1 credential");
  assert.equal(await page.getByRole("searchbox").inputValue(), "team=<b>pay</b>");
  await page.getByRole("searchbox").fill("no such label");
  await page.getByText("Nothing matches").waitFor();
  await page.getByRole("searchbox").fill("env/tier");
  await page.getByRole("link", { name: "Labelled" }).click();

  await button("Edit").click();
  await dialog(page).getByLabel("Labels (optional)").fill("team=billing");
  await dialog(page).getByLabel("Contact (optional)").fill("");
  await button("Save").click();
  await page.getByRole("link", { name: "team=billing" }).waitFor();
  assert.deepEqual([(await get(clientId)).labels, (await get(clientId)).contact], [{ team: "billing" }, undefined]);
  const change = page.getByRole("table", { name: "Events" }).getByRole("row").filter({ hasText: "label team" });
  await change.first().waitFor();
  assert.deepEqual(await change.first().locator("del").allInnerTexts(), [`"${markup}"`, '"prod"', '"<b>pay</b>"']);
  assert.deepEqual(await change.first().locator("ins").allInnerTexts(), ['""', "none", '"billing"']);
});

test("two administrators who change labels and contact are brought together", async () => {
  const { clientId } = await daemon.create("Shared", ["team_leader"], { contact: "Ann", labels: { team: "a" } });
  await visit(page, `credentials/${clientId}`);
  await button("Edit").click();
  await dialog(page).getByLabel("Labels (optional)").fill("team=mine");
  await daemon.call("PATCH", `v1/credentials/${clientId}`, {
    credential: { contact: "Ben", labels: { team: "theirs" } },
    updateMask: "contact,labels",
  });
  await button("Save").click();
  await dialog(page).getByText("Changed by someone else").waitFor();
  await dialog(page).getByText("team=theirs").waitFor();
  await dialog(page).getByLabel("Yours").check();
  await button("Continue").click();
  await button("Save").click();
  await dialog(page).waitFor({ state: "detached" });
  const { contact, labels } = await get(clientId);
  assert.deepEqual([contact, labels], ["Ben", { team: "mine" }]);
});

test("limits and networks are entered, observed, shown and changed", async () => {
  const { clientId, secretKey } = await daemon.create("Bounded");
  await visit(page, `credentials/${clientId}`);
  await page.getByText("As the settings say").waitFor();
  await page.getByText("From anywhere").waitFor();
  await button("Edit").click();
  const networks = dialog(page).getByLabel("Networks (optional)");
  await dialog(page).getByLabel("Idle timeout", { exact: true }).fill("x");
  await dialog(page).getByLabel("Live tokens", { exact: true }).fill("1.5");
  await button("Save").click();
  await dialog(page).getByText("Enter a whole number from 1, or leave it empty.").waitFor();
  await dialog(page).getByText("Enter a number, or leave it empty.").waitFor();
  await dialog(page).getByLabel("Idle timeout", { exact: true }).fill("0.5");
  await dialog(page).getByLabel("Live tokens", { exact: true }).fill("1");
  await button("Save").click();
  await dialog(page).getByText("It must be from 60 to 2592000 seconds").waitFor();
  await dialog(page).getByLabel("Idle timeout", { exact: true }).fill("2");
  await dialog(page).getByLabel("Idle timeout, unit").selectOption("hours");
  await dialog(page).getByLabel("Observe only: Live tokens").check();
  await networks.fill("10.0.0.1/8");
  await button("Save").click();
  await dialog(page).getByText("the network is 10.0.0.0/8").waitFor();
  await networks.fill("192.0.2.1\n10.0.0.0/8\n");
  await dialog(page).getByLabel("Observe only: Networks").check();
  await expectAccessible(page, "limits and networks");
  await button("Save").click();
  await dialog(page).waitFor({ state: "detached" });
  await page.getByText("Idle timeout: 2 hours").waitFor();
  await page.getByText("Would have refused nothing yet.").waitFor();
  const { limits, addresses } = await get(clientId);
  assert.deepEqual(limits, { idleTimeout: "7200s", maxTokens: 1, observeOnly: ["LIMIT_MAX_TOKENS"] });
  assert.deepEqual(addresses, { networks: ["10.0.0.0/8", "192.0.2.1"], observeOnly: true });
  const change = page
    .getByRole("table", { name: "Events" })
    .getByRole("row")
    .filter({ hasText: "limits.idle_timeout" });
  await change.first().waitFor();
  assert.deepEqual(await change.first().locator("ins").allInnerTexts(), [
    "7200 s",
    "1, observed only",
    "10.0.0.0/8 192.0.2.1 (observed)",
  ]);

  for (let i = 0; i < 2; i++) assert.equal((await daemon.issue(clientId, secretKey)).code, 200);
  await until("a count", async () => (await get(clientId)).limits.observed && (await get(clientId)).lastUseFrom);
  await visit(page, "credentials");
  await visit(page, `credentials/${clientId}`);
  await page.getByText("Would have refused 1 token, the last").waitFor();
  await page.getByText("127.0.0.1", { exact: true }).first().waitFor();

  await button("Edit").click();
  await networks.fill("");
  await dialog(page).getByLabel("Idle timeout", { exact: true }).fill("");
  await dialog(page).getByLabel("Live tokens", { exact: true }).fill("5");
  await daemon.call("PATCH", `v1/credentials/${clientId}`, {
    credential: { limits: { maxTokens: 7 }, addresses: { networks: ["127.0.0.0/8"] } },
    updateMask: "limits,addresses",
  });
  await button("Save").click();
  const both = page.getByRole("dialog", { name: "Changed by someone else" });
  await both.getByRole("group", { name: "Limits" }).getByText("Live tokens: 7 tokens").waitFor();
  await both.getByRole("group", { name: "Limits" }).getByLabel("Yours").check();
  await both.getByRole("group", { name: "Networks" }).getByLabel("Theirs").check();
  await button("Continue").click();
  assert.equal(await networks.inputValue(), "127.0.0.0/8");
  await button("Save").click();
  await dialog(page).waitFor({ state: "detached" });
  const after = await get(clientId);
  assert.deepEqual(after.limits, { maxTokens: 5, observeOnly: ["LIMIT_MAX_TOKENS"] });
  assert.deepEqual(after.addresses, { networks: ["127.0.0.0/8"] });
});

test("how many rows a page has is chosen, and kept in the address; a file has all pages, and no formula", async () => {
  for (let i = 0; i < 28; i++) await daemon.create(`Sized ${String(i).padStart(2, "0")}`);
  await daemon.create("=Sized", ["team_leader"], {
    owner: "@ann",
    contact: '+49 "Ann", \u00e4',
    labels: { team: "a,b", env: "" },
    limits: { idleTimeout: "300s", maxTokens: 2, observeOnly: ["LIMIT_MAX_TOKENS"] },
    addresses: { networks: ["127.0.0.0/8", "2001:db8::/32"] },
  });
  await visit(page, "credentials?q=Sized");
  await total("29 credentials");
  const rows = page.getByRole("link", { name: "Sized" });
  assert.equal(await rows.count(), 25);
  await page.getByLabel("Rows per page").selectOption("50 rows");
  await until("all rows", async () => (await rows.count()) === 29);
  assert.ok((await page.evaluate(() => location.hash)).includes("size=50"));
  await page.getByLabel("Rows per page").selectOption("25 rows");
  await until("a page", async () => (await rows.count()) === 25);
  await page.getByText("Owner: @ann").waitFor();
  await page.setViewportSize({ width: 1440, height: 900 }); // where there is room, the owner has a column
  await page.getByRole("link", { name: "@ann" }).waitFor();

  const download = page.waitForEvent("download");
  await button("Download CSV").click();
  const text = readFileSync(await (await download).path(), "utf8");
  const lines = text.split("\r\n");
  assert.equal(
    lines[0],
    "\ufeffclient_id,name,status,owner,contact,labels,granted_roles,effective_roles,limits,networks,expires,last_used,last_used_from,created,created_by",
  );
  assert.equal(lines.length, 31);
  assert.match(
    text,
    /,'=Sized,active,'@ann,"'\+49 ""Ann"", ä","env=; team=a,b",team_leader,,"Idle timeout: 5 minutes; Live tokens: 2 tokens, observed only",127.0.0.0\/8; 2001:db8::\/32,never,,,/,
  );
});

test("many are suspended with one preview of what ends, and one that somebody else changed is told", async () => {
  const made = [];
  for (const name of ["Many 1", "Many 2", "Many 3"]) made.push(await daemon.create(name));
  const [one, two] = made;
  const token = (await daemon.issue(one.clientId, one.secretKey)).json.access_token;
  await daemon.issue(two.clientId, two.secretKey);
  await chooseAll("Many", 3);
  await button("Suspend", bar()).click();
  await button("Preview").click();
  await dialog(page).getByText("This ends 2 live sessions of 2 credentials at once.").waitFor();
  assert.equal((await get(one.clientId)).status, "CREDENTIAL_STATUS_ACTIVE");
  await daemon.call("PATCH", `v1/credentials/${two.clientId}`, {
    credential: { contact: "changed meanwhile" },
    updateMask: "contact",
  });
  await button("Suspend 3 credentials and end 2 sessions").click();
  await dialog(page).getByText("Suspended: 2 of 3 credentials").waitFor();
  const failed = dialog(page).getByRole("listitem");
  assert.match((await failed.allInnerTexts()).join(), /^Many 2: Someone else has changed it/);
  await button("Close", dialog(page).locator("footer")).click();
  await bar().getByText("1 credential selected").waitFor();
  const states = await Promise.all(made.map(async ({ clientId }) => (await get(clientId)).status));
  assert.deepEqual(
    states,
    [..."SAS"].map((letter) => `CREDENTIAL_STATUS_${letter === "S" ? "SUSPENDED" : "ACTIVE"}`),
  );
  assert.equal((await daemon.use(token, "GET /x")).active, false);

  await chooseAll("Many", 3);
  await button("Resume", bar()).click();
  await button("Preview").click();
  await button("Resume 3 credentials").click();
  await page.getByText("Resumed: 3 credentials.").waitFor();
  assert.equal((await get(one.clientId)).status, "CREDENTIAL_STATUS_ACTIVE");
});

test("roles are granted to many and revoked from them, and their date is moved", async () => {
  const made = [];
  for (const name of ["Roles 1", "Roles 2"]) made.push(await daemon.create(name));
  const roles = async () => Promise.all(made.map(async ({ clientId }) => (await get(clientId)).effectiveRoles));
  await chooseAll("Roles", 2);
  await button("Grant roles", bar()).click();
  await button("Preview").click();
  await dialog(page).getByText("Choose at least one role.").waitFor();
  await dialog(page).getByLabel("Team Leader").check();
  await button("Preview").click();
  await button("Grant to 2 credentials").click();
  await page.getByText("Granted: 2 credentials.").waitFor();
  assert.deepEqual(await roles(), Array(2).fill(["team_leader", "work_creator"]));
  await chooseAll("Roles", 2);
  await button("Revoke roles", bar()).click();
  await dialog(page).getByLabel("Work Creator").check();
  await button("Preview").click();
  await dialog(page).getByText("No live session ends.").waitFor();
  await dialog(page).getByLabel("Service Agent").check(); // what was looked up is of another choice then
  await button("Preview").click();
  await button("Revoke from 2 credentials").click();
  await page.getByText("Revoked: 2 credentials.").waitFor();
  assert.deepEqual(await roles(), Array(2).fill(["team_leader"]));
  await chooseAll("Roles", 2);
  await button("Expiry date", bar()).click();
  await dialog(page).getByLabel("Time zone").selectOption("UTC");
  await dialog(page).getByLabel("Expiry date and time").fill("2031-05-06T07:08");
  await button("Preview").click();
  await button("Set for 2 credentials").click();
  await page.getByText("Set: 2 credentials.").waitFor();
  for (const { clientId } of made) assert.equal((await get(clientId)).expireTime, "2031-05-06T07:08:00Z");
});

test("many are deleted once the word was typed; those of which it cannot be are named before", async () => {
  await daemon.create("administrator 2");
  await chooseAll("administrator", 2);
  await button("Delete", bar()).click();
  await button("Preview").click();
  await dialog(page).getByText("This cannot be done to 1 credential:").waitFor();
  await dialog(page).getByText("This is the last credential with the role User Manager").waitFor();
  await button("Delete 1 credential").click();
  await dialog(page).getByText("Type the word delete.").waitFor();
  await dialog(page).getByLabel("Type delete to confirm").fill("Delete");
  await button("Delete 1 credential").click();
  await dialog(page).getByText("Deleted: 1 of 2 credentials").waitFor();
  await button("Close", dialog(page).locator("footer")).click();
  await total("1 credential");
  assert.equal((await get(daemon.clientId)).status, "CREDENTIAL_STATUS_ACTIVE");
});

test("who looks only is offered no act on many", async () => {
  const { clientId, secretKey } = await daemon.create("Looks", ["auditor"]);
  const other = await newPage(browser);
  await signIn(other, { url: daemon.url, clientId, secret: secretKey });
  await other.getByRole("button", { name: "Download CSV" }).waitFor();
  assert.equal(await other.getByLabel("Select all on this page").count(), 0);
  await other.context().close();
});

test("a session that was ended is gone from the list before it is read again", async () => {
  const { clientId, secretKey } = await daemon.create("Sessions");
  await daemon.issue(clientId, secretKey);
  await daemon.issue(clientId, secretKey);
  await visit(page, `credentials/${clientId}`);
  const rows = page.getByRole("table", { name: "Live sessions" }).locator("tbody").getByRole("row");
  await until("two sessions", async () => (await rows.count()) === 2);
  let goOn;
  const held = new Promise((resolve) => (goOn = resolve));
  await page.route("**/tokens?*", async (route) => (await held, route.continue()));
  await rows.first().getByRole("button").click();
  await button("End session").click();
  await until("one session", async () => (await rows.count()) === 1);
  await button("End all 2").click(); // the number is the server's, which was not heard yet
  await button("End all").click();
  await page.getByText("Nobody is using it at the moment.").waitFor();
  goOn();
});

for (const width of [390, 768, 1024, 1440])
  test(`the list and an act on many at ${width} pixels, with the keyboard alone`, async () => {
    await daemon.create(`Narrow ${width} ${"W".repeat(60)}`, ["team_leader"], {
      owner: "somebody.with.a.long.name@example.com",
      contact: "W".repeat(200),
      labels: { team: "w".repeat(63) },
    });
    await page.setViewportSize({ width, height: 900 });
    await visit(page, `credentials?q=Narrow ${width}`);
    await total("1 credential");
    const { keyboard } = page;
    await page.getByLabel(`Select Narrow ${width}`).focus();
    await keyboard.press("Space");
    await bar().waitFor();
    await expectAccessible(page, `the list at ${width}`);
    const isWide = () => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(await isWide(), false);
    await button("Suspend", bar()).focus();
    await keyboard.press("Enter");
    await dialog(page).waitFor();
    await button("Preview").focus();
    await keyboard.press("Enter");
    await dialog(page).getByText("No live session ends.").waitFor();
    await expectAccessible(page, `the preview at ${width}`);
    const box = await dialog(page).boundingBox();
    assert.ok(box.x >= 0 && box.x + box.width <= width, JSON.stringify(box));
    await keyboard.press("Escape");
    await dialog(page).waitFor({ state: "detached" });
    await page.getByRole("link", { name: `Narrow ${width}` }).click();
    await page.getByRole("heading", { name: `Narrow ${width}` }).waitFor();
    await page.getByRole("link", { name: "team=www" }).waitFor();
    assert.equal(await isWide(), false);
    await expectAccessible(page, `the credential at ${width}`);
  });

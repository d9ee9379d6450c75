// SPDX-License-Identifier: Apache-2.0
// The source text's main screen and dialogs, as a person goes through them.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { dialog, enter, everything, launch, newPage, signIn, visit } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";

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
const row = (name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });

async function open(name) {
  const { clientId } = (await daemon.call("GET", `v1/credentials?filter=${encodeURIComponent(`name:"${name}"`)}`))
    .credentials[0];
  await visit(page, `credentials/${clientId}`);
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  return clientId;
}

test("only an administrator signs in, and it is said why another does not", async () => {
  const { clientId, secretKey } = await daemon.create("No manager");
  await button("Sign out").click();
  await button("Sign in").click();
  await page.getByRole("alert").filter({ hasText: "Enter both" }).waitFor();
  await enter(page, daemon.clientId, "gate_sk_wrong");
  await page.getByRole("alert").filter({ hasText: "The client ID or the secret key is wrong" }).waitFor();
  await enter(page, clientId, secretKey);
  await page.getByRole("alert").filter({ hasText: "has none of the roles that the console needs" }).waitFor();
  await enter(page, daemon.clientId, daemon.secret);
  await page.getByRole("table", { name: "Application credentials" }).waitFor();
});

/** A credential with this role, and a page signed in with it. */
async function signInAs(role) {
  const { clientId, secretKey } = await daemon.create(`As ${role}`, [role]);
  await button("Sign out").click();
  await enter(page, clientId, secretKey);
  await page.getByRole("heading", { name: "Application credentials" }).waitFor();
  return clientId;
}

test("an auditor sees everything and is offered nothing that changes anything", async () => {
  const { clientId, secretKey } = await daemon.create("Looked at");
  await daemon.issue(clientId, secretKey);
  await signInAs("auditor");
  assert.equal(await button("New credential").count(), 0);
  await open("Looked at");
  await button("Refresh").waitFor();
  await page.getByRole("table", { name: "Live sessions" }).waitFor();
  for (const name of ["Edit", "New key", "Delete", "End all 1", "End"])
    assert.equal(await button(name).count(), 0, name);
  await visit(page, "users");
  assert.equal(await button("Add user").count(), 0);
  await visit(page, "settings");
  await page.getByLabel("Idle Session Timeout", { exact: true }).fill("7");
  assert.ok(await button("Save").isDisabled());
  assert.equal(await button("Add role").count(), 0);
});

test("a key manager changes keys and dates, and of no administrator's credential", async () => {
  await daemon.create("Kept by keys");
  const own = await signInAs("key_manager");
  await open("Kept by keys");
  assert.equal(await button("Delete").count(), 0);
  await button("Edit").click();
  assert.equal(await dialog(page).getByLabel("Name").count(), 0);
  await dialog(page).getByLabel("Never expires").check();
  await button("Save").click();
  await dialog(page).waitFor({ state: "detached" });
  await button("New key").click();
  await button("Generate key").click();
  await dialog(page).locator("code.secret").waitFor();
  await dialog(page).getByRole("checkbox").check();
  await button("Done").click();
  for (const clientId of [own, daemon.clientId]) {
    await visit(page, `credentials/${clientId}`);
    await page.getByRole("heading", { name: "Live sessions" }).waitFor();
    for (const name of ["Edit", "New key", "Delete"]) assert.equal(await button(name).count(), 0, name);
  }
});

test("a credential's holder is allowed to make its next key, and forbidden", async () => {
  await daemon.create("Rotates");
  const clientId = await open("Rotates");
  const allows = async () => (await daemon.call("GET", `v1/credentials/${clientId}`)).credential.selfRotation ?? false;
  await button("Allow").click();
  await button("Forbid").waitFor();
  assert.equal(await allows(), true);
  await button("Forbid").click();
  await button("Allow").waitFor();
  assert.equal(await allows(), false);
});

test("what expires within 30 days is marked, and found soonest first", async () => {
  const inDays = (days) => ({ expireTime: new Date(Date.now() + days * 86_400_000).toISOString() });
  await daemon.create("Ends in 20", ["work_creator"], inDays(20));
  await daemon.create("Ends in 2", ["work_creator"], inDays(2));
  await daemon.create("Ends in 200", ["work_creator"], inDays(200));
  await page.getByLabel("Status").selectOption("Expires within 30 days");
  await page.getByRole("status").filter({ hasText: "2 credentials" }).waitFor();
  const names = await page.getByRole("link", { name: /^Ends in/ }).allInnerTexts();
  assert.deepEqual(names, ["Ends in 2", "Ends in 20"]);
  assert.match(await row("Ends in 2").locator(".soon").innerText(), /tomorrow|in /);
});

test("what a script can read has no bearer token and no secret key", async () => {
  const text = await everything(page);
  assert.ok(!text.includes("gate_at_"), "a token");
  assert.ok(!text.includes(daemon.secret), "the secret key that was typed");
  assert.equal(await page.evaluate(() => sessionStorage.length + document.cookie.length), 0);
});

test("a credential is created, its key is shown once, and then it is nowhere", async () => {
  await button("New credential").click();
  await button("Generate key").click();
  await dialog(page).getByText("Enter a name.").waitFor();
  await dialog(page).getByText("Choose at least one role.").waitFor();
  await dialog(page).getByLabel("Name").fill("Acme Billing");
  await dialog(page).getByLabel("Time zone").selectOption("UTC");
  await dialog(page).getByLabel("Expiry date and time").fill("2031-05-06T07:08");
  await dialog(page).getByText("in Europe/Berlin").waitFor();
  await dialog(page).getByRole("group", { name: "Access Rights" }).getByLabel("Work Creator").check();
  await dialog(page).getByRole("group", { name: "Access to Builder" }).getByLabel("Release Manager").check();
  await button("Generate key").click();

  const shown = dialog(page).locator("code.secret");
  const secret = await shown.textContent();
  assert.match(secret, /^gate_sk_[A-Za-z0-9]{49}$/);
  for (let i = 0; i < 3; i++) await page.keyboard.press("Escape");
  assert.ok(await shown.isVisible(), "Esc closed the key before it was copied");
  assert.ok(await button("Done").isDisabled());
  assert.equal(await dialog(page).getByRole("button", { name: "Close" }).count(), 0);

  await button("Copy the secret key").click();
  await dialog(page).getByText("Copied").first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await button("Copy the client ID", dialog(page)).click();
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await button("Done").click();
  await shown.waitFor({ state: "detached" });
  const text = await everything(page);
  assert.ok(!text.includes(secret) && !text.includes(secret.slice(8, 40)), "the secret key is still in the page");
  await visit(page, "settings");
  await page.goBack();
  await page.getByRole("heading", { name: "Application credentials" }).waitFor();
  assert.ok(!(await everything(page)).includes(secret), "the secret key came back with the history");

  await row("Acme Billing").getByText("Work Creator").waitFor();
  await row("Acme Billing").getByText("Release Manager").waitFor();
  await row("Acme Billing").getByText("Active").waitFor();
  const expiry = row("Acme Billing").locator("time").first();
  assert.equal(await expiry.textContent(), "6 May 2031, 09:08");
  assert.equal(await expiry.getAttribute("title"), "2031-05-06 07:08:00 UTC");
  const { clientId } = (await daemon.call("GET", "v1/credentials?filter=name:Acme")).credentials[0];
  assert.equal((await daemon.issue(clientId, secret)).code, 200);
});

test("the key can be acknowledged instead of copied", async () => {
  await button("New credential").click();
  await dialog(page).getByLabel("Name").fill("By hand");
  await dialog(page).getByLabel("Never expires").check();
  await dialog(page).getByLabel("Team Leader").check();
  await button("Generate key").click();
  await dialog(page).getByLabel("I have stored the secret key").check();
  await page.keyboard.press("Escape");
  await row("By hand").getByText("Never").first().waitFor();
});

test("a name that is taken is said at the name, and nothing typed is lost", async () => {
  await daemon.create("Taken");
  await button("New credential").click();
  await dialog(page).getByLabel("Name").fill("Taken");
  await dialog(page).getByLabel("Work Creator").check();
  await button("Generate key").click();
  await dialog(page).getByText("Another credential already has this name.").waitFor();
  assert.equal(await dialog(page).getByLabel("Name").getAttribute("aria-invalid"), "true");
  assert.ok(await dialog(page).getByLabel("Work Creator").isChecked());
  await page.keyboard.press("Escape");
  await dialog(page).getByText("Discard what you entered?").waitFor();
  await button("Keep editing").click();
  await dialog(page).getByLabel("Name").fill("Not taken");
  await button("Generate key").click();
  await dialog(page).locator("code.secret").waitFor();
});

test("a name that looks like HTML stays text", async () => {
  const name = `<img src=x onerror="window.wasRun=true"><script>window.wasRun=true</script>`;
  const { clientId } = await daemon.create(name);
  await daemon.call("PUT", `v1/users/${encodeURIComponent("<b>user</b>")}/roles`, { roles: ["work_creator"] });
  await visit(page, "credentials");
  await row(name).waitFor();
  await visit(page, `credentials/${clientId}`);
  await page.getByRole("heading", { name }).waitFor();
  await button("Delete").click();
  await dialog(page).getByText(name).first().waitFor();
  await page.keyboard.press("Escape");
  await visit(page, "users");
  await page.getByRole("link", { name: "<b>user</b>" }).click();
  await page.getByRole("heading", { name: "<b>user</b>" }).waitFor();
  await visit(page, "audit");
  await page.getByText(name).first().waitFor();
  assert.equal(await page.evaluate(() => window.wasRun), undefined);
  assert.equal(await page.locator("main img").count(), 0);
});

test("the list is searched, filtered, sorted and paged", async () => {
  for (let i = 10; i < 40; i++)
    await daemon.create(`Bulk ${i}`, [i % 2 ? "team_leader" : "work_assigner"], {
      expireTime: `20${i + 20}-01-01T00:00:00Z`,
    });
  const search = page.getByRole("searchbox", { name: "Search" });
  await search.fill("bulk");
  await page.getByText("30 credentials", { exact: true }).waitFor();
  await page.getByText("1–25 of 30").waitFor();
  await button("Next").click();
  await page.getByText("26–30 of 30").waitFor();
  await row("Bulk 39").waitFor();
  assert.equal(await row("Bulk 10").count(), 0);
  await button("Previous").click();
  await row("Bulk 10").waitFor();

  await button("Expires").click();
  await page.locator("th[aria-sort=ascending]", { hasText: "Expires" }).waitFor();
  await button("Expires").click();
  await page.locator("th[aria-sort=descending]", { hasText: "Expires" }).waitFor();
  await page.locator("tbody tr").first().getByRole("link", { name: "Bulk 39" }).waitFor();

  await page.getByLabel("Role").selectOption("Team Leader");
  await page.getByText("15 credentials", { exact: true }).waitFor();
  await page.getByLabel("Status").selectOption("Expired");
  await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
  await button("Show all").click();
  const { clientId } = (await daemon.call("GET", 'v1/credentials?filter=name:"Bulk 20"')).credentials[0];
  await search.fill(clientId);
  await page.getByText("1 credential", { exact: true }).waitFor();
  await row("Bulk 20").waitFor();
});

test("name and expiry date are edited, and the date is cleared", async () => {
  await daemon.create("To edit", ["work_creator"], { expireTime: "2030-01-01T00:00:00Z" });
  const clientId = await open("To edit");
  await button("Edit").click();
  assert.equal(await dialog(page).getByLabel("Expiry date and time").inputValue(), "2030-01-01T01:00");
  await dialog(page).getByLabel("Name").fill("Was edited");
  await dialog(page).getByLabel("Never expires").check();
  await button("Save").click();
  await page.getByRole("heading", { name: "Was edited", level: 1 }).waitFor();
  const { credential } = await daemon.call("GET", `v1/credentials/${clientId}`);
  assert.equal(credential.name, "Was edited");
  assert.equal(credential.expireTime, undefined);
});

test("revoking a role says which sessions it ends, then the role is grey and labelled with when and by whom", async () => {
  const { clientId, secretKey } = await daemon.create("To revoke", ["work_creator", "service_agent"]);
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;
  await open("To revoke");
  await button("Edit").click();
  await dialog(page).getByLabel("Service Agent").uncheck();
  await button("Save").click();
  await dialog(page).getByText("This ends 1 live session at once.").waitFor();
  assert.equal((await daemon.use(token, "GET /x")).active, true);
  await button("Save and end 1 session").click();
  await page.getByText(/^Saved\. Sessions have ended everywhere, after [0-9.,]+ ms\.$/).waitFor();
  assert.equal((await daemon.use(token, "GET /x")).active, false);

  await button("Edit").click();
  const gone = dialog(page).locator("label.role", { hasText: "Service Agent" });
  await gone.locator("b", { hasText: "Revoked" }).waitFor();
  await gone.getByText("administrator").waitFor();
  assert.ok((await gone.locator("time").getAttribute("title")).endsWith("UTC"));
  const colour = (label) => label.locator("strong").evaluate((element) => getComputedStyle(element).color);
  const [grey, ink] = [
    await colour(gone),
    await colour(dialog(page).locator("label.role", { hasText: "Work Creator" })),
  ];
  assert.notEqual(grey, ink);
  const [red, green, blue] = grey.match(/\d+/g).map(Number);
  assert.ok(Math.max(red, green, blue) - Math.min(red, green, blue) < 40, `${grey} is no grey`);

  await gone.getByRole("checkbox").check();
  await gone.getByText("It will be granted again.").waitFor();
  await button("Save").click();
  await dialog(page).waitFor({ state: "detached" });
  const { credential } = await daemon.call("GET", `v1/credentials/${clientId}`);
  assert.deepEqual(credential.effectiveRoles, ["service_agent", "work_creator"]);
});

test("a role that the owner lost is grey too", async () => {
  await daemon.call("PUT", "v1/users/ann/roles", { roles: ["work_creator", "team_leader"] });
  await daemon.create("Owned", ["work_creator", "team_leader"], { owner: "ann" });
  await daemon.call("PUT", "v1/users/ann/roles", { roles: ["work_creator"] });
  await visit(page, "credentials?q=Owned");
  await row("Owned").locator(".chip.gone", { hasText: "Team Leader" }).getByText("revoked from owner").waitFor();
  await open("Owned");
  await button("Edit").click();
  await dialog(page)
    .locator("label.role.gone", { hasText: "Team Leader" })
    .getByText("Revoked from its owner")
    .waitFor();
});

test("a new key with an overlap leaves the old one working, one at once ends it and its sessions", async () => {
  const { clientId, secretKey } = await daemon.create("To rotate");
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;
  await open("To rotate");
  await button("New key").click();
  await dialog(page).getByText("No live session ends.").waitFor();
  await dialog(page).getByLabel("For how long").selectOption("1 hour");
  await button("Generate key").click();
  const second = await dialog(page).locator("code.secret").textContent();
  await button("Copy the secret key").click();
  await button("Done").click();
  for (const secret of [secretKey, second]) assert.equal((await daemon.issue(clientId, secret)).code, 200);
  await page.getByText(", expires ").waitFor();

  await button("New key").click();
  await dialog(page).getByLabel("Revoke now").check();
  await dialog(page).getByText("This ends 3 live sessions at once.").waitFor();
  await dialog(page).getByText("stop working.").waitFor();
  await button("Generate key").click();
  const third = await dialog(page).locator("code.secret").textContent();
  await dialog(page).getByLabel("I have stored").check();
  await button("Done").click();
  for (const secret of [secretKey, second]) assert.equal((await daemon.issue(clientId, secret)).code, 401);
  assert.equal((await daemon.issue(clientId, third)).code, 200);
  assert.equal((await daemon.use(token, "GET /x")).active, false);
  assert.ok(!(await everything(page)).includes(third));
});

test("one of two live keys is ended by hand", async () => {
  const { clientId, secretKey } = await daemon.create("Two keys");
  await daemon.call("POST", `v1/credentials/${clientId}:regenerateSecret`, { overlap: "3600s" });
  await open("Two keys");
  await button(`End the key …${secretKey.slice(-4)}`).click();
  await button("End key").click();
  await page.getByText("The key has ended.").waitFor();
  assert.equal((await daemon.issue(clientId, secretKey)).code, 401);
});

test("a credential is deleted once its name was typed, and restored", async () => {
  const { clientId, secretKey } = await daemon.create("To delete");
  await daemon.issue(clientId, secretKey);
  await open("To delete");
  await button("Delete").click();
  await dialog(page).getByText("This ends 1 live session at once.").waitFor();
  await dialog(page).getByText("You can restore it for 30 days").waitFor();
  await dialog(page).getByLabel("Type its name").fill("to delete");
  await button("Delete", dialog(page)).click();
  await dialog(page).getByText("The name doesn't match.").waitFor();
  await dialog(page).getByLabel("Type its name").fill("To delete");
  await button("Delete", dialog(page)).click();
  await page.getByText("Deleted", { exact: true }).waitFor();
  assert.equal((await daemon.issue(clientId, secretKey)).code, 401);
  await button("Restore").click();
  await page.getByText("Active", { exact: true }).waitFor();
  assert.equal((await daemon.issue(clientId, secretKey)).code, 200);
});

test("a credential is suspended, which says what it ends, and resumed", async () => {
  const { clientId, secretKey } = await daemon.create("To suspend");
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;
  await open("To suspend");
  await button("Suspend").click();
  await dialog(page).getByText("This ends 1 live session at once.").waitFor();
  await button("Suspend", dialog(page)).click();
  await page.getByText("Suspended", { exact: true }).waitFor();
  assert.equal((await daemon.issue(clientId, secretKey)).code, 401);
  await button("Resume").click();
  await page.getByText("Active", { exact: true }).waitFor();
  assert.equal((await daemon.use(token, "GET /x")).active, false);
  assert.equal((await daemon.issue(clientId, secretKey)).code, 200);
});

test("nobody suspends himself, and it is said why", async () => {
  await open("administrator");
  await button("Suspend").click();
  await dialog(page).getByText("You are signed in with this credential.").waitFor();
});

test("the last administrator is not deleted by mistake, and it is said why", async () => {
  await open("administrator");
  await button("Delete").click();
  await dialog(page)
    .getByText("This is the last credential with the role User Manager and a secret key that works")
    .waitFor();
});

// SPDX-License-Identifier: Apache-2.0
// What comes in between: the idle timeout, a restart, a slow network, another administrator.
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { dialog, enter, everything, launch, newPage, signIn, visit } from "./browser.mjs";
import { Daemon, until } from "./daemon.mjs";

let daemon, browser, page;
before(async () => {
  daemon = await Daemon.start({ clock: true });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await daemon?.remove();
});
beforeEach(async () => {
  page = await newPage(browser);
});
afterEach(async () => {
  const { complaints } = page;
  await page.context().close();
  assert.deepEqual(complaints, []);
});

const button = (name, within = page) => within.getByRole("button", { name, exact: true });
const again = () => page.getByRole("dialog", { name: "Sign in again" });
const find = async (name) =>
  (await daemon.call("GET", `v1/credentials?filter=${encodeURIComponent(`name:"${name}"`)}`)).credentials?.[0];

async function beginToCreate(name) {
  await button("New credential").click();
  await dialog(page).getByLabel("Name").fill(name);
  await dialog(page).getByLabel("Work Creator").check();
}

async function signInAgain() {
  assert.equal(await again().getByLabel("Client ID").inputValue(), daemon.clientId);
  await again().getByLabel("Secret key").fill(daemon.secret);
  await again().getByRole("button", { name: "Sign in" }).click();
  await again().waitFor({ state: "detached" });
}

test("the session ends with the idle timeout, is announced and said, and work in a dialog is kept", async () => {
  await page.clock.install();
  await signIn(page, daemon);
  await beginToCreate("Kept");
  await page.clock.fastForward("19:10");
  await dialog(page).getByRole("alert").filter({ hasText: "about to end" }).waitFor();
  await page.clock.fastForward("01:10");
  await again().getByText("it was not used for 20 minutes").waitFor();
  for (let i = 0; i < 3; i++) await page.keyboard.press("Escape");
  assert.ok(await again().isVisible());
  assert.ok(!(await everything(page)).includes("gate_at_"));
  assert.equal(await page.getByRole("heading", { name: "Application credentials" }).isVisible(), false);

  await enter(again(), daemon.clientId, "gate_sk_wrong");
  await again().getByRole("alert").filter({ hasText: "is wrong" }).waitFor();
  await signInAgain();
  assert.equal(await dialog(page).getByLabel("Name").inputValue(), "Kept");
  await button("Generate key").click();
  await dialog(page).locator("code.secret").waitFor();
});

test("the server's clock counts: what it refuses is not done, and is done once one is in again", async () => {
  await signIn(page, daemon);
  await beginToCreate("Refused at first");
  daemon.moveClock(3600);
  await button("Generate key").click();
  await again().waitFor();
  assert.equal(await find("Refused at first"), undefined);
  await signInAgain();
  await dialog(page).getByText("nothing was changed").waitFor();
  await button("Generate key").click();
  await dialog(page).locator("code.secret").waitFor();
});

test("somebody who types is not idle", async () => {
  await page.clock.install();
  await signIn(page, daemon);
  await beginToCreate("Typed slowly");
  for (let i = 0; i < 4; i++) {
    await page.clock.fastForward("14:00");
    const asked = page.waitForResponse((response) => response.url().endsWith("v1/settings"));
    await dialog(page).getByLabel("Name").pressSequentially("x");
    await asked;
  }
  assert.equal(await again().count(), 0);
});

test("signing in as somebody else begins anew", async () => {
  const { clientId, secretKey } = await daemon.create("Second manager", ["user_manager"]);
  await signIn(page, daemon);
  await beginToCreate("Of the first");
  daemon.moveClock(3600);
  await button("Generate key").click();
  await again().waitFor();
  await enter(again(), clientId, secretKey);
  await page.getByText("Second manager").first().waitFor();
  assert.equal(await page.locator("dialog").count(), 0);
});

test("the daemon is restarted in between, and the page goes on", async () => {
  await signIn(page, daemon);
  await beginToCreate("Over a restart");
  await daemon.close();
  await button("Generate key").click();
  await dialog(page).getByText("The server is not responding. Trying again…").waitFor();
  await daemon.open();
  await dialog(page).locator("code.secret").waitFor();
  await dialog(page).getByLabel("I have stored").check();
  await button("Done").click();
  await page.getByRole("link", { name: "Over a restart" }).waitFor();
  assert.equal(await page.getByText("The server is not responding").count(), 0);
});

test("an unreachable server is said in words, and trying again works", async () => {
  await page.clock.install();
  await signIn(page, daemon);
  await page.route("**/v1/users?*", (route) => route.abort());
  await visit(page, "users");
  await until("the message", async () => {
    await page.clock.runFor(5000);
    return page.getByRole("alert").filter({ hasText: "The server could not be reached." }).isVisible();
  });
  await page.unroute("**/v1/users?*");
  await button("Try again").click();
  await page.getByText("No users yet").waitFor();
});

test("on a slow network nothing is made twice by impatience", async () => {
  const network = await page.context().newCDPSession(page);
  await signIn(page, daemon);
  await network.send("Network.enable");
  await network.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: 700,
    downloadThroughput: 40_000,
    uploadThroughput: 20_000,
  });
  await beginToCreate("Impatient");
  const generate = button("Generate key");
  await generate.click();
  for (let i = 0; i < 3; i++) await generate.click({ force: true, timeout: 1000 }).catch(() => {});
  await dialog(page).locator("code.secret").waitFor();
  const { totalSize } = await daemon.call("GET", "v1/credentials?filter=name:Impatient");
  assert.equal(Number(totalSize), 1);
  await dialog(page).getByLabel("I have stored").check();
  await button("Done").click();
  await page.getByRole("link", { name: "Impatient" }).click();
  await page.getByRole("heading", { name: "Impatient", level: 1 }).waitFor();
});

test("an answer that got lost makes no second credential, and says that the key is lost", async () => {
  await signIn(page, daemon);
  let isFirst = true;
  await page.route("**/v1/credentials", async (route) => {
    if (!isFirst || route.request().method() !== "POST") return route.continue();
    isFirst = false;
    await route.fetch();
    return route.abort();
  });
  await beginToCreate("Lost answer");
  await button("Generate key").click();
  await dialog(page).getByText("was lost").waitFor();
  await button("Done").click();
  assert.equal(Number((await daemon.call("GET", 'v1/credentials?filter=name:"Lost answer"')).totalSize), 1);
});

test("a stale edit shows what changed, and one chooses", async () => {
  const { clientId } = await daemon.create("Original", ["work_creator"], { expireTime: "2030-01-01T00:00:00Z" });
  await signIn(page, daemon);
  await visit(page, `credentials/${clientId}`);
  await button("Edit").click();
  await daemon.call("PATCH", `v1/credentials/${clientId}`, {
    credential: { name: "Theirs", expireTime: "2031-01-01T00:00:00Z" },
    updateMask: "name,expireTime",
  });
  await daemon.call("POST", `v1/credentials/${clientId}:grantRoles`, { roles: ["team_leader"] });
  await dialog(page).getByLabel("Name").fill("Mine");
  await dialog(page).getByLabel("Service Agent").check();
  await button("Save").click();

  const conflict = page.getByRole("dialog", { name: "Changed by someone else" });
  await conflict.getByText("Nothing of yours was saved yet.").waitFor();
  const name = conflict.getByRole("group", { name: "Name" });
  await name.getByText("It was Original.").waitFor();
  await conflict.getByRole("group", { name: "Expiry date" }).getByText("1 Jan 2031").waitFor();
  await conflict.getByRole("group", { name: "Roles" }).getByText("Team Leader").waitFor();
  assert.ok(await button("Continue").isDisabled());
  await name.getByLabel("Yours").check();
  await button("Continue").click();
  assert.equal(await dialog(page).getByLabel("Name").inputValue(), "Mine");
  assert.ok(await dialog(page).getByLabel("Team Leader").isChecked());
  await button("Save").click();
  await page.getByRole("heading", { name: "Mine", level: 1 }).waitFor();
  const { credential } = await daemon.call("GET", `v1/credentials/${clientId}`);
  assert.equal(credential.name, "Mine");
  assert.equal(credential.expireTime, "2031-01-01T00:00:00Z");
  assert.deepEqual(credential.effectiveRoles, ["service_agent", "team_leader", "work_creator"]);
});

test("theirs can be kept instead, and nothing is written then", async () => {
  const { clientId } = await daemon.create("Before");
  await signIn(page, daemon);
  await visit(page, `credentials/${clientId}`);
  await button("Edit").click();
  await daemon.call("PATCH", `v1/credentials/${clientId}`, { credential: { name: "After" }, updateMask: "name" });
  await dialog(page).getByLabel("Name").fill("Never saved");
  await button("Save").click();
  await dialog(page).getByLabel("Theirs").check();
  await button("Continue").click();
  assert.equal(await dialog(page).getByLabel("Name").inputValue(), "After");
  await button("Save").click();
  await page.getByRole("heading", { name: "After", level: 1 }).waitFor();
  assert.equal((await daemon.call("GET", `v1/credentials/${clientId}`)).credential.name, "After");
});

test("a stale change of the settings shows theirs, and one chooses", async () => {
  await signIn(page, daemon);
  await visit(page, "settings");
  const usage = page.getByLabel("Usage is kept for");
  await usage.fill("500");
  await daemon.call("PATCH", "v1/settings", {
    settings: { usageRetention: `${300 * 86_400}s` },
    updateMask: "usageRetention",
  });
  await button("Save").click();
  await page.getByText("usage kept 300 days").waitFor();
  await button("Keep mine").click();
  await button("Save").click();
  await page.getByText("The settings are saved.").waitFor();
  assert.equal((await daemon.call("GET", "v1/settings")).settings.usageRetention, `${500 * 86_400}s`);
});

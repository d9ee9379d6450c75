// SPDX-License-Identifier: Apache-2.0
// What somebody meets who works with the console every day.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
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
const table = () => page.getByRole("table", { name: "Calls by API" });
const isInSight = (locator) =>
  locator.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    const at = document.elementFromPoint(innerWidth / 2, (top + bottom) / 2);
    return top >= 0 && bottom <= innerHeight && at !== null;
  });

test("usage is of third parties; Gatehouse's own calls only where they are asked for", async () => {
  const { clientId, secretKey } = await daemon.create("Usage caller");
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;
  for (let i = 0; i < 3; i++) await daemon.use(token, "GET /api/orders");
  await daemon.http("GET", "OAuth/Check?role=team_leader", {
    token,
    headers: { "x-original-method": "GET", "x-original-uri": "/api/orders" },
  });
  await daemon.use(token, "POST /api/invoices");
  const rows = async (query) => (await daemon.call("GET", `v1/usage?${query}`)).rows ?? [];
  await until("the uses are stored", async () =>
    (await rows("includeInternal=true&pageSize=1000")).some((row) => row.api?.startsWith("/gatehouse.v1.")),
  );
  assert.deepEqual(
    (await rows("")).filter((row) => row.api.startsWith("/gatehouse.v1.")),
    [],
  );

  await visit(page, "usage");
  await page.getByRole("status").filter({ hasText: "5calls" }).waitFor();
  const line = table().getByRole("row").filter({ hasText: "GET /api/orders" });
  assert.deepEqual((await line.getByRole("cell").allTextContents()).slice(2, 4), ["4", "1"]);
  assert.equal(await page.getByText("/gatehouse.v1.").count(), 0);
  await page.getByLabel("Include Gatehouse's own calls").check();
  await page.getByText("/gatehouse.v1.AuthService/Introspect").first().waitFor();
  await page.getByLabel("Include Gatehouse's own calls").uncheck();
  await page.getByText("/gatehouse.v1.AuthService/Introspect").waitFor({ state: "detached" });

  // By a part of the name, in any letter case; kept in the address, as the period and the grouping are.
  await page.getByRole("searchbox", { name: "API" }).fill("ORDER");
  await page.getByText("POST /api/invoices").waitFor({ state: "detached" });
  await page.getByLabel("Period").selectOption("Last 24 hours");
  await page.getByLabel("Group by").selectOption("By credential");
  await table().getByRole("cell", { name: "Usage caller" }).waitFor();
  await button("Calls", table()).click();
  const kept = await page.evaluate(() => location.hash);
  for (const part of ["q=ORDER", "range=day", "by=credential", "order=calls"]) assert.ok(kept.includes(part), kept);
  await page.getByRole("link", { name: "Usage caller" }).click();
  await page.getByRole("heading", { name: "Usage caller", level: 1 }).waitFor();
  await page.goBack();
  await page.getByRole("img", { name: "Last 24 hours: 4 calls, 1 refused" }).waitFor();
  assert.equal(await page.getByRole("searchbox", { name: "API" }).inputValue(), "ORDER");

  const download = page.waitForEvent("download");
  await button("Download CSV").click();
  const text = readFileSync(await (await download).path(), "utf8");
  assert.match(text, /^\ufeffclient_id,credential,api,calls,refused,observed,first_call,last_call\r\n/);
  assert.match(text, new RegExp(`\r\n${clientId},Usage caller,,4,1,0,`));
});

test("usage says what would have been refused by a limit that is only observed", async () => {
  const { clientId, secretKey } = await daemon.create("Observed caller", ["work_creator"], {
    limits: { maxTokens: 1, observeOnly: ["LIMIT_MAX_TOKENS"] },
  });
  const token = (await daemon.issue(clientId, secretKey)).json.access_token;
  await daemon.use(token, "GET /api/orders");
  await visit(page, `credentials/${clientId}?internal=1`);
  await table().getByRole("row").filter({ hasText: "GET /api/orders" }).waitFor();
  assert.equal(await button("Observed", table()).count(), 0, "a column of nothing");

  for (let i = 0; i < 2; i++) await daemon.issue(clientId, secretKey);
  await page.reload();
  await page.getByRole("status").filter({ hasText: "2would be refused by what is only observed" }).waitFor();
  await button("Observed", table()).click();
  const lines = table().getByRole("row");
  await lines.nth(1).filter({ hasText: "IssueToken" }).waitFor();
  assert.deepEqual((await lines.nth(1).getByRole("cell").allTextContents()).toSpliced(3, 1), [
    "/gatehouse.v1.AuthService/IssueToken",
    "0",
    "0",
    "2",
  ]);
  const download = page.waitForEvent("download");
  await button("Download CSV").click();
  const text = readFileSync(await (await download).path(), "utf8");
  assert.match(text, new RegExp(`\r\n${clientId},Observed caller,/gatehouse.v1.AuthService/IssueToken,0,0,2,`));
});

test("usage between two days", async () => {
  await visit(page, "usage?range=custom&from=2020-01-01&to=2020-01-31");
  await page.getByText("No calls in this period.").waitFor();
  await page.getByRole("img", { name: "2020-01-01 to 2020-01-31: 0 calls" }).waitFor();
  await page.getByLabel("To", { exact: true }).fill("2019-12-01");
  await page.getByText("Choose two days").waitFor();
});

test("what is wrong in a form comes into sight and has the focus", async () => {
  await page.setViewportSize({ width: 900, height: 500 });
  await button("New credential").click();
  await dialog(page).getByLabel("Name").fill("Without a role");
  await button("Generate key").click();
  const wrong = dialog(page).getByText("Choose at least one role.");
  await wrong.waitFor();
  await until("it is in sight", () => isInSight(wrong));
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("type")), "checkbox");
});

test("what an edit ends stands beside the button that does it", async () => {
  const { clientId, secretKey } = await daemon.create("Edited");
  await daemon.issue(clientId, secretKey);
  await page.setViewportSize({ width: 900, height: 500 });
  await visit(page, `credentials/${clientId}`);
  await button("Edit").click();
  await dialog(page).getByLabel("Team Leader").check();
  await button("Save").click();
  const impact = dialog(page).getByText("This ends 1 live session at once.");
  await impact.waitFor();
  assert.ok(await isInSight(impact));
  assert.ok(await isInSight(button("Save and end 1 session")));
});

test("a key is not let go before both parts were copied; a command that asks for a token is offered", async () => {
  await button("New credential").click();
  await dialog(page).getByLabel("Name").fill("Copied");
  await dialog(page).getByLabel("Team Leader").check();
  await button("Generate key").click();
  const secret = await dialog(page).locator("code.secret").textContent();
  await button("Copy the secret key").click();
  await dialog(page).getByText("Copied", { exact: true }).first().waitFor();
  assert.ok(await button("Done").isDisabled(), "the client ID is not copied");
  await button("Copy as curl").click();
  const command = await until("the command", async () => {
    const text = await page.evaluate(() => navigator.clipboard.readText());
    return text.startsWith("curl ") && text;
  });
  assert.match(
    command,
    new RegExp(`^curl ${daemon.url}OAuth/Token -d grant_type=client_credentials .*client_secret=${secret}$`),
  );
  await button("Copy both").click();
  await until("both are copied", async () =>
    (await page.evaluate(() => navigator.clipboard.readText())).endsWith(`\nclient_secret=${secret}\n`),
  );
  await page.evaluate(() => navigator.clipboard.writeText(""));
  await button("Done").click();
});

test("a misspelt owner is said, and a credential without roles shows it", async () => {
  await daemon.call("PUT", "v1/users/anna@example.com/roles", { roles: ["team_leader"] });
  await button("New credential").click();
  await dialog(page).getByLabel("Owner (optional)").fill("ana@example.com");
  await dialog(page).getByText("No user has the ID ana@example.com.").waitFor();
  await dialog(page).getByLabel("Owner (optional)").fill("anna@example.com");
  await dialog(page).getByText("No user has the ID").waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await button("Discard").click();
  await daemon.create("Of nobody", ["team_leader"], { owner: "ana@example.com" });
  await visit(page, "credentials?q=Of%20nobody");
  await page.getByText("No effective roles").waitFor();
});

test("back from a credential is the same page, filter and row", async () => {
  for (let i = 0; i < 30; i++) await daemon.create(`Paged ${String(i).padStart(2, "0")}`);
  await visit(page, "credentials?q=Paged");
  await button("Next").click();
  await page.getByRole("link", { name: "Paged 27" }).click();
  await page.getByRole("heading", { name: "Paged 27", level: 1 }).waitFor();
  await page.getByRole("link", { name: "Application credentials" }).click();
  await page.getByRole("link", { name: "Paged 27" }).waitFor();
  await until("the row has the focus", () => page.evaluate(() => document.activeElement?.textContent === "Paged 27"));
  assert.equal(await page.getByRole("link", { name: "Paged 00" }).count(), 0);
  assert.equal(await page.getByRole("searchbox").inputValue(), "Paged");
});

test("unsaved settings ask before one leaves", async () => {
  await visit(page, "settings");
  await page.getByLabel("Idle Session Timeout", { exact: true }).fill("17");
  const asked = [];
  let stays = true;
  page.on("dialog", (one) => (asked.push(one.message()), stays ? one.dismiss() : one.accept()));
  await page.getByRole("link", { name: "Users" }).click();
  await until("it asked", () => asked.length === 1);
  assert.equal(await page.getByLabel("Idle Session Timeout", { exact: true }).inputValue(), "17");
  assert.ok((await page.evaluate(() => location.hash)).startsWith("#/settings"));
  stays = false;
  await page.getByRole("link", { name: "Users" }).click();
  await page.getByRole("heading", { name: "Users", level: 1 }).waitFor();
  assert.deepEqual(asked, Array(2).fill("Leave without saving these settings?"));
});

test("deleting a user says which credentials lose their roles", async () => {
  await daemon.call("PUT", "v1/users/owner@example.com/roles", { roles: ["team_leader"] });
  await daemon.create("Owned one", ["team_leader"], { owner: "owner@example.com" });
  await visit(page, "users/owner@example.com");
  await button("Delete").click();
  await dialog(page).getByText("1 credential acts for this user and loses all roles:").waitFor();
  await dialog(page).getByRole("listitem").filter({ hasText: "Owned one" }).waitFor();
});

test("no table is wider than its card, at any width of the window", async () => {
  await daemon.create("W".repeat(60), ["team_leader", "work_creator", "service_agent"]);
  for (const width of [390, 768, 900, 1024, 1190, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    for (const screen of ["credentials", "usage", "users", "audit", "settings"]) {
      await visit(page, screen);
      await page.getByRole("heading", { level: 1 }).waitFor();
      await page
        .getByRole("table")
        .first()
        .waitFor({ timeout: 3000 })
        .catch(() => {}); // or there is none
      const tooWide = await page.evaluate(() =>
        [...document.querySelectorAll("table")].some(
          (one) => one.getBoundingClientRect().right > one.parentElement.getBoundingClientRect().right + 1,
        ),
      );
      assert.ok(!tooWide, `${screen} at ${width}`);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${screen} at ${width}`);
    }
  }
});

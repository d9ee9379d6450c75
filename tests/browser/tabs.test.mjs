// SPDX-License-Identifier: Apache-2.0
// Staying signed in: a reload, other tabs, signing out of all of them, and other sites that would like to be in, too.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { dialog, enter, everything, launch, newPage, signIn, visit } from "./browser.mjs";
import { Daemon, until } from "./daemon.mjs";

let daemon, browser, page, acme, stranger;
before(async () => {
  daemon = await Daemon.start();
  browser = await launch();
  acme = (await daemon.create("Acme")).clientId;
  const at = (name) => readFileSync(join(daemon.folder, name));
  stranger = createServer({ key: at("key.pem"), cert: at("cert.pem") }, (request, answer) => {
    answer.setHeader("content-type", "text/html");
    answer.end("<!doctype html><title>Elsewhere</title>");
  }).listen(0, "127.0.0.1");
  await once(stranger, "listening");
});
after(async () => {
  stranger?.close();
  stranger?.closeAllConnections();
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

const again = (tab) => tab.getByRole("dialog", { name: "Sign in again" });
const signInForm = (tab) => tab.getByRole("heading", { name: "Sign in to Gatehouse" });
const who = (tab, clientId) => tab.locator(`.who[title="${clientId}"]`);
const list = (tab) => tab.getByRole("heading", { name: "Application credentials" });

async function newTab(path = "") {
  const tab = await page.context().newPage();
  await tab.goto(daemon.url + path);
  return tab;
}

test("a reload goes on where one was, and no script can read the token", async () => {
  await signIn(page, daemon);
  await visit(page, `credentials/${acme}`);
  await page.reload();
  await page.getByRole("heading", { name: "Acme", level: 1 }).waitFor();
  assert.ok(!(await everything(page)).includes("gate_at_"));
  const [cookie, ...others] = await page.context().cookies();
  assert.deepEqual(others, []);
  const { name, path, httpOnly, secure, sameSite, expires } = cookie;
  assert.deepEqual(
    { name, path, httpOnly, secure, sameSite, expires },
    { name: "__Host-gatehouse", path: "/", httpOnly: true, secure: true, sameSite: "Strict", expires: -1 },
  );
});

test("a second tab and a Ctrl-click do not ask again", async () => {
  await signIn(page, daemon);
  await list(await newTab()).waitFor();
  const opened = page.context().waitForEvent("page");
  await page.getByRole("link", { name: "Acme" }).click({ modifiers: ["Control"] });
  const tab = await opened;
  await tab.getByRole("heading", { name: "Acme", level: 1 }).waitFor();
  await who(tab, daemon.clientId).waitFor();
});

test("a reload keeps to what the role may", async () => {
  const { clientId, secretKey } = await daemon.create("Looks only", ["auditor"]);
  await page.goto(daemon.url);
  await enter(page, clientId, secretKey);
  await list(page).waitFor();
  assert.equal(await page.getByRole("button", { name: "New credential" }).count(), 0);
  await page.reload();
  await list(page).waitFor();
  await page.getByText("Looks only").first().waitFor();
  assert.equal(await page.getByRole("button", { name: "New credential" }).count(), 0);
});

test("signing out in one tab signs out of all, and the token has ended", async () => {
  await signIn(page, daemon);
  const tab = await newTab();
  await list(tab).waitFor();
  const [{ name, value }] = await page.context().cookies();
  const ended = page.waitForResponse((response) => response.request().method() === "DELETE");
  await page.getByRole("button", { name: "Sign out" }).click();
  await signInForm(page).waitFor();
  await signInForm(tab).waitFor();
  assert.equal((await ended).status(), 204);
  assert.deepEqual(await page.context().cookies(), []);
  const { code } = await daemon.http("GET", "v1/settings", {
    headers: { cookie: `${name}=${value}`, "x-gatehouse-console": "1" },
  });
  assert.equal(code, 401);
  await page.reload();
  await signInForm(page).waitFor();
  await enter(page, daemon.clientId, daemon.secret);
  await list(page).waitFor();
  await list(tab).waitFor(); // in there, too
});

test("a tab that is used keeps the others in, and the idle end is one for all", async () => {
  await page.context().clock.install();
  await signIn(page, daemon);
  const tab = await newTab();
  await list(tab).waitFor();
  const { clock } = page.context();
  const warning = (each) => each.getByRole("alert").filter({ hasText: "about to end" });
  await clock.fastForward("19:10");
  await warning(page).waitFor();
  await warning(tab).waitFor();
  await tab.getByRole("button", { name: "Stay signed in" }).click();
  await until("the other tab's", async () => {
    await clock.runFor(1000);
    return (await warning(page).count()) === 0;
  });
  await clock.fastForward("20:10");
  await again(page).waitFor();
  await again(tab).waitFor();
  const fresh = await newTab();
  await signInForm(fresh).waitFor();
  await enter(again(tab), daemon.clientId, daemon.secret);
  await again(tab).waitFor({ state: "detached" });
  await again(page).waitFor({ state: "detached" });
  await list(fresh).waitFor();
});

test("another administrator who signs in in another tab is who this one shows, and begins anew", async () => {
  const { clientId, secretKey } = await daemon.create("Other manager", ["user_manager"]);
  await page.context().clock.install();
  await signIn(page, daemon);
  const tab = await newTab();
  await list(tab).waitFor();
  await page.getByRole("button", { name: "New credential" }).click();
  await dialog(page).getByLabel("Name").fill("Of the first");
  await page.context().clock.fastForward("20:10");
  await again(page).waitFor();
  await enter(again(tab), clientId, secretKey);
  for (const each of [tab, page]) await who(each, clientId).getByText("Other manager").waitFor();
  assert.equal(await page.locator("dialog").count(), 0);
});

test("a browser that keeps no cookie is told so", async () => {
  await page.route("**/console/session", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const response = await route.fetch();
    await page.context().clearCookies();
    const { "set-cookie": _, ...headers } = response.headers();
    return route.fulfill({ response, headers });
  });
  await page.goto(daemon.url);
  await enter(page, daemon.clientId, daemon.secret);
  await page.getByRole("alert").filter({ hasText: "did not keep the session" }).waitFor();
});

test("signing out without a server says that the browser may still be in", async () => {
  await page.clock.install();
  await signIn(page, daemon);
  await page.route("**/console/session", (route) => route.abort());
  await page.getByRole("button", { name: "Sign out" }).click();
  await signInForm(page).waitFor();
  await until("the message", async () => {
    await page.clock.runFor(5000);
    return page.getByText("may still be signed in").isVisible();
  });
});

for (const host of ["localhost", "127.0.0.1"])
  test(`a page of another origin at ${host} gets nothing, and changes nothing`, async () => {
    await signIn(page, daemon);
    const elsewhere = await page.context().newPage();
    await elsewhere.goto(`https://${host}:${stranger.address().port}/`);
    const target = `${daemon.url}v1/credentials/${acme}:suspend`;
    const tries = await elsewhere.evaluate(async (url) => {
      const base = { method: "POST", credentials: "include", body: "{}" };
      const json = { "content-type": "application/json" };
      const inits = [
        base,
        { ...base, mode: "no-cors" },
        { ...base, headers: json },
        { ...base, headers: { ...json, "x-gatehouse-console": "1" } },
      ];
      const tell = (init) =>
        fetch(url, init).then(
          (answer) => answer.type,
          (error) => error.name,
        );
      return Promise.all(inits.map(tell));
    }, target);
    assert.deepEqual(tries, ["TypeError", "opaque", "TypeError", "TypeError"]);

    const answered = elsewhere.waitForResponse(target);
    await elsewhere.evaluate((url) => {
      document.body.innerHTML = `<form method="post" enctype="text/plain" action="${url}"><input name="{}"></form>`;
      document.querySelector("form").submit();
    }, target);
    const answer = await answered;
    assert.equal(answer.status(), 401);
    // Another port is the same site: there the cookie does come along, and the server has to refuse it.
    assert.equal(/__Host-gatehouse/.test((await answer.request().allHeaders()).cookie), host === "localhost");
    const { credential } = await daemon.call("GET", `v1/credentials/${acme}`);
    assert.equal(credential.suspendTime, undefined);
  });

// SPDX-License-Identifier: Apache-2.0
// People by name: the console behind deploy/gateways/sign-on.conf in the real nginx, with somebody in oauth2-proxy's place who
// says who has signed on.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { dialog, launch, newPage, visit } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";
import { freePort, settings, startNginx } from "./proxy.mjs";

let daemon, browser, page, signOn, nginx, url;
let user = ""; // who has signed on; "": nobody

async function startSignOn() {
  signOn = createServer((request, answer) => {
    if (request.url !== "/oauth2/auth") answer.writeHead(200, { "content-type": "text/html" }).end("Sign on, please");
    else answer.writeHead(user ? 202 : 401, user ? { "x-auth-request-user": user } : {}).end();
  }).listen(0, "127.0.0.1");
  await once(signOn, "listening");
}

before(async () => {
  daemon = await Daemon.start({ settings });
  for (const [name, role] of Object.entries({ ann: "user_manager", carl: "auditor", dora: "team_leader" }))
    await daemon.call("PUT", `v1/users/${name}/roles`, { roles: [role] });
  await startSignOn();
  const port = await freePort();
  nginx = await startNginx(daemon, port, signOn.address().port);
  url = `http://127.0.0.1:${port}/`;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  nginx?.kill();
  signOn?.close();
  signOn?.closeAllConnections();
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

const list = () => page.getByRole("heading", { name: "Application credentials" });
const newCredential = () => page.getByRole("button", { name: "New credential", exact: true });

async function open(name) {
  user = name;
  await page.goto(url);
  await list().waitFor();
  await page.locator(".who").getByText(name, { exact: true }).waitFor();
}

/** next: who has signed on when it is sent. */
async function create(name, next = user) {
  await newCredential().click();
  await dialog(page).getByLabel("Name").fill(name);
  await dialog(page).getByLabel("Work Creator").check();
  await page.waitForLoadState("networkidle");
  user = next;
  await page.getByRole("button", { name: "Generate key", exact: true }).click();
}

const find = async (name) =>
  (await daemon.call("GET", `v1/credentials?filter=${encodeURIComponent(`name:"${name}"`)}`)).credentials?.[0];

test("a person is in without a key, and the audit log has the person's name", async () => {
  await open("ann");
  assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
  assert.deepEqual(await page.context().cookies(), []);
  await create("By Ann");
  await dialog(page).locator("code.secret").waitFor();
  const { clientId } = await find("By Ann");
  const filter = encodeURIComponent(`action=CreateCredential AND subject=${clientId}`);
  const { events } = await daemon.call("GET", `v1/audit?filter=${filter}`);
  assert.deepEqual(
    events.map(({ actor }) => actor),
    ["user:ann"],
  );
  await page.reload();
  await list().waitFor();
  await visit(page, "audit");
  await page.getByText("user:ann").first().waitFor();
});

test("the role says what is offered, and a name that the browser sends is not the proxy's", async () => {
  await page.setExtraHTTPHeaders({ "X-Forwarded-User": "ann" });
  await open("carl");
  assert.equal(await newCredential().count(), 0);
});

test("who holds none of the roles is told so, and is not asked for a key", async () => {
  user = "dora";
  await page.goto(url);
  await page.getByRole("alert").filter({ hasText: "signed on as dora, who has none of the roles" }).waitFor();
  assert.equal(await page.getByLabel("Secret key").count(), 0);
});

test("once the sign-on has ended nothing is changed, and a reload asks for it", async () => {
  await open("ann");
  await create("After the end", "");
  const again = page.getByRole("dialog", { name: "Sign in again" });
  await again.getByText("Your sign-on has ended.").waitFor();
  assert.equal(await find("After the end"), undefined);
  await again.getByRole("button", { name: "Reload" }).click();
  await page.getByText("Sign on, please").waitFor();
});

test("what one person's page asks is not done as the next person", async () => {
  await daemon.call("PUT", "v1/users/bea/roles", { roles: ["user_manager"] });
  await open("ann");
  await create("Of nobody", "bea");
  const again = page.getByRole("dialog", { name: "Sign in again" });
  await again.getByText("Your sign-on has ended.").waitFor();
  assert.equal(await find("Of nobody"), undefined);
  await again.getByRole("button", { name: "Reload" }).click();
  await page.locator(".who").getByText("bea", { exact: true }).waitFor();
});

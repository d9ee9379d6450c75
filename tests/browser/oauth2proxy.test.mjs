// SPDX-License-Identifier: Apache-2.0
// People by name, all of it real: oauth2-proxy and nginx by deploy/gateways/sign-on.conf in front of the console, and an
// OpenID provider (node-oidc-provider) at which people sign on.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { fileURLToPath } from "node:url";
import Provider from "oidc-provider";
import { dialog, launch, newPage, visit } from "./browser.mjs";
import { Daemon, until } from "./daemon.mjs";
import { freePort, isListening, settings, startNginx } from "./proxy.mjs";

// The newest, and the newest that Debian 12's Go compiles.
const VERSIONS = { newest: "v7.15.6", old: "v7.4.0" };
const CLIENT = { id: "oauth2-proxy", secret: randomBytes(24).toString("hex") };

let daemon, browser, page, provider, proxy, nginx, url;

/** Compiled from its module, once in a build folder. */
function install() {
  const folder = fileURLToPath(new URL("oauth2-proxy", import.meta.url));
  const environment = { ...process.env, GOBIN: folder, GOTOOLCHAIN: "local", GOFLAGS: "-buildvcs=false" };
  const run = (...command) => execFileSync("go", command, { env: environment, encoding: "utf8", stdio: "pipe" });
  const minor = Number(/go1\.(\d+)/.exec(run("env", "GOVERSION"))[1]);
  const version = minor >= 26 ? VERSIONS.newest : VERSIONS.old;
  run("install", `github.com/oauth2-proxy/oauth2-proxy/v7@${version}`);
  return join(folder, "oauth2-proxy");
}

/** Whoever gives any password is in, under the name that they give: its own pages, for developers. */
async function startProvider(port) {
  const oidc = new Provider(`http://127.0.0.1:${port}`, {
    clients: [{ client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [`${url}oauth2/callback`] }],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    cookies: { keys: [randomBytes(16).toString("hex")] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: id }),
    }),
  });
  provider = oidc.listen(port, "127.0.0.1");
  await once(provider, "listening");
}

async function startProxy(port, issuer) {
  const options = {
    "http-address": `127.0.0.1:${port}`,
    provider: "oidc",
    "oidc-issuer-url": issuer,
    "client-id": CLIENT.id,
    "client-secret": CLIENT.secret,
    "code-challenge-method": "S256",
    "redirect-url": `${url}oauth2/callback`,
    "cookie-secret": randomBytes(16).toString("hex"),
    "cookie-secure": "false", // the test has no TLS before nginx
    "email-domain": "*",
    "reverse-proxy": "true",
    "set-xauthrequest": "true",
    upstream: "static://202",
  };
  const given = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  proxy = spawn(install(), given, { stdio: ["ignore", "ignore", "inherit"] });
  await until("oauth2-proxy", async () => {
    assert.equal(proxy.exitCode, null);
    return isListening(port);
  });
}

before(async () => {
  daemon = await Daemon.start({ settings });
  for (const [name, role] of Object.entries({ ann: "user_manager", carl: "auditor" }))
    await daemon.call("PUT", `v1/users/${name}/roles`, { roles: [role] });
  const ports = { nginx: await freePort(), proxy: await freePort(), provider: await freePort() };
  url = `http://127.0.0.1:${ports.nginx}/`;
  await startProvider(ports.provider);
  await startProxy(ports.proxy, `http://127.0.0.1:${ports.provider}`);
  nginx = await startNginx(daemon, ports.nginx, ports.proxy);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  nginx?.kill();
  proxy?.kill();
  provider?.close();
  provider?.closeAllConnections();
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

const who = (name) => page.locator(".who").getByText(name, { exact: true }).waitFor();

/** As a person does: from the console's address to the provider's pages and back. */
async function signOn(name, to = url) {
  await page.goto(to);
  await page.getByRole("button", { name: "Sign in with" }).click();
  await page.getByPlaceholder("Enter any login").fill(name);
  await page.getByPlaceholder("and password").fill("any");
  await page.getByRole("button", { name: "Sign-in" }).click();
  await page.getByRole("button", { name: "Continue" }).click();
}

test("a person signs on at the company's provider and administers by their own name, until the sign-on ends", async () => {
  await signOn("ann");
  await who("ann");
  assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
  const fillIn = async (name) => {
    await page.getByRole("button", { name: "New credential", exact: true }).click();
    await dialog(page).getByLabel("Name").fill(name);
    await dialog(page).getByLabel("Work Creator").check();
    await page.waitForLoadState("networkidle");
  };
  const generate = () => page.getByRole("button", { name: "Generate key", exact: true }).click();
  await fillIn("By Ann");
  await generate();
  await page.getByRole("button", { name: "Copy both" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await visit(page, "audit");
  await page.getByRole("row").filter({ hasText: "Create credential" }).getByText("user:ann").waitFor();

  await visit(page, "credentials");
  await fillIn("After the end");
  const other = await page.context().newPage();
  await other.goto(`${url}oauth2/sign_out`);
  await generate();
  await page.getByRole("dialog", { name: "Sign in again" }).getByText("Your sign-on has ended.").waitFor();
  const { credentials = [] } = await daemon.call(
    "GET",
    `v1/credentials?filter=${encodeURIComponent('name:"After the end"')}`,
  );
  assert.deepEqual(credentials, []);
  await page.getByRole("button", { name: "Reload" }).click();
  await page.getByRole("button", { name: "Sign in with" }).waitFor();
});

test("the directory says what each may; a name that a browser sends counts for nothing", async () => {
  await page.setExtraHTTPHeaders({ "X-Forwarded-User": "ann", "X-Auth-Request-User": "ann" });
  await signOn("carl");
  await who("carl");
  assert.equal(await page.getByRole("button", { name: "New credential" }).count(), 0);
  await page.context().clearCookies();
  await signOn("stranger");
  await page.getByRole("alert").filter({ hasText: "signed on as stranger, who has none of the roles" }).waitFor();
});

test("nobody is let in without a sign-on, and after it one is where one wanted to be", async () => {
  const answer = await page.request.get(`${url}v1/credentials`, {
    headers: { "X-Forwarded-User": "ann", "X-Gatehouse-Console": "1" },
    maxRedirects: 0,
  });
  assert.equal(answer.status(), 302);
  await signOn("ann", `${url}?from=elsewhere`);
  await who("ann");
  assert.ok(page.url().startsWith(`${url}?from=elsewhere`), page.url());
});

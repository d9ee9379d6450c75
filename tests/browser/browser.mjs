// SPDX-License-Identifier: Apache-2.0
// Debian's Chromium, and what a person does with the console, in a person's words.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const launch = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-default-apps",
      "--disable-sync",
      "--no-first-run",
      "--lang=en-GB",
    ],
  });

/** A page of its own for one person. What it logs as an error fails the test, by page.complaints. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    locale: "en-GB",
    timezoneId: "Europe/Berlin",
    viewport: { width: 1280, height: 900 },
    permissions: ["clipboard-read", "clipboard-write"],
    reducedMotion: "reduce",
    ...options,
  });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(error.stack));
  page.on("console", (message) => {
    // The browser's own lines about answers of 4xx and lost connections are no fault of the page.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      page.complaints.push(message.text());
  });
  return page;
}

export async function enter(page, clientId, secret) {
  await page.getByLabel("Client ID").fill(clientId);
  await page.getByLabel("Secret key").fill(secret);
  await page.getByRole("button", { name: "Sign in" }).click();
}

export async function signIn(page, daemon) {
  await page.goto(daemon.url);
  await enter(page, daemon.clientId, daemon.secret);
  await page.getByRole("heading", { name: "Application credentials" }).waitFor();
}

/** Opens a screen; the session is kept, as the page is not loaded anew. */
export async function visit(page, path) {
  await page.evaluate((to) => void (location.hash = to), `#/${path}`);
  await page.locator("main h1").waitFor();
}

export const dialog = (page) => page.locator("dialog[open]").last();

/** Says what axe-core finds that is serious or worse. */
export async function expectAccessible(page, where) {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }),
  );
  const serious = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, help, nodes }) =>
        `${id}: ${help}\n${nodes.map((node) => `    ${node.html.slice(0, 200)}\n    ${node.failureSummary}`).join("\n")}`,
    );
  assert.deepEqual(serious, [], `${where}: ${serious.join("\n")}`);
}

/** Everything in which the page could still hold a text. */
export const everything = (page) =>
  page.evaluate(async () => {
    const values = [...document.querySelectorAll("input, textarea, select")].map((field) => field.value);
    const databases = (await indexedDB.databases?.()) ?? [];
    const caches_ = "caches" in window ? await caches.keys() : [];
    return [
      document.documentElement.outerHTML,
      ...values,
      location.href,
      JSON.stringify(history.state),
      document.title,
      document.cookie,
      JSON.stringify({ ...localStorage }),
      JSON.stringify({ ...sessionStorage }),
      JSON.stringify(databases),
      JSON.stringify(caches_),
      ...performance.getEntries().map((entry) => entry.name),
    ].join("\n");
  });

// SPDX-License-Identifier: Apache-2.0
// For everybody: screen reader, 200 % zoom, a narrow window, dark mode. (By the keyboard alone: keyboard.test.mjs.)
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { dialog, expectAccessible, launch, newPage, signIn, visit } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";

let daemon, browser, clientId;
before(async () => {
  daemon = await Daemon.start();
  browser = await launch();
  const made = await daemon.create("Acme Billing", ["work_creator", "service_agent", "team_leader"], {
    owner: "ann",
    expireTime: "2031-01-01T00:00:00Z",
  });
  ({ clientId } = made);
  await daemon.call("PUT", "v1/users/ann/roles", { roles: ["work_creator", "service_agent", "team_leader"] });
  await daemon.call("PUT", "v1/users/ann/roles", { roles: ["work_creator", "service_agent"] });
  await daemon.call("POST", `v1/credentials/${clientId}:revokeRoles`, { roles: ["service_agent"] });
  const token = (await daemon.issue(clientId, made.secretKey)).json.access_token;
  await daemon.use(token, "POST /api/cases");
});
after(async () => {
  await browser?.close();
  await daemon?.remove();
});

const screens = () => [
  "credentials",
  `credentials/${clientId}`,
  "usage",
  "users",
  "users/ann",
  "audit",
  "settings",
  "credentials?q=nothing",
];

async function settled(page) {
  await page.locator(".skeleton").first().waitFor({ state: "detached" });
  await page.waitForLoadState("networkidle");
}

for (const colorScheme of ["light", "dark"])
  test(`axe-core finds nothing serious on any screen or dialog (${colorScheme})`, async () => {
    const page = await newPage(browser, { colorScheme });
    await page.goto(daemon.url);
    await page.getByLabel("Client ID").waitFor();
    await expectAccessible(page, "sign in");
    await signIn(page, daemon);
    for (const screen of screens()) {
      await visit(page, screen);
      await settled(page);
      await expectAccessible(page, screen);
    }
    await visit(page, `credentials/${clientId}`);
    for (const name of ["Edit", "New key", "Delete", "End all 1"]) {
      await page.getByRole("button", { name, exact: true }).click();
      await dialog(page).waitFor();
      await page.waitForLoadState("networkidle");
      await expectAccessible(page, name);
      await page.keyboard.press("Escape");
      await dialog(page).waitFor({ state: "detached" });
    }
    await visit(page, "credentials");
    await page.getByRole("button", { name: "New credential" }).click();
    await page.getByRole("button", { name: "Generate key" }).click();
    await expectAccessible(page, "New credential, with errors");
    await dialog(page).getByLabel("Name").fill(`Axe ${colorScheme}`);
    await dialog(page).getByLabel("Work Creator").check();
    await page.getByRole("button", { name: "Generate key" }).click();
    await dialog(page).locator("code.secret").waitFor();
    await expectAccessible(page, "the key");
    await page.context().close();
  });

// 1280 pixels at 200 % are 640; 320 are WCAG's reflow.
for (const width of [640, 320])
  test(`nothing has to be scrolled sideways at ${width} pixels`, async () => {
    const page = await newPage(browser, { viewport: { width, height: 450 } });
    const overflow = () =>
      page.evaluate(() => {
        const wide = [...document.querySelectorAll("body *")].filter(
          (element) =>
            element.getBoundingClientRect().right > innerWidth + 1 && !element.closest("nav, .hidden, .chart, thead"),
        );
        return document.scrollingElement.scrollWidth > innerWidth
          ? wide
              .slice(0, 3)
              .map((element) => element.outerHTML.slice(0, 160))
              .concat("page")
          : [];
      });
    await signIn(page, daemon);
    for (const screen of screens()) {
      await visit(page, screen);
      await settled(page);
      assert.deepEqual(await overflow(), [], screen);
      await expectAccessible(page, `${screen} at ${width}`);
    }
    await visit(page, `credentials/${clientId}`);
    for (const name of ["Edit", "New key", "Delete"]) {
      await page.getByRole("button", { name, exact: true }).click();
      await dialog(page).waitFor();
      const box = await dialog(page).boundingBox();
      assert.ok(box.x >= 0 && box.x + box.width <= width, `${name}: ${JSON.stringify(box)}`);
      const last = dialog(page).locator("footer button").last();
      await last.scrollIntoViewIfNeeded();
      assert.ok(await last.isVisible());
      await page.keyboard.press("Escape");
      await dialog(page).waitFor({ state: "detached" });
    }
    await page.context().close();
  });

test("at each width buttons stay whole, and the section and what can be done to a selection are in sight", async () => {
  const page = await newPage(browser);
  await signIn(page, daemon);
  for (const width of [320, 390, 768, 1024, 1440]) {
    await page.setViewportSize({ width, height: 600 });
    /** @param {import("playwright-core").Locator} locator */
    const isInSight = async (locator, where) => {
      const box = await locator.boundingBox();
      const is = box.x >= 0 && box.x + box.width <= width && box.y >= 0 && box.y + box.height <= 600;
      assert.ok(is, `${where} at ${width}: ${JSON.stringify(box)}`);
      return box;
    };
    await visit(page, `credentials/${clientId}`);
    await settled(page);
    const end = page.getByRole("button", { name: "End the session" });
    await end.scrollIntoViewIfNeeded();
    assert.ok((await isInSight(end, "End")).height < 40, `a word is broken at ${width}`);
    await visit(page, "settings");
    await settled(page);
    await isInSight(page.getByRole("link", { name: "Settings" }), "the section");
    await visit(page, "credentials");
    await settled(page);
    await page.getByRole("checkbox").last().check();
    await isInSight(page.getByRole("region", { name: "Selected credentials" }), "the acts");
    await page.getByRole("button", { name: "Clear" }).click();
  }
  await page.context().close();
});

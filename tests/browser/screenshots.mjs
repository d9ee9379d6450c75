// SPDX-License-Identifier: Apache-2.0
// node screenshots.mjs FOLDER: pictures of the console with a believable company in it, for the README.
import assert from "node:assert/strict";
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { dialog, launch, newPage, signIn, visit } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";

const folder = process.argv[2];
assert.ok(folder, "usage: node screenshots.mjs FOLDER");
mkdirSync(folder, { recursive: true });
const DAY = 86_400;
const LIMIT = 150 * 1024;

const users = {
  "alice.meyer": ["service_agent", "work_creator", "work_assigner", "team_leader"],
  "carol.ortiz": ["master_builder", "release_manager"],
};
/** name, roles, owner, days until it expires, APIs, calls a day */
const systems = [
  ["Acme Billing", ["work_creator", "service_agent"], "", 212, ["POST /api/cases", "GET /api/cases"], 14],
  [
    "Contoso ERP sync",
    ["work_creator", "work_assigner", "team_leader"],
    "alice.meyer",
    310,
    ["GET /api/queues", "PATCH /api/work-items"],
    11,
  ],
  ["Field Service app", ["self_service_user", "work_creator"], "", 45, ["POST /api/tickets", "GET /api/tickets"], 8],
  ["Globex ticket import", ["work_creator"], "", 3, ["POST /api/tickets"], 5],
  ["HR onboarding portal", ["self_service_user"], "", 0, ["GET /api/profile"], 2],
  ["Initech reporting", ["team_leader"], "", 0, ["GET /api/reports/daily"], 3],
  ["Northwind invoices", ["work_creator", "work_assigner"], "", 120, ["POST /api/cases"], 4],
  ["Release pipeline", ["release_manager"], "carol.ortiz", 365, ["POST /api/releases"], 1],
  ["Wingtip archive", ["service_agent"], "", 20, [], 0],
];

/** Three weeks of calls: the daemon's clock is moved on from day to day, and ends at now. */
async function fill(daemon, days) {
  for (const [user, roles] of Object.entries(users)) await daemon.call("PUT", `v1/users/${user}/roles`, { roles });
  const now = Date.now();
  const made = [];
  for (const [name, roles, owner, expires, apis, calls] of systems) {
    // "HR onboarding portal" expired by now.
    const at = name.startsWith("HR") ? now - 2 * DAY * 1000 : now + expires * DAY * 1000;
    const expireTime = expires > 0 || name.startsWith("HR") ? new Date(at - (at % 3_600_000)).toISOString() : undefined;
    made.push({ ...(await daemon.create(name, roles, { owner, expireTime })), apis, calls });
  }
  for (let day = 0; day < days; day++) {
    daemon.token = undefined; // idle since yesterday
    await daemon.call("GET", "v1/settings");
    for (const [index, { clientId, secretKey, apis, calls }] of made.entries()) {
      const answer = await daemon.issue(clientId, secretKey);
      if (answer.code !== 200) continue; // expired
      const share = [0.75, 1, 1.1, 0.9, 1.2, 0.35, 0.3][(day + 2) % 7];
      for (let i = 0; i < Math.round(calls * share * (1 + ((day * 7 + index * 5) % 5) / 8)); i++)
        await daemon.use(answer.json.access_token, apis[i % apis.length]);
      if (day < days - 1)
        await daemon.http("POST", "OAuth/Revoke", {
          form: { token: answer.json.access_token },
          token: answer.json.access_token,
        });
    }
    if (day < days - 1) daemon.moveClock(DAY);
  }
  daemon.token = undefined;
  await daemon.call("POST", `v1/credentials/${made[0].clientId}:revokeRoles`, { roles: ["service_agent"] });
  await daemon.call("PUT", "v1/users/alice.meyer/roles", { roles: users["alice.meyer"].slice(0, 3) });
  for (const { clientId, secretKey } of made.slice(0, 2)) {
    const answer = await daemon.issue(clientId, secretKey);
    await daemon.use(answer.json.access_token, "POST /api/cases");
  }
  return made;
}

const days = 21;
const daemon = await Daemon.start({ clock: true, ahead: -(days - 1) * DAY }); // it never goes back once it runs
const browser = await launch();
try {
  const made = await fill(daemon, days);
  for (const [suffix, colorScheme] of [
    ["", "light"],
    ["-dark", "dark"],
  ]) {
    const page = await newPage(browser, { colorScheme, viewport: { width: 1280, height: 720 } });
    const take = async (name) => {
      await page.waitForLoadState("networkidle");
      await page.mouse.move(0, 0);
      const path = join(folder, `${name}${suffix}.png`);
      await page.screenshot({ path, animations: "disabled", caret: "hide" });
      const { size } = statSync(path);
      assert.ok(size < LIMIT, `${path}: ${size} bytes`);
    };
    await signIn(page, daemon);
    await page.getByRole("link", { name: "Acme Billing" }).waitFor();
    await take("credentials");
    if (suffix) break;
    await visit(page, `credentials/${made[0].clientId}`);
    await page.getByRole("button", { name: "Edit", exact: true }).click();
    await dialog(page).waitFor();
    await take("revoked");
    await dialog(page).getByRole("button", { name: "Close" }).click(); // a key would outline what has the focus
    await visit(page, "usage");
    await page.locator("canvas").waitFor();
    await take("usage");
  }
} finally {
  await browser.close();
  await daemon.remove();
}

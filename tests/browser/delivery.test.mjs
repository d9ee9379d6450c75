// SPDX-License-Identifier: Apache-2.0
// How the page comes over the wire, below a path prefix.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { launch, newPage, signIn } from "./browser.mjs";
import { Daemon } from "./daemon.mjs";

let daemon;
before(async () => void (daemon = await Daemon.start({ prefix: "/Auth" })));
after(() => daemon?.remove());

const files = ["", "console.js", "console.css", "icon.svg"];
const gzip = { "accept-encoding": "gzip, deflate, br" };

test("the whole page is under 80 KB over the wire", async () => {
  let total = 0;
  for (const file of files) {
    const { code, headers, bytes } = await daemon.http("GET", file, { headers: { ...gzip } });
    assert.equal(code, 200, file);
    assert.equal(headers["content-encoding"], "gzip", file);
    assert.equal(headers.vary, "Accept-Encoding", file);
    total += bytes.length + JSON.stringify(headers).length;
  }
  assert.ok(total < 80 * 1024, `${total} bytes`);
});

test("who does not take gzip gets the same bytes without", async () => {
  const packed = await daemon.http("GET", "console.js", { headers: { ...gzip } });
  for (const headers of [{}, { "accept-encoding": "identity" }, { "accept-encoding": "gzip;q=0, identity" }]) {
    const plain = await daemon.http("GET", "console.js", { headers });
    assert.equal(plain.headers["content-encoding"], undefined);
    assert.deepEqual(plain.bytes, gunzipSync(packed.bytes));
    assert.notEqual(plain.headers.etag, packed.headers.etag);
  }
});

test("a page that is known already is not sent again", async () => {
  for (const file of files) {
    const { headers } = await daemon.http("GET", file, { headers: { ...gzip } });
    const again = await daemon.http("GET", file, { headers: { ...gzip, "if-none-match": headers.etag } });
    assert.equal(again.code, 304, file);
    assert.equal(again.bytes.length, 0);
    assert.equal(again.headers.etag, headers.etag);
    assert.equal((await daemon.http("GET", file, { headers: { ...gzip, "if-none-match": '"another"' } })).code, 200);
  }
});

test("nothing inline, nothing from elsewhere, in no frame", async () => {
  const { headers, bytes } = await daemon.http("GET", "");
  const policy = headers["content-security-policy"];
  for (const rule of [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ])
    assert.ok(policy.split("; ").includes(rule), rule);
  assert.ok(!policy.includes("unsafe"));
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.equal(headers["referrer-policy"], "no-referrer");
  assert.equal(headers["cache-control"], "no-cache");
  const html = bytes.toString();
  assert.doesNotMatch(html, /<style|style=|<script[^>]*>[^<]|\son\w+=|https?:/);
});

test("HEAD answers as GET does, without the bytes; nothing else is allowed", async () => {
  const got = await daemon.http("GET", "");
  const head = await daemon.http("HEAD", "");
  assert.equal(head.code, 200);
  assert.equal(head.headers["content-length"], got.headers["content-length"]);
  assert.equal(head.bytes.length, 0);
  const posted = await daemon.http("POST", "", { form: { a: "b" } });
  assert.equal(posted.code, 405);
  assert.equal(posted.headers.allow, "GET, HEAD");
  assert.equal((await daemon.http("GET", "console.map")).code, 404);
});

test("the prefix without its slash leads to the page", async () => {
  const { code, headers } = await daemon.http("GET", "/Auth");
  assert.equal(code, 308);
  assert.equal(new URL(headers.location, "https://outside.example/some/Auth").pathname, "/some/Auth/");
  assert.equal((await daemon.http("GET", "/")).code, 404);
});

test("the page works below a prefix, and asks nobody else for anything", async () => {
  const browser = await launch();
  try {
    const page = await newPage(browser);
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    await signIn(page, daemon);
    await page.getByRole("link", { name: "administrator" }).first().waitFor();
    assert.ok(asked.length > 5);
    assert.deepEqual(
      asked.filter((url) => !url.startsWith(daemon.url)),
      [],
    );
    assert.deepEqual(page.complaints, []);
  } finally {
    await browser.close();
  }
});

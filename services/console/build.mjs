// SPDX-License-Identifier: Apache-2.0
// node build.mjs SOURCES OUT: bundles the page, compresses it, and writes what the compiler embeds:
//   console_files.S    the bytes, of each file as it is and gzip'ed
//   console_files.inc  a CONSOLE_FILE(symbol, path, content type, ETag) line for each
// It is run as a copy beside node_modules, which need not be in the checkout.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const [sources, out] = process.argv.slice(2);
const nodePaths = [join(dirname(fileURLToPath(import.meta.url)), "node_modules")];
const LIMIT = 80 * 1024; // over the wire, all of it

const files = [
  { symbol: "index", path: "", file: "index.html", type: "text/html; charset=utf-8" },
  { symbol: "script", path: "console.js", file: "console.js", type: "text/javascript; charset=utf-8" },
  { symbol: "style", path: "console.css", file: "console.css", type: "text/css; charset=utf-8" },
  { symbol: "icon", path: "icon.svg", file: "icon.svg", type: "image/svg+xml" },
];

mkdirSync(out, { recursive: true });
await build({
  entryPoints: { console: join(sources, "main.js") },
  outdir: out,
  bundle: true,
  nodePaths,
  format: "esm",
  minify: true,
  target: "es2022",
  legalComments: "none",
  logLevel: "warning",
});
await build({
  entryPoints: { console: join(sources, "style/main.css") },
  outdir: out,
  bundle: true,
  nodePaths,
  minify: true,
  logLevel: "warning",
});
for (const name of ["index.html", "icon.svg"]) writeFileSync(join(out, name), readFileSync(join(sources, name)));

let total = 0;
let assembly = ".section .rodata\n";
let table = "";
for (const { symbol, path, file, type } of files) {
  const plain = readFileSync(join(out, file));
  const packed = gzipSync(plain, { level: 9 });
  total += packed.length;
  writeFileSync(join(out, file + ".gz"), packed);
  for (const [suffix, name] of [
    ["", file],
    ["_gz", file + ".gz"],
  ]) {
    const label = `console_${symbol}${suffix}`;
    assembly += `.global ${label}\n.hidden ${label}\n${label}:\n.incbin "${join(out, name)}"\n`;
    assembly += `.global ${label}_end\n.hidden ${label}_end\n${label}_end:\n`;
  }
  const etag = createHash("sha256").update(plain).digest("hex").slice(0, 32);
  table += `CONSOLE_FILE(${symbol}, "/${path}", "${type}", "${etag}")\n`;
}
assembly += '.section .note.GNU-stack,"",%progbits\n';
if (total > LIMIT) {
  console.error(`The console has ${total} bytes over the wire; it may have ${LIMIT}.`);
  process.exit(1);
}
writeFileSync(join(out, "console_files.S"), assembly);
writeFileSync(join(out, "console_files.inc"), table);

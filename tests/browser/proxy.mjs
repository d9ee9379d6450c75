// SPDX-License-Identifier: Apache-2.0
// deploy/gateways/sign-on.conf in the real nginx, in front of the console.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer as listen } from "node:net";
import { join } from "node:path";
import { until } from "./daemon.mjs";

const CONFIGURATION = join(process.env.GATEWAYS, "sign-on.conf");

/** What a daemon is told that stands behind it. */
export const settings = { console_user_header: "X-Forwarded-User", trusted_proxies: "127.0.0.1" };

export async function freePort() {
  const server = listen().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

export const isListening = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => (socket.destroy(), resolve(true)));
    socket.on("error", () => resolve(false));
  });

/** The shipped file, on other ports, and as anyone may run it. */
function configure(daemon, port, signOnPort) {
  const folder = join(daemon.folder, "nginx");
  mkdirSync(folder, { recursive: true });
  let text = readFileSync(CONFIGURATION, "utf8");
  const kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  for (const [from, to] of [
    ["http {\n", `http {\naccess_log off;\n${kinds.map((kind) => `${kind}_temp_path ${kind};\n`).join("")}`],
    ["server 127.0.0.1:8080;", `server 127.0.0.1:${daemon.port};`],
    ["127.0.0.1:8000", `127.0.0.1:${port}`],
    ["http://127.0.0.1:4180", `http://127.0.0.1:${signOnPort}`],
    ["proxy_pass http://gatehouse", "proxy_pass https://gatehouse"],
  ]) {
    assert.ok(text.includes(from), from);
    text = text.replaceAll(from, to);
  }
  writeFileSync(join(folder, "nginx.conf"), text);
  return folder;
}

/** Asks for who has signed on at signOnPort. */
export async function startNginx(daemon, port, signOnPort) {
  const folder = configure(daemon, port, signOnPort);
  const global = "daemon off; master_process off; pid nginx.pid;";
  const nginx = spawn("/usr/sbin/nginx", ["-e", "stderr", "-p", ".", "-g", global, "-c", join(folder, "nginx.conf")], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
  });
  await until("nginx", async () => {
    assert.equal(nginx.exitCode, null);
    return isListening(port);
  });
  return nginx;
}

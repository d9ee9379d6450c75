// SPDX-License-Identifier: Apache-2.0
// A real gatehoused with TLS, as tests/support/daemon.py has it for Python.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const GATEHOUSED = process.env.GATEHOUSED ?? "gatehoused";

/** Asks until it is so. */
export async function until(what, ask, timeout = 60_000) {
  const end = Date.now() + timeout;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await sleep(25);
  }
}

export class Daemon {
  /**
   * prefix: of every path. clock: may moveClock. ahead: by how many seconds its clock is ahead from the first. settings: more
   * of them.
   */
  static async start({ prefix = "", clock = false, ahead = 0, settings = {} } = {}) {
    const daemon = new Daemon();
    daemon.settings = settings;
    daemon.prefix = prefix;
    daemon.folder = mkdtempSync(join(tmpdir(), "gatehouse-browser-"));
    const at = (name) => join(daemon.folder, name);
    execFileSync(
      "openssl",
      [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-keyout",
        at("key.pem"),
        "-out",
        at("cert.pem"),
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
      ],
      { stdio: "ignore" },
    );
    daemon.ca = readFileSync(at("cert.pem"));
    daemon.environment = { ...process.env };
    if (clock) {
      writeFileSync(at("clock"), Buffer.alloc(16));
      daemon.moveClock(ahead);
      Object.assign(daemon.environment, { LD_PRELOAD: process.env.CLOCKSHIFT, CLOCKSHIFT_FILE: at("clock") });
    }
    const init = daemon.run("init", "--secret-file", at("secret"));
    daemon.clientId = /client_id=(\S+)/.exec(init)[1];
    daemon.secret = readFileSync(at("secret"), "utf8").trim();
    await daemon.open();
    return daemon;
  }

  /** Port 0 the first time; the same again after a restart, for the page knows it by that. */
  arguments() {
    const settings = {
      store: `sqlite:${this.folder}/gatehouse.db`,
      grpc_address: "",
      metrics_address: "",
      http_address: `127.0.0.1:${this.port ?? 0}`,
      http_cert: join(this.folder, "cert.pem"),
      http_key: join(this.folder, "key.pem"),
      http_prefix: this.prefix,
      ...this.settings,
    };
    return Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]);
  }

  run(...command) {
    return execFileSync(GATEHOUSED, [...this.arguments(), ...command], { env: this.environment, encoding: "utf8" });
  }

  async open() {
    const path = join(this.folder, "log");
    const log = openSync(path, "a");
    const skip = readFileSync(path).length;
    this.process = spawn(GATEHOUSED, this.arguments(), { env: this.environment, stdio: ["ignore", "ignore", log] });
    closeSync(log);
    const started = await until("gatehoused's start", () => {
      const text = readFileSync(path).subarray(skip).toString();
      if (this.process.exitCode !== null) throw new Error(`gatehoused did not start:\n${text}`);
      return /event=started.* http_port=(\d+)/.exec(text);
    });
    this.port = Number(started[1]);
    this.url = `https://localhost:${this.port}${this.prefix}/`;
  }

  async close() {
    const { process } = this;
    if (process.exitCode !== null) return;
    const ended = new Promise((resolve) => process.once("exit", resolve));
    process.kill("SIGTERM");
    await ended;
  }

  async remove() {
    await this.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Moves its wall clock by this much, on top of what it was moved by before. */
  moveClock(seconds) {
    const file = openSync(join(this.folder, "clock"), "r+");
    const bytes = Buffer.alloc(16);
    readSync(file, bytes, 0, 8, 0);
    bytes.writeBigInt64LE(bytes.readBigInt64LE() + BigInt(Math.round(seconds * 1_000_000)));
    writeSync(file, bytes, 0, 8, 0);
    closeSync(file);
  }

  /** One HTTP request: { code, headers, bytes, json }. */
  http(method, path, { body, form, token, headers = {} } = {}) {
    const sent = form ? new URLSearchParams(form).toString() : body && JSON.stringify(body);
    if (sent) headers["content-type"] = form ? "application/x-www-form-urlencoded" : "application/json";
    if (token) headers.authorization = `Bearer ${token}`;
    return new Promise((resolve, reject) => {
      const asked = request(new URL(path, this.url), { method, headers, ca: this.ca }, (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () => {
          const bytes = Buffer.concat(parts);
          const isJson = answer.headers["content-type"]?.startsWith("application/json");
          resolve({
            code: answer.statusCode,
            headers: answer.headers,
            bytes,
            json: isJson && bytes.length > 0 ? JSON.parse(bytes) : undefined,
          });
        });
        answer.on("error", reject);
      });
      asked.on("error", reject);
      asked.end(sent);
    });
  }

  async issue(clientId = this.clientId, secret = this.secret) {
    return this.http("POST", "OAuth/Token", {
      form: { grant_type: "client_credentials", client_id: clientId, client_secret: secret },
    });
  }

  /** A call of the JSON API as the first administrator; throws unless it succeeds. */
  async call(method, path, body) {
    const ask = () => this.http(method, path, { body, token: this.token });
    let answer = this.token ? await ask() : { code: 401 };
    if (answer.code === 401) {
      this.token = (await this.issue()).json.access_token;
      answer = await ask();
    }
    if (answer.code !== 200) throw new Error(`${method} ${path}: ${answer.code} ${answer.bytes}`);
    return answer.json;
  }

  /** { clientId, secretKey } */
  async create(name, roles = ["work_creator"], fields = {}) {
    const { credential, secretKey } = await this.call("POST", "v1/credentials", {
      credential: { name, ...fields },
      roles,
    });
    return { clientId: credential.clientId, secretKey };
  }

  async use(token, api) {
    return (await this.http("POST", "OAuth/Introspect", { form: { token, api }, token: this.token })).json;
  }
}

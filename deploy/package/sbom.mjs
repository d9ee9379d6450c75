// SPDX-License-Identifier: Apache-2.0
// sbom.mjs VERSION PROGRAM…: the bill of materials of the packages, as CycloneDX 1.5: what the programs are linked with and
// what is compiled into them, in the versions of the machine that builds. Nothing in it but SOURCE_DATE_EPOCH tells one
// build from another.
import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const [version, ...programs] = process.argv.slice(2);
const run = (...command) =>
  execFileSync(command[0], command.slice(1), {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
    stdio: ["ignore", "pipe", "pipe"],
  });

/** Debian's package of a file; a merged /usr has two names for it. */
function owner(path) {
  for (const name of [path, realpathSync(path), path.replace(/^\/usr/, "")]) {
    try {
      return run("dpkg-query", "--search", name).split(": ")[0].split(",")[0].split(":")[0];
    } catch {
      // by the next name
    }
  }
  throw new Error(`no package has ${path}`);
}

/** What a program names itself; what those libraries need in turn is Debian's to say. */
function linked(program) {
  const needed = [...run("readelf", "--dynamic", program).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map((match) => match[1]);
  const found = new Map([...run("ldd", program).matchAll(/^\t(\S+) => (\S+)/gm)].map((match) => [match[1], match[2]]));
  return needed.filter((name) => found.has(name)).map((name) => owner(found.get(name)));
}

function debian(name, scope) {
  const [found, architecture] = run("dpkg-query", "--show", "--showformat=${Version} ${Architecture}\n", name).split("\n")[0].split(" ");
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(found)}?arch=${architecture}`;
  return { type: "library", "bom-ref": purl, name, version: found, scope, purl };
}

/** What is bundled into the console: of the lockfile all that is not for building alone. */
function npm() {
  const lock = JSON.parse(readFileSync(`${root}services/console/package-lock.json`, "utf8"));
  return Object.entries(lock.packages)
    .filter(([path, entry]) => path !== "" && !entry.dev)
    .map(([path, entry]) => {
      const name = path.replace(/^.*node_modules\//, "");
      const purl = `pkg:npm/${name.replace("@", "%40")}@${entry.version}`;
      const hash = Buffer.from(entry.integrity.replace(/^sha512-/, ""), "base64").toString("hex");
      return {
        type: "library",
        "bom-ref": purl,
        name,
        version: entry.version,
        scope: "required",
        hashes: [{ alg: "SHA-512", content: hash }],
        licenses: [{ license: { id: entry.license } }],
        purl,
      };
    });
}

const names = [...new Set(programs.flatMap(linked))].sort();
const itself = {
  type: "application",
  "bom-ref": `pkg:generic/gatehouse@${version}`,
  name: "gatehouse",
  version,
  licenses: [{ license: { id: "Apache-2.0" } }],
};
const components = [...names.map((name) => debian(name, "required")), debian("uthash-dev", "required"), ...npm()];
const bom = {
  bomFormat: "CycloneDX",
  specVersion: "1.5",
  version: 1,
  metadata: { timestamp: new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString().replace(".000", ""), component: itself },
  components,
  dependencies: [
    { ref: itself["bom-ref"], dependsOn: components.map((component) => component["bom-ref"]) },
    ...components.map((component) => ({ ref: component["bom-ref"] })),
  ],
};
console.log(JSON.stringify(bom, null, 2));

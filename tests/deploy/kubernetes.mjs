// SPDX-License-Identifier: Apache-2.0
// kubernetes.mjs FILE: what Kubernetes' own schemas find in each document of FILE, as JSON. Their validators tell a wrong
// value and a missing field, their types a field that does not exist.
import { readFileSync } from "node:fs";
import ts from "typescript";
import { parseAllDocuments } from "yaml";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;

async function check(object) {
  try {
    const models = await import(`kubernetes-models/${object.apiVersion}/${object.kind}`);
    new models[object.kind](object).validate();
  } catch (error) {
    return [`${object.kind} ${object.metadata?.name}: ${error.message}`];
  }
  return [];
}

function unknownFields(objects) {
  const file = `${here}/manifests.ts`;
  const lines = objects.map(({ apiVersion, kind, ...rest }, i) =>
    `import { ${kind} as Kind${i} } from "kubernetes-models/${apiVersion}/${kind}"; new Kind${i}(${JSON.stringify(rest)});`);
  const options = { noEmit: true, strict: true, skipLibCheck: true, module: ts.ModuleKind.Node16, types: [] };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (name, language) =>
    name === file ? ts.createSourceFile(name, lines.join("\n"), language) : read(name, language);
  const found = ts.getPreEmitDiagnostics(ts.createProgram([file], options, host));
  return found.map((one) => ts.flattenDiagnosticMessageText(one.messageText, " "));
}

const documents = parseAllDocuments(readFileSync(process.argv[2], "utf8"), { uniqueKeys: true });
const objects = documents.map((document) => document.toJS());
const found = documents.flatMap((document) => document.errors.map(String));
for (const object of objects) found.push(...(await check(object)));
console.log(JSON.stringify([...found, ...unknownFields(objects)]));

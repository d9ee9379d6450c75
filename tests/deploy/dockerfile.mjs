// SPDX-License-Identifier: Apache-2.0
// dockerfile.mjs FILE: what a linter finds in a Dockerfile, and its instructions, as JSON.
import { readFileSync } from "node:fs";
import { DockerfileParser } from "dockerfile-ast";
import { validate } from "dockerfile-utils";

const text = readFileSync(process.argv[2], "utf8");

function describe(instruction) {
  const list = /^(?:CMD\s+)?(\[.*\])$/s.exec(instruction.getArgumentsContent() ?? ""); // as ENTRYPOINT and HEALTHCHECK have it
  return {
    name: instruction.getKeyword(),
    flags: Object.fromEntries((instruction.getFlags?.() ?? []).map((flag) => [flag.getName(), flag.getValue()])),
    words: list ? JSON.parse(list[1]) : instruction.getArguments().map((part) => part.getValue()),
    // One line, as the shell gets it.
    shell: (instruction.getRawArgumentsContent() ?? "").replace(/^\s*#.*\n/gm, "").replace(/\\\n/g, ""),
    variables: Object.fromEntries((instruction.getProperties?.() ?? []).map((part) => [part.getName(), part.getValue()])),
  };
}

console.log(JSON.stringify({
  found: validate(text).map((problem) => `${problem.range.start.line + 1}: ${problem.message}`),
  instructions: DockerfileParser.parse(text).getInstructions().map(describe),
}));

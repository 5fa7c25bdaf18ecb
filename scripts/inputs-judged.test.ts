import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chainInputs, compactInputs } from "./workflows/chain.ts";
import { collections } from "./workflows/collection.ts";
import { judge } from "./workflows/judge-stage.ts";
import { stageRows } from "./workflows/stages.ts";

const model = readFileSync(join(import.meta.dirname, "../docs/threat-model.md"), "utf8");
const [, section = ""] = /## What a caller can do with each input\n([\s\S]*?)\n## /.exec(model) ?? [];
const judged = [...section.matchAll(/^\| `([\w-]+)` \| (.+?) \| (.+?) \|$/gm)].map(([, name]) => name);

test("the threat model judges every input of the path's workflows, each once, and no other", () => {
  const inputs = [
    ...[...stageRows, judge].map((row) => row.inputs),
    chainInputs,
    compactInputs,
    ...collections.map(({ inputs }) => inputs),
  ].flatMap(Object.keys);
  expect(inputs.length).toBeGreaterThan(40);
  // A collection's `context` is the folder that the applications are in.
  expect(judged.toSorted()).toEqual([...new Set([...inputs, "collection"])].toSorted());
});

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const sourceFolders = ["core", "runner", "cli"].map((name) => join(root, "packages", name, "src"));
// A violation's rule, or a rule of the gate that is handed to a function which makes the violation.
const ruleName = /\brule: "(?<rule>[a-z]+\.[a-z-]+)"|"(?<handed>gate\.[a-z-]+)"/g;

function findRules(): Set<string> {
  const sources = sourceFolders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"))
      .map((path) => join(folder, path)),
  );
  const matches = sources.flatMap((path) => [...readFileSync(path, "utf8").matchAll(ruleName)]);
  return new Set(matches.map(({ groups }) => groups?.["rule"] ?? groups?.["handed"] ?? ""));
}

/** The rules that have a row in the table under "## Rules". */
function documentedRules(): string[] {
  const [, section] = readFileSync(join(root, "docs/policy.md"), "utf8").split("\n## Rules\n");
  const table = section?.split("\n## ")[0] ?? "";
  return [...table.matchAll(/^\| `([a-z]+\.[a-z-]+)` \| .+ \|$/gm)].map((match) => match[1] ?? "");
}

test("docs/policy.md says of every rule in the sources what it refuses, and of no other", () => {
  const rules = findRules();
  expect([...rules]).toEqual(
    expect.arrayContaining([
      "base.approved",
      "build.quarantine",
      "scan.severity",
      "build.command-files",
      "gate.incomplete",
      "promote.destination",
    ]),
  );
  expect(documentedRules().toSorted()).toEqual([...rules].toSorted());
});

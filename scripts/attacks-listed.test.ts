import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

// What the threat model says is tried, is: a case that is renamed or taken out is noticed here.

const root = join(import.meta.dirname, "..");
const [, section = ""] = readFileSync(join(root, "docs/threat-model.md"), "utf8").split("\n## Ways past the gate");
const [table = ""] = section.split("\n## ");
const rows = [...table.matchAll(/^\| (?!---|Evidence)(.+) \| `(.+)` \| (.+) \|$/gm)];

test("there are rows, each once", () => {
  expect(rows.length).toBeGreaterThan(20);
  expect(new Set(rows.map(([, , file, title]) => `${file} ${title}`)).size).toBe(rows.length);
});

test.each(rows.map(([, what, file, title]) => [what, file, title]))("%s", (_what, file, title) => {
  expect(readFileSync(join(root, `test/${file}.test.ts`), "utf8")).toContain(`"${title}"`);
});

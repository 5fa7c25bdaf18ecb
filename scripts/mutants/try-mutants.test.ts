import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { root } from "../steps.ts";
import { listSurvivors, type MutationReport } from "./survivors.ts";
import { tryMutants } from "./try-mutants.ts";

const source = `
export const limit = 1 + 2;
export function isBelow(a: number): boolean {
  return a < limit;
}
const seen = new Map<number, boolean>();
export function isRemembered(a: number): boolean {
  if (!seen.has(a)) seen.set(a, a > 5);
  return seen.get(a) === true;
}
export function countDown(from: number): number {
  let steps = 0;
  for (let left = from; left > 0; left -= 1) steps += 1;
  return steps;
}
export function startedAt(): number {
  return 0 + 7;
}
export function isNeverAsked(): boolean {
  return true;
}
`;
const tests = `
import { expect, test } from "vitest";
import { countDown, isBelow, isRemembered, limit, startedAt } from "./source.ts";
test("the limit", () => expect(limit).toBe(3));
test("below", () => expect([isBelow(2), isBelow(4)]).toEqual([true, false]));
test("remembered", () => expect([isRemembered(9), isRemembered(9), isRemembered(1)]).toEqual([true, true, false]));
test("down", () => expect(countDown(3)).toBe(3));
test("started", () => {
  const start = startedAt();
  while (start < 0);
});
`;

function repository(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), "goldenpath-mutated-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, "src"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, "src", name), text);
  return folder;
}

function statusesOf({ files }: MutationReport): (original: string, replacement: string) => string[] {
  const { source: text, mutants } = files["src/source.ts"] ?? { source: "", mutants: [] };
  const lines = text.split("\n");
  return (original, replacement) =>
    mutants
      .filter(
        ({ location: { start, end } }) =>
          start.line === end.line && original === lines[start.line - 1]?.slice(start.column - 1, end.column - 1),
      )
      .filter((each) => each.replacement === replacement)
      .map(({ status }) => status);
}

test("a change at which a test fails is told from one at which none does, which nothing reaches, and which never ends", async () => {
  const folder = repository({ "source.ts": source, "source.test.ts": tests });
  // One alone is waited for so long; on a busy machine, each of the others takes a second to be loaded.
  const task = { root: folder, mutated: ["src/source.ts"], tests: ["src/*.test.ts"], patience: 6 };
  const report = await tryMutants(task);
  const status = statusesOf(report);
  expect(status("1 + 2", "1 - 2"), "what is decided once, when the file is loaded").toEqual(["Killed"]);
  expect(status("a < limit", "a >= limit")).toEqual(["Killed"]);
  expect(status("a < limit", "a <= limit"), "nobody asks for the limit itself").toEqual(["Survived"]);
  expect(status("a > 5", "a <= 5"), "what a module remembers of one mutant is forgotten with it").toEqual(["Killed"]);
  expect(status("a > 5", "a >= 5")).toEqual(["Survived"]);
  expect(status("left -= 1", "left += 1"), "a loop that comes past the change each time").toEqual(["Timeout"]);
  expect(status("0 + 7", "0 - 7"), "one that doesn't").toEqual(["Timeout"]);
  expect(listSurvivors(report)).toEqual(
    expect.arrayContaining([expect.objectContaining({ line: "return true;", replacement: "false" })]),
  );
});

test("where a test fails without any change, nothing is said of the changes", async () => {
  const folder = repository({ "source.ts": source, "source.test.ts": tests.replace("toBe(3)", "toBe(4)") });
  const task = { root: folder, mutated: ["src/source.ts"], tests: ["src/*.test.ts"], patience: 1 };
  await expect(tryMutants(task)).rejects.toThrow("the mutants' tests end with 1");
});

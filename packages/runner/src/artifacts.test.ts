import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { declareImage } from "./artifacts.ts";
import { readDefaultBranch } from "./event.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-runner-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

const digest = `sha256:${"a".repeat(64)}`;

test("an image is declared to a runner that has a file for it, and what is no image is not", async () => {
  const file = join(folder, "artifacts");
  writeFileSync(file, "");
  for (const image of ["", "registry.test/web:1", `registry.test/web@${digest}\nfile:///etc/passwd`, `a=b@${digest}`])
    await declareImage(image, { GITHUB_ARTIFACTS: file });
  expect(readFileSync(file, "utf8")).toBe("");
  await declareImage(`registry.test:5000/web@${digest}`, { GITHUB_ARTIFACTS: file });
  expect(readFileSync(file, "utf8")).toBe(`oci://registry.test:5000/web@${digest}\n`);
  await declareImage(`registry.test/web@${digest}`, {});
});

test("a second image of one repository is a warning, since the runner takes one digest for a name", async () => {
  const said = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  const [file, list] = [join(folder, "artifacts"), join(folder, "list.json")];
  writeFileSync(file, "");
  const declared = [{ name: "registry.test/web", digest: `sha256:${"b".repeat(64)}`, kind: "oci" }];
  writeFileSync(list, JSON.stringify({ version: 1, subjects: declared }));
  const env = { GITHUB_ARTIFACTS: file, GITHUB_ARTIFACTS_LIST: list };
  await declareImage(`registry.test/web@${digest}`, env);
  expect(readFileSync(file, "utf8")).toBe("");
  expect(said.mock.calls.flat().join("")).toContain("::warning::registry.test/web is declared to the runner as");
  await declareImage(`registry.test/web@sha256:${"b".repeat(64)}`, env);
  await declareImage(`registry.test/api@${digest}`, env);
  expect(readFileSync(file, "utf8").trim().split("\n")).toHaveLength(2);
});

test("a file that can't be written is a warning", async () => {
  const said = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  await declareImage(`registry.test/web@${digest}`, { GITHUB_ARTIFACTS: folder });
  expect(said.mock.calls.flat().join("")).toContain("::warning::the image could not be declared");
});

test.each([
  ["not JSON", "{", undefined],
  ["no object", "[]", undefined],
  ["a schedule's", JSON.stringify({ schedule: "0 0 * * *" }), undefined],
  ["one with a branch that is none", JSON.stringify({ repository: { default_branch: 7 } }), undefined],
  ["a push's", JSON.stringify({ repository: { default_branch: "trunk" } }), "trunk"],
])("the default branch of an event that is %s", async (_what, text, branch) => {
  const file = join(folder, "event.json");
  writeFileSync(file, text);
  expect(await readDefaultBranch({ GITHUB_EVENT_PATH: file })).toBe(branch);
  expect(await readDefaultBranch({})).toBeUndefined();
});

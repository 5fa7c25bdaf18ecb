import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Verb, VerbOutcome } from "@goldenpath/core/verbs/verb";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { guardCommandFiles } from "./command-files.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "goldenpath-command-files-"));
  for (const name of names) writeFileSync(join(folder, name), "earlier=1\n");
  writeFileSync(join(folder, "elsewhere"), "kept");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const names = [
  ...["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"],
  "GITHUB_ARTIFACTS",
];
const outcome = { verdict: "pass" } as VerbOutcome;

/** A build during which `body` happens. */
function run(body: () => void): Promise<VerbOutcome> {
  const verb: Verb = {
    name: "detect-and-build",
    command: "build",
    inputs: z.object({}),
    outputs: [],
    run: async () => {
      body();
      return outcome;
    },
  };
  const env = Object.fromEntries(names.map((name) => [name, join(folder, name)]));
  return guardCommandFiles(verb, env).run({}, { ports: silentPorts() } as Context);
}

const at = (name: string): string => join(folder, name);
const attacks: [string, (path: string) => void][] = [
  ["adds a line", (path) => appendFileSync(path, "digest=sha256:0\n")],
  [
    "adds a line and sets the times back",
    (path) => {
      appendFileSync(path, "x=1\n");
      utimesSync(path, 1, 1);
    },
  ],
  ["writes other bytes of the same length", (path) => writeFileSync(path, "earlier=2\n")],
  [
    "puts another file in its place",
    (path) => {
      writeFileSync(`${path}.new`, "x=1\n");
      renameSync(`${path}.new`, path);
    },
  ],
  [
    "puts a link in its place",
    (path) => {
      unlinkSync(path);
      symlinkSync(at("elsewhere"), path);
    },
  ],
  ["takes it away", (path) => unlinkSync(path)],
];

describe.each(names)("a build that is not kept apart and, of %s,", (name) => {
  test.each(attacks)("%s is refused, and the runner reads nothing of it", async (_what, attack) => {
    await expect(run(() => attack(at(name)))).rejects.toMatchObject({
      rule: "build.command-files",
      code: "command-file-touched",
      message: expect.stringContaining(name),
    });
    expect(readFileSync(at(name), "utf8")).toBe("");
    expect(readFileSync(at("elsewhere"), "utf8")).toBe("kept");
    for (const other of names.filter((each) => each !== name))
      expect(readFileSync(at(other), "utf8")).toBe("earlier=1\n");
  });
});

test("a build that fails as well is refused all the same", async () => {
  const failing = run(() => {
    appendFileSync(at("GITHUB_ENV"), "NODE_OPTIONS=--import=/tmp/x.mjs\n");
    throw new Error("the build failed");
  });
  await expect(failing).rejects.toMatchObject({ rule: "build.command-files" });
  expect(readFileSync(at("GITHUB_ENV"), "utf8")).toBe("");
});

test("the twin that reads them, as anybody may, passes, and what was there stays", async () => {
  expect(
    await run(() => {
      for (const name of names) readFileSync(at(name));
    }),
  ).toBe(outcome);
  for (const name of names) expect(readFileSync(at(name), "utf8")).toBe("earlier=1\n");
});

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parseInputs, renderEnd } from "./action.ts";
import { readAction } from "./docs.ts";

const folder = mkdtempSync(join(tmpdir(), "goldenpath-action-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const image = `localhost:1/x@sha256:${"0".repeat(64)}`;

describe("an action's inputs on the command line", () => {
  const action = readAction("promote");

  test.each([
    ["a word without a value", ["image"], "image is not INPUT=VALUE"],
    ["an input that it does not have", [`imag=${image}`], "imag=localhost"],
    ["a key of every object", ["constructor=1"], "constructor=1 is not INPUT=VALUE"],
  ])("refuse %s", (_, words, message) => expect(() => parseInputs(words, action, folder)).toThrow(message));

  test("refuse to be less than what it requires", () => {
    const required = Object.entries(action.inputs).filter(([, input]) => input.required === true);
    expect(required.length).toBeGreaterThan(0);
    for (const [name] of required) expect(() => parseInputs([], action, folder)).toThrow(name);
  });

  test("are taken as they are, or from a file, beside the defaults that a runner would fill in", () => {
    writeFileSync(join(folder, "policy"), "a=b\n");
    expect(parseInputs([`image=${image}`, "to=a/b", "environment=e", "policy=@policy"], action, folder)).toMatchObject({
      image,
      policy: "a=b\n",
      "dry-run": "false",
    });
  });
});

test("what a bundle left is shown by name, longer values below it", () => {
  const end = {
    exitCode: 1,
    outputs: { verdict: "fail", plan: "a\nb", sbom: "" },
    summary: "# no\n",
    log: "",
    seconds: 1.25,
  };
  expect(renderEnd(end, "/d").split("\n").slice(1, -2)).toEqual([
    "outputs",
    "  verdict  fail",
    "  plan",
    "    a",
    "    b",
    "  sbom     (empty)",
    "",
    "summary",
    "  # no",
  ]);
});

describe("npm run action", () => {
  const run = (...args: string[]) => {
    const options = {
      cwd: folder,
      encoding: "utf8",
      env: { PATH: process.env["PATH"], TMPDIR: folder, INIT_CWD: folder },
    } as const;
    return spawnSync(
      process.execPath,
      ["--conditions=goldenpath-source", join(import.meta.dirname, "action.ts"), ...args],
      options,
    );
  };

  test("refuses a name that is no action's, and says which there are", () => {
    expect(run("scna")).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^there is no action scna\n.*\bscan, sign, verify\b/),
    });
  });

  test("starts the bundle in the folder that it was called in, and ends as that does", () => {
    const { status, stdout } = run("scan", `image=${image}`, "policy=not-there.yaml");
    expect(stdout).toContain("not-there.yaml");
    expect(stdout).toMatch(/^ {2}verdict {2}error$/m);
    expect(stdout).toContain("exit code 1 after");
    expect(status).toBe(1);
  });
});

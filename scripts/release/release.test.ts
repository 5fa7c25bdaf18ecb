import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { root } from "../steps.ts";
import { coordinates, readVersion } from "./coordinates.ts";

interface Workflow {
  jobs: Record<string, { steps: { name?: string; run?: string }[] }>;
}

const directory = mkdtempSync(join(tmpdir(), "goldenpath-release-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A step of a release's workflow, run as a runner does; its name says which. */
function runStep(file: string, name: string, cwd: string, env: Readonly<Record<string, string>>) {
  const { jobs } = parse(readFileSync(join(root, ".github/workflows", file), "utf8")) as Workflow;
  const run = Object.values(jobs)
    .flatMap(({ steps }) => steps)
    .find((step) => step.name === name)?.run;
  if (run === undefined) throw new Error(`${file} has no step '${name}'`);
  const { status, stdout, stderr } = spawnSync("bash", ["-e", "-o", "pipefail", "-c", run], {
    cwd,
    env: { PATH: process.env["PATH"], HOME: directory, GIT_CONFIG_NOSYSTEM: "1", ...env },
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

describe("a tag", () => {
  const repository = join(directory, "repository");
  mkdirSync(repository);
  const git = (...args: string[]): string =>
    execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b.example", ...args], {
      cwd: repository,
      encoding: "utf8",
    }).trim();
  git("init", "--quiet", "--initial-branch", "main");
  writeFileSync(join(repository, "package.json"), '{ "version": "1.2.3" }\n');
  git("add", "--all");
  git("commit", "--quiet", "--message", "first");
  const onMain = git("rev-parse", "HEAD");
  git("update-ref", "refs/remotes/origin/main", onMain);
  git("commit", "--quiet", "--allow-empty", "--message", "elsewhere");
  const elsewhere = git("rev-parse", "HEAD");
  const name = "The tag is the version's, and its commit is on main";

  test.each([
    ["of another version", "v1.2.4", onMain, "package.json says 1.2.3"],
    ["of a commit that is not on main", "v1.2.3", elsewhere, "is not on main"],
  ])("%s releases nothing", (_, TAG, SHA, message) => {
    expect(runStep("release.yml", name, repository, { TAG, SHA })).toEqual({
      status: 1,
      output: expect.stringContaining(message),
    });
  });

  test("of this version and of a commit on main does", () => {
    expect(runStep("release.yml", name, repository, { TAG: "v1.2.3", SHA: onMain })).toEqual({ status: 0, output: "" });
  });
});

describe("the package that is published", () => {
  const cwd = join(directory, "taken");
  mkdirSync(join(cwd, "package"), { recursive: true });
  writeFileSync(join(cwd, "package/a.tgz"), "packed");
  const name = "The package is the one that was packed";

  test.each([["another"], [""]])("is not '%s' in place of what was packed", (content) => {
    const SHA256 = content === "" ? "" : sha256(content);
    expect(runStep("release.yml", name, cwd, { FILE: "a.tgz", SHA256 }).status).toBe(1);
  });

  test("is what was packed, and its sum goes with it", () => {
    expect(runStep("release.yml", name, cwd, { FILE: "a.tgz", SHA256: sha256("packed") })).toMatchObject({ status: 0 });
    expect(readFileSync(join(cwd, "package/SHA256SUMS"), "utf8")).toBe(`${sha256("packed")}  a.tgz\n`);
  });
});

describe("the tools that are published", () => {
  const cwd = join(directory, "tools-job");
  for (const [path, content] of [
    ["tool-syft-1/syft-linux-amd64", "one"],
    ["tool-grype-1/grype-linux-arm64", "two"],
  ] as const) {
    mkdirSync(join(cwd, "tools", path, ".."), { recursive: true });
    writeFileSync(join(cwd, "tools", path), content);
  }
  const lines = [
    `${sha256("two")}  ./tool-grype-1/grype-linux-arm64\n`,
    `${sha256("one")}  ./tool-syft-1/syft-linux-amd64\n`,
  ];
  const sums = sha256(lines.join(""));
  const other = sha256("other");
  const name = "Both machines made the same bytes, and these are they";

  test.each([
    ["two machines made different ones", sums, other],
    ["neither said what it made", "", ""],
    ["they are not what both made", other, other],
  ])("are none where %s", (_, AMD64, ARM64) => {
    expect(runStep("release-tools.yml", name, cwd, { AMD64, ARM64 }).status).toBe(1);
  });

  test("are what both machines made", () => {
    expect(runStep("release-tools.yml", name, cwd, { AMD64: sums, ARM64: sums })).toMatchObject({ status: 0 });
  });
});

test("a fork changes the coordinates in one place, and the version is in one", () => {
  expect(coordinates.image).toBe(`ghcr.io/${coordinates.repository}`);
  expect(readVersion()).toMatch(/^\d+\.\d+\.\d+$/);
});

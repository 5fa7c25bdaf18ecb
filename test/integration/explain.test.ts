import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { samplePolicyText } from "@goldenpath/testing/policy";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runMain } from "../support/cli.ts";
import { projectRoot } from "../support/workflows.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "goldenpath-explain-"));
  plant({ "policy.yaml": samplePolicyText, output: "", summary: "" });
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function plant(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
}

/** As a runner starts it, with no network that it could ask anything of. */
function runAction(inputs: Record<string, string>) {
  mkdirSync(join(directory, "temp"), { recursive: true });
  const { status, stdout } = spawnSync(
    process.execPath,
    ["--conditions=goldenpath-source", join(projectRoot, "actions/detect-and-build/src/index.ts")],
    {
      cwd: directory,
      encoding: "utf8",
      env: {
        PATH: process.env["PATH"],
        RUNNER_TEMP: join(directory, "temp"),
        GITHUB_WORKSPACE: directory,
        GITHUB_OUTPUT: join(directory, "output"),
        GITHUB_STEP_SUMMARY: join(directory, "summary"),
        INPUT_EXPLAIN: "true",
        ...Object.fromEntries(Object.entries(inputs).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
      },
    },
  );
  const written = readFileSync(join(directory, "output"), "utf8").matchAll(/^(\S+)<<(\S+)\n([\s\S]*?)\n?\2$/gm);
  return { status, log: stdout, outputs: Object.fromEntries([...written].map(([, name, , value]) => [name, value])) };
}

const node = '{"scripts":{"start":"node ."}}';

describe("the action with explain", () => {
  test("lists several applications as a matrix takes them, and builds nothing", () => {
    plant({ "apps/web/package.json": node, "apps/api/go.mod": "module api\n", "apps/api/main.go": "package main\n" });
    const { status, log, outputs } = runAction({ context: "apps" });
    expect(status).toBe(0);
    expect(outputs).toMatchObject({ verdict: "pass", strategy: "", image: "", digest: "" });
    expect(JSON.parse(outputs["applications"] ?? "")).toEqual([
      { name: "api", context: "apps/api", folder: "api", module: "", ...about("go", "go.mod (Go)") },
      { name: "web", context: "apps/web", folder: "web", module: "", ...about("nodejs", "package.json (Node.js)") },
    ]);
    expect(log).toContain("applications below it: 2");
  });

  test("says what is taken and why, under a policy, in the log and the summary", () => {
    plant({ "app/package.json": node, "app/Dockerfile": "FROM scratch\n" });
    const { status, log, outputs } = runAction({ context: "app", policy: "policy.yaml" });
    expect(status).toBe(0);
    expect(outputs).toMatchObject({ verdict: "pass", strategy: "buildpacks", applications: "[]" });
    expect(JSON.parse(outputs["explanation"] ?? "")).toMatchObject({
      chosen: { strategy: "buildpacks", builder: "node", base: "golden-run" },
      notTaken: ["Dockerfile: not used, the policy does not allow the strategy dockerfile"],
    });
    expect(log).toContain("chosen: buildpacks");
    expect(readFileSync(join(directory, "summary"), "utf8")).toContain("chosen: buildpacks");
  });

  test("refuses what the policy forbids, with what is allowed, at the file", () => {
    plant({ "app/Dockerfile": "FROM scratch\n" });
    const { status, log, outputs } = runAction({ context: "app", policy: "policy.yaml" });
    expect(status).toBe(1);
    expect(outputs).toMatchObject({ verdict: "fail", strategy: "" });
    expect(log).toMatch(
      /^::error file=app\/Dockerfile,line=1::asks for the strategy dockerfile, which the policy does not allow/m,
    );
    expect(log).toContain("policy 'acme' allows: buildpacks");
  });
});

describe("a folder that is a part of a larger build", () => {
  const workspaces = '{"private":true,"workspaces":["apps/*"]}';
  test.each([
    ["a workspace of npm", { "package.json": workspaces, "apps/api/package.json": node }, "package.json"],
    [
      "a workspace of pnpm",
      { "package.json": "{}", "pnpm-workspace.yaml": "packages:\n  - apps/*\n", "apps/api/package.json": node },
      "pnpm-workspace.yaml",
    ],
    [
      "a project of Gradle",
      {
        "settings.gradle.kts": 'include(":apps:api")\n',
        "build.gradle.kts": "",
        "apps/api/build.gradle.kts": "plugins { application }\n",
      },
      "build.gradle.kts",
    ],
    [
      "a module of Maven",
      {
        "pom.xml": "<project><packaging>pom</packaging><modules><module>apps/api</module></modules></project>",
        "apps/api/pom.xml": "<project><artifactId>api</artifactId></project>",
      },
      "pom.xml",
    ],
  ])("is told which folder and module to give: %s", (_what, files, file) => {
    plant(files as Record<string, string>);
    const { status, outputs } = runAction({ context: "apps/api" });
    expect(status).toBe(0);
    expect(JSON.parse(outputs["explanation"] ?? "").missing).toContainEqual(
      expect.stringMatching(
        new RegExp(`^this folder is 'apps/api' of a larger build \\(${file}\\).*context '\\.' and module 'apps/api'`),
      ),
    );
  });

  test("and is one only where that build names it, and where it is built by its language", () => {
    plant({ "package.json": workspaces, "tools/api/package.json": node });
    const missingOf = (context: string) => JSON.parse(runAction({ context }).outputs["explanation"] ?? "").missing;
    expect(missingOf("tools/api")).toEqual([]);
    plant({ "apps/files/Dockerfile": "FROM scratch\n", "apps/files/package.json": "{}" });
    const { outputs } = runAction({ context: "apps/files", strategy: "dockerfile" });
    expect(JSON.parse(outputs["explanation"] ?? "")).toMatchObject({ chosen: { strategy: "dockerfile" }, missing: [] });
  });
});

const about = (language: string, reason: string) => ({ strategy: "buildpacks", language, reason });

describe("goldenpath build --explain", () => {
  test("needs no policy, no registry and no tags, and prints JSON", async () => {
    plant({ "app/requirements.txt": "flask\n" });
    const { code, out } = await runMain("build", join(directory, "app"), "--explain", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      found: ["requirements.txt (Python)"],
      chosen: { strategy: "buildpacks", reason: expect.stringContaining("requirements.txt (Python)") },
    });
  });

  test("says that a builder of project.toml is passed over, for people and for programs", async () => {
    plant({
      "app/package.json": node,
      "app/project.toml": '[_]\nschema-version = "0.2"\n[io.buildpacks]\nbuilder = "evil.example/builder"\n',
    });
    const args = ["build", join(directory, "app"), "--explain", "--policy", join(directory, "policy.yaml")];
    const said = expect.stringContaining("project.toml says builder: passed over");
    expect(await runMain(...args)).toMatchObject({ code: 0, out: said });
    const { out } = await runMain(...args, "--json");
    expect(JSON.parse(out)).toMatchObject({ chosen: { builder: "node" }, notTaken: [said] });
  });

  const image = `r.test/buildpacks/extra@sha256:${"a".repeat(64)}`;
  const brings = `[_]
schema-version = "0.2"
[[io.buildpacks.pre.group]]
id = "acme/seed"
[io.buildpacks.pre.group.script]
api = "0.10"
inline = "echo hi"
[[io.buildpacks.post.group]]
uri = "docker://${image}"
[[io.buildpacks.post.group]]
uri = "https://evil.example/buildpack.tgz"
`;

  test("names every buildpack that project.toml brings and the policy refuses, at its line", async () => {
    plant({ "app/package.json": node, "app/project.toml": brings });
    const args = ["build", join(directory, "app"), "--explain", "--policy", join(directory, "policy.yaml")];
    const { code, out, err } = await runMain(...args);
    expect(code).toBe(1);
    expect(err).toContain("project.toml:3 brings an inline buildpack, 'acme/seed'");
    const seed = "project.toml:3 brings an inline buildpack, 'acme/seed', which builder 'node' does not allow";
    expect(out).toContain(`refused: ${join(directory, "app")}/${seed}`);
    for (const line of [8, 10]) expect(out).toContain(`project.toml:${line} brings the buildpack`);
    // It is not passed over: a build ends with it.
    expect(out).not.toContain("its own buildpacks: passed over");
  });

  test("tells those that the policy allows from those that it refuses, and no more than their lines without one", async () => {
    const policy = samplePolicyText.replace(
      /^( +)runImage: golden-run$/m,
      `$&\n$1allowInline: true\n$1allowBuildpacks: ["${image}"]`,
    );
    plant({ "app/package.json": node, "app/project.toml": brings, "policy.yaml": policy });
    const args = ["build", join(directory, "app"), "--explain", "--json"];
    const { out } = await runMain(...args, "--policy", join(directory, "policy.yaml"));
    expect(JSON.parse(out)).toMatchObject({
      chosen: { builder: "node" },
      buildpacks: [
        { buildpack: "inline buildpack acme/seed", line: 3 },
        { buildpack: `docker://${image}`, line: 8 },
        { line: 10, problem: expect.stringContaining("evil.example"), wayOut: expect.stringContaining("Take it out") },
      ],
      problem: { code: "buildpacks-not-allowed" },
    });
    expect(JSON.parse(out).buildpacks.map((each: object) => "problem" in each)).toEqual([false, false, true]);
    const without = await runMain(...args);
    expect(without).toMatchObject({ code: 0, out: expect.not.stringContaining("problem") });
    expect(JSON.parse(without.out).buildpacks).toHaveLength(3);
  });

  test("exits with what a build would end with", async () => {
    plant({ "app/Dockerfile": "FROM scratch\n", "torn/pom.xml": "<project>" });
    const policy = ["--policy", join(directory, "policy.yaml")];
    expect(await runMain("build", join(directory, "app"), "--explain", ...policy)).toMatchObject({ code: 1 });
    const torn = await runMain("build", join(directory, "torn"), "--explain");
    expect(torn).toMatchObject({ code: 2, err: expect.stringContaining("pom.xml:1:") });
  });

  test("finds a Dockerfile that is named, or says what is against it", async () => {
    plant({ "app/docker/web": "FROM scratch\n", outside: "FROM scratch\n" });
    const ask = (file: string) => runMain("build", join(directory, "app"), "--explain", "--json", "--file", file);
    const found = await ask("docker/web");
    expect(found).toMatchObject({ code: 0, out: expect.not.stringContaining("problem") });
    for (const [file, words] of [
      ["docker/api", "it is not there"],
      ["../outside", "it leads out of the application"],
    ] as const) {
      const { code, out } = await ask(file);
      expect(code).toBe(2);
      expect(JSON.parse(out)).toMatchObject({
        problem: { code: "dockerfile-invalid", message: expect.stringContaining(words) },
      });
    }
  });
});

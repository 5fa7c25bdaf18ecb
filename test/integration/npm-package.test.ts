import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { stageRows } from "@goldenpath/core/stages";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packPackage } from "../../scripts/release/package.ts";
import { projectRoot } from "../support/workflows.ts";

describe("the npm package, installed into a folder that has nothing of this repository", () => {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-npm-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const clean = join(directory, "clean");
  // Node 24 as the tests have it, and no more of this machine than a shell's PATH.
  const node = dirname(realpathSync(join(projectRoot, "node_modules/.bin/node")));
  const env = { PATH: [node, process.env["PATH"]].join(delimiter), HOME: join(directory, "home"), CI: "true" };
  let archive: string;
  let members: string[];

  beforeAll(() => {
    archive = packPackage(join(directory, "packed"));
    members = execFileSync("tar", ["-tzf", archive], { encoding: "utf8" }).trim().split("\n").sort();
    mkdirSync(clean);
    // Offline, and from a registry that is not there: whatever it depended on would end this.
    const args = ["install", "--offline", "--no-audit", "--no-fund", "--registry", "http://127.0.0.1:9/", archive];
    execFileSync("npm", args, { cwd: clean, env, stdio: ["ignore", "ignore", "inherit"] });
  });

  const goldenpath = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await runProcess(join(clean, "node_modules/.bin/goldenpath"), args, {
      env,
      cwd: clean,
    });
    return { exitCode, stdout, stderr };
  };

  test("holds what it needs and no source, and depends on nothing", () => {
    const actions = readdirSync(join(projectRoot, "actions")).map((name) => `package/actions/${name}/action.yml`);
    expect(members.filter((name) => !/^package\/packages\/cli\/dist\/(?:\d+\.)?index\.js$/.test(name))).toEqual(
      [
        ...actions,
        ...["LICENSE", "README.md", "package.json", "bin/goldenpath.mjs"].map((name) => `package/${name}`),
        ...["licenses.txt", "package.json"].map((name) => `package/packages/cli/dist/${name}`),
      ].sort(),
    );
    expect(readdirSync(join(clean, "node_modules")).filter((name) => !name.startsWith("."))).toEqual([
      "@goldenpath-ci",
    ]);
  });

  test("has no path of the machine that it was packed on", () => {
    const dist = join(clean, "node_modules/@goldenpath-ci/goldenpath/packages/cli/dist");
    for (const name of readdirSync(dist)) expect(readFileSync(join(dist, name), "utf8")).not.toContain(projectRoot);
  });

  test("names the licence of each package whose code is in it, whichever piece that is in", () => {
    const licenses = join(clean, "node_modules/@goldenpath-ci/goldenpath/packages/cli/dist/licenses.txt");
    const lines = readFileSync(licenses, "utf8").split("\n");
    for (const name of ["@sigstore/verify", "smol-toml", "undici", "yaml", "zod"]) expect(lines).toContain(name);
  });

  test("refuses a command that it does not have, and says what was meant", async () => {
    expect(await goldenpath("scna")).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("scan") });
  });

  test("says its version, its commands and a verb's options", async () => {
    const { version } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as { version: string };
    expect(await goldenpath("--version")).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
    expect((await goldenpath("--help")).stdout).toContain("promote");
    for (const { command } of stageRows)
      expect((await goldenpath(command, "--help")).stdout).toContain(`goldenpath ${command}: `);
  });

  test("checks a policy, and refuses a broken one with its line", async () => {
    expect(
      await goldenpath("policy", "check", join(projectRoot, "examples/golden-platform/policy.yaml")),
    ).toMatchObject({ exitCode: 0 });
    writeFileSync(join(clean, "broken.yaml"), "version: 1\nname: [\n");
    expect(await goldenpath("policy", "check", "broken.yaml")).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/broken\.yaml:[23]/),
    });
  });
});

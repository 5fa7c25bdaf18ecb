import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundle } from "../../scripts/bundle.ts";
import { bin } from "../../scripts/steps.ts";
import { runAct } from "../support/act.ts";
import { requireCommand, useTools } from "../support/tools.ts";
import { projectRoot } from "../support/workflows.ts";

const action = "goldenpath-ci/goldenpath@0123456789012345678901234567890123456789";
const workflow = `on: [pull_request, push]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - id: cache
        uses: ${action.replace("@", "/actions/cache-pull-request@")}
        with:
          path: kept
          key: packages-1
      - env:
          HIT: \${{ steps.cache.outputs.cache-hit }}
        run: |
          echo "hit=$HIT there=$(cat kept/package 2>/dev/null)"
          mkdir -p kept
          echo downloaded > kept/package
`;

describe("under act, with its cache service", () => {
  const tools = useTools("act");
  let directory: string;
  let git: string;

  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    git = await requireCommand("git", suite);
    directory = mkdtempSync(join(tmpdir(), "goldenpath-cache-action-"));
    const folder = join(directory, "goldenpath/actions/cache-pull-request");
    mkdirSync(folder, { recursive: true });
    cpSync(join(projectRoot, "actions/cache-pull-request/action.yml"), join(folder, "action.yml"));
    await runChecked(bin("tsc"), ["--build"], { cwd: projectRoot, env: { PATH: process.env["PATH"] } });
    bundle("actions/cache-pull-request/out/index.js", join(folder, "dist"));
    const repository = join(directory, "repository");
    mkdirSync(dirname(join(repository, ".github/workflows/test.yml")), { recursive: true });
    writeFileSync(join(repository, ".github/workflows/test.yml"), workflow);
    const env = { PATH: process.env["PATH"], HOME: directory, GIT_CONFIG_NOSYSTEM: "1" };
    const who = ["-c", "user.name=a", "-c", "user.email=a@acme.example"];
    for (const args of [
      ["init", "--quiet", "--initial-branch=main"],
      ["remote", "add", "origin", "https://github.com/acme/web"],
      ["add", "."],
      [...who, "commit", "--quiet", "-m", "first"],
    ])
      await runChecked(git, args, { cwd: repository, env });
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  let count = 0;
  const run = (name: string, payload: object) => {
    const home = join(directory, `run-${count++}`);
    mkdirSync(home);
    return runAct({
      act: tools.act,
      repository: join(directory, "repository"),
      directory: home,
      event: { name, payload },
      secrets: {},
      repositories: { [action]: join(directory, "goldenpath") },
      cacheService: join(directory, "service"),
    });
  };
  const pullRequest = { number: 7, pull_request: { number: 7, head: { ref: "topic" }, base: { ref: "main" } } };

  test("a push gets none, and its job fails; a pull request keeps its folder, and has it again", async () => {
    const push = await run("push", { ref: "refs/heads/main" });
    expect(push.exitCode, push.log).not.toBe(0);
    expect(push.log).toContain("this job gets no cache: the run was started by 'push'");
    const first = await run("pull_request", pullRequest);
    expect(first.log).toContain("hit=false there=");
    expect(first).toMatchObject({
      exitCode: 0,
      log: expect.stringContaining("kept under goldenpath-pull-request-packages-1"),
    });
    const second = await run("pull_request", pullRequest);
    expect(second.log).toContain("hit=true there=downloaded");
  });
});

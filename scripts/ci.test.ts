import { spawnSync } from "node:child_process";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { dist, parts, planLanes, root } from "./steps.ts";

interface Job {
  needs?: string[];
  strategy?: { matrix: { part: string[] } };
  steps: { run?: string }[];
}

const { jobs } = parse(readFileSync(join(root, ".github/workflows/ci.yml"), "utf8")) as { jobs: Record<string, Job> };

test("every folder of tests is a part, and every part is run by CI", () => {
  const folders = readdirSync(join(root, "test"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .filter((name) =>
      readdirSync(join(root, "test", name), { recursive: true, encoding: "utf8" }).some((file) =>
        file.endsWith(".test.ts"),
      ),
    );
  expect(["unit", ...folders].sort()).toEqual([...Object.keys(parts), "slow"].sort());
  expect(jobs["test"]?.strategy?.matrix.part).toEqual(Object.keys(parts));
});

test("`npm test` has every file of real tools and servers in one lane, and those that build in the first", () => {
  const [building = [], beside = []] = planLanes().map((lane) =>
    lane.flatMap((each) => ("file" in each ? [] : each.filter((arg) => arg.endsWith(".test.ts")))),
  );
  const all = globSync("test/{integration,interop,faults,attacks}/**/*.test.ts", { cwd: root });
  expect([...building, ...beside].sort()).toEqual(all.sort());
  // By its own import, by that of a helper, and by a Docker daemon.
  for (const name of [
    "integration/build",
    "attacks/dockerfile",
    "integration/languages",
    "integration/container-image",
  ])
    expect(building).toContain(`test/${name}.test.ts`);
  expect(beside).toContain("test/faults/push.test.ts");
  expect(planLanes().flat()).toEqual(expect.arrayContaining([dist, parts.unit, parts.e2e]));
});

describe("the one job that a branch's rules ask for", () => {
  const [step] = jobs["required"]?.steps ?? [];
  const run = (results: string, slow: string, event: string) =>
    spawnSync("bash", ["-e", "-o", "pipefail", "-c", step?.run ?? "exit 9"], {
      env: { PATH: process.env["PATH"], RESULTS: results, SLOW: slow, EVENT: event },
      encoding: "utf8",
    });

  test("waits for every other one", () => {
    expect(jobs["required"]?.needs?.toSorted()).toEqual(
      Object.keys(jobs)
        .filter((name) => name !== "required")
        .sort(),
    );
  });

  test.each([
    ["failure success success", "skipped", "push"],
    ["success skipped success", "skipped", "push"],
    ["success success cancelled", "skipped", "pull_request"],
    ["success success success", "failure", "schedule"],
    ["", "success", "push"],
    ["success success", "success", "push"],
    ["success success success", "skipped", "schedule"],
    ["success success success", "cancelled", "push"],
  ])("refuses %s, slow %s on %s", (...facts) => {
    expect(run(...facts)).toMatchObject({ status: 1, stdout: expect.stringMatching(/^::error::/) });
  });

  test.each([
    ["success success success", "skipped", "push"],
    ["success success success", "success", "schedule"],
  ])("passes %s, slow %s on %s", (...facts) => expect(run(...facts)).toMatchObject({ status: 0, stdout: "" }));
});

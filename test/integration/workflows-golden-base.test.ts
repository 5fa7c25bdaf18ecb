import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { describe, expect, test } from "vitest";
import { requireCommand } from "../support/tools.ts";
import { allStrings, expression, jobOf, places, readWorkflow, secretsRead } from "../support/workflows.ts";

// The workflow that makes a golden base: what runs strangers' code in it can't sign, and what signs runs none.

describe.each(places)("golden-base.yml on $place", ({ folder, workflows, actions }) => {
  const workflow = readWorkflow(`${folder}/golden-base.yml`);
  const [build, test_, approve] = ["build", "test", "approve"].map((name) => jobOf(workflow, name));
  if (build === undefined || test_ === undefined || approve === undefined) throw new TypeError("a job is missing");
  const image = `${expression("inputs.repository")}@${expression("needs.build.outputs.digest")}`;

  test("builds as every application is built, by the build stage, which keeps the building apart from the signing", () => {
    expect(build.uses).toBe(`${workflows}stage-build.yml`);
    expect(secretsRead(build)).not.toContain("GOLDENPATH_APPROVE_KEY");
    const declared = readWorkflow(`${folder}/stage-build.yml`).on?.workflow_call?.inputs ?? {};
    expect(Object.keys(declared)).toEqual(expect.arrayContaining(Object.keys(build.with ?? {})));
    expect(build.with).toMatchObject({
      policy: expression("inputs.build-policy || inputs.policy"),
      // The organisation's signer says nothing of another policy.
      "policy-signer": expression("inputs.build-policy == '' && inputs.policy-signer || ''"),
    });
    // A version that lost its tag to another run would be known by none.
    expect(build.with?.["tag"]).toBe(expression("format('{0}-{1}', github.run_id, github.run_attempt)"));
  });

  test("tests in a job without id-token, key, environment or a login that writes, on the runner that is thrown away", () => {
    expect(test_.permissions).toEqual({ contents: "read" });
    expect(test_.environment).toBeUndefined();
    expect(secretsRead(test_)).toEqual(["PULL_PASSWORD", "PULL_USERNAME"]);
    expect(test_["runs-on"]).toBe(expression("inputs.build-runs-on"));
    const [script] = (test_.steps ?? []).filter(({ run }) => run !== undefined);
    expect(script?.env).toEqual({ IMAGE: image, TEST: expression("inputs.test") });
    expect(allStrings(test_).filter((text) => /github\.token|GITHUB_TOKEN/.test(text))).toEqual([]);
    // What it says goes nowhere: that it ended well is all that the next job asks.
    expect(test_.outputs).toBeUndefined();
  });

  test("approves after both, in a job that runs the one action and nothing of the image, by the digest that build had as its output", () => {
    expect(approve.needs).toEqual(["build", "test"]);
    expect(approve.if).toBeUndefined();
    expect(approve.environment).toBe(expression("inputs.job-environment"));
    expect(approve.permissions).toEqual({ contents: "read", "id-token": "write" });
    const own = (approve.steps ?? []).filter(({ uses }) => uses?.startsWith(actions));
    expect(own.map(({ uses }) => uses)).toEqual([`${actions}approve-base`]);
    expect(own[0]?.with).toMatchObject({ image, tag: expression("inputs.move-tag") });
    expect(secretsRead(approve)).not.toContain("BUILD_SECRETS");
    const needed = allStrings(Object.values(workflow.jobs)).flatMap((text) =>
      text === "needs" ? [] : [...text.matchAll(/\bneeds\b[\w.-]*/g)].map(([found]) => found),
    );
    expect([...new Set(needed)]).toEqual(["needs.build.outputs.digest"]);
  });

  test.each([
    ["ends well", 'test "$IMAGE" = r.test/base@sha256:1', 0],
    ["does not", "exit 3", 3],
    ["is not there", undefined, 127],
  ])("a script that %s decides", async (_what, text, exitCode) => {
    const directory = await mkdtemp(join(tmpdir(), "goldenpath-base-test-"));
    try {
      if (text !== undefined) await writeFile(join(directory, "test me.sh"), `${text}\n`);
      const { run = "" } = (test_.steps ?? []).find((step) => step.run !== undefined) ?? {};
      const env = { PATH: process.env["PATH"], IMAGE: "r.test/base@sha256:1", TEST: "test me.sh" };
      const bash = await requireCommand("bash");
      const ended = await runProcess(bash, ["-e", "-o", "pipefail", "-c", run], { cwd: directory, env });
      expect(ended.exitCode).toBe(exitCode);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});

test("the platform's caller gives only what the workflow declares, from main alone, and no key", () => {
  const called = readWorkflow(".github/workflows/golden-base.yml").on?.workflow_call ?? {};
  const caller = readWorkflow("examples/organisation/.github/workflows/golden-base.yml");
  const job = jobOf(caller, "golden");
  expect(Object.keys(called.inputs ?? {})).toEqual(expect.arrayContaining(Object.keys(job.with ?? {})));
  expect(Object.keys(called.secrets ?? {})).toEqual(expect.arrayContaining(Object.keys(job.secrets ?? {})));
  expect(job.if).toBe("github.ref == 'refs/heads/main'");
  expect(secretsRead(job).filter((name) => name.includes("KEY"))).toEqual([]);
  // What the definition may stand on is said by the commit that has it.
  expect(job.with?.["build-policy"]).toBe(`acme/platform//bases/policy.yaml@${expression("github.sha")}`);
});

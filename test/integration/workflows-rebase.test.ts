import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { describe, expect, test } from "vitest";
import { requireCommand } from "../support/tools.ts";
import {
  allStrings,
  expression,
  jobOf,
  keyOf,
  passphraseOf,
  places,
  readWorkflow,
  secretsRead,
} from "../support/workflows.ts";

// The workflows that put what is in vetted on another version of its base: what runs the image can't sign, what signs runs
// nothing of it, and what goes from job to job decides nothing.

const signers = ["rebase", "base", "scan", "promote"] as const;

describe.each(places)("rebases on $place", ({ folder, workflows, actions }) => {
  const stage = readWorkflow(`${folder}/stage-rebase.yml`);
  const image = readWorkflow(`${folder}/rebase-image.yml`);
  const fleet = readWorkflow(`${folder}/fleet-rebase.yml`);

  test("the job that checks has no id-token, key, environment, token or login that writes, and says only how it ends", () => {
    const check = jobOf(image, "check");
    expect(check.permissions).toEqual({ contents: "read" });
    expect(check.environment).toBeUndefined();
    expect(check.outputs).toBeUndefined();
    expect(check["runs-on"]).toBe(expression("inputs.check-runs-on"));
    expect(secretsRead(check)).toEqual(["PULL_PASSWORD", "PULL_USERNAME"]);
    expect(allStrings(check).filter((text) => /github\.token|GITHUB_TOKEN/.test(text))).toEqual([]);
    const [script] = (check.steps ?? []).filter(({ run }) => run !== undefined);
    expect(script?.env).toMatchObject({
      IMAGE: `${expression("inputs.quarantine")}@${expression("needs.rebase.outputs.digest")}`,
    });
    // Where there is no check it ends well: were it left out, what it keeps out could go past a job that was skipped.
    expect(check.if).toBeUndefined();
  });

  test("promote waits for the check and both judges, under no condition, and no tag goes back for it, or leaves another image", () => {
    const promote = jobOf(image, "promote");
    expect(promote.needs).toEqual(["rebase", "check", "base", "scan"]);
    for (const job of Object.values(image.jobs)) expect(job).not.toHaveProperty("if");
    expect(promote.uses).toBe(`${workflows}stage-promote.yml`);
    expect(promote.with).toMatchObject({
      image: `${expression("inputs.quarantine")}@${expression("needs.rebase.outputs.digest")}`,
      to: expression("inputs.vetted"),
      tags: expression("inputs.tags"),
      "allow-tag-rollback": false,
      replaces: expression("inputs.image"),
      "job-environment": expression("inputs.promote-job-environment"),
    });
  });

  test.each(signers)(
    "the stage %s gets the secrets that it declares and no others, each under its own name",
    (name) => {
      const declared = Object.keys(readWorkflow(`${folder}/stage-${name}.yml`).on?.workflow_call?.secrets ?? {});
      expect(declared).toEqual(expect.arrayContaining([keyOf(name), passphraseOf(name)]));
      const handed = Object.fromEntries(declared.map((secret) => [secret, expression(`secrets.${secret}`)]));
      expect(jobOf(image, name).secrets).toEqual(handed);
    },
  );

  test("who attests a rebase has its own key, reads from vetted, and writes there nowhere", () => {
    const job = jobOf(stage, "rebase");
    expect(Object.keys(stage.jobs)).toEqual(["rebase"]);
    expect(secretsRead(job)).toEqual([
      ...[keyOf("rebase"), passphraseOf("rebase"), "QUARANTINE_PASSWORD", "QUARANTINE_USERNAME"],
      ...["VETTED_READ_PASSWORD", "VETTED_READ_USERNAME"],
    ]);
    const own = (job.steps ?? []).filter(({ uses }) => uses?.startsWith(actions));
    expect(own.map(({ uses }) => uses)).toEqual([`${actions}rebase`, `${actions}attest`]);
    expect(own.filter((step) => secretsRead(step).length > 0).map(({ uses }) => uses)).toEqual([`${actions}attest`]);
    // Of what was rebased the digest alone, in the repository that the caller has named.
    expect(own[1]?.with).toMatchObject({
      image: `${expression("inputs.repository")}@${expression("steps.rebase.outputs.digest")}`,
      "rebased-from": expression("inputs.image"),
    });
    expect(Object.keys(stage.on?.workflow_call?.outputs ?? {})).toEqual(["digest"]);
  });

  test("a wave is what the plan lists, each image past the same workflow; what is against one makes the run fail", () => {
    const each = jobOf(fleet, "each");
    expect(each.uses).toBe(`${workflows}rebase-image.yml`);
    expect(each.if).toBe(expression("needs.plan.outputs.due != '[]'"));
    expect(each.with).toMatchObject({
      image: expression("matrix.image"),
      "promote-job-environment": expression("inputs.promote-job-environment"),
    });
    const declared = Object.keys(image.on?.workflow_call?.inputs ?? {});
    expect(Object.keys(each.with ?? {}).sort()).toEqual(declared.sort());
    expect(
      secretsRead(jobOf(fleet, "plan")).filter((name) => name.startsWith("GOLDENPATH_") || name === "VETTED_PASSWORD"),
    ).toEqual([]);
    expect(jobOf(fleet, "whole").if).toBe(expression("needs.plan.outputs.against != '0'"));
  });

  test("no job's word but a digest and the plan goes from one to the next", () => {
    const needed = [stage, image, fleet].flatMap(({ jobs }) =>
      allStrings(Object.values(jobs)).flatMap((text) =>
        text === "needs" ? [] : [...text.matchAll(/\bneeds\b[\w.-]*/g)].map(([found]) => found),
      ),
    );
    expect([...new Set(needed)].sort()).toEqual([
      "needs.plan.outputs.against",
      "needs.plan.outputs.due",
      "needs.rebase.outputs.digest",
    ]);
  });
});

test.each([
  ["ends well", 'test "$IMAGE" = r.test/a@sha256:1', "check me.sh", 0],
  ["does not", "exit 3", "check me.sh", 3],
  ["is not there", undefined, "check me.sh", 127],
  ["nobody has named", "exit 3", "", 0],
])("a check that %s decides", async (_what, text, named, exitCode) => {
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-check-"));
  try {
    if (text !== undefined) await writeFile(join(directory, "check me.sh"), `${text}\n`);
    const steps = jobOf(readWorkflow(".github/workflows/rebase-image.yml"), "check").steps ?? [];
    const { run = "" } = steps.find((step) => step.run !== undefined) ?? {};
    const env = { PATH: process.env["PATH"], IMAGE: "r.test/a@sha256:1", CHECK: named };
    const bash = await requireCommand("bash");
    const ended = await runProcess(bash, ["-e", "-o", "pipefail", "-c", run], { cwd: directory, env });
    expect(ended.exitCode).toBe(exitCode);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});

test("the platform's caller gives only what the workflow declares, from main alone, one run at a time, and no key", () => {
  const called = readWorkflow(".github/workflows/fleet-rebase.yml").on?.workflow_call ?? {};
  const caller = readWorkflow("examples/organisation/.github/workflows/rebase.yml");
  const job = jobOf(caller, "rebase");
  expect(Object.keys(called.inputs ?? {})).toEqual(expect.arrayContaining(Object.keys(job.with ?? {})));
  expect(Object.keys(called.secrets ?? {})).toEqual(expect.arrayContaining(Object.keys(job.secrets ?? {})));
  expect(job.if).toBe("github.ref == 'refs/heads/main'");
  expect(caller).toMatchObject({ concurrency: { "cancel-in-progress": false } });
  expect(secretsRead(job).filter((name) => name.includes("KEY") || name.startsWith("VETTED_U"))).toEqual([]);
});

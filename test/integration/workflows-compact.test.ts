import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  allStrings,
  expression,
  type Job,
  jobOf,
  ownAction,
  places,
  projectRoot,
  readWorkflow,
  secretsRead,
  stages,
} from "../support/workflows.ts";

// The compact path is the other one with three jobs folded into one: whatever of it is not that difference is held to
// be the very same here, and so to what workflows-trust.test.ts asks of the other.

const judgeKeys = ["GOLDENPATH_JUDGE_KEY", "GOLDENPATH_JUDGE_KEY_PASSPHRASE"];
const quarantine = ["QUARANTINE_PASSWORD", "QUARANTINE_USERNAME"];

describe.each(places)("the compact path on $place", ({ folder, workflows, actions }) => {
  const judgeWorkflow = readWorkflow(`${folder}/stage-judge.yml`);
  const stageOf = (stage: string) => readWorkflow(`${folder}/stage-${stage}.yml`);
  const full = readWorkflow(`${folder}/golden-path.yml`);
  const compact = readWorkflow(`${folder}/golden-path-compact.yml`);
  const judge = jobOf(judgeWorkflow, "judge");
  const stepOf = (job: Job, action: string) => {
    const found = (job.steps ?? []).filter((step) => ownAction(step) === action);
    if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} steps run ${action}`);
    return found[0];
  };
  const renamed = (value: unknown): string => JSON.stringify(value).replaceAll("_BUILD_KEY", "_JUDGE_KEY");

  test("builds by the very jobs of the stage build, none of which has a key or a token, and signs by one other", () => {
    const { attest: _attest, ...building } = stageOf("build").jobs;
    const { judge: _judge, ...own } = judgeWorkflow.jobs;
    expect(own).toEqual(building);
    for (const job of Object.values(own)) {
      expect(job.permissions).toEqual({ contents: "read" });
      expect(secretsRead(job).filter((name) => name.includes("KEY"))).toEqual([]);
    }
    expect(judge.permissions).toEqual({ contents: "read", "id-token": "write" });
  });

  test("is taken for each application of several as the path is, listed by the very same job", () => {
    const [each, compactly] = ["golden-path-each", "golden-path-each-compact"].map((name) =>
      readWorkflow(`${folder}/${name}.yml`),
    );
    if (each === undefined || compactly === undefined) throw new Error("there are two");
    const text = (value: unknown): string =>
      JSON.stringify(value)
        .replaceAll("golden-path-compact.yml", "golden-path.yml")
        .replaceAll("-each-compact", "-each");
    for (const name of ["find", "none"]) expect(text(compactly.jobs[name])).toBe(text(each.jobs[name]));
    const { with: given = {}, secrets, uses, ...job } = jobOf(compactly, "each");
    const { with: _with, secrets: _secrets, uses: full, ...other } = jobOf(each, "each");
    expect(job).toEqual(other);
    expect(uses).toBe(full?.replace("golden-path", "golden-path-compact"));
    expect(Object.keys(given)).toEqual(Object.keys(compact.on?.workflow_call?.inputs ?? {}));
    expect(Object.keys(secrets ?? {})).toEqual(Object.keys(compact.on?.workflow_call?.secrets ?? {}));
  });

  test("its one job begins as the one that attests does, with a key of its own", () => {
    const attest = jobOf(stageOf("build"), "attest");
    const count = attest.steps?.length ?? 0;
    expect(renamed(judge.steps?.slice(0, count))).toBe(renamed(attest.steps));
    const { name: _name, steps: _steps, outputs: _outputs, ...more } = judge;
    const { name: _n, steps: _s, outputs: _o, ...ofAttest } = attest;
    expect(more).toEqual(ofAttest);
    expect(judge.steps?.slice(count).map(ownAction)).toEqual(["enforce-golden-base", "scan", "sign"]);
  });

  test("judges as the stages do, what was attested and nothing else, and the one whatever became of the other", () => {
    const image = `${expression("inputs.repository")}@${expression("steps.attest.outputs.digest")}`;
    for (const [stage, action] of [
      ["base", "enforce-golden-base"],
      ["scan", "scan"],
    ] as const) {
      const { if: condition, ...step } = stepOf(judge, action);
      const apart = stepOf(jobOf(stageOf(stage), stage), action);
      expect(step).toEqual({ ...apart, with: { ...apart.with, image } });
      expect(condition).toBe(expression("!cancelled() && steps.attest.outcome == 'success'"));
    }
    expect(stepOf(judge, "sign").with).toMatchObject({ image });
  });

  test("signs both verdicts in one step, a failure too, an error of none", () => {
    const sign = stepOf(judge, "sign");
    const judged = (id: string) => `(steps.${id}.outputs.verdict == 'pass' || steps.${id}.outputs.verdict == 'fail')`;
    expect(sign.if).toBe(expression(`!cancelled() && (${judged("enforce")} || ${judged("scan")})`));
    expect(sign.with?.["results"]).toBe(
      ["enforce", "scan"].map((id) => `${expression(`${judged(id)} && steps.${id}.outputs.result || ''`)}\n`).join(""),
    );
    for (const step of judge.steps ?? []) expect(step).not.toHaveProperty("continue-on-error");
  });

  test("its key goes to the two steps that sign, and no stage's key is known there", () => {
    const keyed = (judge.steps ?? []).filter((step) => secretsRead(step).some((name) => name.includes("KEY")));
    expect(keyed.map(({ uses }) => uses)).toEqual([`${actions}attest`, `${actions}sign`]);
    expect(secretsRead(judge)).toEqual([...judgeKeys, ...quarantine].sort());
    const expected = [
      ...judgeKeys,
      ...quarantine,
      "ATTESTATIONS_TOKEN",
      "BUILD_SECRETS",
      "PULL_PASSWORD",
      "PULL_USERNAME",
    ].sort();
    expect(secretsRead(judgeWorkflow.jobs)).toEqual(expected);
    expect(Object.keys(judgeWorkflow.on?.workflow_call?.secrets ?? {}).sort()).toEqual(expected);
  });

  test("promotes apart, by the other path's own stage, behind what judges", () => {
    expect(Object.keys(compact.jobs)).toEqual(["judge", "promote"]);
    const promote = jobOf(compact, "promote");
    const apart = jobOf(full, "promote");
    const image = `${expression("inputs.quarantine")}@${expression("needs.judge.outputs.digest")}`;
    expect(promote).toEqual({ ...apart, needs: "judge", with: { ...apart.with, image } });
    expect(promote.uses).toBe(`${workflows}stage-promote.yml`);
    for (const job of Object.values(compact.jobs)) expect(job).not.toHaveProperty("if");
  });

  test("hands what judges what the other path hands the three stages, and each under its own name", () => {
    const { with: given = {}, secrets, uses } = jobOf(compact, "judge");
    expect(uses).toBe(`${workflows}stage-judge.yml`);
    const { image: _image, ...ofScan } = jobOf(full, "scan").with ?? {};
    expect(given).toEqual({
      ...jobOf(full, "build").with,
      ...ofScan,
      "job-environment": expression("inputs.judge-job-environment"),
    });
    const declared = Object.keys(judgeWorkflow.on?.workflow_call?.secrets ?? {});
    expect(secrets).toEqual(Object.fromEntries(declared.map((name) => [name, expression(`secrets.${name}`)])));
  });

  test("takes from one job to the next a digest, and what leads to the image of that digest", () => {
    const strings = allStrings([Object.values(compact.jobs), Object.values(judgeWorkflow.jobs)]);
    const needed = strings.flatMap((text) =>
      text === "needs" ? [] : [...text.matchAll(/\bneeds\b[\w.-]*/g)].map(([found]) => found),
    );
    const ofBuild = ["build", "build-linux-amd64", "build-linux-arm64"].flatMap((name) =>
      ["artifact", "cache", "digest"].map((output) => `needs.${name}.outputs.${output}`),
    );
    expect([...new Set(needed)].sort()).toEqual(
      [...ofBuild, "needs.judge.outputs.digest", "needs.take-in.outputs.digest"].sort(),
    );
  });

  test("is called with the other's inputs and secrets, but for the three stages' keys and environments", () => {
    const names = (workflow: typeof full, what: "inputs" | "secrets") =>
      Object.keys(workflow.on?.workflow_call?.[what] ?? {});
    const apart = stages.filter((stage) => stage !== "promote");
    for (const [what, gone, own] of [
      ["inputs", apart.map((stage) => `${stage}-job-environment`), ["judge-job-environment"]],
      [
        "secrets",
        apart.flatMap((stage) => judgeKeys.map((name) => name.replace("JUDGE", stage.toUpperCase()))),
        judgeKeys,
      ],
    ] as const)
      expect(names(compact, what).sort()).toEqual(
        [...names(full, what).filter((name) => !(gone as string[]).includes(name)), ...own].sort(),
      );
  });
});

test("the example's wrapper of the compact path is the other one, but for its name and whom it calls", () => {
  const read = (name: string): string => {
    const text = readFileSync(join(projectRoot, "examples/organisation/.github/workflows", name), "utf8");
    return text.slice(text.indexOf("on:\n"));
  };
  const called = "goldenpath-ci/goldenpath/.github/workflows/golden-path";
  const full = read("golden-path.yml");
  expect(read("golden-path-compact.yml")).toBe(full.replace(`${called}.yml@`, `${called}-compact.yml@`));
  expect(full).toContain(`${called}.yml@`);
});

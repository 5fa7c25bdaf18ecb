import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  expression,
  type Job,
  jobOf,
  keyOf,
  passphraseOf,
  places,
  projectRoot,
  readWorkflow,
  readWorkflows,
  stages,
  type Workflow,
} from "../support/workflows.ts";

const chain = readWorkflow(".github/workflows/golden-path.yml");
const stageWorkflow = (stage: string) => readWorkflow(`.github/workflows/stage-${stage}.yml`);
const wrapper = readWorkflow("examples/organisation/.github/workflows/golden-path.yml");
const logins = ["PULL", "QUARANTINE", "VETTED"].flatMap((place) => [`${place}_USERNAME`, `${place}_PASSWORD`]);
const caller = readWorkflow("examples/caller/.github/workflows/golden-path.yml");

describe("an application's caller", () => {
  const path = jobOf(wrapper, "path");

  test("chooses neither the policy, nor goldenpath's version, nor the registries, nor the gate", () => {
    expect(Object.keys(wrapper.on?.workflow_call?.inputs ?? {})).toEqual(["context"]);
    const fromInputs = Object.entries(path.with ?? {}).filter(([, value]) => /\binputs\b/.test(value));
    expect(fromInputs.map(([name]) => name)).toEqual(["context"]);
    // A place and a key, and no version: promote holds it to what vetted says itself.
    expect(path.with?.["policy"]).toBe("oci://registry.acme.example/vetted/goldenpath-policy:in-force");
    expect(path.with?.["policy-signer"]).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    for (const value of Object.values(path.with ?? {}))
      expect(value).not.toMatch(/\b(?:vars|env|github\.head_ref|github\.ref_name)\b/);
  });

  test("is the only choice of a repository's name: the event's, which the caller's workflow cannot set", () => {
    for (const name of ["quarantine", "vetted"])
      expect(path.with?.[name]).toBe(`registry.acme.example/${name}/\${{ github.event.repository.name }}`);
  });

  test("names the organisation's wrapper and nothing of goldenpath", () => {
    expect(Object.values(caller.jobs).map((job) => job.uses?.split("@")[0])).toEqual([
      "acme/platform/.github/workflows/golden-path.yml",
    ]);
    for (const job of Object.values(caller.jobs)) expect(job.steps).toBeUndefined();
  });

  test("has no key: what the wrapper passes on are logins and what a build may mount", () => {
    const keys = stages.flatMap((stage) => [keyOf(stage), passphraseOf(stage)]);
    const declared = Object.keys(chain.on?.workflow_call?.secrets ?? {});
    expect(declared).toEqual(expect.arrayContaining(keys));
    const passed = declared.filter((name) => !keys.includes(name));
    expect(passed).toEqual(["BUILD_SECRETS", "ATTESTATIONS_TOKEN", ...logins]);
    expect(Object.keys(wrapper.on?.workflow_call?.secrets ?? {})).toEqual(passed);
    expect(path.secrets).toEqual(Object.fromEntries(passed.map((name) => [name, expression(`secrets.${name}`)])));
    // Of environments there is the one whose reviewers approve.
    const environments = Object.keys(path.with ?? {}).filter((name) => name.includes("environment"));
    expect(environments).toEqual(["promote-job-environment"]);
    expect(path.with?.["signer"]).toBeUndefined();
  });

  test("gives only inputs and secrets that the workflow it calls declares, down the whole way", () => {
    const eachOf = (name: string) => jobOf(readWorkflow(`.github/workflows/${name}.yml`), "each");
    const pairs = [
      { job: path, called: chain },
      { job: eachOf("golden-path-each"), called: chain },
      {
        job: eachOf("golden-path-each-compact"),
        called: readWorkflow(".github/workflows/golden-path-compact.yml"),
      },
      ...stages.map((stage) => ({ job: jobOf(chain, stage), called: stageWorkflow(stage) })),
    ];
    for (const { job, called } of pairs) {
      expect(Object.keys(called.on?.workflow_call?.inputs ?? {})).toEqual(
        expect.arrayContaining(Object.keys(job.with ?? {})),
      );
      expect(Object.keys(called.on?.workflow_call?.secrets ?? {})).toEqual(
        expect.arrayContaining(Object.keys(job.secrets ?? {})),
      );
    }
  });
});

test.each(places)("who approved is asked for where a caller says so, on $place", ({ folder }) => {
  const given = expression("inputs.record-approvals");
  for (const name of ["golden-path.yml", "golden-path-compact.yml"])
    expect(jobOf(readWorkflow(`${folder}/${name}`), "promote").with).toMatchObject({ "record-approvals": given });
  const steps = jobOf(readWorkflow(`${folder}/stage-promote.yml`), "promote").steps ?? [];
  expect(steps.find(({ id }) => id === "promote")?.with).toMatchObject({ "record-approvals": given });
});

test("examples pin what they call by a commit, with its release beside it", () => {
  const texts = readWorkflows()
    .filter(({ path }) => path.startsWith("examples/"))
    .map(({ path }) => readFileSync(join(projectRoot, path), "utf8"));
  const pins = texts.flatMap((text) =>
    [...text.matchAll(/uses: (?<what>\S+)@(?<ref>\S+)(?<rest>.*)$/gm)].map(({ groups }) => groups ?? {}),
  );
  expect(pins.length).toBeGreaterThan(5);
  for (const { what, ref = "", rest } of pins) {
    expect({ what, pinned: /^[0-9a-f]{40}$/.test(ref), rest }).toEqual({
      what,
      pinned: true,
      rest: expect.stringMatching(/^ # v(?:\d+\.\d+\.\d+|X\.Y\.Z)$/),
    });
  }
});

/**
 * What a caller must grant, per workflow. GitHub ends a run in `startup_failure` where a called job asks for more than its caller has, so one more permission
 * here breaks every caller: it is for the next major version, with an upgrade note.
 */
const grant = { contents: "read", "id-token": "write" };
/** Of the promoting job, which may be told to ask who approved the run. */
const grantPromote = { actions: "read", ...grant };
const callersGrant: Readonly<Record<string, Record<string, string>>> = {
  "golden-path.yml": grantPromote,
  "golden-path-compact.yml": grantPromote,
  "golden-path-each.yml": grantPromote,
  "golden-path-each-compact.yml": grantPromote,
  "stage-build.yml": grant,
  "stage-base.yml": grant,
  "stage-scan.yml": grant,
  "stage-judge.yml": grant,
  "stage-promote.yml": grantPromote,
};

/** The most of each permission that any of the jobs asks for. */
function unionOf(jobs: readonly Job[]): Record<string, string> {
  const union: Record<string, string> = {};
  const rank = (level = "none"): number => ["none", "read", "write"].indexOf(level);
  for (const { permissions } of jobs) {
    // A job without a list has whatever its caller has, which no table could hold.
    if (permissions === undefined) throw new Error("a job without permissions of its own");
    for (const [name, level] of Object.entries(permissions)) if (rank(level) > rank(union[name])) union[name] = level;
  }
  return union;
}

/** A workflow's own jobs and, where they call another of goldenpath, that one's. */
function allJobs(folder: string, workflow: Workflow): Job[] {
  return Object.values(workflow.jobs).flatMap((job) => {
    const called = /(?<name>[\w-]+\.yml)$/.exec(job.uses ?? "")?.groups?.["name"];
    return called === undefined ? [job] : [job, ...allJobs(folder, readWorkflow(`${folder}/${called}`))];
  });
}

describe.each(places)("the permissions that a caller has to grant, on $place", ({ folder }) => {
  test("grow by one permission or one level where a stage asks for more, and that is seen", () => {
    const scan = readWorkflow(`${folder}/stage-scan.yml`);
    jobOf(scan, "scan").permissions = { ...grant, packages: "write" };
    expect(unionOf(allJobs(folder, scan))).not.toEqual(callersGrant["stage-scan.yml"]);
    jobOf(scan, "scan").permissions = { ...grant, contents: "write" };
    expect(unionOf(allJobs(folder, scan))).not.toEqual(callersGrant["stage-scan.yml"]);
    delete jobOf(scan, "scan").permissions;
    expect(() => unionOf(allJobs(folder, scan))).toThrow("without permissions");
  });

  test.each(Object.entries(callersGrant))("are for %s those of this major version", (name, granted) => {
    expect(unionOf(allJobs(folder, readWorkflow(`${folder}/${name}`)))).toEqual(granted);
  });

  test("are granted by the chain to each stage, and by the examples to the chain", () => {
    const own = readWorkflow(`${folder}/golden-path.yml`);
    for (const stage of stages) expect(jobOf(own, stage).permissions).toEqual(callersGrant[`stage-${stage}.yml`]);
    for (const example of [wrapper, caller])
      for (const job of Object.values(example.jobs)) expect(job.permissions).toEqual(callersGrant["golden-path.yml"]);
  });
});

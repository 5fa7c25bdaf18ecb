import { describe, expect, test } from "vitest";

import {
  allStrings,
  expression,
  type Job,
  jobOf,
  keyOf,
  passphraseOf,
  places,
  readWorkflow,
  secretsRead,
  stages,
} from "../support/workflows.ts";

/** When one image is built, and none is taken in. */
const isBuiltAsOne = "inputs.platforms == '' && inputs.take-image == ''";

/** When a platform's own image is built, and none is taken in. */
const isWanted = (platform: string) =>
  `contains(inputs.platforms, '${platform.replace("-", "/")}') && inputs.take-image == ''`;

describe.each(places)("the trust model on $place", ({ folder, workflows, actions }) => {
  const stageWorkflow = (stage: string) => readWorkflow(`${folder}/stage-${stage}.yml`);
  const chain = readWorkflow(`${folder}/golden-path.yml`);
  const files = [chain, ...stages.map(stageWorkflow)];
  const steps = files.flatMap(({ jobs }) => Object.values(jobs).flatMap((job) => job.steps ?? []));
  const build = jobOf(stageWorkflow("build"), "build");
  const platforms = ["linux-amd64", "linux-arm64"];
  /** The jobs that run strangers' code, by whose outputs they are known to others. */
  const building = ["build", ...platforms.map((platform) => `build-${platform}`)].map((name) => ({
    name,
    job: jobOf(stageWorkflow("build"), name),
  }));
  const attest = jobOf(stageWorkflow("build"), "attest");

  test.each(building)(
    "the job $name, which runs strangers' code, has no key, no environment, no token and no login but one that reads",
    ({ job }) => {
      expect(secretsRead(job)).toEqual(["BUILD_SECRETS", "PULL_PASSWORD", "PULL_USERNAME"]);
      expect(job.environment).toBeUndefined();
      expect(job.permissions).toEqual({ contents: "read" });
      const logins = job.steps?.filter((step) => step.uses?.startsWith("docker/login-action@"));
      expect(logins?.map((step) => step.with?.["registry"])).toEqual([expression("inputs.pull-registry")]);
      // What the application's own steps may mount goes to the step that builds, and to no other.
      const steps = job.steps?.filter((step) => step.uses === `${actions}detect-and-build`);
      expect(steps?.map((step) => secretsRead(step))).toEqual([["BUILD_SECRETS"]]);
      expect(steps?.map((step) => step.with?.["push"])).toEqual([false]);
    },
  );

  test("a token of who it is can be had by the jobs that judge and sign, and by no other", () => {
    const able = files.flatMap(({ jobs }) =>
      Object.entries(jobs).flatMap(([name, { permissions, steps: own }]) =>
        own !== undefined && permissions?.["id-token"] !== undefined ? [`${name} ${permissions["id-token"]}`] : [],
      ),
    );
    expect(able).toEqual(["attest write", "base write", "scan write", "promote write"]);
  });

  test("they sign as their own workflow, unless a caller names another way; where a server's tokens count nowhere, by keys", () => {
    const isOnGitHub = folder === ".github/workflows";
    for (const { on } of files)
      expect(on?.workflow_call?.inputs?.["signer"]).toMatchObject({ default: isOnGitHub ? "keyless" : "key" });
    const signing = steps.filter((step) => step.with?.["signer"] !== undefined);
    expect(signing.map(({ uses }) => uses)).toEqual(
      ["attest", "sign", "sign", "promote"].map((action) => `${actions}${action}`),
    );
    for (const step of signing) expect(step.with?.["signer"]).toBe(expression("inputs.signer"));
  });

  test("what it left goes by an artifact that only the job that attests takes, each under its own job's digest", () => {
    const using = (action: string) =>
      files.flatMap(({ jobs }) =>
        Object.entries(jobs).flatMap(([name, { steps: own = [] }]) =>
          own.flatMap((step) =>
            step.uses?.startsWith(`${action}@`) ? [{ name, given: step.with, when: step.if }] : [],
          ),
        ),
      );
    const left = { name: expression("steps.build.outputs.artifact"), path: expression("steps.build.outputs.layout") };
    expect(using("actions/upload-artifact")).toMatchObject(building.map(({ name }) => ({ name, given: left })));
    const taken = [
      { job: "build", folder: "image", when: isBuiltAsOne },
      ...platforms.map((each) => ({
        ...{ job: `build-${each}`, folder: each, when: isWanted(each) },
      })),
    ];
    expect(using("actions/download-artifact")).toEqual(
      taken.map(({ job, folder, when }) => ({
        name: "attest",
        given: {
          name: expression(`needs.${job}.outputs.artifact`),
          path: `${expression("runner.temp")}/built/${folder}`,
        },
        when,
      })),
    );
  });

  test("a platform's job builds as the one of a single image does, but for its runner and the platform that is asked of its machine", () => {
    for (const platform of platforms) {
      const job = structuredClone(jobOf(stageWorkflow("build"), `build-${platform}`));
      const step = job.steps?.find(({ id }) => id === "build");
      const name = platform.replace("-", "/");
      expect(job).toMatchObject({
        if: expression(isWanted(platform)),
        "runs-on": expression(`fromJSON(inputs.runners || '{}')['${name}'] || inputs.build-runs-on`),
      });
      expect(step?.with).toMatchObject({
        platforms: name,
      });
      delete step?.with?.["platforms"];
      expect({ ...job, name: "build", if: expression(isBuiltAsOne), "runs-on": build["runs-on"] }).toEqual(build);
    }
  });

  test("an image of elsewhere is taken in by a job of its own, which has nothing of an application, and builds none", () => {
    const job = jobOf(stageWorkflow("build"), "take-in");
    expect(job.if).toBe(expression("inputs.take-image != ''"));
    const [step] = (job.steps ?? []).filter(({ id }) => id === "take");
    expect(step?.with).toMatchObject({ image: expression("inputs.take-image") });
    expect(Object.keys(step?.with ?? {})).not.toContain("context");
    expect(secretsRead(job)).toEqual([
      "ATTESTATIONS_TOKEN",
      "PULL_PASSWORD",
      "PULL_USERNAME",
      "QUARANTINE_PASSWORD",
      "QUARANTINE_USERNAME",
    ]);
    // Also where the caller has platforms set: no job that builds runs, and nothing of one is attested.
    for (const { job: builder } of building) expect(builder.if).toContain("&& inputs.take-image == ''");
    const given = attest.steps?.at(-1)?.with ?? {};
    const perPlatform = ["layout", "digests", "cache"].flatMap((name) => String(given[name]).trim().split("\n"));
    for (const line of [...perPlatform, given["platforms"], given["build-runners"]])
      expect(line).toContain("inputs.take-image == '' &&");
    expect(given["strategy"]).toBe(expression("inputs.take-image != '' && 'image' || inputs.strategy"));
  });

  test("one index is made of what those jobs' own outputs name, each under its platform", () => {
    expect(attest.needs).toEqual(["take-in", "build", ...platforms.map((platform) => `build-${platform}`)]);
    expect(attest.steps?.at(-1)?.with).toMatchObject({
      // Of what is taken in none is asked for, whatever the caller has set for what it builds.
      platforms: expression("inputs.take-image == '' && inputs.platforms || ''"),
      tags: expression("inputs.tag"),
      layout: [
        `${expression(`${isBuiltAsOne} && format('{0}/built/image', runner.temp) || ''`)}\n`,
        ...platforms.map((each) => {
          const platform = each.replace("-", "/");
          const line = `format('${platform}={0}/built/${each}', runner.temp)`;
          return `${expression(`${isWanted(each)} && ${line} || ''`)}\n`;
        }),
      ].join(""),
      digests: platforms
        .map((each) => {
          return `${each.replace("-", "/")}=${expression(`${isWanted(each)} && needs.build-${each}.outputs.digest || ''`)}\n`;
        })
        .join(""),
    });
  });

  test("those jobs alone run where their label says, and every other where the others' says: a caller can keep them on machines apart", () => {
    const labels = stages.flatMap((stage) =>
      Object.entries(stageWorkflow(stage).jobs).map(([name, job]) => [`${stage} ${name}`, job["runs-on"]]),
    );
    expect(Object.fromEntries(labels)).toEqual({
      // Nothing of what it takes in runs there.
      "build take-in": expression("inputs.runs-on"),
      "build build": expression("inputs.build-runs-on"),
      "build build-linux-amd64": expression("fromJSON(inputs.runners || '{}')['linux/amd64'] || inputs.build-runs-on"),
      "build build-linux-arm64": expression("fromJSON(inputs.runners || '{}')['linux/arm64'] || inputs.build-runs-on"),
      "build attest": expression("inputs.runs-on"),
      "base base": expression("inputs.runs-on"),
      "scan scan": expression("inputs.runs-on"),
      "promote promote": expression("inputs.runs-on"),
    });
    for (const stage of stages) {
      const handed = Object.entries(jobOf(chain, stage).with ?? {}).filter(([name]) => name.endsWith("runs-on"));
      expect(Object.fromEntries(handed)).toEqual({
        "runs-on": expression("inputs.runs-on"),
        ...(stage === "build" ? { "build-runs-on": expression("inputs.build-runs-on") } : {}),
      });
    }
  });

  test("the application is checked out beside goldenpath, in that job alone, and is all that is built", () => {
    const checkouts = (job: Job) => (job.steps ?? []).filter((step) => step.uses?.startsWith("actions/checkout@"));
    const ofGoldenpath = folder === ".github/workflows" ? [] : [".goldenpath"];
    expect(checkouts(build).map((step) => step.with?.["path"])).toEqual(["application", ...ofGoldenpath]);
    const step = build.steps?.find(({ id }) => id === "build");
    expect(step?.with?.["context"]).toBe(`application/${expression("inputs.context")}`);
    for (const stage of stages) {
      for (const job of Object.values(stageWorkflow(stage).jobs)) {
        if (job.steps?.some((step) => step.id === "build")) continue;
        expect(checkouts(job).map((step) => step.with?.["path"])).toEqual(ofGoldenpath);
      }
    }
  });

  test.each(stages)(
    "the workflow of stage %s reads its own key, quarantine's login, (build alone) one that reads and (promote alone) vetted's",
    (stage) => {
      const quarantine = ["QUARANTINE_PASSWORD", "QUARANTINE_USERNAME"];
      const expected = [
        keyOf(stage),
        passphraseOf(stage),
        ...quarantine,
        // The application's own, for the job that builds it.
        ...(stage === "build" ? ["ATTESTATIONS_TOKEN", "BUILD_SECRETS", "PULL_PASSWORD", "PULL_USERNAME"] : []),
        ...(stage === "promote" ? ["VETTED_PASSWORD", "VETTED_USERNAME"] : []),
      ].sort();
      const workflow = stageWorkflow(stage);
      expect(secretsRead(workflow.jobs)).toEqual(expected);
      expect(Object.keys(workflow.on?.workflow_call?.secrets ?? {}).sort()).toEqual(expected);
      for (const job of Object.values(workflow.jobs)) {
        // A key is in the environment of the job that uses it, and only there.
        const signs = secretsRead(job).some((name) => [keyOf(stage), passphraseOf(stage)].includes(name));
        expect(job.environment).toBe(signs ? expression("inputs.job-environment") : undefined);
      }
    },
  );

  test.each(stages)("the key of stage %s goes with its passphrase to the one step that signs", (stage) => {
    const signing = Object.values(stageWorkflow(stage).jobs).flatMap((job) =>
      (job.steps ?? []).filter((step) => secretsRead(step).some((name) => name.startsWith("GOLDENPATH_"))),
    );
    expect(signing.map((step) => step.uses)).toEqual([
      `${actions}${{ build: "attest", promote: "promote" }[stage as string] ?? "sign"}`,
    ]);
    expect(signing[0]?.with).toMatchObject({
      key: expression(`secrets.${keyOf(stage)}`),
      "key-passphrase": expression(`secrets.${passphraseOf(stage)}`),
    });
  });

  test.each(stages)("the chain hands stage %s those secrets and no others, each under its own name", (stage) => {
    const declared = Object.keys(stageWorkflow(stage).on?.workflow_call?.secrets ?? {});
    const handed = Object.fromEntries(declared.map((name) => [name, expression(`secrets.${name}`)]));
    expect(jobOf(chain, stage).secrets).toEqual(handed);
    expect(jobOf(chain, stage).uses).toBe(`${workflows}stage-${stage}.yml`);
    expect(jobOf(chain, stage).with?.["job-environment"]).toBe(expression(`inputs.${stage}-job-environment`));
  });

  test("names secrets so that an environment can keep them", () => {
    // GitHub: letters, digits and underscores; a reusable workflow's own declaration would allow more, which then no
    // environment could provide.
    for (const workflow of files) {
      for (const name of [...secretsRead(workflow), ...Object.keys(workflow.on?.workflow_call?.secrets ?? {})])
        expect(name).toMatch(/^[A-Z_][A-Z0-9_]*$/);
    }
  });

  test("no job's word but a digest goes from one to the next: the repository is the organisation's", () => {
    const strings = [chain, ...stages.map(stageWorkflow)].flatMap(({ jobs }) => allStrings(Object.values(jobs)));
    // The key `needs` is the order of jobs; anywhere else the word is what they say, `toJSON(needs)` included.
    const needed = strings.flatMap((text) =>
      text === "needs" ? [] : [...text.matchAll(/\bneeds\b[\w.-]*/g)].map(([found]) => found),
    );
    expect([...new Set(needed)].sort()).toEqual([
      // An artifact's name says where to look, and no more: what is found has to be the digest. A cache is named by its own.
      ...platforms.flatMap((platform) =>
        ["artifact", "cache", "digest"].map((name) => `needs.build-${platform}.outputs.${name}`),
      ),
      "needs.build.outputs.artifact",
      "needs.build.outputs.cache",
      "needs.build.outputs.digest",
      "needs.take-in.outputs.digest",
    ]);
    for (const stage of ["base", "scan", "promote"] as const)
      expect(jobOf(chain, stage).with?.["image"]).toBe(
        `${expression("inputs.quarantine")}@${expression("needs.build.outputs.digest")}`,
      );
    expect(jobOf(chain, "build").with?.["repository"]).toBe(expression("inputs.quarantine"));
    expect(attest.steps?.at(-1)?.with?.["image"]).toBe(
      `${expression("inputs.repository")}${expression(
        `inputs.take-image != '' && format('@{0}', needs.take-in.outputs.digest) || ${isBuiltAsOne} && format('@{0}', needs.build.outputs.digest) || ''`,
      )}`,
    );
    expect(build.steps?.find((step) => step.id === "build")?.with?.["tags"]).toBe(
      `${expression("inputs.repository")}:${expression("inputs.tag")}`,
    );
  });

  test("no stage before promote gives more than a digest or a verdict", () => {
    const given = Object.fromEntries(
      stages.map((stage) => {
        const { jobs, on } = stageWorkflow(stage);
        const ofJobs = Object.values(jobs).flatMap((job) => Object.keys(job.outputs ?? {}));
        return [stage, { ofJobs, ofWorkflow: Object.keys(on?.workflow_call?.outputs ?? {}) }];
      }),
    );
    const only = (...names: string[]) => ({ ofJobs: names, ofWorkflow: names });
    expect(given).toEqual({
      build: {
        ofJobs: ["digest", ...building.flatMap(() => ["digest", "artifact", "cache"]), "digest"],
        ofWorkflow: ["digest"],
      },
      base: only("verdict"),
      scan: only("verdict"),
      promote: only("image", "digest"),
    });
    expect(Object.keys(chain.on?.workflow_call?.outputs ?? {})).toEqual(["image", "digest"]);
  });

  test("tools come from a mirror where the organisation names one, in each step that needs a tool", () => {
    const mirrored = steps.filter((step) => step.env?.["GOLDENPATH_TOOL_MIRROR"] !== undefined);
    expect(mirrored.map((step) => [step.uses, step.env?.["GOLDENPATH_TOOL_MIRROR"]])).toEqual([
      ...building.map(() => [`${actions}detect-and-build`, expression("inputs.tools-mirror")]),
      [`${actions}attest`, expression("inputs.tools-mirror")],
      [`${actions}scan`, expression("inputs.tools-mirror")],
    ]);
    for (const stage of ["build", "scan"])
      expect(jobOf(chain, stage).with?.["tools-mirror"]).toBe(expression("inputs.tools-mirror"));
  });

  test("promote waits for every stage before it, and asks for none of their verdicts: the gate does", () => {
    expect(jobOf(chain, "promote").needs).toEqual(["build", "base", "scan"]);
    for (const name of ["base", "scan"]) expect(jobOf(chain, name).needs).toBe("build");
    for (const job of Object.values(chain.jobs)) expect(job).not.toHaveProperty("if");
    for (const step of steps) expect(step).not.toHaveProperty("continue-on-error");
  });

  test("a failed verdict is signed as well, and no other stage's result", () => {
    for (const [stage, id] of [
      ["base", "enforce"],
      ["scan", "scan"],
    ] as const) {
      const sign = jobOf(stageWorkflow(stage), stage).steps?.find((step) => step.uses?.endsWith("/sign"));
      expect(sign?.if).toContain("!cancelled()");
      expect(sign?.if).toContain(`steps.${id}.outputs.verdict == 'fail'`);
      expect(sign?.with).toMatchObject({
        results: expression(`steps.${id}.outputs.result`),
        key: expression(`secrets.${keyOf(stage)}`),
      });
    }
  });
});

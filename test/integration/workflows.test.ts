import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "@goldenpath/core/exec/run";
import { describe, expect, test } from "vitest";
import { requireCommand, requireTool } from "../support/tools.ts";
import {
  actionFiles,
  allStrings,
  type Job,
  projectRoot,
  readWorkflow,
  readWorkflows,
  type Step,
  secretsRead,
} from "../support/workflows.ts";
import { requireZizmor } from "../support/zizmor.ts";

const files = readWorkflows();
/** As it stands in the YAML: in a string of its own it would look like a mistake for a template. */
const expression = (text: string): string => `\${{ ${text} }}`;
const stages = ["build", "base", "scan", "promote"] as const;
const keyOf = (stage: string): string => `GOLDENPATH_${stage.toUpperCase()}_KEY`;
const passphraseOf = (stage: string): string => `${keyOf(stage)}_PASSPHRASE`;
const stageWorkflow = (stage: string) => readWorkflow(`.github/workflows/stage-${stage}.yml`);
const chain = readWorkflow(".github/workflows/golden-path.yml");
const wrapper = readWorkflow("examples/organisation/.github/workflows/golden-path.yml");
const caller = readWorkflow("examples/caller/.github/workflows/golden-path.yml");
/** Jobs that run goldenpath's actions, and so need it checked out. */
const goldenpathJobs = files.flatMap(({ path, workflow }) =>
  Object.entries(workflow.jobs)
    .filter(([, { steps = [] }]) => steps.some((step) => step.uses?.startsWith("./") || step.with?.["path"] === ".goldenpath"))
    .map(([name, { steps = [] }]) => ({ path, name, steps })),
);
const guardOf = ({ steps }: (typeof goldenpathJobs)[number]): Step => steps[0] ?? {};
const steps = files.flatMap(({ path, workflow }) =>
  Object.values(workflow.jobs).flatMap((job) => (job.steps ?? []).map((step) => ({ path, step }))),
);
const allUses = files.flatMap(({ path, workflow }) =>
  Object.values(workflow.jobs).flatMap((job) =>
    [job.uses, ...(job.steps ?? []).map((step) => step.uses)].filter((uses) => uses !== undefined).map((uses) => ({ path, uses })),
  ),
);
const jobOf = (workflow: { jobs: Record<string, Job> }, name: string): Job => {
  const job = workflow.jobs[name];
  if (job === undefined) throw new Error(`there is no job ${name}`);
  return job;
};
/** What a badly written workflow looks like to the linters: without it, a linter that looks at nothing would pass. */
const unsafe = [
  "on: issues",
  "jobs:",
  "  one:",
  "    runs-on: ubuntu-latest",
  "    steps:",
  `      - run: echo "$${"{{ github.event.issue.title }}"}"`,
  "      - uses: actions/checkout@main",
  "",
].join("\n");

async function lintUnsafe(program: string, args: readonly string[]): Promise<{ exitCode: number; output: string }> {
  const directory = mkdtempSync(join(tmpdir(), "goldenpath-lint-"));
  try {
    const file = join(directory, "unsafe.yml");
    writeFileSync(file, unsafe);
    const { exitCode, stdout, stderr } = await runProcess(program, [...args, file], { env: process.env, cwd: projectRoot });
    return { exitCode, output: stdout + stderr };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("actionlint", () => {
  // shellcheck and pyflakes are machine-dependent extras: off, so that every machine gives the same answer.
  const options = ["-no-color", "-oneline", "-shellcheck=", "-pyflakes=", "-config-file", ".github/actionlint.yaml"];

  test("refuses an expression of a stranger's text in a script", async () => {
    const { exitCode, output } = await lintUnsafe(await requireTool("actionlint"), options);
    expect(output).toContain("github.event.issue.title");
    expect(exitCode).toBe(1);
  });

  test("finds nothing in the workflows", async () => {
    const actionlint = await requireTool("actionlint");
    const args = [...options, ...files.map((file) => file.path)];
    expect(await runProcess(actionlint, args, { env: process.env, cwd: projectRoot })).toMatchObject({ stdout: "", exitCode: 0 });
  });
});

describe("zizmor", () => {
  const options = ["--offline", "--no-progress", "--config", ".github/zizmor.yml", "--color", "never", "--quiet"];

  test("refuses an expression of a stranger's text in a script and an action that can move", async () => {
    const { exitCode, output } = await lintUnsafe(await requireZizmor(), options);
    expect(output).toContain("template-injection");
    expect(output).toContain("unpinned-uses");
    expect(exitCode).toBeGreaterThan(10);
  });

  test("finds nothing in the workflows and actions", async () => {
    const zizmor = await requireZizmor();
    const args = [...options, ...files.map((file) => file.path), ...actionFiles()];
    const { exitCode, stdout, stderr } = await runProcess(zizmor, args, { env: process.env, cwd: projectRoot });
    expect({ exitCode, output: stdout + stderr }).toEqual({ exitCode: 0, output: expect.stringContaining("No findings to report") });
  });
});

describe("every workflow", () => {
  test("is among those looked at", () => {
    expect(files.map((file) => file.path)).toEqual(
      expect.arrayContaining([
        ".github/workflows/ci.yml",
        ".github/workflows/golden-path.yml",
        ...stages.map((stage) => `.github/workflows/stage-${stage}.yml`),
        "examples/caller/.github/workflows/golden-path.yml",
        "examples/organisation/.github/workflows/golden-path.yml",
        "examples/pull-request/.github/workflows/pull-request.yml",
      ]),
    );
    expect(allUses.length).toBeGreaterThan(20);
  });

  test.each(allUses)("$path names $uses by a commit, or beside itself", ({ uses }) => {
    expect(uses).toMatch(/^(?:\.\/[\w./-]+|[\w.-]+\/[\w./-]+@[0-9a-f]{40})$/);
  });

  test("has no expression in a script", () => {
    for (const { path, step } of steps) expect(`${path}: ${step.run ?? ""}`).not.toContain("${{");
  });

  test.each(files)("$path starts from no permission, and its jobs read the contents at most", ({ workflow }) => {
    expect(workflow.permissions).toEqual({});
    for (const job of Object.values(workflow.jobs)) expect(job.permissions).toEqual({ contents: "read" });
  });

  test("leaves no token in a checkout", () => {
    const checkouts = steps.filter(({ step }) => step.uses?.startsWith("actions/checkout@"));
    expect(checkouts.length).toBeGreaterThan(5);
    for (const { step } of checkouts) expect(step.with).toMatchObject({ "persist-credentials": false });
  });

  test.each(goldenpathJobs)("$path takes goldenpath's actions in its job $name from its own commit only", (job) => {
    const checkout = job.steps.findIndex((step) => step.with?.["path"] === ".goldenpath");
    expect(job.steps[checkout]?.with).toMatchObject({
      repository: expression("job.workflow_repository"),
      ref: expression("job.workflow_sha"),
    });
    const used = job.steps.flatMap(({ uses }, index) => (uses?.startsWith("./") ? [{ uses, index }] : []));
    expect(used.length).toBeGreaterThan(0);
    for (const { uses, index } of used) {
      expect(uses).toMatch(/^\.\/\.goldenpath\/actions\/[a-z-]+$/);
      expect(index).toBeGreaterThan(checkout);
    }
    for (const { uses, env } of job.steps)
      if (uses?.startsWith("./")) expect(env).toMatchObject({ GOLDENPATH_WORKFLOW_REF: expression("job.workflow_ref") });
  });

  test("restores nothing that another job of the repository could have saved", () => {
    // A cache's archive is unpacked with whatever paths it names, and any job of the repository can save one under any key: a way from strangers' code to a key.
    expect(allUses.filter(({ uses }) => /cache|artifact/i.test(uses))).toEqual([]);
    for (const { path, step } of steps) {
      const saving = [...Object.keys(step.with ?? {}), ...Object.keys(step.env ?? {})].filter((name) => /cache/i.test(name));
      expect({ path, saving }).toEqual({ path, saving: [] });
    }
  });
});

describe("the guard before goldenpath is checked out", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const run = async (facts: Readonly<Record<string, string>>) => {
    const { exitCode, stdout, stderr } = await runProcess(
      await requireCommand("bash"),
      ["-e", "-o", "pipefail", "-c", guardOf(first).run ?? ""],
      {
        env: { PATH: process.env["PATH"], ...facts },
      },
    );
    return { exitCode, output: stdout + stderr };
  };
  const [first = { path: "", name: "", steps: [] }] = goldenpathJobs;

  test.each([
    ["both are empty", { WORKFLOW_REPOSITORY: "", WORKFLOW_SHA: "" }],
    ["neither is there", {}],
    ["the repository is empty", { WORKFLOW_REPOSITORY: "", WORKFLOW_SHA: commit }],
    ["the repository has no owner", { WORKFLOW_REPOSITORY: "goldenpath", WORKFLOW_SHA: commit }],
    ["the commit is empty", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: "" }],
    ["the commit is a branch", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: "main" }],
    ["the commit is short", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: commit.slice(1) }],
    ["the commit is longer", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: `${commit}0` }],
    ["the commit has a line before it", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: `main\n${commit}` }],
  ])("refuses where %s, and says what to do", async (_, facts) => {
    const { exitCode, output } = await run(facts as Record<string, string>);
    expect(exitCode).toBe(1);
    expect(output).toMatch(/^::error title=goldenpath::job\.workflow_repository and job\.workflow_sha .* Way out: [^\n]+\n$/);
  });

  test("lets a repository and a commit pass, without a word", async () => {
    expect(await run({ WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: commit })).toEqual({ exitCode: 0, output: "" });
  });

  test("is the same in every job that checks goldenpath out, of the very values that are checked out, and nothing comes before it", () => {
    expect(goldenpathJobs.map(({ path, name }) => `${path} ${name}`)).toEqual(
      expect.arrayContaining(
        ["build build", "build attest", "base base", "scan scan", "promote promote"].map(
          (id) => `.github/workflows/stage-${id.replace(" ", ".yml ")}`,
        ),
      ),
    );
    for (const job of goldenpathJobs) {
      expect(guardOf(job)).toEqual({
        name: expect.any(String),
        env: { WORKFLOW_REPOSITORY: expression("job.workflow_repository"), WORKFLOW_SHA: expression("job.workflow_sha") },
        shell: "bash",
        run: guardOf(first).run,
      });
    }
  });
});

describe("the trust model", () => {
  const build = jobOf(stageWorkflow("build"), "build");

  test("the job that runs strangers' code has no key, no environment, no token and no vetted credential", () => {
    expect(secretsRead(build)).toEqual(["QUARANTINE_PASSWORD", "QUARANTINE_USERNAME"]);
    expect(build.environment).toBeUndefined();
    expect(build.permissions).toEqual({ contents: "read" });
    const building = build.steps?.filter((step) => step.uses === "./.goldenpath/actions/detect-and-build");
    expect(building?.map((step) => secretsRead(step))).toEqual([[]]);
  });

  test("that job alone runs where its label says, and every other where the others' says: a caller can keep them on machines apart", () => {
    const labels = stages.flatMap((stage) =>
      Object.entries(stageWorkflow(stage).jobs).map(([name, job]) => [`${stage} ${name}`, job["runs-on"]]),
    );
    expect(Object.fromEntries(labels)).toEqual({
      "build build": expression("inputs.build-runs-on"),
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
    expect(checkouts(build).map((step) => step.with?.["path"])).toEqual(["application", ".goldenpath"]);
    const building = build.steps?.find((step) => step.id === "build");
    expect(building?.with?.["context"]).toBe(`application/${expression("inputs.context")}`);
    for (const stage of stages) {
      for (const job of Object.values(stageWorkflow(stage).jobs)) {
        if (job.steps?.some((step) => step.id === "build")) continue;
        expect(checkouts(job).map((step) => step.with?.["path"])).toEqual([".goldenpath"]);
      }
    }
  });

  test.each(stages)("the workflow of stage %s reads its own key, quarantine's login and (promote alone) vetted's", (stage) => {
    const quarantine = ["QUARANTINE_PASSWORD", "QUARANTINE_USERNAME"];
    const expected = [
      keyOf(stage),
      passphraseOf(stage),
      ...quarantine,
      ...(stage === "promote" ? ["VETTED_PASSWORD", "VETTED_USERNAME"] : []),
    ].sort();
    const workflow = stageWorkflow(stage);
    expect(secretsRead(workflow.jobs)).toEqual(expected);
    expect(Object.keys(workflow.on?.workflow_call?.secrets ?? {}).sort()).toEqual(expected);
    for (const job of Object.values(workflow.jobs)) {
      // A key is in the environment of the job that uses it, and only there.
      const signs = secretsRead(job).some((name) => [keyOf(stage), passphraseOf(stage)].includes(name));
      expect(job.environment).toBe(signs ? expression("inputs.signing-environment") : undefined);
    }
  });

  test.each(stages)("the key of stage %s goes with its passphrase to the one step that signs", (stage) => {
    const signing = Object.values(stageWorkflow(stage).jobs).flatMap((job) =>
      (job.steps ?? []).filter((step) => secretsRead(step).some((name) => name.startsWith("GOLDENPATH_"))),
    );
    expect(signing.map((step) => step.uses)).toEqual([`./.goldenpath/actions/${stage === "promote" ? "promote" : "sign"}`]);
    expect(signing[0]?.with).toMatchObject({
      key: expression(`secrets.${keyOf(stage)}`),
      "key-passphrase": expression(`secrets.${passphraseOf(stage)}`),
    });
  });

  test.each(stages)("the chain hands stage %s those secrets and no others, each under its own name", (stage) => {
    const declared = Object.keys(stageWorkflow(stage).on?.workflow_call?.secrets ?? {});
    const handed = Object.fromEntries(declared.map((name) => [name, expression(`secrets.${name}`)]));
    expect(jobOf(chain, stage).secrets).toEqual(handed);
    expect(jobOf(chain, stage).uses).toBe(`./.github/workflows/stage-${stage}.yml`);
    expect(jobOf(chain, stage).with?.["signing-environment"]).toBe(expression(`inputs.${stage}-signing-environment`));
  });

  test("names secrets so that an environment can keep them", () => {
    // GitHub: letters, digits and underscores; a reusable workflow's own declaration would allow more, which then no environment could provide.
    for (const { workflow } of files) {
      for (const name of [...secretsRead(workflow), ...Object.keys(workflow.on?.workflow_call?.secrets ?? {})])
        expect(name).toMatch(/^[A-Z_][A-Z0-9_]*$/);
    }
  });

  test("no job's word but a digest goes from one to the next: the repository is the organisation's", () => {
    const strings = [chain, ...stages.map(stageWorkflow)].flatMap(({ jobs }) => allStrings(Object.values(jobs)));
    // The key `needs` is the order of jobs; anywhere else the word is what they say, `toJSON(needs)` included.
    const needed = strings.flatMap((text) => (text === "needs" ? [] : [...text.matchAll(/\bneeds\b[\w.-]*/g)].map(([found]) => found)));
    expect([...new Set(needed)]).toEqual(["needs.build.outputs.digest"]);
    for (const stage of ["base", "scan", "promote"] as const)
      expect(jobOf(chain, stage).with?.["image"]).toBe(`${expression("inputs.quarantine")}@${expression("needs.build.outputs.digest")}`);
    expect(jobOf(chain, "build").with?.["repository"]).toBe(expression("inputs.quarantine"));
    const sign = jobOf(stageWorkflow("build"), "attest").steps?.at(-1);
    expect(sign?.with?.["image"]).toBe(`${expression("inputs.repository")}@${expression("needs.build.outputs.digest")}`);
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
    expect(given).toEqual({ build: only("digest"), base: only("verdict"), scan: only("verdict"), promote: only("image", "digest") });
    expect(Object.keys(chain.on?.workflow_call?.outputs ?? {})).toEqual(["image", "digest"]);
  });

  test("tools come from a mirror where the organisation names one, in each step that needs a tool", () => {
    const mirrored = steps.filter(({ step }) => step.env?.["GOLDENPATH_TOOL_MIRROR"] !== undefined);
    expect(mirrored.map(({ path, step }) => [path, step.uses, step.env?.["GOLDENPATH_TOOL_MIRROR"]])).toEqual([
      [".github/workflows/stage-build.yml", "./.goldenpath/actions/detect-and-build", expression("inputs.tools-mirror")],
      [".github/workflows/stage-build.yml", "./.goldenpath/actions/sign", expression("inputs.tools-mirror")],
      [".github/workflows/stage-scan.yml", "./.goldenpath/actions/scan", expression("inputs.tools-mirror")],
    ]);
    for (const stage of ["build", "scan"]) expect(jobOf(chain, stage).with?.["tools-mirror"]).toBe(expression("inputs.tools-mirror"));
  });

  test("promote waits for every stage before it, and asks for none of their verdicts: the gate does", () => {
    expect(jobOf(chain, "promote").needs).toEqual(["build", "base", "scan"]);
    for (const name of ["base", "scan"]) expect(jobOf(chain, name).needs).toBe("build");
    for (const job of Object.values(chain.jobs)) expect(job).not.toHaveProperty("if");
    for (const { step } of steps) expect(step).not.toHaveProperty("continue-on-error");
  });

  test("a failed verdict is signed as well, and no other stage's result", () => {
    for (const [stage, id] of [
      ["base", "enforce"],
      ["scan", "scan"],
    ] as const) {
      const sign = jobOf(stageWorkflow(stage), stage).steps?.find((step) => step.uses?.endsWith("/sign"));
      expect(sign?.if).toContain("!cancelled()");
      expect(sign?.if).toContain(`steps.${id}.outputs.verdict == 'fail'`);
      expect(sign?.with).toMatchObject({ results: expression(`steps.${id}.outputs.result`), key: expression(`secrets.${keyOf(stage)}`) });
    }
  });
});

describe("strangers' code and verdicts", () => {
  /** The actions of goldenpath that a job runs, by their names. */
  const actionsOf = ({ steps: all = [] }: Job): string[] =>
    all.flatMap(({ uses }) => /\/actions\/(?<name>[a-z-]+)(?:@|$)/.exec(uses ?? "")?.groups?.["name"] ?? []);
  const jobs = files.flatMap(({ path, workflow }) =>
    Object.entries(workflow.jobs).map(([name, job]) => ({ path, name, job, actions: actionsOf(job) })),
  );

  test("a job that builds does nothing else with goldenpath: it neither judges nor signs nor promotes", () => {
    const building = jobs.filter(({ actions }) => actions.includes("detect-and-build"));
    expect(building.map(({ path }) => path)).toEqual([
      ".github/workflows/stage-build.yml",
      "examples/pull-request/.github/workflows/pull-request.yml",
    ]);
    for (const { actions } of building) expect(actions).toEqual(["detect-and-build"]);
  });

  test("a job that judges, signs or promotes runs nothing of the application: it never checks it out, and has no scripts but the guard's", () => {
    const judging = jobs.filter(({ actions }) => actions.length > 0 && !actions.includes("detect-and-build"));
    expect(judging.length).toBeGreaterThan(4);
    for (const { job } of judging) {
      for (const step of job.steps ?? []) {
        if (step.uses?.startsWith("actions/checkout@")) expect(step.with?.["path"]).toBe(".goldenpath");
        if (step.run !== undefined) expect(step).toEqual(guardOf(goldenpathJobs[0] ?? { path: "", name: "", steps: [] }));
      }
    }
  });

  test("a pull request's job takes from the one that built a digest alone, in a repository that it names itself", () => {
    const { jobs: all } = readWorkflow("examples/pull-request/.github/workflows/pull-request.yml");
    const judge = jobOf({ jobs: all }, "judge");
    expect(judge.needs).toBe("build");
    const needed = allStrings([judge]).flatMap((text) => (text.includes("needs.") ? [text] : []));
    expect([...new Set(needed)]).toEqual([
      `registry.acme.example/pull-requests/${expression("github.event.repository.name")}@${expression("needs.build.outputs.digest")}`,
    ]);
    expect(secretsRead(all)).toEqual(["PULL_REQUEST_PASSWORD", "PULL_REQUEST_USERNAME"]);
  });
});

describe("an application's caller", () => {
  const path = jobOf(wrapper, "path");

  test("chooses neither the policy, nor goldenpath's version, nor the registries, nor the gate", () => {
    expect(Object.keys(wrapper.on?.workflow_call?.inputs ?? {})).toEqual(["context"]);
    const fromInputs = Object.entries(path.with ?? {}).filter(([, value]) => /\binputs\b/.test(value));
    expect(fromInputs.map(([name]) => name)).toEqual(["context"]);
    // A place and a key, and no version: promote holds it to what vetted says itself.
    expect(path.with?.["policy"]).toBe("oci://registry.acme.example/vetted/goldenpath-policy:in-force");
    expect(path.with?.["policy-signer"]).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    for (const value of Object.values(path.with ?? {})) expect(value).not.toMatch(/\b(?:vars|env|github\.head_ref|github\.ref_name)\b/);
  });

  test("is the only choice of a repository's name: the event's, which the caller's workflow cannot set", () => {
    for (const name of ["quarantine", "vetted"])
      expect(path.with?.[name]).toBe(`registry.acme.example/${name}/\${{ github.event.repository.name }}`);
  });

  test("names the organisation's wrapper and nothing of goldenpath", () => {
    expect(Object.values(caller.jobs).map((job) => job.uses?.split("@")[0])).toEqual(["acme/platform/.github/workflows/golden-path.yml"]);
    for (const job of Object.values(caller.jobs)) expect(job.steps).toBeUndefined();
  });

  test("reaches each stage's key and passphrase by their own names", () => {
    const declared = Object.keys(chain.on?.workflow_call?.secrets ?? {});
    expect(declared).toEqual(expect.arrayContaining(stages.flatMap((stage) => [keyOf(stage), passphraseOf(stage)])));
    expect(Object.keys(wrapper.on?.workflow_call?.secrets ?? {})).toEqual(declared);
    expect(path.secrets).toEqual(Object.fromEntries(declared.map((name) => [name, expression(`secrets.${name}`)])));
    for (const stage of stages) expect(path.with?.[`${stage}-signing-environment`]).toBe(`goldenpath-${stage}`);
  });

  test("gives only inputs and secrets that the workflow it calls declares, down the whole way", () => {
    const pairs = [{ job: path, called: chain }, ...stages.map((stage) => ({ job: jobOf(chain, stage), called: stageWorkflow(stage) }))];
    for (const { job, called } of pairs) {
      expect(Object.keys(called.on?.workflow_call?.inputs ?? {})).toEqual(expect.arrayContaining(Object.keys(job.with ?? {})));
      expect(Object.keys(called.on?.workflow_call?.secrets ?? {})).toEqual(expect.arrayContaining(Object.keys(job.secrets ?? {})));
    }
  });
});

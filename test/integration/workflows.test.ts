import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runProcess } from "@goldenpath/foundation/exec/run";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { requireCommand } from "../support/tools.ts";
import {
  allStrings,
  expression,
  type Job,
  jobOf,
  ownAction,
  places,
  projectRoot,
  readWorkflow,
  readWorkflows,
  type Step,
  secretsRead,
  stages,
} from "../support/workflows.ts";

const files = readWorkflows();
const steps = files.flatMap(({ path, workflow }) =>
  Object.values(workflow.jobs).flatMap((job) => (job.steps ?? []).map((step) => ({ path, step }))),
);
const allUses = files.flatMap(({ path, workflow }) =>
  Object.values(workflow.jobs).flatMap((job) =>
    [job.uses, ...(job.steps ?? []).map((step) => step.uses)]
      .filter((uses) => uses !== undefined)
      .map((uses) => ({ path, uses })),
  ),
);
/** Jobs that run goldenpath's actions as they are in its own repository. */
const goldenpathJobs = files.flatMap(({ path, workflow }) =>
  Object.entries(workflow.jobs)
    .filter(([, { steps = [] }]) => steps.some(({ uses }) => /^(?:\.|\$)\//.test(uses ?? "")))
    .map(([name, job]) => ({ path, name, job, steps: job.steps ?? [] })),
);
/** Those that need it checked out for that. */
const checkingOut = goldenpathJobs.filter(({ steps }) =>
  steps.some(({ uses, with: given }) => uses?.startsWith("./") || given?.["path"] === ".goldenpath"),
);
/** Jobs of the stages that sign, and the one that plans rebases, which may log in as itself. */
const signing = ["attest", "base", "scan", "judge", "rebase", "promote", "plan"];

/** What a release's jobs may do beyond reading the contents. */
const releasePermissions: Readonly<Record<string, Record<string, Record<string, string>>>> = {
  ".github/workflows/release.yml": {
    prove: { actions: "read", contents: "read" },
    release: { attestations: "write", contents: "write", "id-token": "write" },
    "publish-package": { "id-token": "write" },
    "publish-image": { attestations: "write", contents: "read", "id-token": "write", packages: "write" },
  },
  ".github/workflows/release-tools.yml": {
    release: { attestations: "write", contents: "write", "id-token": "write" },
    mirror: { contents: "read", packages: "write" },
  },
};
const commenting = "examples/pull-request/.github/workflows/pull-request-comment.yml";
/** A pull request's judgement without a file in its repository: an organisation's ruleset names it. */
const ruled = "examples/organisation/.github/workflows/pull-request.yml";
/** A change of the policy: what it lets in, and what it would do. */
const ofPolicy = "examples/organisation/.github/workflows/policy.yml";
/** What the comment's job may do: read what another run left, and write on pull requests. */
const commentPermissions: typeof releasePermissions = {
  [commenting]: { comment: { actions: "read", "pull-requests": "write" } },
  [ruled]: { comment: { actions: "read", "pull-requests": "write" }, required: {} },
  [ofPolicy]: { comment: { "pull-requests": "write" } },
};
const guardOf = ({ steps }: { steps: readonly Step[] }): Step => steps[0] ?? {};

describe("every workflow", () => {
  test("is among those looked at", () => {
    expect(files.map((file) => file.path)).toEqual(
      expect.arrayContaining([
        ".github/workflows/ci.yml",
        ...places.flatMap(({ folder }) => [
          `${folder}/golden-path.yml`,
          `${folder}/golden-path-compact.yml`,
          `${folder}/golden-path-each.yml`,
          `${folder}/golden-path-each-compact.yml`,
          `${folder}/mirror-data.yml`,
          `${folder}/golden-base.yml`,
          `${folder}/stage-judge.yml`,
          `${folder}/stage-rebase.yml`,
          `${folder}/rebase-image.yml`,
          `${folder}/fleet-rebase.yml`,
          ...stages.map((stage) => `${folder}/stage-${stage}.yml`),
        ]),
        "examples/caller/.github/workflows/golden-path.yml",
        "examples/organisation/.github/workflows/golden-path.yml",
        "examples/organisation/.github/workflows/golden-path-compact.yml",
        ofPolicy,
        "examples/organisation/.github/workflows/fleet.yml",
        "examples/organisation/.github/workflows/golden-base.yml",
        "examples/organisation/.github/workflows/rebase.yml",
        "examples/pull-request/.github/workflows/pull-request.yml",
        commenting,
        ruled,
      ]),
    );
    expect(allUses.length).toBeGreaterThan(20);
  });

  test.each(allUses)("$path names $uses by a commit, or beside itself", ({ uses }) => {
    expect(uses).toMatch(/^(?:[.$]\/[\w./-]+|[\w.-]+\/[\w./-]+@[0-9a-f]{40})$/);
  });

  test("has no expression in a script", () => {
    for (const { path, step } of steps) expect(`${path}: ${step.run ?? ""}`).not.toContain("${{");
  });

  test.each(files)(
    "$path starts from no permission, and its jobs read the contents at most, but for a release's, the comment's and tokens of who signs",
    ({ path, workflow }) => {
      expect(workflow.permissions).toEqual({});
      const more = { ...releasePermissions, ...commentPermissions }[path] ?? {};
      expect(Object.keys(workflow.jobs)).toEqual(expect.arrayContaining(Object.keys(more)));
      for (const [name, job] of Object.entries(workflow.jobs)) {
        // Of a called workflow some jobs sign: which ones is held to by the tests of trust.
        const signs =
          /golden-path(?:-compact)?\.yml|stage-\w+\.yml|(?:rebase-image|fleet-rebase)\.yml/.test(job.uses ?? "") ||
          signing.includes(name);
        const isOfPath = /golden-path|\/stage-|\/(?:rebase-image|fleet-rebase|rebase)\.yml$/.test(path);
        const promotes = name === "promote" || /golden-path|rebase-image|fleet-rebase/.test(job.uses ?? "");
        const own = {
          ...(promotes && isOfPath ? { actions: "read" } : {}),
          contents: "read",
          ...((signs && isOfPath) || path.endsWith("/mirror-data.yml") ? { "id-token": "write" } : {}),
          // Of those that make a golden base, all but the one that runs it.
          ...(path.endsWith("/golden-base.yml") && name !== "test" ? { "id-token": "write" } : {}),
        };
        expect(job.permissions).toEqual(more[name] ?? own);
      }
    },
  );

  test("of a release has no cache, builds where it has no right, and publishes only what has the digest that came by output", () => {
    for (const path of Object.keys(releasePermissions)) {
      for (const [name, job] of Object.entries(readWorkflow(path).jobs)) {
        expect({ name, cache: job["cache-mode"] }).toEqual({ name, cache: "none" });
        const own = job.steps ?? [];
        const mayWrite = Object.values(job.permissions ?? {}).includes("write");
        expect({ name, environment: job.environment !== undefined }).toEqual({ name, environment: mayWrite });
        // A package's install script is somebody else's code.
        if (mayWrite)
          for (const { run = "" } of own) expect(run).not.toMatch(/npm ci(?! --ignore-scripts)|npm install|npx /);
        const taken = own.findIndex((step) => step.uses?.startsWith("actions/download-artifact@"));
        if (taken === -1) continue;
        const checked = own.findIndex((step) =>
          allStrings(step.env ?? {}).some((text) => /needs\.\w+\.outputs\./.test(text)),
        );
        expect(own[checked]?.run).toMatch(/sha256sum --strict --check|image\.ts push .*=\$/);
        for (const step of own.slice(0, checked)) expect(step.uses ?? "").not.toMatch(/attest@/);
        expect(checked).toBeGreaterThan(taken);
      }
    }
  });

  test("leaves no token in a checkout", () => {
    const checkouts = steps.filter(({ step }) => step.uses?.startsWith("actions/checkout@"));
    expect(checkouts.length).toBeGreaterThan(5);
    for (const { step } of checkouts) expect(step.with).toMatchObject({ "persist-credentials": false });
  });

  test.each(checkingOut)("$path takes goldenpath's actions in its job $name from its own commit only", (job) => {
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
      if (uses?.startsWith("./"))
        expect(env).toMatchObject({ GOLDENPATH_WORKFLOW_REF: expression("job.workflow_ref") });
  });

  test("restores nothing that another job of the repository could have saved", () => {
    // A cache's archive is unpacked with whatever paths it names, and any job of the repository can save one under any key: a way from strangers' code to a key.
    // An artifact of the run is taken by one job, which holds it to a digest (workflows-trust.test.ts).
    const taking = allUses.filter(
      ({ path, uses }) => /cache|download-artifact/i.test(uses) && !Object.hasOwn(releasePermissions, path),
    );
    expect([...new Set(taking.map(({ path }) => path))]).toEqual([
      ...places.flatMap(({ folder }) => [`${folder}/stage-build.yml`, `${folder}/stage-judge.yml`]),
      // Held to the digest that the job which built has as its output, and by a job that signs nothing.
      ruled,
      "examples/pull-request/.github/workflows/pull-request.yml",
    ]);
    for (const { uses } of taking) expect(uses).toMatch(/^actions\/download-artifact@/);
    for (const { path, step } of steps) {
      // What it is told is an entry of quarantine, which it signs and does not unpack (docs/caches.md).
      if (ownAction(step) === "attest") continue;
      const saving = [...Object.keys(step.with ?? {}), ...Object.keys(step.env ?? {})].filter((name) =>
        /cache/i.test(name),
      );
      expect({ path, saving }).toEqual({ path, saving: [] });
    }
  });

  test("on github.com reaches goldenpath's actions where the workflow itself is, and none by a checkout that something could have written to", () => {
    const inFolder = goldenpathJobs.filter(({ path }) => path.startsWith(".github/workflows/"));
    expect(inFolder.map(({ path, name }) => `${path} ${name}`)).toEqual(
      expect.arrayContaining(
        ["build build", "build attest", "base base", "scan scan", "judge build", "judge judge", "promote promote"].map(
          (id) => `.github/workflows/stage-${id.replace(" ", ".yml ")}`,
        ),
      ),
    );
    for (const { job, steps: own } of inFolder) {
      for (const step of own) {
        expect(step.uses).not.toMatch(/^\./);
        if (ownAction(step) !== undefined)
          expect(step.env).toMatchObject({ GOLDENPATH_WORKFLOW_REF: expression("job.workflow_ref") });
      }
      expect(job["cache-mode"]).toBe("none");
    }
  });

  test("gives an action of goldenpath only inputs that it has, and those that it requires", () => {
    const own = steps.flatMap(({ path, step }) =>
      ownAction(step) === undefined ? [] : [{ path, step, action: ownAction(step) ?? "" }],
    );
    expect(own.length).toBeGreaterThan(15);
    for (const { path, step, action } of own) {
      const { inputs } = parse(readFileSync(join(projectRoot, "actions", action, "action.yml"), "utf8")) as {
        inputs: Record<string, { required?: boolean }>;
      };
      const given = Object.keys(step.with ?? {});
      const required = Object.keys(inputs).filter((name) => inputs[name]?.required === true);
      expect({ path, unknown: given.filter((name) => !Object.hasOwn(inputs, name)) }).toEqual({ path, unknown: [] });
      expect(given).toEqual(expect.arrayContaining(required));
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
  const [first = { steps: [] }] = checkingOut;

  test.each([
    ["both are empty", { WORKFLOW_REPOSITORY: "", WORKFLOW_SHA: "" }],
    ["neither is there", {}],
    ["the repository is empty", { WORKFLOW_REPOSITORY: "", WORKFLOW_SHA: commit }],
    ["the repository has no owner", { WORKFLOW_REPOSITORY: "goldenpath", WORKFLOW_SHA: commit }],
    ["the commit is empty", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: "" }],
    ["the commit is a branch", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: "main" }],
    ["the commit is short", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: commit.slice(1) }],
    ["the commit is longer", { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: `${commit}0` }],
    [
      "the commit has a line before it",
      { WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: `main\n${commit}` },
    ],
  ])("refuses where %s, and says what to do", async (_, facts) => {
    const { exitCode, output } = await run(facts as Record<string, string>);
    expect(exitCode).toBe(1);
    expect(output).toMatch(
      /^::error title=goldenpath::job\.workflow_repository and job\.workflow_sha .* Way out: [^\n]+\n$/,
    );
  });

  test("lets a repository and a commit pass, without a word", async () => {
    expect(await run({ WORKFLOW_REPOSITORY: "goldenpath-ci/goldenpath", WORKFLOW_SHA: commit })).toEqual({
      exitCode: 0,
      output: "",
    });
  });

  test("is the same in every job that checks goldenpath out, of the very values that are checked out, and nothing comes before it", () => {
    expect(checkingOut.map(({ path, name }) => `${path} ${name}`)).toEqual(
      expect.arrayContaining(
        ["build build", "build attest", "base base", "scan scan", "judge build", "judge judge", "promote promote"].map(
          (id) => `.github/workflows-ghes/stage-${id.replace(" ", ".yml ")}`,
        ),
      ),
    );
    for (const job of checkingOut) {
      expect(guardOf(job)).toEqual({
        name: expect.any(String),
        env: {
          WORKFLOW_REPOSITORY: expression("job.workflow_repository"),
          WORKFLOW_SHA: expression("job.workflow_sha"),
        },
        shell: "bash",
        run: guardOf(first).run,
      });
    }
  });
});

describe("strangers' code and verdicts", () => {
  /** The actions of goldenpath that a job runs, by their names. */
  const actionsOf = ({ steps: all = [] }: Job): string[] => all.flatMap((step) => ownAction(step) ?? []);
  const jobs = files.flatMap(({ path, workflow }) =>
    Object.entries(workflow.jobs).map(([name, job]) => ({ path, name, job, actions: actionsOf(job) })),
  );

  test("a job that builds does nothing else with goldenpath: it neither judges nor signs nor promotes", () => {
    const building = jobs.filter(({ actions }) => actions.includes("detect-and-build"));
    expect(building.map(({ path }) => path)).toEqual([
      // One image, and one of each platform; and one that takes an image in, and builds none.
      // Of several applications, one that lists them and builds none.
      ...places.flatMap(({ folder }) => [
        `${folder}/golden-path-each-compact.yml`,
        `${folder}/golden-path-each.yml`,
        ...Array<string>(4).fill(`${folder}/stage-build.yml`),
        ...Array<string>(4).fill(`${folder}/stage-judge.yml`),
      ]),
      ruled,
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
        if (step.run !== undefined) expect(step).toEqual(guardOf(checkingOut[0] ?? { steps: [] }));
      }
    }
  });

  test.each(["examples/pull-request/.github/workflows/pull-request.yml", ruled])(
    "a pull request's job takes from the one that built an image, held to the digest that it names: %s",
    (path) => {
      const { jobs: all } = readWorkflow(path);
      const judge = jobOf({ jobs: all }, "judge");
      expect(judge.needs).toBe("build");
      const needed = allStrings([judge]).flatMap((text) => (text.includes("needs.") ? [text] : []));
      expect([...new Set(needed)]).toEqual([
        `oci-layout:${expression("runner.temp")}/${expression("github.event.repository.name")}@${expression("needs.build.outputs.digest")}`,
      ]);
      expect(secretsRead(all)).toEqual(["GOLDEN_READ_PASSWORD", "GOLDEN_READ_USERNAME"]);
    },
  );

  test("what comments has a right that a fork's run never gets, and so one step, of ours: no checkout, no script, no secret", () => {
    const { on, jobs: all } = readWorkflow(commenting);
    expect(on).toEqual({ workflow_run: { workflows: ["pull request"], types: ["completed"] } });
    const { steps: own = [] } = jobOf({ jobs: all }, "comment");
    expect(own.map(ownAction)).toEqual(["report"]);
    expect(secretsRead(all)).toEqual([]);
    // Of the other run's words none but those that say which it was, and none of them reaches the step.
    expect(allStrings(own).filter((text) => text.includes("workflow_run"))).toEqual([]);
  });

  test("what a ruleset names runs for pull requests and merge queues, without filters that it would pass over", () => {
    const { on, jobs: all } = readWorkflow(ruled);
    expect(on).toEqual({ pull_request: null, merge_group: null });
    // Who may comment has no checkout, no script and no secret, and hands a page to be kept.
    const { steps: own = [] } = jobOf({ jobs: all }, "comment");
    expect(own.map((step) => step.uses?.split("@")[0])).toEqual([
      "goldenpath-ci/goldenpath/actions/report",
      "actions/upload-artifact",
    ]);
    expect(secretsRead({ comment: jobOf({ jobs: all }, "comment") })).toEqual([]);
  });

  describe("the job that a ruleset can ask for", () => {
    const { jobs: all } = readWorkflow(ruled);
    const [step] = jobOf({ jobs: all }, "required").steps ?? [];
    const run = (env: Record<string, string>): number | null =>
      spawnSync("bash", ["-c", step?.run ?? ""], { env: { PATH: process.env["PATH"], ...env } }).status;

    test.each([
      ["failure", "skipped"],
      ["cancelled", "skipped"],
      ["skipped", "success"],
      ["success", "failure"],
      ["success", "cancelled"],
      ["success", "skipped"],
      ["", ""],
    ])("fails where build ended in %j and judge in %j", (BUILD, JUDGE) => {
      expect(run({ BUILD, JUDGE })).toBe(1);
    });

    test("passes where both did", () => {
      expect(run({ BUILD: "success", JUDGE: "success" })).toBe(0);
    });
  });
});

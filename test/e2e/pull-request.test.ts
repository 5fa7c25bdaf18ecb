import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verdictOfPart } from "@goldenpath/core/report/comment/part";
import { readParts } from "@goldenpath/core/report/comment/state";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ActOptions, ActRun } from "../support/act.ts";
import { goldenpathCommit, goldenpathName, readPullRequestExample } from "../support/e2e-workflows.ts";
import { openWorld, type World } from "../support/e2e-world.ts";
import { type GithubStand, startGithub } from "../support/github-api.ts";
import { requireCommand, useTools } from "../support/tools.ts";
import { projectRoot } from "../support/workflows.ts";
import { zip } from "../support/zip.ts";

// A pull request's path by the example's two workflows, as they are, under act: its own run builds and judges, and leaves
// artifacts; the run that its end starts tells them in the comment, which is read back from GitHub's API by its
// description. Between the two runs this test is GitHub: it keeps the artifacts, and says which run ended.

const token = "ghs_of_the_test_0123456789";

describe("a pull request, by the workflows of examples/pull-request", () => {
  const tools = useTools("act", "cosign", "lifecycle", "launcher", "syft", "grype");
  let world: World;
  let github: GithubStand;

  // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
  beforeAll(async ({}, suite) => {
    world = await openWorld({ act: tools.act, cosign: tools.cosign, git: await requireCommand("git", suite) });
    github = await startGithub();
    askHere(join(world.directory, "goldenpath/actions/report"));
  });
  afterAll(async () => {
    await github?.close();
    await world?.close();
  });

  /** The example's workflows, with what an application's team and its organisation fill in. */
  const workflows = (): Record<string, string> =>
    Object.fromEntries(
      Object.entries(readPullRequestExample()).map(([path, text]) => [
        path,
        text
          .replaceAll(new RegExp(`(uses: ${goldenpathName}/[\\w./-]+)@0{40}`, "g"), `$1@${goldenpathCommit}`)
          .replaceAll(/policy: acme\/platform\/\/policy\.yaml@0{40}/g, `policy: ${world.platform.policyFile}`)
          .replaceAll("registry.acme.example", world.quarantine.host)
          .replace(
            /(actions\/scan@[\s\S]*?with:\n)/,
            `$1          database: ${join(projectRoot, "examples/vulnerability-data/grype-db")}\n`,
          ),
      ]),
    );

  /** The run of the pull request itself, whose head is in `from`. */
  async function runPullRequest(
    { name, source, from, files = {} }: { name: string; source?: string; from: string; files?: Record<string, string> },
    secrets: Readonly<Record<string, string>>,
  ) {
    const repository = { name, full_name: `acme/${name}`, default_branch: "main" };
    const event = (sha: string): ActOptions["event"] => ({
      name: "pull_request",
      payload: {
        ...{ action: "synchronize", number: 7, repository },
        pull_request: {
          ...{ number: 7, head: { sha, ref: "feature", repo: { full_name: from } } },
          base: { ref: "main", repo: repository },
        },
      },
    });
    return world.run(name, source, { ...workflows(), ...files }, {}, { event, secrets });
  }

  /** The run that its end starts, in the repository whose pull request it is. */
  async function runComment(of: { commit: string; artifacts: string }, from: string): Promise<ActRun> {
    Object.assign(github.pull, { sha: of.commit, branch: "feature", repository: from });
    github.artifacts = readArtifacts(of.artifacts);
    const event = (): ActOptions["event"] => ({
      name: "workflow_run",
      payload: {
        workflow_run: {
          ...{ id: 900, run_attempt: 1, html_url: "https://github.com/acme/shop/actions/runs/900" },
          ...{ event: "pull_request", conclusion: "failure", head_branch: "feature", head_sha: of.commit },
          head_repository: { full_name: from },
        },
        repository: { name: "shop", full_name: "acme/shop", default_branch: "main" },
      },
    });
    return world.run(
      "shop",
      undefined,
      workflows(),
      {},
      {
        ...{ event, secrets: { GITHUB_TOKEN: token } },
        env: { STAND_IN_GITHUB_API: github.url },
      },
    );
  }

  const comments = (): string[] => github.comments.map(({ body }) => body);

  test("with a vulnerable package ends in one comment that says what to do", async () => {
    const ran = await runPullRequest(
      { name: "shop", source: join(projectRoot, "examples/apps/web-vulnerable"), from: "acme/shop" },
      {
        GOLDEN_READ_USERNAME: world.secrets["PULL_USERNAME"] ?? "",
        GOLDEN_READ_PASSWORD: world.secrets["PULL_PASSWORD"] ?? "",
      },
    );
    expect(ran.jobs, ran.log).toEqual({ "pull request/build": "success", "pull request/judge": "failure" });
    const told = await runComment(ran, "acme/shop");
    expect({ exitCode: told.exitCode, log: told.exitCode === 0 ? "" : told.log }).toEqual({ exitCode: 0, log: "" });
    expect(github.faults).toEqual([]);
    expect(comments()).toHaveLength(1);
    const [body = ""] = comments();
    expect(body).toContain("### ❌ fail · golden path");
    expect(body).toContain("✅ build · ✅ base · ❌ scan");
    expect(body).toContain("**Update lodash to 4.17.21 (npm).**");
    expect(readParts(body)).toMatchObject([{ commit: ran.commit, claimed: true, run: { id: "900" } }]);
    expect(told.log).not.toContain(token);
    const image = github.artifacts.find(({ name }) => name === "image");
    expect(image).toBeDefined();
    expect(github.requests.filter((each) => each.endsWith(`/storage/${image?.id}`))).toEqual([]);
    // It was built, judged and told without a push.
    expect(Object.keys(await world.quarantine.snapshot()).filter((name) => name.includes("pull-requests"))).toEqual([]);
  });

  test("from a fork has no login, and its refused build is told in the same comment, by the same workflow", async () => {
    const fork = { name: "shop", from: "mallory/shop", files: { Dockerfile: "FROM scratch\n" } };
    const ran = await runPullRequest(fork, {});
    expect(ran.jobs["pull request/build"]).toBe("failure");
    expect(ran.jobs["pull request/judge"]).toBeUndefined();
    expect(ran.log).not.toContain("logged in to");
    const told = await runComment(ran, "mallory/shop");
    expect({ exitCode: told.exitCode, log: told.exitCode === 0 ? "" : told.log }).toEqual({ exitCode: 0, log: "" });
    expect(github.faults).toEqual([]);
    expect(comments()).toHaveLength(1);
    const [body = ""] = comments();
    expect(body).toContain("❌ build");
    expect(body).toContain("nothing of it is signed");
    expect(readParts(body).map((part) => [part.commit, verdictOfPart(part)])).toEqual([[ran.commit, "fail"]]);
  });
});

/** act gives every step github.com's address: the report asks another, where the run says which. */
function askHere(action: string): void {
  const file = join(action, "action.yml");
  writeFileSync(file, readFileSync(file, "utf8").replace("main: dist/index.js", "main: dist/ask-here.mjs"));
  writeFileSync(
    join(action, "dist/ask-here.mjs"),
    'if (process.env.STAND_IN_GITHUB_API) process.env.GITHUB_API_URL = process.env.STAND_IN_GITHUB_API;\nawait import("./index.js");\n',
  );
}

/** As GitHub keeps them: a zip each. The image is among them, and nobody may ask for it. */
function readArtifacts(folder: string): GithubStand["artifacts"] {
  return readdirSync(folder).map((name, at) => {
    const files = name === "image" ? [] : readdirSync(join(folder, name));
    const entries = files.map((file) => ({ name: file, content: readFileSync(join(folder, name, file)) }));
    return { id: at + 1, name, archive: zip(entries) };
  });
}

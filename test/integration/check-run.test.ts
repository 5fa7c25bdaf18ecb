import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StageResult } from "@goldenpath/core/result";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MockRequest } from "../support/github-api.ts";
import { openReportStand, type ReportStand, scanResult, type Told } from "../support/report-job.ts";

// The check run that a report leaves beside a commit, against GitHub's own description of its API.

let stand: ReportStand;
beforeEach(async () => {
  stand = await openReportStand();
});
afterEach(async () => {
  expect(stand.github.faults).toEqual([]);
  await stand.close();
});

interface Job {
  /** Violations, each at a line of its own. */
  findings?: number;
  event?: object;
  env?: Record<string, string>;
  inputs?: Record<string, string>;
}

const head = (repository: string): object => ({
  pull_request: { number: 7, head: { sha: stand.github.pull.sha, repo: { full_name: repository } } },
});

async function report({ findings = 0, event = head("acme/shop"), env = {}, inputs = {} }: Job = {}): Promise<Told> {
  const result = scanResult("shop", findings);
  const placed: StageResult = {
    ...result,
    violations: result.violations.map((each, at) => ({ ...each, place: { file: "package-lock.json", line: at + 1 } })),
  };
  await writeFile(join(stand.directory, "result.json"), JSON.stringify(placed));
  return stand.run({ event, env, inputs: { results: "result.json", comment: "never", ...inputs } });
}

const isOfCheck = ({ template }: MockRequest): boolean => template.includes("/check-runs");
const refuse = (status: number): void => {
  stand.github.intercept = (request) =>
    isOfCheck(request) ? { status, body: { message: "Resource not accessible by integration" } } : undefined;
};

describe("there is none", () => {
  test("of a fork's pull request, whatever the token may", async () => {
    const { checkUrl, log } = await report({ event: head("mallory/shop"), inputs: { "check-run": "always" } });
    expect({ checkUrl, requests: stand.github.requests }).toEqual({ checkUrl: "", requests: [] });
    expect(log.join("\n")).toContain("the pull request comes from mallory/shop, not from here");
  });

  test("nor where the head's repository is gone", async () => {
    await report({ event: { pull_request: { number: 7, head: { sha: stand.github.pull.sha, repo: null } } } });
    expect(stand.github.requests).toEqual([]);
  });

  test("of the end of another run, which may be a fork's", async () => {
    const ended = { workflow_run: { head_sha: stand.github.pull.sha, event: "pull_request" } };
    await report({ event: ended, env: { GITHUB_SHA: "b".repeat(40) } });
    expect(stand.github.checkRuns).toEqual([]);
  });

  test("of artifacts, which somebody else's run may have filled", async () => {
    const event = {
      workflow_run: {
        ...{
          id: 900,
          run_attempt: 1,
          html_url: "https://github.com/acme/shop/actions/runs/900",
          event: "pull_request",
        },
        ...{ head_repository: { full_name: "acme/shop" }, head_branch: "feature", head_sha: stand.github.pull.sha },
      },
    };
    const { log } = await report({ event, inputs: { results: "", artifact: "x", "check-run": "always" } });
    expect(stand.github.checkRuns).toEqual([]);
    expect(log.join("\n")).not.toContain("the check run:");
  });

  test("never: not even a question; without a token who asks hears why", async () => {
    await report({ inputs: { "check-run": "never" } });
    const { log } = await report({ inputs: { "check-run": "always", "github-token": "" } });
    expect(stand.github.requests).toEqual([]);
    expect(log.join("\n")).toContain("no check run is written: there is no token");
  });

  test("of no commit at all", async () => {
    await report({ event: {}, env: { GITHUB_SHA: "main" } });
    expect(stand.github.requests).toEqual([]);
  });
});

describe("a token that may not", () => {
  test.each([403, 404])("%i: the verdict is what it was, and by default nothing is said", async (status) => {
    refuse(status);
    const { outcome, error, log, checkUrl } = await report({ findings: 1 });
    expect({ verdict: outcome.verdict, enforced: outcome.enforced, error, checkUrl }).toEqual({
      ...{ verdict: "fail", enforced: false, error: undefined, checkUrl: "" },
    });
    expect(stand.github.requests).toHaveLength(1);
    expect(log.join("\n")).not.toContain("could not be written");
  });

  test("who asks for one hears which permission is missing", async () => {
    refuse(403);
    const { outcome, log } = await report({ inputs: { "check-run": "always" } });
    expect(outcome.verdict).toBe("pass");
    expect(log.join("\n")).toContain("permissions: checks: write");
  });

  test("another error warns, and no step fails", async () => {
    stand.github.intercept = (request) =>
      isOfCheck(request) ? { status: 500, body: { message: "Server Error" } } : undefined;
    const { outcome, log } = await report();
    expect(outcome.verdict).toBe("pass");
    expect(log.join("\n")).toContain("the check run could not be written");
  });
});

describe("a check run", () => {
  test("that passes has the report, and leads to the run", async () => {
    const { checkUrl } = await report();
    const [run] = stand.github.checkRuns;
    expect(checkUrl).toBe(`https://github.com/acme/shop/runs/${run?.id}`);
    expect(run).toMatchObject({
      ...{ name: "golden path (registry.acme.example/pull-requests/shop)", conclusion: "success", title: "Passed" },
      ...{ head_sha: stand.github.pull.sha, annotations: [] },
      details_url: "https://github.com/acme/shop/actions/runs/900",
    });
    expect(run?.summary).toContain("### ✅ pass · golden path");
  });

  test("that refuses has its annotations in batches of 50, each once", async () => {
    await report({ findings: 120 });
    const [run] = stand.github.checkRuns;
    expect(run).toMatchObject({ conclusion: "failure", title: "Refused: 120 violations" });
    expect(new Set(run?.annotations.map(({ start_line }) => start_line)).size).toBe(120);
    expect(stand.github.requests.map((each) => each.split(" ")[0])).toEqual(["POST", "PATCH", "PATCH"]);
  });

  test("that gets no more annotations is there with its verdict, and the step says so", async () => {
    stand.github.intercept = ({ method }) =>
      method === "PATCH" ? { status: 403, body: { message: "no more" } } : undefined;
    const { log, checkUrl, outcome } = await report({ findings: 60 });
    expect(checkUrl).not.toBe("");
    expect(outcome.verdict).toBe("fail");
    expect(stand.github.checkRuns[0]?.annotations).toHaveLength(50);
    expect(log.join("\n")).toContain("the check run has not all of its annotations");
  });

  test("of a merge queue's group is beside the group's commit, of a push beside what was pushed", async () => {
    await report({ event: { merge_group: { head_sha: "c".repeat(40) } }, env: { GITHUB_SHA: "d".repeat(40) } });
    await report({ event: { after: "e".repeat(40) }, env: { GITHUB_SHA: "d".repeat(40) } });
    expect(stand.github.checkRuns.map(({ head_sha }) => head_sha)).toEqual(["c".repeat(40), "d".repeat(40)]);
  });

  test("has the name that is given, so that a ruleset can name it", async () => {
    await report({ inputs: { "comment-key": "shop" } });
    expect(stand.github.checkRuns[0]?.name).toBe("golden path (shop)");
  });
});

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { verdictOfPart } from "@goldenpath/core/report/comment/part";
import { commentMarker, readParts } from "@goldenpath/core/report/comment/state";
import type { ListedViolation, StageResult } from "@goldenpath/core/result";
import { type Execution, executeVerb } from "@goldenpath/core/verbs/execute";
import { createReportVerb } from "@goldenpath/core/verbs/report";
import { silentPorts } from "@goldenpath/foundation/ports";
import { createCheckRunOpener } from "@goldenpath/runner/check-run";
import { createPullRequestOpener } from "@goldenpath/runner/pull-request";
import { createArtifactReader } from "@goldenpath/runner/run-artifacts";
import { type GithubStand, startGithub } from "./github-api.ts";

/** Milliseconds that stand for a second of all waits. */
const second = 20;
const verb = createReportVerb({
  openCheckRun: createCheckRunOpener(second),
  openPullRequest: createPullRequestOpener(second),
  readArtifacts: createArtifactReader(second),
});

export interface ReportStand {
  github: GithubStand;
  directory: string;
  /** Reports as a job of a run on GitHub, of `event` as GitHub's payload. */
  run(job: { event: object; env?: Record<string, string>; inputs: Record<string, string> }): Promise<Told>;
  /** Bodies of the comments that begin as ours do. */
  ours(): string[];
  /** Verdicts by what the comments call their parts. */
  told(): Record<string, string>;
  close(): Promise<void>;
}

export interface Told extends Execution {
  log: string[];
  /** The output `comment-url`. */
  url: string;
  /** The output `check-run-url`. */
  checkUrl: string;
}

export async function openReportStand(): Promise<ReportStand> {
  const github = await startGithub();
  const directory = await mkdtemp(join(tmpdir(), "goldenpath-report-job-"));
  await writeFile(join(directory, "policy.yaml"), "version: 1\nname: acme\nserial: 3\nscan: { failOn: high }\n");
  let jobs = 0;
  const ours = (): string[] =>
    github.comments.filter(({ body }) => body.startsWith(commentMarker)).map(({ body }) => body);
  return {
    github,
    directory,
    async run({ event, env = {}, inputs }) {
      const number = ++jobs;
      const payload = join(directory, `event-${number}.json`);
      await writeFile(payload, JSON.stringify(event));
      const log: string[] = [];
      const keep = (message: string): void => void log.push(message);
      const ports = silentPorts();
      const execution = await executeVerb(
        verb as Parameters<typeof executeVerb>[0],
        {
          policy: join(directory, "policy.yaml"),
          "github-token": "ghs_0123456789abcdefghij",
          "result-dir": join(directory, `out-${number}`),
          ...inputs,
        },
        {
          ports: { ...ports, log: { ...ports.log, debug: keep, info: keep, notice: keep, warning: keep } },
          run: { builderId: "local" },
          workingDirectory: directory,
          temporaryRoot: directory,
          defaultResultDirectory: directory,
          env: {
            GITHUB_API_URL: github.url,
            GITHUB_REPOSITORY: "acme/shop",
            GITHUB_EVENT_PATH: payload,
            GITHUB_RUN_ID: "900",
            GITHUB_RUN_ATTEMPT: "1",
            GITHUB_JOB: "judge",
            ...env,
          },
          signal: new AbortController().signal,
        },
      );
      const { "comment-url": url = "", "check-run-url": checkUrl = "" } = execution.outcome.outputs;
      return { ...execution, log, url, checkUrl };
    },
    ours,
    told: () =>
      Object.fromEntries(
        ours()
          .flatMap((body) => readParts(body))
          .map((part) => [part.key.replace("registry.acme.example/pull-requests/", ""), verdictOfPart(part)]),
      ),
    close: async () => {
      await github.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A scan's result of an image in the pull requests' place, which refuses as many findings. */
export function scanResult(image: string, findings: number, changes: Partial<ListedViolation> = {}): StageResult {
  const digest = `sha256:${"4c".repeat(32)}` as const;
  const verdict = findings > 0 ? "fail" : "pass";
  return {
    schemaVersion: "1.0",
    stage: "scan",
    verdict,
    subject: {
      repository: `registry.acme.example/pull-requests/${image}`,
      digest,
      mediaType: "m",
      children: [{ digest, mediaType: "m", verdict }],
    },
    violations: Array.from({ length: findings }, (_, at) => ({
      rule: "scan.severity",
      thing: `CVE-2026-${20_000 + at} in lodash 4.17.20`,
      problem: "It is a vulnerability of severity high; the policy refuses high and above.",
      wayOut: `Update lodash to 4.17.21 (npm), ${at}.`,
      ...changes,
    })),
    run: { builderId: "local" },
    tools: [],
    notes: [],
    startedAt: "2026-11-23T10:00:00Z",
    finishedAt: "2026-11-23T10:00:01Z",
  };
}

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ErrorCode } from "@goldenpath/foundation/error-codes";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { cleanText } from "@goldenpath/foundation/text/clean";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { loadPolicy } from "../policy/load.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { type Chain, deriveChain } from "../report/chain.ts";
import { describeChains, describeResults, type Part, type PartSource } from "../report/comment/part.ts";
import { commentModes } from "../report/comment/post.ts";
import type { OpenPullRequest } from "../report/comment/source.ts";
import { writeComment } from "../report/comment/write.ts";
import { renderChainMarkdown, renderNotes, renderResultMarkdown } from "../report/markdown.ts";
import { renderChainText } from "../report/terminal.ts";
import { resultSchemaVersion, type StageResult, stageResultSchema, type Verdict, type Violation } from "../result.ts";
import { collectEvidence } from "../signing/collect.ts";
import { identityInput } from "./identity-input.ts";
import { openPolicy, withImage } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { readStageResult } from "./results.ts";
import { choice, commonInputs, lines, optionalText, secretText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  ...identityInput,
  image: optionalText(),
  results: lines(),
  comment: choice(commentModes, "auto"),
  "comment-key": optionalText(),
  "github-token": secretText(),
});
type Inputs = z.infer<typeof inputs>;

/**
 * Shows the path of an image from its signed evidence, or what this job's result files say, and tells it in the one
 * comment of the pull request. It decides nothing and fails no step; its verdict is the worst of what it shows.
 * @param open the run's pull request, where there are some
 */
export function createReportVerb(open?: OpenPullRequest): Verb<typeof inputs> {
  return {
    name: "report",
    command: "report",
    inputs,
    positional: "image",
    outputs: ["markdown", "comment-url"],
    run: (given, context) => runReport(given, context, open),
  };
}

export const reportVerb = createReportVerb();

async function runReport(given: Inputs, context: Context, open: OpenPullRequest | undefined): Promise<VerbOutcome> {
  if ((given.image === undefined) === (given.results.length === 0)) {
    throw new UserError("input 'image' or input 'results' is required, one of them and not both", {
      code: "input-invalid",
      wayOut: "Give image to show its signed evidence, or results to show the result files of this job.",
    });
  }
  const startedAt = context.now();
  // Results of this job are shown under any policy; an image's evidence is read by it.
  const policy =
    given.image === undefined
      ? await loadPolicy(given.policy, context, given["policy-signer"])
      : await openPolicy(given, context, "report");
  const { describe, ...outcome } =
    given.image === undefined
      ? await reportResults(given.results, policy, context, startedAt)
      : await reportImage(given.image, policy, context, startedAt);
  const file = join(given["result-dir"] ?? context.temporaryDirectory, "report.md");
  await writeFile(file, cleanText(outcome.summary));
  const { comment: mode, "comment-key": key, "github-token": token } = given;
  const url = await writeComment({ mode, token, key }, describe, context, open);
  return { ...outcome, outputs: { markdown: file, "comment-url": url }, enforced: false };
}

interface Report extends Pick<VerbOutcome, "verdict" | "result" | "summary"> {
  /** For the comment. */
  describe(source: PartSource): Part[];
}

async function reportImage(given: string, policy: LoadedPolicy, context: Context, startedAt: Date): Promise<Report> {
  return withImage(given, context, policy, async ({ client, image }) => {
    const repository = { registry: image.reference.registry, name: image.reference.name };
    const chains: { title: string; chain: Chain }[] = [];
    const digests = new Map<Digest, string>([[image.reference.digest, "image"]]);
    for (const child of image.children)
      if (!digests.has(child.digest)) digests.set(child.digest, formatPlatform(child.platform));
    for (const [digest, title] of digests) {
      const evidence = await collectEvidence(client, repository, digest, policy.policy.signers, { now: context.now() });
      chains.push({ title, chain: deriveChain(formatRepository(repository), digest, evidence, policy.policy) });
    }
    for (const { chain } of chains) context.ports.log.info(renderChainText(chain, { color: false }));
    const violations = chains.flatMap(({ title, chain }) =>
      chainViolations(chain, digests.size > 1 && title !== "image" ? title : undefined),
    );
    const failed = new Set(
      chains
        .filter(({ chain }) => chain.stages.some((stage) => stage.state === "fail"))
        .map(({ chain }) => chain.digest),
    );
    const verdictFor = (digest: string): Verdict =>
      failed.has(digest as Digest) || failed.has(image.reference.digest) ? "fail" : "pass";
    const result = buildResult(context, {
      stage: "report",
      startedAt,
      subject: resultSubject(image, verdictFor),
      violations,
      policy,
    });
    const sections = chains.map(
      ({ title, chain }) => `${chains.length > 1 ? `#### ${title}\n\n` : ""}${renderChainMarkdown(chain)}`,
    );
    return {
      ...{ verdict: result.verdict, result, summary: `### The path of the image\n\n${sections.join("\n")}` },
      describe: (source) => [
        describeChains(
          chains.map(({ chain }) => chain),
          violations,
          source,
        ),
      ],
    };
  });
}

/**
 * What a reader should not overlook: stages that failed by their newest signed verdict, and stages before promote of
 * which nothing is signed.
 */
function chainViolations(chain: Chain, platform: string | undefined): Violation[] {
  const place = platform === undefined ? {} : { platform };
  return chain.stages.flatMap(({ stage, state, time }): Violation[] => {
    const thing = `stage ${stage}`;
    if (state === "fail") {
      const problem = `its newest signed verdict is FAILED (${time ?? "no time"}).`;
      return [
        {
          rule: "report.failed",
          thing,
          problem,
          wayOut: `See the result of the ${stage} stage for what to change, then build again.`,
          ...place,
        },
      ];
    }
    if (state === "missing" && stage !== "promote") {
      const problem = "nothing that counts is signed for it.";
      return [
        {
          rule: "report.missing",
          thing,
          problem,
          wayOut: `Run the ${stage} stage on this digest, and sign its result with that stage's key.`,
          ...place,
        },
      ];
    }
    return [];
  });
}

async function reportResults(
  files: readonly string[],
  policy: LoadedPolicy,
  context: Context,
  startedAt: Date,
): Promise<Report> {
  const results = await Promise.all(files.map((file) => readStageResult(file, context.workingDirectory)));
  const verdict = worst(results.map((result) => result.verdict));
  const subjects = new Map(
    results.flatMap(({ subject }) =>
      subject === undefined ? [] : [[`${subject.repository}@${subject.digest}`, subject]],
    ),
  );
  if (subjects.size > 1) {
    throw new UserError(`input 'results' names results of different images: ${[...subjects.keys()].join(", ")}`, {
      code: "input-invalid",
      wayOut: "Report each image in a step of its own.",
    });
  }
  const [first] = subjects.values();
  const policies = results.map((entry) => describePolicy(entry, policy));
  const errored = results.find((result) => result.verdict === "error");
  const result = stageResultSchema.parse({
    schemaVersion: resultSchemaVersion,
    stage: "report",
    verdict,
    ...(first === undefined ? {} : { subject: first }),
    violations: results.flatMap((entry) => entry.violations),
    ...(errored === undefined
      ? {}
      : {
          error: {
            code: "stage-error" satisfies ErrorCode,
            message: `stage ${errored.stage} ended in an error: ${errored.error?.message ?? "unknown"}`,
          },
        }),
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    run: { builderId: context.run.builderId },
    tools: [],
    notes: policies,
    startedAt: startedAt.toISOString(),
    finishedAt: context.now().toISOString(),
  });
  const sections = results.map(
    (entry, index) => `${renderResultMarkdown(entry)}\n${renderNotes(policies.slice(index, index + 1))}`,
  );
  return {
    ...{ verdict, result, summary: sections.join("\n") },
    describe: (source) => [describeResults(results, source)],
  };
}

/** A verdict says nothing without what it was judged by, and a report may be asked for under another policy. */
function describePolicy({ stage, policy }: StageResult, here: LoadedPolicy): string {
  if (policy === undefined) return `${stage}: made without a policy`;
  const other = policy.digest === here.digest ? "" : `; this report is under another one, serial ${here.policy.serial}`;
  return `${stage}: made under ${policy.uri}, serial ${policy.serial}, ${policy.digest}${other}`;
}

function worst(verdicts: readonly Verdict[]): Verdict {
  if (verdicts.includes("error")) return "error";
  return verdicts.includes("fail") ? "fail" : "pass";
}

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { cleanText } from "@goldenpath/foundation/text/clean";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { loadPolicy } from "../policy/load.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { type Chain, deriveChain, sortEvidence } from "../report/chain.ts";
import { planCheckRun } from "../report/check/plan.ts";
import { writeCheckRun } from "../report/check/write.ts";
import { describeChains } from "../report/comment/part.ts";
import { commentModes } from "../report/comment/post.ts";
import type { GithubSource } from "../report/comment/source.ts";
import { writeComment } from "../report/comment/write.ts";
import { renderChainMarkdown } from "../report/markdown.ts";
import { describeChainForPage } from "../report/page/describe.ts";
import type { Page } from "../report/page/model.ts";
import { renderPage } from "../report/page/render.ts";
import { renderChainText } from "../report/terminal.ts";
import type { Verdict, Violation } from "../result.ts";
import { collectEvidence } from "../signing/collect.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { identityInput } from "./identity-input.ts";
import { openPolicy, withImage } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { type Report, readResults, reportResults } from "./report-results.ts";
import { choice, commonInputs, lines, optionalText, secretText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  ...identityInput,
  image: optionalText(),
  results: lines(),
  artifact: optionalText(),
  comment: choice(commentModes, "auto"),
  "comment-key": optionalText(),
  "check-run": choice(commentModes, "auto"),
  "github-token": secretText(),
});
type Inputs = z.infer<typeof inputs>;

/**
 * Shows the path of an image from its signed evidence, or what this job's result files say, and tells it in the one
 * comment of the pull request. It decides nothing and fails no step; its verdict is the worst of what it shows.
 * @param github what a run on GitHub can be asked, where it is one
 */
export function createReportVerb(github?: GithubSource): Verb<typeof inputs> {
  return {
    name: "report",
    command: "report",
    inputs,
    positional: "image",
    outputs: ["markdown", "html", "comment-url", "check-run-url"],
    run: (given, context) => runReport(given, context, github),
  };
}

export const reportVerb = createReportVerb();

async function runReport(given: Inputs, context: Context, github: GithubSource | undefined): Promise<VerbOutcome> {
  const asked = [given.image !== undefined, given.results.length > 0, given.artifact !== undefined];
  if (asked.filter(Boolean).length !== 1) {
    throw new UserError(
      "input 'image', input 'results' or input 'artifact' is required, and no more than one of them",
      {
        code: "input-invalid",
        wayOut:
          "Give image to show its signed evidence, results to show the result files of this job, or artifact for those of the run whose end started this one.",
      },
    );
  }
  const startedAt = context.now();
  // Results of this job are shown under any policy; an image's evidence is read by it.
  const policy =
    given.image === undefined
      ? await loadPolicy(given.policy, context, given["policy-signer"])
      : await openPolicy(given, context, "report");
  const { describe, page, ...outcome } =
    given.image === undefined
      ? reportResults(await readResults(given, context, github), policy, context, startedAt, given)
      : await reportImage(given.image, policy, context, startedAt, given);
  const directory = given["result-dir"] ?? context.temporaryDirectory;
  const file = join(directory, "report.md");
  await writeFile(file, cleanText(outcome.summary));
  const html = join(directory, "report.html");
  await writeFile(html, renderPage(describePage(page, policy, context)));
  const { comment: mode, "check-run": checkMode, "github-token": token } = given;
  const url = await writeComment({ mode, token }, describe, context, github?.openPullRequest);
  const checkUrl = await writeCheckRun(
    { mode: checkMode, token, isClaimed: given.artifact !== undefined },
    (source) => planCheckRun(describe(source), outcome.result.violations),
    context,
    github?.openCheckRun,
  );
  const outputs = { markdown: file, html, "comment-url": url, "check-run-url": checkUrl };
  return { ...outcome, outputs, enforced: false };
}

function describePage(page: Report["page"], { uri, digest, policy }: LoadedPolicy, context: Context): Page {
  const { runUrl } = context.run;
  return {
    ...page,
    policy: { uri, digest, serial: policy.serial },
    madeAt: context.now().toISOString(),
    ...(runUrl === undefined ? {} : { run: runUrl }),
  };
}

async function reportImage(
  given: string,
  policy: LoadedPolicy,
  context: Context,
  startedAt: Date,
  { "comment-key": key }: Inputs,
): Promise<Report> {
  return withImage(given, context, policy, async ({ client, image }) => {
    const repository = { registry: image.reference.registry, name: image.reference.name };
    const chains: { title: string; chain: Chain; shown: readonly VerifiedStatement[] }[] = [];
    const digests = new Map<Digest, string>([[image.reference.digest, "image"]]);
    for (const child of image.children)
      if (!digests.has(child.digest)) digests.set(child.digest, formatPlatform(child.platform));
    for (const [digest, title] of digests) {
      const evidence = await collectEvidence(client, repository, digest, policy.policy.signers, { now: context.now() });
      const { shown } = sortEvidence(evidence, policy.policy);
      chains.push({ title, shown, chain: deriveChain(formatRepository(repository), digest, evidence, policy.policy) });
    }
    for (const { chain } of chains) context.ports.log.info(renderChainText(chain, { color: false }));
    const platformOf = (title: string): string | undefined =>
      digests.size > 1 && title !== "image" ? title : undefined;
    const violations = chains.flatMap(({ title, chain }) => chainViolations(chain, platformOf(title)));
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
          { ...source, key: key ?? formatRepository(repository) },
        ),
      ],
      page: {
        source: "signed",
        images: chains.map(({ title, chain, shown }) => {
          const platform = platformOf(title);
          const isIndex = digests.size > 1 && platform === undefined;
          const name = `${formatRepository(repository)}${isIndex ? " (index)" : platform === undefined ? "" : ` ${platform}`}`;
          const of = { isIndex, ...(platform === undefined ? {} : { platform }) };
          return describeChainForPage(name, chain, shown, chainViolations(chain, undefined), of);
        }),
      },
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

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { checkBuildVariables } from "../build/environment.ts";
import { hostPlatform, selectPlatform } from "../build/images.ts";
import { type BuildPlan, planBuild } from "../build/plan-build.ts";
import { readSource, type Source } from "../build/source.ts";
import { strategyNames } from "../build/strategies/find.ts";
import type { BuildJob, StrategyRunner } from "../build/strategies/runner.ts";
import { runners } from "../build/strategies/runners.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { code, escapeMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";
import { openPolicy, withClient } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { choice, commonInputs, keyValues, lines, optionalText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  context: z
    .string()
    .default(".")
    .transform((value) => value.trim() || "."),
  tags: lines().refine((tags) => tags.length > 0, "is required and was not given"),
  strategy: choice(["auto", ...strategyNames], "auto"),
  builder: optionalText(),
  env: keyValues(),
});
type Inputs = z.infer<typeof inputs>;

/**
 * Builds an application into an image in quarantine. The one verb that runs strangers' code: its job has no signing
 * key, no identity token and no login that writes to vetted, and what it says about the image is the build's own word,
 * which later stages check for themselves.
 */
export const buildVerb: Verb<typeof inputs> = {
  name: "detect-and-build",
  command: "build",
  inputs,
  positional: "context",
  outputs: ["image", "digest", "strategy", "sbom"],
  run: runBuild,
};

async function runBuild(given: Inputs, context: Context): Promise<VerbOutcome> {
  const startedAt = context.now();
  if (process.platform !== "linux") {
    throw new UserError(`images are built on Linux, and this machine runs ${process.platform}`, {
      code: "platform-unsupported",
      wayOut: "Run the build on a Linux runner; the other verbs run here, too.",
    });
  }
  checkBuildVariables(given.env, "input 'env'");
  const policy = await openPolicy(given, context, "build");
  const source = await readSource(given.context, context.workingDirectory, context.checkout);
  const plan = planBuild(policy.policy, {
    tags: given.tags,
    strategy: given.strategy,
    builder: given.builder,
    files: source.files,
    now: startedAt,
  });
  explainPlan(plan, source, context);
  return withClient(context, policy, async (client) => {
    const { image, sbom, ...built } = await build(given, plan, source, { context, client, policy });
    const result = buildResult(context, {
      stage: "build",
      startedAt,
      subject: resultSubject(image, () => "pass"),
      violations: [],
      policy,
      tools: built.tools,
      notes: built.notes,
    });
    const { digest } = image.reference;
    const outputs = {
      image: formatReference(image.reference),
      digest,
      strategy: plan.strategy.strategy,
      sbom: sbom === undefined ? "" : await writeSbom(sbom, digest, given["result-dir"] ?? context.temporaryDirectory),
    };
    context.ports.log.info(`built ${outputs.image}`);
    return { verdict: "pass", result, outputs, summary: renderBuildSummary(plan, outputs.image, result) };
  });
}

function explainPlan(plan: BuildPlan, source: Source, { ports }: Context): void {
  ports.log.info(`strategy ${plan.strategy.strategy}: ${plan.strategy.reason}`);
  for (const each of plan.strategy.notTaken) ports.log.info(each);
  ports.log.info(
    `builder ${plan.builder.name}, on base ${plan.runImage.base} (${formatReference(plan.runImage.reference)})`,
  );
  for (const each of source.project.passedOver)
    ports.log.notice(`project.toml says ${each}: passed over, since the policy says which are used`);
  for (const remark of [...source.project.remarks, ...plan.remarks]) ports.log.warning(remark);
}

interface BuiltImage {
  image: ImageFacts;
  sbom: string | undefined;
  tools: StageResult["tools"];
  notes: string[];
}

/**
 * The strategy's work, between what is the same for each: the way in before it, a look at what is really in the
 * registry after it.
 */
async function build(
  given: Inputs,
  plan: BuildPlan,
  source: Source,
  { context, client, policy }: { context: Context; client: RegistryClient; policy: LoadedPolicy },
): Promise<BuiltImage> {
  const platform = hostPlatform();
  // Before minutes of work: are both registries there, and do they let us in?
  const { registry, name } = plan.runImage.reference;
  const base = selectPlatform(
    await fetchImageFacts(client, plan.runImage.reference),
    platform,
    `base '${plan.runImage.base}'`,
  );
  await client.resolve(plan.tags[0]);
  const runner: StrategyRunner = runners[plan.strategy.strategy];
  const runImage = { registry, name, digest: base.digest };
  const { plainHttp } = policy.policy.registries;
  const job: BuildJob = { plan, platform, runImage, source, variables: given.env, context, client, plainHttp };
  const built = await runner.run(job);
  const image = await fetchImageFacts(client, { ...plan.repository, digest: built.digest });
  const sbom = await runner.fetchSbom(image, selectPlatform(image, platform, "the built image"), job);
  const notes = [
    ...built.notes,
    ...source.project.passedOver.map((each) => `project.toml says ${each}: passed over`),
    ...source.project.remarks,
    ...plan.remarks,
    ...(sbom === undefined ? [runner.noSbom] : []),
  ];
  return { image, sbom, tools: built.tools, notes };
}

async function writeSbom(text: string, digest: Digest, directory: string): Promise<string> {
  const file = join(directory, `build-${digestHex(digest).slice(0, 12)}.cdx.json`);
  await writeFile(file, text);
  return file;
}

/**
 * Names, reasons and notes come from the policy, the application and the registry: each goes into the table as text,
 * not as Markdown.
 */
export function renderBuildSummary(
  plan: BuildPlan,
  image: string,
  result: Pick<StageResult, "tools" | "notes">,
): string {
  const rows: [string, string][] = [
    ["Image", code(image)],
    ["Tags", plan.tags.map((tag) => code(tag.tag ?? "")).join(" ")],
    ["Repository", code(formatRepository(plan.repository))],
    ["Strategy", escapeMarkdown(`${plan.strategy.strategy}: ${plan.strategy.reason}`)],
    ["Builder", escapeMarkdown(plan.builder.name)],
    ["Base", `${escapeMarkdown(plan.runImage.base)}, ${code(plan.runImage.reference.digest)}`],
    ["Tools", escapeMarkdown(result.tools.map((tool) => `${tool.name} ${tool.version}`).join(", "))],
  ];
  const table = rows.map(([name, value]) => `| ${name} | ${value} |`).join("\n");
  return `### Built\n\n| | |\n| --- | --- |\n${table}\n\n${result.notes.map((note) => `- ${escapeMarkdown(note)}`).join("\n")}\n`;
}

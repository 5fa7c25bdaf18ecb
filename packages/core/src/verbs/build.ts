import { writeFile } from "node:fs/promises";
import { isAbsolute, join, posix, relative } from "node:path";
import { isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { cleanLine } from "@goldenpath/foundation/text/clean";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { resolveBases } from "../base/approval/gather-versions.ts";
import { checkBuildVariables } from "../build/environment.ts";
import { describeProblem, explainBuild, renderExplanation } from "../build/explain-build.ts";
import { hostPlatform } from "../build/images.ts";
import { withLocalRegistry } from "../build/local-registry.ts";
import type { BuildOptions, Secret } from "../build/options.ts";
import { type BuildPlan, planBuild } from "../build/plan-build.ts";
import { noRules, type StrategyRequest } from "../build/plan-strategy.ts";
import { parsePlatforms, planMerge } from "../build/platforms/merge.ts";
import { itsOwnBuildpacks } from "../build/project.ts";
import { readSource, type Source } from "../build/source.ts";
import { findDockerfile } from "../build/strategies/dockerfile/find-file.ts";
import { engineNames, strategyNames } from "../build/strategies/find.ts";
import type { BuildJob, Target } from "../build/strategies/runner.ts";
import { writeLayout } from "../layouts/write-layout.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { escapeMarkdown, renderResultMarkdown } from "../report/markdown.ts";
import { type ExpandedTags, expandTags } from "../tags/expand.ts";
import { adoptImage } from "./build-adopt.ts";
import { cacheUses, handOutCache } from "./build-cache.ts";
import { mergeBuilds } from "./build-merge.ts";
import { buildOnce, listPassedOver } from "./build-once.ts";
import { renderBuildSummary } from "./build-summary.ts";
import { type BuiltImage, buildTwice } from "./build-twice.ts";
import { elsewhereInputs } from "./elsewhere-input.ts";
import { openPolicy, withClient } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import {
  type Answer,
  choice,
  commonInputs,
  distinctKeyValues,
  flag,
  keyValues,
  lines,
  optionalText,
  secretValues,
  type Verb,
  type VerbOutcome,
} from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  context: z
    .string()
    .default(".")
    .transform((value) => value.trim() || "."),
  push: flag(true),
  tags: lines().refine((tags) => tags.length > 0, "is required and was not given"),
  repository: optionalText(),
  flavor: lines(),
  strategy: choice(["auto", ...strategyNames], "auto"),
  builder: optionalText(),
  module: optionalText(),
  explain: flag(false),
  env: keyValues(),
  file: optionalText(),
  target: optionalText(),
  "build-args": keyValues(),
  secrets: secretValues(),
  engine: choice(["auto", ...engineNames], "auto"),
  image: optionalText(),
  ...elsewhereInputs,
  platforms: lines(),
  digests: distinctKeyValues(),
  "verify-reproducible": flag(false),
  cache: choice(cacheUses, "auto"),
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
  outputs: ["image", "digest", "layout", "artifact", "cache", "strategy", "sbom", "applications", "explanation"],
  run: runBuild,
  question: {
    input: "explain",
    inputs: inputs
      .pick({ context: true, strategy: true, builder: true, module: true, file: true, "policy-signer": true })
      .extend({
        policy: optionalText(),
      }),
    ask: (given, context) => explain(given as Question, context),
  },
};

type Question = Pick<Inputs, "context" | "strategy" | "builder" | "module" | "file" | "policy-signer"> & {
  policy?: string | undefined;
};

/** What is against the file that the input names; undefined where it names none. */
async function findFault({ file }: Question, source: Source, context: Context): Promise<unknown> {
  if (file === undefined) return undefined;
  return findDockerfile(source, file, context).then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** How the application would be built, and on what grounds: nothing of it runs, and no registry is asked for anything. */
async function explain(given: Question, context: Context): Promise<Answer> {
  const rules =
    given.policy === undefined
      ? noRules
      : (await openPolicy({ policy: given.policy, "policy-signer": given["policy-signer"] }, context, "build")).policy;
  const source = await readSource(given.context, context.workingDirectory, context.checkout);
  const explained = explainBuild(rules, readRequest(given, source, context), source.project);
  const error = explained.error ?? (await findFault(given, source, context));
  const { passedOver, remarks } = source.project;
  const isTold = explained.explanation.buildpacks.length > 0;
  const swaps = passedOver
    .filter((each) => !isTold || each !== itsOwnBuildpacks)
    .map((each) => `project.toml says ${each}: passed over, since the policy says which are used`);
  const explanation = {
    ...explained.explanation,
    notTaken: [...explained.explanation.notTaken, ...swaps.map((each) => cleanLine(each))],
    remarks: [...explained.explanation.remarks, ...remarks.map((each) => cleanLine(each))],
    ...(isKnownError(error) ? { problem: describeProblem(error) } : {}),
  };
  const { applications, chosen } = explanation;
  const lines = renderExplanation(explanation);
  // To be told which of several there are is what was asked for.
  const isAnswered = isKnownError(error) && error.code === "applications-several";
  return {
    outputs: {
      strategy: chosen?.strategy ?? "",
      applications: stringifyJson(applications),
      explanation: stringifyJson(explanation),
    },
    summary: `### How it is built\n\n${lines.map((line) => escapeMarkdown(line)).join("\\\n")}\n`,
    lines,
    document: explanation,
    ...(error === undefined || isAnswered ? {} : { error }),
  };
}

function readRequest(
  { context, strategy, builder, module, file }: Pick<Inputs, "context" | "strategy" | "builder" | "module" | "file">,
  { directory, survey: top, below }: Source,
  { workingDirectory }: Context,
): StrategyRequest {
  const fromHere = relative(workingDirectory, directory);
  // A folder elsewhere on the machine, which only a command line may name, is called as it was given.
  const folder = isAbsolute(context) && !fromHere.startsWith("..") ? fromHere : posix.normalize(context);
  return { strategy, builder, module, file, tree: { top, below }, context: folder.replace(/\/$/, "") || "." };
}

async function runBuild(given: Inputs, context: Context): Promise<VerbOutcome> {
  const platforms = parsePlatforms(given.platforms);
  if (Object.keys(given.digests).length > 0) return runMerge(given, platforms, context);
  if (given.image !== undefined) return runAdoption(given, given.image, context);
  if (given.bundle.length > 0 || given["from-api"] !== undefined) throw onlyOfImage(given.bundle.length > 0);
  const startedAt = context.now();
  if (process.platform !== "linux") {
    throw new UserError(`images are built on Linux, and this machine runs ${process.platform}`, {
      code: "platform-unsupported",
      wayOut: "Run the build on a Linux runner; the other verbs run here, too.",
    });
  }
  requireOwnPlatform(platforms);
  checkBuildVariables(given.env, "input 'env'");
  const policy = await openPolicy(given, context, "build");
  const source = await readSource(given.context, context.workingDirectory, context.checkout);
  const options = readOptions(given, context);
  const tags = makeTags(given, context);
  const resolved = await withClient(context, policy, (client) => resolveBases(client, policy, startedAt));
  const plan = planBuild(resolved.policy, {
    tags: tags.references,
    application: readRequest(given, source, context),
    options,
    project: source.project,
    variables: given.env,
    now: startedAt,
  });
  plan.remarks.push(...tags.remarks);
  explainPlan(plan, source, context);
  const work: Work = { given, plan, source, options, policy, startedAt };
  const own: Target = { repository: plan.repository, tags: plan.tags };
  if (given.push) return buildImage(work, own, context);
  return withLocalRegistry(context, (local) => buildImage(work, local.targetOf(own), local.context));
}

interface Work extends Pick<BuildJob, "source" | "options"> {
  given: Inputs;
  plan: BuildPlan;
  policy: LoadedPolicy;
  startedAt: Date;
}

/** @param to where it is pushed to, which is not the plan's place where the image leaves as a layout */
function buildImage(work: Work, to: Target, context: Context): Promise<VerbOutcome> {
  const { given, plan, source, options, policy, startedAt } = work;
  return withClient(context, policy, async (client) => {
    // What is to come out twice is built twice, from the source alone.
    const use = given["verify-reproducible"] ? "none" : given.cache;
    const once = (target: Target, from: Source): Promise<BuiltImage> =>
      buildOnce({ plan, to: target, source: from, variables: given.env, options }, { use, context, client, policy });
    const {
      image: pushed,
      sbom,
      violations,
      ...built
    } = given["verify-reproducible"]
      ? await buildTwice({ to, source, context, client, build: once })
      : { ...(await once(to, source)), violations: [] };
    const image = { ...pushed, reference: { ...pushed.reference, ...plan.repository } };
    const result = buildResult(context, {
      stage: "build",
      startedAt,
      subject: resultSubject(image, () => (violations.length === 0 ? "pass" : "fail")),
      violations,
      policy,
      tools: built.tools,
      notes: built.notes,
    });
    const { digest } = image.reference;
    const directory = given["result-dir"] ?? context.temporaryDirectory;
    const layout =
      given.push || violations.length > 0 ? "" : join(directory, `image-${digestHex(digest).slice(0, 12)}`);
    const tags = plan.tags.map(({ tag = "" }) => tag);
    if (layout !== "") await writeLayout(client, pushed.reference, layout, { tags, signal: context.signal });
    const outputs = {
      image: formatReference(image.reference),
      digest,
      layout,
      artifact: layout === "" ? "" : `goldenpath-image-${digestHex(digest)}`,
      cache: await handOutCache(built.cache, layout, { plan, client, context }),
      strategy: plan.strategy.strategy,
      sbom: sbom === undefined ? "" : await writeSbom(sbom, digest, directory),
    };
    context.ports.log.info(`built ${outputs.image}${layout === "" ? "" : `, pushed nowhere: it is in ${layout}`}`);
    const differences = violations.length === 0 ? "" : `\n${renderResultMarkdown(result, "built twice")}`;
    const summary = `${renderBuildSummary(plan, outputs.image, result)}${differences}`;
    return { verdict: result.verdict, result, outputs, summary };
  });
}

const makeTags = ({ tags, flavor, repository }: Inputs, { run, now }: Context): ExpandedTags =>
  expandTags({ lines: tags, flavor, repository }, { ...run, now: now() });

async function runMerge(given: Inputs, platforms: readonly string[], context: Context): Promise<VerbOutcome> {
  const builds = planMerge(platforms, given.digests);
  const { references, remarks } = makeTags(given, context);
  return mergeBuilds({ builds, tags: references, remarks }, await openPolicy(given, context, "build"), context);
}

/** @throws UserError `input-invalid` for another strategy: an image that is there is not built */
async function runAdoption(given: Inputs, image: string, context: Context): Promise<VerbOutcome> {
  if (given.strategy !== "auto" && given.strategy !== "image") {
    throw new UserError(`input 'image' is given, and strategy '${given.strategy}' builds one itself`, {
      code: "input-invalid",
      wayOut: "Leave one of the two inputs out.",
    });
  }
  if (!given.push) {
    throw new UserError(
      "input 'image' is given, and 'push' is false: what is taken in is copied from registry to registry",
      {
        code: "input-invalid",
        wayOut: "Leave 'push' out: nothing of the application runs in this step, so that its login is nobody else's.",
      },
    );
  }
  const { references, remarks } = makeTags(given, context);
  const policy = await openPolicy(given, context, "build");
  const elsewhere = { files: given.bundle, repository: given["from-api"] };
  return adoptImage({ image, builder: given.builder, tags: references, remarks, elsewhere }, policy, context);
}

function onlyOfImage(isBundle: boolean): UserError {
  return new UserError(
    `input '${isBundle ? "bundle" : "from-api"}' says what is signed about an image of elsewhere, and 'image' names none`,
    {
      code: "input-invalid",
      wayOut: "Name the image by the input 'image', or leave the other out: what is built here is attested here.",
    },
  );
}

/** What is built is this machine's: of several platforms each is built by a job on a machine of its own. */
function requireOwnPlatform(platforms: readonly string[]): void {
  const own = formatPlatform(hostPlatform());
  if (platforms.every((platform) => platform === own)) return;
  throw new UserError(`input 'platforms' is ${platforms.join(", ")}, and this machine builds for ${own}`, {
    code: "platform-unsupported",
    wayOut:
      "Build each platform in a job on a runner of its own, and merge their digests by the input 'digests' (the reusable workflow has the jobs).",
  });
}

function explainPlan(plan: BuildPlan, source: Source, { ports }: Context): void {
  ports.log.info(`strategy ${plan.strategy.strategy}: ${plan.strategy.reason}`);
  for (const each of plan.strategy.notTaken) ports.log.info(each);
  const base =
    plan.runImage === undefined ? "" : `, on base ${plan.runImage.base} (${formatReference(plan.runImage.reference)})`;
  ports.log.info(`builder ${plan.builder.name}${base}`);
  for (const each of listPassedOver(plan, source))
    ports.log.notice(`project.toml says ${each}: passed over, since the policy says which are used`);
  for (const remark of [...source.project.remarks, ...plan.remarks]) ports.log.warning(remark);
}

/** Values of secrets may be in variables of the job: `ID=env://NAME`, which is how one has several lines. */
function readOptions(given: Inputs, { env, ports }: Context): BuildOptions {
  const secrets = new Map<string, Secret>();
  for (const [id, text] of Object.entries(given.secrets)) {
    const name = /^env:\/\/(.+)$/.exec(text)?.[1];
    const value = name === undefined ? text : env[name];
    if (value === undefined || value === "") {
      throw new UserError(
        `input 'secrets': '${id}' has no value${name === undefined ? "" : `: there is no variable ${name}`}`,
        {
          code: "input-invalid",
          wayOut: "Write each line as ID=VALUE, or as ID=env://NAME with the variable in the step's env.",
        },
      );
    }
    for (const line of [value, ...value.split(/\r?\n/)]) if (line.trim() !== "") ports.mask(line);
    secrets.set(id, { value });
  }
  const { module, file, target, "build-args": buildArgs, engine } = given;
  return { module: module?.replace(/^(?:\.\/)+|\/+$/g, ""), file, target, buildArgs, secrets, engine };
}

async function writeSbom(text: string, digest: Digest, directory: string): Promise<string> {
  const file = join(directory, `build-${digestHex(digest).slice(0, 12)}.cdx.json`);
  await writeFile(file, text);
  return file;
}

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describeError, isKnownError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { createCredentialStore } from "@goldenpath/registry-client/credentials";
import { isPlainHttpHost } from "@goldenpath/registry-client/endpoint";
import { type Digest, digestHex } from "@goldenpath/registry-client/oci/digest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { fetchBuildpacks, formatBuildpack, renderOrder } from "../build/buildpackage.ts";
import { checkBuildVariables, selectBuildEnvironment } from "../build/environment.ts";
import { hostPlatform, selectPlatform } from "../build/images.ts";
import { runLifecycle } from "../build/lifecycle.ts";
import { type BuildPlan, planBuild } from "../build/plan.ts";
import { renderRegistryAuth } from "../build/registry-auth.ts";
import { openSandbox, type Sandbox } from "../build/sandbox/sandbox.ts";
import { fetchBuildSboms, mergeSboms } from "../build/sbom.ts";
import { copySource, readSource, type Source } from "../build/source.ts";
import { openWorkspace, type Workspace, writePlatformVariables } from "../build/workspace.ts";
import { loadPolicy } from "../policy/load.ts";
import { code, escapeMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";
import type { FoundTool } from "../tools/find.ts";
import { prefetchPrivateTools } from "../tools/private.ts";
import { createPolicyClient } from "./client.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { choice, commonInputs, keyValues, lines, optionalText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  context: z
    .string()
    .default(".")
    .transform((value) => value.trim() || "."),
  tags: lines().refine((tags) => tags.length > 0, "is required and was not given"),
  strategy: choice(["auto", "buildpacks"], "auto"),
  engine: choice(["auto", "lifecycle"], "auto"),
  builder: optionalText(),
  env: keyValues(),
});
type Inputs = z.infer<typeof inputs>;

/**
 * Builds an application into an image in quarantine. The one verb that runs strangers' code: its job has no signing key, no identity token and no login that
 * writes to vetted, and what it says about the image is the build's own word, which later stages check for themselves.
 */
export const buildVerb: Verb<typeof inputs> = {
  name: "detect-and-build",
  command: "build",
  inputs,
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
  const policy = await loadPolicy(given.policy, context, given["policy-signer"]);
  const source = await readSource(given.context, context.workingDirectory, context.checkout);
  const plan = planBuild(policy.policy, {
    tags: given.tags,
    strategy: given.strategy,
    builder: given.builder,
    files: source.files,
    now: startedAt,
  });
  explainPlan(plan, source, context);
  const { plainHttp } = policy.policy.registries;
  const client = createPolicyClient(context, policy);
  try {
    const built = await build(given, plan, source, { context, client, plainHttp });
    const image = await fetchImageFacts(client, { ...plan.repository, digest: built.digest });
    const child = selectPlatform(image, hostPlatform(), "the built image");
    const sbom = mergeSboms(await fetchBuildSboms(client, image, child, context.signal), context.ports.log);
    const result = buildResult(context, {
      stage: "build",
      startedAt,
      subject: resultSubject(image, () => "pass"),
      violations: [],
      policy,
      tools: built.tools,
      notes: [
        ...built.notes,
        ...source.project.passedOver.map((each) => `project.toml says ${each}: passed over`),
        ...source.project.remarks,
        ...plan.remarks,
        ...(sbom === undefined ? ["the buildpacks made no CycloneDX SBOM"] : []),
      ],
    });
    const outputs = {
      image: formatReference(image.reference),
      digest: built.digest,
      strategy: plan.strategy.strategy,
      sbom: sbom === undefined ? "" : await writeSbom(sbom, built.digest, given["result-dir"] ?? context.temporaryDirectory),
    };
    context.ports.log.info(`built ${outputs.image}`);
    return { verdict: "pass", result, outputs, summary: renderBuildSummary(plan, outputs.image, result) };
  } finally {
    await client.close();
  }
}

function explainPlan(plan: BuildPlan, source: Source, { ports }: Context): void {
  ports.log.info(`strategy ${plan.strategy.strategy}: ${plan.strategy.reason}`);
  for (const each of plan.strategy.notTaken) ports.log.info(each);
  ports.log.info(`builder ${plan.builder.name}, on base ${plan.runImage.base} (${formatReference(plan.runImage.reference)})`);
  for (const each of source.project.passedOver)
    ports.log.notice(`project.toml says ${each}: passed over, since the policy says which are used`);
  for (const remark of [...source.project.remarks, ...plan.remarks]) ports.log.warning(remark);
}

interface Built {
  digest: Digest;
  tools: StageResult["tools"];
  notes: string[];
}

async function build(
  given: Inputs,
  plan: BuildPlan,
  source: Source,
  surroundings: { context: Context; client: RegistryClient; plainHttp: readonly string[] },
): Promise<Built> {
  const { context, client, plainHttp } = surroundings;
  const { ports, env, signal } = context;
  const platform = hostPlatform();
  // Before minutes of work: are both registries there, and do they let us in?
  const runImage = selectPlatform(await fetchImageFacts(client, plan.runImage.reference), platform, `base '${plan.runImage.base}'`);
  await client.resolve(plan.tags[0]);
  const [lifecycle, launcher] = await prefetchPrivateTools(["lifecycle", "launcher"], context);
  if (lifecycle === undefined || launcher === undefined) throw new TypeError("two tools were asked for");

  const workspace = await openWorkspace({ repository: plan.repository, ports, env });
  let sandbox: Sandbox | undefined;
  try {
    const copied = await copySource(source, workspace.app, signal);
    ports.log.info(`copied ${copied.files} files (${copied.bytes} bytes) of the application`);
    const packages = await fetchBuildpacks(plan.buildpacks, workspace.buildpacks, { client, ports, signal, platform });
    sandbox = await keepApart(workspace, plan, source, context);
    const own = { ...source.project.env, ...given.env };
    const environment = selectBuildEnvironment(env, sandbox === undefined ? own : { ...sandbox.variables, ...own }, sandbox !== undefined);
    await writePlatformVariables(workspace, { TMPDIR: workspace.temporary, ...environment.platform });
    const digest = await runLifecycle({
      workspace,
      context,
      sandbox,
      lifecycle: await workspace.placeProgram(lifecycle.path, "lifecycle"),
      launcher: await workspace.placeProgram(launcher.path, "launcher"),
      environment: environment.process,
      registryAuth: await renderRegistryAuth(createCredentialStore({ env, ports, signal }), [plan.repository, plan.runImage.reference]),
      insecureRegistries: [plan.repository.registry, plan.runImage.reference.registry].filter(
        (host, index, all) => isPlainHttpHost(host, plainHttp) && all.indexOf(host) === index,
      ),
      order: renderOrder(packages),
      runImage: { registry: plan.runImage.reference.registry, name: plan.runImage.reference.name, digest: runImage.digest },
      tags: plan.tags,
    });
    return {
      digest,
      tools: [lifecycle, launcher].map(describeTool).concat(
        packages.map((each, index) => ({
          name: `buildpack ${each.id}`,
          version: each.version,
          ...sha256Of(plan.buildpacks[index]?.digest),
        })),
      ),
      notes: [
        `builder ${plan.builder.name}: ${packages.map(formatBuildpack).join(", ")}`,
        ...describeIsolation(sandbox),
        ...(workspace.isUsualPath
          ? []
          : ["built beside another build of this repository: a rebuild has other paths in it, and another digest"]),
      ],
    };
  } finally {
    await sandbox?.close();
    // What is left behind is removed by the next build of this repository; the outcome of this one stands.
    await workspace
      .remove()
      .catch((error: unknown) => ports.log.warning(`the build's folder could not be removed: ${describeError(error)}`));
  }
}

/** The room that strangers' code runs in; none where this machine has none to give and the policy goes without. */
async function keepApart(
  workspace: Workspace,
  plan: BuildPlan,
  source: Source,
  { ports, env, signal }: Context,
): Promise<Sandbox | undefined> {
  // It is tried out as the one who will build, who has to get to what lies below /tmp.
  await workspace.handOver(workspace.builder, workspace.temporary);
  try {
    return await openSandbox({ workspace, env, ports, signal, secret: [source.directory] });
  } catch (error) {
    if (!plan.mayBeUnisolated || !isKnownError(error) || error.code !== "build-not-isolated") throw error;
    ports.log.warning(`${error.message}: it runs unisolated, as the policy allows`);
    return undefined;
  }
}

function describeIsolation(sandbox: Sandbox | undefined): string[] {
  if (sandbox === undefined) return ["buildEnvironment: host-unisolated", "built on the bare host: nothing kept the build apart from it"];
  const refused = [...sandbox.refused].slice(0, 10);
  return [
    "buildEnvironment: host",
    `built on a host, in namespaces of its own (by ${sandbox.way})`,
    ...(refused.length === 0 ? [] : [`the build asked for addresses that no build gets to: ${refused.join(", ")}`]),
  ];
}

function describeTool({ name, version, sha256 }: FoundTool): StageResult["tools"][number] {
  return { name, version, ...(sha256 === undefined ? {} : { sha256 }) };
}

function sha256Of(digest: Digest | undefined): { sha256?: string } {
  return digest?.startsWith("sha256:") === true ? { sha256: digestHex(digest) } : {};
}

async function writeSbom(text: string, digest: Digest, directory: string): Promise<string> {
  const file = join(directory, `build-${digestHex(digest).slice(0, 12)}.cdx.json`);
  await writeFile(file, text);
  return file;
}

/** Names, reasons and notes come from the policy, the application and the registry: each goes into the table as text, not as Markdown. */
export function renderBuildSummary(plan: BuildPlan, image: string, result: Pick<StageResult, "tools" | "notes">): string {
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

import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts, ImageFacts } from "@goldenpath/registry-client/subject";
import { z } from "zod";
import { gatherPolicyBases } from "../base/approval/gather.ts";
import { buildBasePredicate, formatProvenBases, renderBaseSummary } from "../base/base-report.ts";
import { type BaseDecision, type ChildBaseFacts, decideBase } from "../base/decide.ts";
import { gatherApprovedBases } from "../base/gather.ts";
import { gatherRebuilt, readChildLayers } from "../base/gather-child.ts";
import { chooseLeftovers } from "../base/habits/leftovers.ts";
import { type ApprovedBase, identifyBase, platformOf } from "../base/identify.ts";
import { listBuildImages } from "../build/strategies/find.ts";
import type { Antipattern } from "../policy/images-section.ts";
import type { Policy } from "../policy/schema.ts";
import { withSignedExceptions } from "../policy/signed-exceptions/gather.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { identityInput } from "./identity-input.ts";
import { openPolicy, withImage } from "./open.ts";
import { buildResult, resultSubject } from "./outcome.ts";
import { choice, commonInputs, requiredText, type Verb, type VerbOutcome } from "./verb.ts";

const inputs = z.object({
  ...commonInputs,
  ...identityInput,
  image: requiredText(),
  mode: choice(["enforce", "audit"], "enforce"),
});
type Inputs = z.infer<typeof inputs>;

/**
 * Proves from its layers which base an image stands on, and judges it by the policy's catalogue; each child of an index
 * has its own verdict. Output: `base`, the proven one as `HOST/NAME@sha256:…`; for an index with several one a line;
 * empty where there is none.
 */
export const enforceVerb: Verb<typeof inputs> = {
  name: "enforce-golden-base",
  command: "enforce",
  inputs,
  positional: "image",
  outputs: ["base"],
  run: runEnforce,
};

async function runEnforce(given: Inputs, context: Context): Promise<VerbOutcome> {
  const startedAt = context.now();
  const opened = await openPolicy(given, context, "base");
  return withImage(given.image, context, opened, async ({ client, image }) => {
    context.ports.log.info(`judging the base of ${formatReference(image.reference)}`);
    const { loaded: policy, notes } = await withSignedExceptions(client, opened, image.reference, startedAt);
    const platforms = image.children.map(platformOf);
    const approved = await gatherPolicyBases(client, policy, platforms, startedAt);
    const buildImages = await gatherApprovedBases(
      client,
      listBuildImages(policy.policy.build.builders),
      platforms,
      "image of builder",
    );
    const looked = listLooked(policy.policy);
    const children: ChildBaseFacts[] = [];
    for (const child of image.children)
      children.push(await gatherChild(client, image, child, approved, looked, context.signal));
    const decision = decideBase({
      repository: image.reference,
      isIndex: image.children[0]?.digest !== image.reference.digest,
      children,
      approved,
      buildImages,
      rules: policy.policy.images,
      looked,
      customRules: policy.policy.rules,
      exceptions: policy.policy.exceptions,
      enforceFrom: policy.policy.enforceFrom,
      now: startedAt,
    });
    logDecision(decision, context);
    const verdicts = new Map<string, "pass" | "fail">(decision.children.map((child) => [child.digest, child.verdict]));
    const result = buildResult(context, {
      stage: "base",
      startedAt,
      subject: resultSubject(image, (digest) => verdicts.get(digest) ?? "error"),
      violations: decision.violations,
      policy,
      predicateType: predicateTypes.base,
      predicate: buildBasePredicate(
        { repository: formatRepository(image.reference), digest: image.reference.digest },
        decision,
      ),
      notes: [...decision.notes, ...notes],
    });
    return {
      verdict: result.verdict,
      result,
      outputs: { base: formatProvenBases(decision) },
      summary: renderBaseSummary(result, decision, given.mode === "audit"),
      enforced: given.mode === "enforce",
    };
  });
}

/** What the policy has refused, by this stage or by an environment's gate. */
function listLooked({ images, environments }: Pick<Policy, "images" | "environments">): Antipattern[] {
  return [...images.refuse, ...Object.values(environments).flatMap((each) => each.images?.refuse ?? [])];
}

async function gatherChild(
  client: RegistryClient,
  image: ImageFacts,
  child: ChildFacts,
  approved: readonly ApprovedBase[],
  refuse: readonly Antipattern[],
  signal: AbortSignal,
): Promise<ChildBaseFacts> {
  const platform = platformOf(child);
  const diffIds = child.config.rootfs.diff_ids;
  const match = identifyBase({ platform, diffIds }, approved);
  const read = await readChildLayers(client, image.reference, child, match?.matchedLayers ?? 0, {
    signal,
    leftovers: chooseLeftovers(refuse),
  });
  const rebuilt =
    read.foreign === undefined ? undefined : await gatherRebuilt(client, read.foreign, platform, approved, signal);
  return {
    digest: child.digest,
    platform,
    diffIds,
    labels: child.config.config?.Labels ?? {},
    annotations: child.manifest.annotations ?? {},
    habits: child.config,
    leftovers: read.leftovers,
    layers: read.diffIds,
    blobs: child.manifest.layers,
    ...(rebuilt === undefined ? {} : { rebuilt }),
    ...(read.trees === undefined ? {} : { trees: read.trees }),
  };
}

function logDecision(decision: BaseDecision, context: Context): void {
  for (const { platform, base, matchedLayers, totalLayers } of decision.children) {
    const found =
      base === undefined
        ? "stands on no approved base"
        : `stands on '${base.name}' (${matchedLayers} of ${totalLayers} layers)`;
    context.ports.log.info(`${formatPlatform(platform)} ${found}`);
  }
}

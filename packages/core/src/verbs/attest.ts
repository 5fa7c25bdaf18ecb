import { UserError } from "@goldenpath/foundation/errors";
import type { RunFacts } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import type { ImageFacts } from "@goldenpath/registry-client/subject";
import type { z } from "zod";
import { resolveBases } from "../base/approval/gather-versions.ts";
import {
  findByBuildType,
  findStrategy,
  isOfElsewhere,
  type StrategyName,
  strategyNames,
} from "../build/strategies/find.ts";
import { rebase } from "../build/strategies/rebase.ts";
import type { BuildStrategy, FoundBase } from "../build/strategies/strategy.ts";
import { gatherRebased } from "../gate/gather-rebased.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { StageResult } from "../result.ts";
import { catalogImage } from "../scan/catalog.ts";
import { describeBuild } from "../signing/build-facts.ts";
import { findAttested } from "../signing/find-attested.ts";
import { gatherBases } from "../signing/gather-bases.ts";
import { type GatheredSigned, gatherSigned } from "../signing/gather-signed.ts";
import { predicateTypes } from "../signing/predicates.ts";
import {
  type BuildEnvironment,
  buildEnvironments,
  buildProvenance,
  type ProvenEnvironment,
} from "../signing/provenance.ts";
import { buildStatement, buildSubjects } from "../signing/statement.ts";
import type { Statement } from "../signing/types.ts";
import { withPrivateTools } from "../tools/private.ts";
import { attachAll, type Signing, signedImage, signingInputs, wholeImage, withSigning } from "./attachments.ts";
import { attestCaches } from "./attest-cache.ts";
import { bringLayouts } from "./attest-layouts.ts";
import { choice, distinctKeyValues, jsonLabels, lines, optionalText, type RunnerLabels, type Verb } from "./verb.ts";

const inputs = signingInputs({
  "build-environment": choice(buildEnvironments, "host"),
  strategy: choice(["auto", ...strategyNames], "auto"),
  "build-runners": jsonLabels(),
  layout: lines(),
  platforms: lines(),
  digests: distinctKeyValues(),
  tags: lines(),
  cache: lines(),
  "rebased-from": optionalText(),
});
type Inputs = z.infer<typeof inputs>;

/**
 * Attests a build with what this job sees for itself: provenance, and an SBOM; and attaches them to the image and to
 * its children.
 */
export const attestVerb: Verb<typeof inputs> = {
  name: "attest",
  command: "attest",
  inputs,
  positional: "image",
  outputs: ["image", "digest", "attestations"],
  run: async (given, context) => {
    const startedAt = context.now();
    const outcome = await withSigning(
      "attest",
      given,
      context,
      (work) => withPrivateTools(["syft"], context, () => attestBuild(work, given, startedAt)),
      (policy) => (given.layout.length === 0 ? Promise.resolve(given.image) : bringLayouts(given, policy, context)),
    );
    const { repository = "", digest = "" } = outcome.result.subject ?? {};
    return { ...outcome, outputs: { ...outcome.outputs, image: `${repository}@${digest}`, digest } };
  },
};

/** Provenance, and an SBOM per child, which is attached to that child and to the index. */
async function attestBuild(work: Signing, given: Inputs, startedAt: Date): Promise<StageResult["tools"]> {
  const { client, image, context } = work;
  // New builds run in the version of a builder that was approved last.
  const policy = await resolveBases(client, work.policy, startedAt);
  const bases = await gatherBases(client, image, work.policy, context.now());
  const signed = await gatherView(work, policy, given, bases);
  const { isContained, ...facts } = describeBuild(signedImage(image), policy, runOf(work), bases, {
    strategy: chooseStrategy(given),
    configs: image.children.map((child) => child.config),
    signed,
  });
  const sboms = [];
  for (const child of image.children) sboms.push({ child, ...(await catalogImage(client, image, context, child)) });
  const runners = selectRunners(given["build-runners"], image);
  const provenance = buildProvenance({
    ...facts,
    buildSays: runners === undefined ? facts.buildSays : { ...facts.buildSays, runners },
    buildEnvironment: sayEnvironment(given["build-environment"], policy, { isContained, buildType: facts.buildType }),
    startedOn: startedAt,
    finishedOn: context.now(),
  });
  const whole = wholeImage(image);
  const children = image.children.map((child) => child.digest);
  await attachAll(
    work,
    [
      { target: whole, statement: provenance, about: [image.reference.digest, ...children] },
      ...sboms.map(({ child, sbom }) => {
        const subjects = buildSubjects(whole.repository, [image.reference.digest, child.digest]);
        return {
          target: { ...whole, children: [child.descriptor] },
          statement: buildStatement(subjects, predicateTypes.cyclonedx, sbom),
          detail: formatPlatform(child.platform),
          about: [child.digest],
        };
      }),
    ].map(({ about, ...each }) => ({ ...each, statement: takeAttested(work, signed, each.statement, about) })),
  );
  await attestCaches(work, given);
  return [...new Map(sboms.map(({ tool }) => [`${tool.name} ${tool.version}`, tool])).values()];
}

/** A schedule comes to the same rebased image again and again, until what keeps it out is gone: that adds nothing. */
function takeAttested(
  { policy: { policy }, signer: { material }, context }: Signing,
  signed: GatheredSigned | undefined,
  next: Statement,
  about: readonly Digest[],
): Statement {
  if (signed?.rebased === undefined) return next;
  return findAttested(next, about, signed, { policy, material, now: context.now() }) ?? next;
}

/**
 * Who builds, by the job's own token where it signs by that: the server vouches for it in the certificate, also where its
 * runners don't know which commit of a workflow was called (GitHub Enterprise Server).
 */
function runOf({ context, signer: { material } }: Signing): RunFacts {
  if (material.kind !== "workflow-run") return context.run;
  return { ...context.run, builderId: material.identity.buildSignerUri };
}

/** What others have signed, where anything of the policy rests on that, and what was rebased. */
async function gatherView(
  { client, image, context }: Signing,
  policy: LoadedPolicy,
  { "rebased-from": from }: Inputs,
  bases: readonly (FoundBase | undefined)[],
): Promise<GatheredSigned | undefined> {
  const takesOthers = policy.policy.build.strategies.some((name) => {
    const { isElsewhere, isRebase }: BuildStrategy = findStrategy(name);
    return isElsewhere === true && isRebase !== true;
  });
  if (!takesOthers && from === undefined) return undefined;
  const now = context.now();
  const signed = await gatherSigned(client, image, policy, now);
  if (from === undefined) return signed;
  const named = bases.flatMap((base) => (base === undefined ? [] : [base]));
  return { ...signed, rebased: await gatherRebased(client, image, policy, { from, bases: named, now }) };
}

/** Who says what an image was rebased from says by that how it was made. */
function chooseStrategy({ strategy, "rebased-from": from }: Inputs): StrategyName | undefined {
  if (from === undefined) return strategy === "auto" ? undefined : strategy;
  if (strategy === "auto" || strategy === rebase.name) return rebase.name;
  throw new UserError(`input 'strategy' is '${strategy}', and input 'rebased-from' says that the image was rebased`, {
    code: "input-invalid",
    wayOut: "Give the one or the other: what was rebased is of strategy 'rebase'.",
  });
}

/** Of the platforms that the image has: where their jobs ran, as the workflow says. */
function selectRunners(said: RunnerLabels, { children }: ImageFacts): RunnerLabels | undefined {
  const platforms = new Set(children.map(({ platform: { os, architecture } }) => `${os}/${architecture}`));
  const own = Object.entries(said).filter(([platform]) => platforms.has(platform));
  return own.length === 0 ? undefined : Object.fromEntries(own);
}

/**
 * Builders that can only build in an image of the policy did so, whatever the workflow says of its runner, and a build
 * that has a daemon is never kept apart. Where nothing had to keep a build apart, this job can't tell whether something
 * did: then it says the least of it.
 */
function sayEnvironment(
  given: BuildEnvironment,
  { policy }: LoadedPolicy,
  { isContained, buildType }: { isContained: boolean; buildType: string },
): ProvenEnvironment {
  if (isOfElsewhere({ buildType })) return "elsewhere";
  if (findByBuildType(buildType)?.hasDaemon === true) return "host-unisolated";
  if (given !== "host") return given;
  if (isContained) return "container";
  return policy.build.isolation.includes("host-unisolated") ? "host-unisolated" : given;
}

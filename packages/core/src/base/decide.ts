import type { Digest } from "../oci/digest.ts";
import { formatPlatform, type Platform } from "../oci/manifest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import { exceptViolation, findException, isDayOver } from "../policy/exceptions.ts";
import type { Exception } from "../policy/schema.ts";
import { type Violation, verdictOf } from "../result.ts";
import { type ApprovedBase, type BaseMatch, findNearestBase, identifyBase, isSamePlatform } from "./identify.ts";
import { type ClaimedBase, lifecycleLabel, readClaimedBase, readLifecycleLabel } from "./label.ts";

export interface ChildBaseFacts {
  digest: Digest;
  /** As the child's config says. */
  platform: Platform;
  diffIds: readonly Digest[];
  labels: Readonly<Record<string, string>>;
  /** Of its manifest. */
  annotations: Readonly<Record<string, string>>;
  /** Of those layers of its base that are not the base's own bytes, the ones whose content is not what the config says. */
  falseLayers: readonly FalseLayer[];
}

export interface FalseLayer {
  /** From 0, the lowest. */
  index: number;
  /** What the layer unpacks to. */
  actual: Digest;
}

export interface BaseFacts {
  repository: Repository;
  isIndex: boolean;
  children: readonly ChildBaseFacts[];
  /** For every platform of the children. */
  approved: readonly ApprovedBase[];
  exceptions: readonly Exception[];
  now: Date;
}

export interface ChildBaseDecision {
  digest: Digest;
  platform: Platform;
  verdict: "pass" | "fail";
  /** The base that it stands on, expired or not; undefined where no approved one is. */
  base?: ApprovedBase;
  /** Other approved versions that have the same layers. */
  sameLayers: ApprovedBase[];
  matchedLayers: number;
  totalLayers: number;
  claimed?: ClaimedBase;
  violations: Violation[];
}

export interface BaseDecision {
  children: ChildBaseDecision[];
  violations: Violation[];
  notes: string[];
}

/**
 * May each child of an image stand on what it stands on? Rules: `base.approved`, `base.expired`, `base.label-contradicts`, `base.layer-contradicts`. Only the
 * first can be set aside by an exception, for the image's repository.
 */
export function decideBase(facts: BaseFacts): BaseDecision {
  const children = facts.children.map((child) => decideChild(child, facts));
  const notes = children
    .filter((child) => child.base !== undefined && child.matchedLayers === child.totalLayers)
    .map((child) => `${formatPlatform(child.platform)}: the image is base '${child.base?.name}' itself, with nothing on top of it`);
  return { children, violations: children.flatMap((child) => child.violations), notes };
}

function decideChild(child: ChildBaseFacts, facts: BaseFacts): ChildBaseDecision {
  const match = identifyBase(child, facts.approved);
  const claimed = readClaimedBase(child.labels, child.annotations);
  const base = match === undefined ? undefined : chooseBase(match, facts.now);
  const found = [
    ...judgeApproval(child, facts, base, claimed),
    ...judgeExpiry(base, facts),
    ...judgeLabel(child, base),
    ...judgeLayers(child, base),
  ];
  const thing = `${formatRepository(facts.repository)}@${child.digest}`;
  const violations = found.map((each) => {
    const violation: Violation = { ...each, thing, ...(facts.isIndex ? { platform: formatPlatform(child.platform) } : {}) };
    return exceptViolation(violation, exceptionFor(each.rule, facts));
  });
  return {
    digest: child.digest,
    platform: child.platform,
    verdict: verdictOf(violations),
    ...(base === undefined ? {} : { base }),
    sameLayers: match?.bases.filter((other) => other !== base) ?? [],
    matchedLayers: match?.matchedLayers ?? 0,
    totalLayers: child.diffIds.length,
    ...(claimed === undefined ? {} : { claimed }),
    violations,
  };
}

type Found = Pick<Violation, "rule" | "problem" | "wayOut">;

/** Versions with the same layers can't be told apart: the first in the policy counts of those that are still approved, if there is one. */
function chooseBase({ bases }: BaseMatch, now: Date): ApprovedBase {
  return bases.find((base) => !isExpired(base, now)) ?? bases[0];
}

function isExpired(base: ApprovedBase, now: Date): boolean {
  return base.until !== undefined && isDayOver(base.until, now);
}

function exceptionFor(rule: string, facts: BaseFacts): ReturnType<typeof findException> {
  return findException(facts.exceptions, { rule, things: [formatRepository(facts.repository)] }, facts.now);
}

function judgeApproval(child: ChildBaseFacts, facts: BaseFacts, base: ApprovedBase | undefined, claimed: ClaimedBase | undefined): Found[] {
  if (base !== undefined) return [];
  const says = claimed === undefined ? "" : `; the image says that it stands on ${claimed.name}`;
  const why = explainNoBase(child, facts);
  return [
    {
      rule: "base.approved",
      problem: `${why}${says}`,
      wayOut: `Rebuild it on an approved base (${listBases(child, facts)}): with buildpacks, that is the builder's run image. Or ask the platform team to approve its base.`,
    },
  ];
}

function explainNoBase(child: ChildBaseFacts, facts: BaseFacts): string {
  const platform = formatPlatform(child.platform);
  if (child.diffIds.length === 0) return "it has no layers, so it stands on no base";
  if (!facts.approved.some((base) => isSamePlatform(base.platform, child.platform)))
    return `no approved base has a version for ${platform}`;
  const nearest = findNearestBase(child, facts.approved);
  const near =
    nearest === undefined
      ? ""
      : ` (the first ${nearest.sharedLayers} of the ${nearest.base.diffIds.length} layers of '${nearest.base.name}' are there, the others are not)`;
  return `its lowest layers are not those of any approved base for ${platform}${near}`;
}

/** The bases to go to: those of the platform that hold today. */
function listBases(child: ChildBaseFacts, facts: BaseFacts): string {
  const usable = facts.approved.filter((base) => isSamePlatform(base.platform, child.platform) && !isExpired(base, facts.now));
  const names = [...new Set(usable.map((base) => `'${base.name}', ${base.image}`))];
  return names.length === 0 ? `there is none for ${formatPlatform(child.platform)} at present` : names.join("; ");
}

function judgeExpiry(base: ApprovedBase | undefined, facts: BaseFacts): Found[] {
  if (base === undefined || !isExpired(base, facts.now)) return [];
  return [
    {
      rule: "base.expired",
      problem: `it stands on base '${base.name}' (${base.image}@${base.digest}), which was approved until ${base.until}`,
      wayOut: "Rebuild it on a base that is still approved, or ask the platform team for a newer version.",
    },
  ];
}

/** The lifecycle records where the run image ends. A label that disagrees with the layers was not written by the build that made them. */
function judgeLabel(child: ChildBaseFacts, base: ApprovedBase | undefined): Found[] {
  const label = readLifecycleLabel(child.labels);
  const contradiction = (problem: string): Found[] => [
    {
      rule: "base.label-contradicts",
      problem: `its label ${lifecycleLabel} ${problem}`,
      wayOut: "Build it again from its source with an approved builder; if it stays so, find out which step writes the label.",
    },
  ];
  if (label.kind === "none") return [];
  if (label.kind === "malformed") return contradiction(`can't be read: ${label.why}`);
  const top = base?.diffIds.at(-1);
  if (base === undefined || top === undefined) {
    return child.diffIds.includes(label.topLayer)
      ? []
      : contradiction(`names a top layer of the run image, ${label.topLayer}, which the image does not have`);
  }
  if (label.topLayer === top) return [];
  const at = child.diffIds.indexOf(label.topLayer);
  const says = at === -1 ? `${label.topLayer}, which the image does not have` : `layer ${at + 1}`;
  return contradiction(`says that the run image ends with ${says}, and base '${base.name}' ends with layer ${base.diffIds.length}`);
}

function judgeLayers(child: ChildBaseFacts, base: ApprovedBase | undefined): Found[] {
  return child.falseLayers.map(({ index, actual }) => ({
    rule: "base.layer-contradicts",
    problem: `its config says that layer ${index + 1} is that of base '${base?.name}' (${child.diffIds[index]}), and what it unpacks to is ${actual}`,
    wayOut: "Do not run it. Build it again from its source with an approved builder, and find out what wrote this config.",
  }));
}

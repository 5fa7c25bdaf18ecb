import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatPlatform, type Platform } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { FileTree } from "../layers/tree.ts";
import { judgeRules } from "../policy/custom-rules/judge-rules.ts";
import type { CustomRule } from "../policy/custom-rules/section.ts";
import { isDayOver } from "../policy/day.ts";
import type { Enforcement, OwnDay } from "../policy/enforcement.ts";
import { settleViolation } from "../policy/exceptions.ts";
import type { Antipattern } from "../policy/images-section.ts";
import type { Exception } from "../policy/schema.ts";
import { type Violation, verdictOf } from "../result.ts";
import { judgeApproval as judgeSignedApproval, listByDay } from "./approval/judge.ts";
import { describeChanges } from "./changes-text.ts";
import { findRefusing, judgeBuildImage, judgeForbidden } from "./forbidden.ts";
import type { ImageHabits } from "./habits/config.ts";
import { findAntipattern, type HabitFacts, type HabitRules, judgeRequired } from "./habits/judge.ts";
import type { Leftover } from "./habits/leftovers.ts";
import { type ApprovedBase, type BaseMatch, findNearestBase, identifyBase, isSamePlatform } from "./identify.ts";
import { type ClaimedBase, lifecycleLabel, readClaimedBase, readLifecycleLabel } from "./label.ts";
import { decideOverlay, type OverlayDecision } from "./overlay.ts";
import type { PackageChange } from "./packages.ts";
import type { RebuiltBase } from "./rebuilt.ts";
import { listBaseFacts } from "./rule-facts.ts";

export interface ChildBaseFacts {
  digest: Digest;
  /** As the child's config says. */
  platform: Platform;
  diffIds: readonly Digest[];
  labels: Readonly<Record<string, string>>;
  /** Of its manifest. */
  annotations: Readonly<Record<string, string>>;
  /** What each of its layers really unpacks to, the lowest first. */
  layers: readonly Digest[];
  /** Each of its layers as it is in the registry, in the same order; sizes in bytes. */
  blobs: readonly { digest: Digest; size: number }[];
  /** What its config says of how it was made and starts. */
  habits: ImageHabits;
  /** What the layers above its base have that should have stayed in the build. */
  leftovers: readonly Leftover[];
  /** Where it stands on no approved base: one whose files it has. */
  rebuilt?: RebuiltBase;
  /** The base's layers put together, and all of them; where it stands on an approved base. */
  trees?: { base: FileTree; image: FileTree };
}

export interface BaseFacts {
  repository: Repository;
  isIndex: boolean;
  children: readonly ChildBaseFacts[];
  /** For every platform of the children; what the policy forbids among them. */
  approved: readonly ApprovedBase[];
  /** The images that the policy's builders build in, for the same platforms. */
  buildImages: readonly ApprovedBase[];
  /** The policy's `images`. */
  rules: HabitRules;
  /** What is looked for besides and told, without a word in the verdict: environments judge it. */
  looked?: readonly Antipattern[];
  /** The policy's `rules`. */
  customRules: readonly CustomRule[];
  exceptions: readonly Exception[];
  /** Days of the policy until which rules warn. */
  enforceFrom?: Enforcement | undefined;
  now: Date;
}

export interface ChildBaseDecision {
  digest: Digest;
  platform: Platform;
  verdict: "pass" | "fail";
  /** The base that it stands on, expired, forbidden or not; undefined where it is none of the policy's. */
  base?: ApprovedBase;
  /** Other approved versions that have the same layers. */
  sameLayers: ApprovedBase[];
  matchedLayers: number;
  totalLayers: number;
  claimed?: ClaimedBase;
  /** What each of its layers unpacks to, the lowest first. */
  layers: readonly Digest[];
  /** Packages of the base that the image says it has in a newer version. */
  upgraded: readonly PackageChange[];
  /** What was looked for in it, and what of that it has. */
  antipatterns: { looked: readonly Antipattern[]; found: FoundAntipattern[] };
  violations: Violation[];
}

/** `file`: where alone it was found. */
export interface FoundAntipattern {
  kind: Antipattern;
  problem: string;
  file?: string;
}

export interface BaseDecision {
  children: ChildBaseDecision[];
  violations: Violation[];
  notes: string[];
}

/**
 * May each child of an image stand on what it stands on? Rules: `base.approved`, `base.forbidden`, `base.build-image`, `base.expired`,
 * `base.approval`, `base.behind`, `base.label-contradicts`, `base.layer-contradicts`, `base.changed`, those of `findAntipattern` and `judgeRequired`, and `base.rule`. The first, and
 * most of the last, can be set aside by an exception for the image's repository; paths that may change, the policy lists
 * with the base.
 */
export function decideBase(facts: BaseFacts): BaseDecision {
  const children = facts.children.map((child) => decideChild(child, facts));
  const notes = [
    ...children.flatMap(describeBaseItself),
    ...children.flatMap(describeUpgrades),
    ...children.flatMap((child) => describeEnd(child, facts.now)),
    ...children.flatMap((child) => describeAntipatterns(child, facts.rules)),
  ];
  return { children, violations: children.flatMap((child) => child.violations), notes };
}

function describeBaseItself({ platform, base, matchedLayers, totalLayers }: ChildBaseDecision): string[] {
  if (base === undefined || matchedLayers !== totalLayers) return [];
  return [`${formatPlatform(platform)}: the image is base '${base.name}' itself, with nothing on top of it`];
}

/** What no rule of this stage refuses, and an environment may. */
function describeAntipatterns({ platform, antipatterns }: ChildBaseDecision, { refuse }: HabitRules): string[] {
  const besides = antipatterns.found.filter(({ kind }) => !refuse.includes(kind));
  const shown = besides.slice(0, 10).map(({ problem }) => `${formatPlatform(platform)}: ${problem}`);
  return besides.length > shown.length
    ? [...shown, `${formatPlatform(platform)}: ${besides.length - shown.length} more that an environment may refuse`]
    : shown;
}

/** What will be refused of the base that a child stands on, and when. */
function describeEnd({ platform, base }: ChildBaseDecision, now: Date): string[] {
  if (base?.approval === undefined) return [];
  return judgeSignedApproval(base.approval, now).warnings.map(
    (warning) => `${formatPlatform(platform)}: base '${base.name}' (${base.image}@${base.digest}): ${warning}`,
  );
}

/**
 * Which packages of the base are not the base's any more, by the image's own word: files of theirs were let through on
 * it.
 */
function describeUpgrades({ platform, upgraded }: ChildBaseDecision): string[] {
  if (upgraded.length === 0) return [];
  const shown = upgraded.slice(0, 10).map(({ package: { name }, before, after }) => `${name} ${before} → ${after}`);
  const more = upgraded.length > shown.length ? `, and ${upgraded.length - shown.length} more` : "";
  return [
    `${formatPlatform(platform)}: the image says that it has newer versions of packages of the base: ${shown.join(", ")}${more}`,
  ];
}

function decideChild(child: ChildBaseFacts, facts: BaseFacts): ChildBaseDecision {
  const match = identifyBase(child, facts.approved);
  const claimed = readClaimedBase(child.labels, child.annotations);
  const base = match === undefined ? undefined : chooseBase(match, facts.now);
  const isTrue = child.diffIds.every((diffId, index) => child.layers[index] === diffId);
  const overlay =
    base === undefined || base.forbidden !== undefined || child.trees === undefined || !isTrue
      ? undefined
      : decideOverlay({ ...child.trees, mayChange: base.mayChange ?? [] });
  const habits: HabitFacts = {
    ...child,
    ownLayers: child.diffIds.length - (match?.matchedLayers ?? 0),
    ...(child.trees === undefined ? {} : { image: child.trees.image }),
  };
  const seen = findAntipatterns(habits, facts);
  const found: Found[] = [
    ...judgeApproval(child, facts, base, claimed),
    ...judgeForbidden(child, facts.approved),
    ...judgeBuildImage(child, facts),
    ...judgeExpiry(base, facts),
    ...judgeSigned(base, facts),
    ...judgeLabel(child, base),
    ...judgeLayers(child, base),
    ...judgeOverlay(overlay, base),
    ...seen.filter(({ kind }) => facts.rules.refuse.includes(kind)).flatMap(({ found }) => found),
    ...judgeRequired(habits, facts.rules.mustHave),
    ...judgeRules(
      facts.customRules,
      "base",
      listBaseFacts(child, { base, matchedLayers: match?.matchedLayers ?? 0 }, facts),
    ),
  ];
  const thing = `${formatRepository(facts.repository)}@${child.digest}`;
  const violations = found.map(({ name, own, file, ...each }) => {
    const violation: Violation = {
      ...each,
      thing,
      ...(facts.isIndex ? { platform: formatPlatform(child.platform) } : {}),
    };
    return settleViolation(
      violation,
      { rule: each.rule, things: [formatRepository(facts.repository)], gate: name, own, file },
      facts,
    );
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
    layers: child.layers,
    upgraded: overlay?.upgraded ?? [],
    antipatterns: tellAntipatterns(seen),
    violations,
  };
}

/** All that is looked for; of it the verdict takes what the policy itself refuses. */
function findAntipatterns(habits: HabitFacts, { rules, looked = [] }: BaseFacts) {
  const kinds = new Set([...rules.refuse, ...looked]);
  return [...kinds].map((kind) => ({ kind, found: findAntipattern(kind, habits) }));
}

function tellAntipatterns(seen: ReturnType<typeof findAntipatterns>): ChildBaseDecision["antipatterns"] {
  const found = seen.flatMap(({ kind, found }) =>
    found.map(({ problem, file }): FoundAntipattern => ({ kind, problem, ...(file === undefined ? {} : { file }) })),
  );
  return { looked: seen.map(({ kind }) => kind), found };
}

/** `name`: which of the policy's own rules; `own`: its own day; `file`: where alone it was found. */
type Found = Pick<Violation, "rule" | "problem" | "wayOut"> & { name?: string; own?: OwnDay; file?: string };

/**
 * Versions with the same layers can't be told apart: the first in the policy counts of those that are still approved,
 * if there is one.
 */
function chooseBase({ bases }: BaseMatch, now: Date): ApprovedBase {
  return bases.find((base) => isHeld(base, now)) ?? bases[0];
}

function isExpired(base: ApprovedBase, now: Date): boolean {
  return base.until !== undefined && isDayOver(base.until, now);
}

/** Whether images may stand on it, by the policy, by its day and by what is signed of it. */
export function isHeld(base: ApprovedBase, now: Date): boolean {
  if (base.forbidden !== undefined || isExpired(base, now)) return false;
  return base.approval === undefined || judgeSignedApproval(base.approval, now).refused.length === 0;
}

function judgeApproval(
  child: ChildBaseFacts,
  facts: BaseFacts,
  base: ApprovedBase | undefined,
  claimed: ClaimedBase | undefined,
): Found[] {
  if (base !== undefined) return [];
  const says = claimed === undefined ? "" : `; the image says that it stands on ${claimed.name}`;
  const why = explainNoBase(child, facts);
  return [
    {
      rule: "base.approved",
      problem: `${why}${says}`,
      wayOut: `${child.rebuilt === undefined ? "Rebuild it" : "Leave its layers as they are, and rebuild it"} on an approved base (${listBases(child, facts)}): with buildpacks, that is the builder's run image. Or ask the platform team to approve its base.`,
    },
  ];
}

function explainNoBase(child: ChildBaseFacts, facts: BaseFacts): string {
  const platform = formatPlatform(child.platform);
  if (child.diffIds.length === 0) return "it has no layers, so it stands on no base";
  if (!facts.approved.some((base) => base.forbidden === undefined && isSamePlatform(base.platform, child.platform)))
    return `no approved base has a version for ${platform}`;
  const nearest = findNearestBase(child, facts.approved);
  const near =
    nearest === undefined
      ? ""
      : ` (the first ${nearest.sharedLayers} of the ${nearest.base.diffIds.length} layers of '${nearest.base.name}' are there, the others are not)`;
  const { rebuilt } = child;
  const like =
    rebuilt === undefined
      ? ""
      : `; it has the files of '${rebuilt.name}' (${rebuilt.same} of ${rebuilt.of}), so that was squashed, flattened or packed again`;
  return `its lowest layers are not those of any approved base for ${platform}${near}${like}`;
}

/** The bases to go to: those of the platform that hold today. */
function listBases(child: ChildBaseFacts, facts: BaseFacts): string {
  const usable = facts.approved.filter(
    (base) =>
      isSamePlatform(base.platform, child.platform) &&
      isHeld(base, facts.now) &&
      findRefusing(base, facts.approved).length === 0,
  );
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

/** What its signed approval refuses, where the base counts by those. */
function judgeSigned(base: ApprovedBase | undefined, facts: BaseFacts): Found[] {
  if (base?.approval === undefined) return [];
  return listByDay(judgeSignedApproval(base.approval, facts.now), base.name).map((each) => ({
    ...each,
    problem: `it stands on base '${base.name}' (${base.image}@${base.digest}): ${each.problem}`,
  }));
}

/**
 * The lifecycle records where the run image ends. A label that disagrees with the layers was not written by the build
 * that made them.
 */
function judgeLabel(child: ChildBaseFacts, base: ApprovedBase | undefined): Found[] {
  const label = readLifecycleLabel(child.labels);
  const contradiction = (problem: string): Found[] => [
    {
      rule: "base.label-contradicts",
      problem: `its label ${lifecycleLabel} ${problem}`,
      wayOut:
        "Build it again from its source with an approved builder; if it stays so, find out which step writes the label.",
    },
  ];
  if (label.kind === "none") return [];
  if (label.kind === "malformed") return contradiction(`can't be read: ${label.why}`);
  if (base === undefined) {
    return child.diffIds.includes(label.topLayer)
      ? []
      : contradiction(`names a top layer of the run image, ${label.topLayer}, which the image does not have`);
  }
  if (label.topLayer === base.diffIds.at(-1)) return [];
  const at = child.diffIds.indexOf(label.topLayer);
  const says = at === -1 ? `${label.topLayer}, which the image does not have` : `layer ${at + 1}`;
  return contradiction(
    `says that the run image ends with ${says}, and base '${base.name}' ends with layer ${base.diffIds.length}`,
  );
}

function judgeLayers(child: ChildBaseFacts, base: ApprovedBase | undefined): Found[] {
  return child.diffIds.flatMap((diffId, index): Found[] => {
    const actual = child.layers[index];
    if (actual === diffId) return [];
    const whose =
      base !== undefined && index < base.diffIds.length ? `is that of base '${base.name}' (${diffId})` : `is ${diffId}`;
    return [
      {
        rule: "base.layer-contradicts",
        problem: `its config says that layer ${index + 1} ${whose}, and what it unpacks to is ${actual ?? "not there"}`,
        wayOut:
          "Do not run it. Build it again from its source with an approved builder, and find out what wrote this config.",
      },
    ];
  });
}

/** More of them tell nobody more. */
const maxChanges = 25;

function judgeOverlay(overlay: OverlayDecision | undefined, base: ApprovedBase | undefined): Found[] {
  if (overlay === undefined || base === undefined) return [];
  const changes = describeChanges(overlay.refused);
  const wayOut = `Keep the application's files apart from the base's, or take the change into the base. Where it has to be so, have the policy's owners add the path to mayChange of base '${base.name}'.`;
  const found = changes.slice(0, maxChanges).map(
    (each): Found => ({
      rule: "base.changed",
      problem: `layer ${each.layer + 1} ${each.what} of base '${base.name}'${each.why === "" ? "" : `: ${each.why}`}`,
      wayOut,
    }),
  );
  if (changes.length <= maxChanges) return found;
  return [
    ...found,
    {
      rule: "base.changed",
      problem: `${changes.length - maxChanges} more paths of base '${base.name}' are changed`,
      wayOut,
    },
  ];
}

import { cut } from "@goldenpath/foundation/text/clean";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import type { ListedViolation, StageResult } from "../../result.ts";
import { findingSeverities, fixTarget } from "../../scan/finding.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { record, text } from "../../stage-facts.ts";
import { type Chain, newest, stageOf, timeOf } from "../chain.ts";
import { describeChains, describeResults, type Part, type PartExceptions, verdictOfPart } from "../comment/part.ts";
import { openScan, type ReadFinding } from "./findings.ts";
import type { PageFinding, PageImage, PageLayer, PageStage, PageStatement } from "./model.ts";

/** Findings of one image that a page lists, the worst: a browser still sorts as many at once. */
const maxFindings = 10_000;
/** Characters of an advisory's text; its link has the rest. */
const maxDescription = 600;
/** Of a name, a version, a path or a link, which a stranger may make as long as he likes. */
const maxWord = 400;
/** Images of an index, and violations of an image: what a person goes through. */
const maxChildren = 50;
const maxViolations = 1_000;
/** Nobody draws more, and no runtime takes as many. */
const maxLayers = 1_000;

const nowhere = { key: "", commit: "0".repeat(40), run: { id: "0", attempt: 1 } };

/** Stages' results of one image → the image, or each image of its index. */
export function describeResultsForPage(
  title: string,
  results: readonly StageResult[],
  exceptions?: PartExceptions,
): PageImage[] {
  const children = results.find(({ subject }) => (subject?.children.length ?? 0) > 1)?.subject?.children ?? [];
  const scan = openScan(findingOf(results, predicateTypes.vulnerabilities));
  if (children.length === 0) return [describeImage(title, results, scan, undefined, exceptions)];
  const ofPlatforms = results.map(({ violations }) => Map.groupBy(violations, ({ platform }) => platform ?? ""));
  const left = children.length - maxChildren;
  const note = left > 0 ? [`${left} more images of the index are in the result files.`] : [];
  return children.slice(0, maxChildren).map(({ digest, platform }) => {
    const name = platform === undefined ? undefined : formatPlatform(platform);
    const own = results.map((result, at) => ({
      ...result,
      verdict:
        result.verdict === "error"
          ? result.verdict
          : (result.subject?.children.find((child) => child.digest === digest)?.verdict ?? result.verdict),
      violations: [...new Set(["", name ?? ""])].flatMap((each) => ofPlatforms[at]?.get(each) ?? []),
      notes: [...note, ...result.notes],
    }));
    return describeImage(`${title} ${name ?? digest}`, own, scan, { digest, platform: name }, exceptions);
  });
}

interface Child {
  digest: string;
  platform: string | undefined;
}

const findingOf = (results: readonly StageResult[], type: string): Record<string, unknown> | undefined =>
  results.find((result) => result.predicateType === type)?.predicate;

function describeImage(
  title: string,
  results: readonly StageResult[],
  scan: ReturnType<typeof openScan>,
  child: Child | undefined,
  exceptions: PartExceptions | undefined,
): PageImage {
  const part = describeResults(results, { ...nowhere, key: title }, exceptions);
  const base = readBase(findingOf(results, predicateTypes.base), child?.digest);
  const scans = results.filter(({ stage }) => stage === "scan");
  const judged: Judged = {
    violations: scans.flatMap(({ violations }) => violations),
    comparison: scans.find(({ comparison }) => comparison !== undefined)?.comparison,
  };
  const repository = part.image?.slice(0, part.image.indexOf("@"));
  const stages = part.stages.map((stage): PageStage => {
    const made = results.find((result) => result.stage === stage.stage);
    return {
      ...{ ...stage, signers: [] },
      ...(made === undefined ? {} : { time: made.finishedAt }),
      ...(made?.policy === undefined ? {} : { policySerial: made.policy.serial }),
    };
  });
  return {
    ...fromPart(part, title, stages),
    ...(child === undefined || repository === undefined ? {} : { reference: `${repository}@${child.digest}` }),
    ...(child?.platform === undefined ? {} : { platform: child.platform }),
    ...placeOnLayers(base, scan?.(child?.digest), judged),
    ...{ statements: [], rejected: [], notes: [...new Set(results.flatMap(({ notes }) => notes))].slice(0, 100) },
  };
}

/** One digest's evidence → the image. `child`: it is one of an index, whose findings name it. */
export function describeChainForPage(
  title: string,
  chain: Chain,
  shown: readonly VerifiedStatement[],
  violations: readonly ListedViolation[],
  { platform, isIndex }: { platform?: string; isIndex: boolean },
): PageImage {
  const part = describeChains([chain], violations, { ...nowhere, key: title });
  const finding = (type: string): Record<string, unknown> | undefined => newest(shown, type)?.statement.predicate;
  const base = isIndex ? undefined : readBase(finding(predicateTypes.base), chain.digest);
  const found = isIndex ? undefined : openScan(finding(predicateTypes.vulnerabilities))?.(chain.digest);
  return {
    ...fromPart(part, title, chain.stages),
    ...(platform === undefined ? {} : { platform }),
    ...placeOnLayers(base, found, undefined),
    ...{ statements: shown.flatMap(describeStatement), rejected: chain.rejected, notes: [] },
  };
}

function fromPart(part: Part, title: string, stages: readonly PageStage[]) {
  return {
    title,
    ...(part.image === undefined ? {} : { reference: part.image }),
    verdict: verdictOfPart(part),
    stages: [...stages],
    errors: part.errors.map(({ wayOut, ...error }) => ({ ...error, ...(wayOut === undefined ? {} : { wayOut }) })),
    violations: part.violations.slice(0, maxViolations),
    exceptions: part.exceptions.slice(0, maxViolations),
    untold: Math.max(0, part.violations.length - maxViolations),
  };
}

function describeStatement(entry: VerifiedStatement): PageStatement[] {
  const stage = stageOf(entry);
  const time = timeOf(entry);
  return [
    {
      ...{ stage: stage ?? "", predicateType: entry.statement.predicateType, signers: entry.signers },
      ...{ referrer: entry.referrer.digest, bundle: entry.bundle.digest },
      ...(time === undefined ? {} : { time }),
    },
  ];
}

interface BaseOfImage {
  name?: string;
  image: string;
  diffIds: string[];
  matched: number;
}

/** What the base's finding says of one image. */
function readBase(predicate: Record<string, unknown> | undefined, digest: string | undefined): BaseOfImage | undefined {
  const children = Array.isArray(predicate?.["children"]) ? predicate["children"].map(record) : [];
  const child = children.find((each) => each["digest"] === digest) ?? (children.length === 1 ? children[0] : undefined);
  const layers = child?.["layers"];
  if (child === undefined || !Array.isArray(layers)) return undefined;
  const base = record(child["base"]);
  const name = text(base["name"]);
  const matched = child["matchedLayers"];
  const of = text(base["digest"]);
  return {
    ...(name === undefined ? {} : { name }),
    image: `${text(base["image"]) ?? ""}${of === undefined ? "" : `@${of}`}`,
    diffIds: layers.filter((layer) => typeof layer === "string"),
    matched: name !== undefined && typeof matched === "number" ? matched : 0,
  };
}

/** What a result says besides of an image's findings; nothing of it is in the evidence. */
interface Judged {
  violations: readonly ListedViolation[];
  comparison: StageResult["comparison"];
}

/** @param judged undefined where nobody says of each finding whether it breaks the policy's rule */
function placeOnLayers(
  base: BaseOfImage | undefined,
  found: readonly ReadFinding[] | undefined,
  judged: Judged | undefined,
): Pick<PageImage, "base" | "layers" | "findings" | "omitted" | "compared"> {
  const diffIds = (base?.diffIds.length ?? 0) > maxLayers ? [] : (base?.diffIds ?? []);
  const numbers = new Map(diffIds.map((diffId, at) => [diffId, at + 1]));
  const findings = found?.toSorted(
    (a, b) => findingSeverities.indexOf(a.severity) - findingSeverities.indexOf(b.severity),
  );
  const counts = new Map<string, number>();
  for (const { layers } of findings ?? []) for (const layer of layers) counts.set(layer, (counts.get(layer) ?? 0) + 1);
  const layers = diffIds.map(
    (diffId, at): PageLayer => ({
      ...{ diffId, isBase: at < (base?.matched ?? 0), findings: counts.get(diffId) ?? 0 },
    }),
  );
  const comparison = judged?.comparison;
  const [stateOf, changeOf] = [judgeStates(judged?.violations), readChanges(comparison)];
  const describe = (each: ReadFinding): PageFinding => ({
    ...describeFinding(each, numbers),
    ...{ state: stateOf(each) },
    ...changeOf(each),
  });
  return {
    ...(base?.name === undefined ? {} : { base: { name: base.name, image: base.image } }),
    layers,
    ...(findings === undefined ? {} : { findings: findings.slice(0, maxFindings).map(describe) }),
    omitted: Math.max(0, (findings?.length ?? 0) - maxFindings),
    ...(comparison === undefined ? {} : { compared: describeComparison(comparison) }),
  };
}

function judgeStates(judged: readonly ListedViolation[] | undefined): (finding: ReadFinding) => PageFinding["state"] {
  if (judged === undefined) return ({ excepted }) => (excepted === true ? "excepted" : "unsaid");
  const things = new Map(judged.map(({ thing, exception }) => [thing, exception === undefined]));
  return ({ id, package: { name, version } }) => {
    const counts = things.get(`${id} in ${name} ${version}`);
    return counts === undefined ? "accepted" : counts ? "counts" : "excepted";
  };
}

function readChanges(comparison: StageResult["comparison"]): (finding: ReadFinding) => Pick<PageFinding, "change"> {
  if (comparison?.counts === undefined) return () => ({});
  const keyOf = (id: string, name: string, version: string): string => JSON.stringify([id, name, version]);
  const changes = new Map(
    comparison.new.map(({ id, package: name, version, change }) => [keyOf(id, name, version), change]),
  );
  return ({ id, package: { name, version } }) => {
    const change = changes.get(keyOf(id, name, version)) ?? "unchanged";
    return change === "fixed" ? {} : { change };
  };
}

function describeComparison({ with: reference, note, counts, fixed }: NonNullable<StageResult["comparison"]>) {
  return {
    ...(reference === undefined ? {} : { reference }),
    ...(note === undefined ? {} : { note }),
    ...(counts === undefined ? {} : { counts }),
    fixed: fixed.map(({ id, package: name, version }) => ({ id, thing: `${name} ${version}` })),
  };
}

/** @param numbers of the image's layers, by their diffIDs */
function describeFinding(finding: ReadFinding, numbers: ReadonlyMap<string, number>): Omit<PageFinding, "state"> {
  const { id, aliases, severity, package: of, fixState, origin, cvss, epss, kev, malicious, hidden, vex } = finding;
  const fixed = fixTarget(finding);
  const [word, text] = [
    (value: string): string => cut(value, maxWord),
    (value: string): string => cut(value, maxDescription),
  ];
  return {
    ...{ id: word(id), aliases: aliases.slice(0, 10).map(word), severity, fixState, origin },
    ...{ name: word(of.name), version: word(of.version), type: word(of.type) },
    ...(of.purl === undefined ? {} : { purl: word(of.purl) }),
    ...(fixed === undefined ? {} : { fixed: word(fixed) }),
    layers: finding.layers.flatMap((layer) => numbers.get(layer) ?? []),
    paths: finding.paths.map(word),
    urls: finding.urls.filter((url) => url.length <= maxWord),
    ...(finding.description === undefined ? {} : { description: text(finding.description) }),
    ...(cvss === undefined ? {} : { cvss }),
    ...(typeof epss === "number" ? { epss } : {}),
    ...(kev === true ? { kev } : {}),
    ...(malicious === true ? { malicious } : {}),
    ...(hidden === undefined ? {} : { hidden: text(hidden) }),
    ...describeSources(finding.saidBy),
    ...(vex === undefined
      ? {}
      : { vex: text(`${vex.status}, by ${vex.by}${vex.because === undefined ? "" : `: ${vex.because}`}`) }),
  };
}

/** Sources of one finding that a page names. */
const maxSources = 10;

function describeSources(saidBy: ReadFinding["saidBy"] = []): Pick<PageFinding, "saidBy" | "isDisputed"> {
  if (saidBy.length === 0) return {};
  const sources = saidBy.slice(0, maxSources).map(({ source, id, severity, fixedVersions, isDistributions }) => {
    const fixed = fixedVersions.length === 0 ? "" : `, fixed in ${fixedVersions.join(" or ")}`;
    const whose = isDistributions === true ? ", by the distribution’s own advisory" : "";
    return { source: cut(source, maxWord), says: cut(`${id}, ${severity}${fixed}${whose}`, maxWord) };
  });
  const isDisputed = new Set(saidBy.map(({ severity }) => severity)).size > 1;
  return { saidBy: sources, ...(isDisputed ? { isDisputed } : {}) };
}

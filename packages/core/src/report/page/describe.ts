import { cut } from "@goldenpath/foundation/text/clean";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import type { ListedViolation, StageResult } from "../../result.ts";
import { findingSeverities, originOf } from "../../scan/finding.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { record, text } from "../../stage-facts.ts";
import { type Chain, newest, stageOf, timeOf } from "../chain.ts";
import { describeChains, describeResults, type Part, verdictOfPart } from "../comment/part.ts";
import { type ReadFinding, readPageFindings } from "./findings.ts";
import type { PageFinding, PageImage, PageLayer, PageStage, PageStatement } from "./model.ts";

/** Findings of one image that a page lists, the worst: a browser still sorts as many at once. */
const maxFindings = 10_000;
/** Characters of an advisory's text; its link has the rest. */
const maxDescription = 600;

const nowhere = { key: "", commit: "0".repeat(40), run: { id: "0", attempt: 1 } };

/** Stages' results of one image → the image, or each image of its index. */
export function describeResultsForPage(title: string, results: readonly StageResult[]): PageImage[] {
  const children = results.find(({ subject }) => (subject?.children.length ?? 0) > 1)?.subject?.children ?? [];
  if (children.length === 0) return [describeImage(title, results, undefined)];
  return children.map(({ digest, platform }) => {
    const name = platform === undefined ? undefined : formatPlatform(platform);
    const own = results.map((result) => ({
      ...result,
      verdict: result.subject?.children.find((child) => child.digest === digest)?.verdict ?? result.verdict,
      violations: result.violations.filter((each) => each.platform === undefined || each.platform === name),
    }));
    return describeImage(`${title} ${name ?? digest}`, own, { digest, platform: name });
  });
}

interface Child {
  digest: string;
  platform: string | undefined;
}

function describeImage(title: string, results: readonly StageResult[], child: Child | undefined): PageImage {
  const part = describeResults(results, { ...nowhere, key: title });
  const finding = (type: string): Record<string, unknown> | undefined =>
    results.find((result) => result.predicateType === type)?.predicate;
  const base = readBase(finding(predicateTypes.base), child?.digest);
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
    ...placeOnLayers(base, readPageFindings(finding(predicateTypes.vulnerabilities), child?.digest), judged),
    ...{ statements: [], rejected: [], notes: results.flatMap(({ notes }) => notes) },
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
  const found = isIndex ? undefined : readPageFindings(finding(predicateTypes.vulnerabilities), chain.digest);
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
    violations: part.violations,
    exceptions: part.exceptions,
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
  const diffIds = base?.diffIds ?? [];
  const placed: PlacedOn = { diffIds, baseDiffIds: base === undefined ? undefined : diffIds.slice(0, base.matched) };
  const findings = found?.toSorted(
    (a, b) => findingSeverities.indexOf(a.severity) - findingSeverities.indexOf(b.severity),
  );
  const layers = diffIds.map(
    (diffId, at): PageLayer => ({
      ...{ diffId, isBase: at < (base?.matched ?? 0) },
      findings: (findings ?? []).filter(({ layers: of }) => of.includes(diffId)).length,
    }),
  );
  const comparison = judged?.comparison;
  const [stateOf, changeOf] = [judgeStates(judged?.violations), readChanges(comparison)];
  const describe = (each: ReadFinding): PageFinding => ({
    ...describeFinding(each, placed),
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
  if (judged === undefined) return ({ isExcepted }) => (isExcepted ? "excepted" : "unsaid");
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

interface PlacedOn {
  diffIds: readonly string[];
  /** Undefined where nobody says which are the base's. */
  baseDiffIds: readonly string[] | undefined;
}

function describeFinding(finding: ReadFinding, { diffIds, baseDiffIds }: PlacedOn): Omit<PageFinding, "state"> {
  const {
    id,
    aliases,
    severity,
    package: found,
    fixState,
    fixedVersions,
    cvss,
    epss,
    kev,
    malicious,
    hidden,
  } = finding;
  const description = finding.description === undefined ? undefined : cut(finding.description, maxDescription);
  return {
    ...{ id, aliases: aliases.slice(0, 10), severity, fixState },
    // What only the base's own view has is the base's, and in none of the image's layers.
    origin: hidden === undefined ? originOf(finding.layers, baseDiffIds) : "base",
    ...{ name: found.name, version: found.version, type: found.type },
    ...(found.purl === undefined ? {} : { purl: found.purl }),
    ...(fixedVersions.length === 0 ? {} : { fixed: fixedVersions.join(" or ") }),
    layers: finding.layers.flatMap((layer) => (diffIds.includes(layer) ? [diffIds.indexOf(layer) + 1] : [])),
    paths: finding.paths.slice(0, 10),
    urls: finding.urls.filter((url) => url.startsWith("https://")).slice(0, 5),
    ...(description === undefined ? {} : { description }),
    ...(cvss === undefined ? {} : { cvss }),
    ...(epss === undefined ? {} : { epss }),
    ...(kev ? { kev } : {}),
    ...(malicious ? { malicious } : {}),
    ...(hidden === undefined ? {} : { hidden }),
  };
}

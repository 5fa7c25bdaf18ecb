import { type Digest, digestAlgorithm, digestHex } from "@goldenpath/registry-client/oci/digest";
import type { SignedStatement, SignedView } from "../build/strategies/strategy.ts";
import { matchesWorkflow } from "../gate/match-source.ts";
import { clockSkew, isDayOver } from "../policy/day.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { findDifferences } from "../signing/run-differences.ts";
import type { LevelRule } from "./build-level.ts";
import type { OriginSource } from "./git-commits.ts";
import { type JudgedLevel, judgeLevel, type LeveledBuild } from "./judge-level.ts";
import { readBuildKitProvenance } from "./read-buildkit.ts";
import { type ForeignProvenance, foreignTypes, githubBuildType, readForeignProvenance } from "./read-foreign.ts";
import { readImport } from "./read-import.ts";
import { slsaGeneratorType } from "./read-slsa-v02.ts";

/** A builder of the policy, as far as it says whose word about an image is taken. */
export interface OriginRule {
  name: string;
  /** Provenances of a build that is not of the path. */
  provenance?:
    | {
        signers: readonly string[];
        builders: readonly string[];
        buildTypes: readonly string[];
        level?: LevelRule | undefined;
      }
    | undefined;
  /** What the platform imports. */
  import?: { signers: readonly string[] } | undefined;
}

/** What says where an image comes from, in messages and among the materials of a provenance. */
export type OriginKind = "provenance" | "import";

/** A statement that an origin rests on. A summary says nothing of it but the level. */
export interface OriginRest {
  kind: OriginKind | "verification-summary";
  bundle: Digest;
}

/** Where an image comes from, by the word of those that the policy names. */
export interface FoundOrigin {
  source: OriginSource;
  /** Names of the builders that take it. */
  builders: string[];
  /** The statements that this rests on, by the blobs that hold them. */
  rests: OriginRest[];
}

export interface OriginObjection {
  problem: string;
  /** It counted, and its last day is over. */
  isOver?: true;
}

interface Accepted {
  subject: Digest;
  bundle: Digest;
  /** That statement, and what it counts by. */
  rests: OriginRest[];
  builders: string[];
  source: OriginSource;
  /** By which the newest is told. */
  time: number;
}

/**
 * Where an image comes from. A statement about the image's own digest is about all of it: an index names its children by
 * their digests. Without one, each child has to have one of its own, and all of them the same source. Statements that
 * count and name different repositories contradict each other, and then none counts.
 */
export function findOrigin(
  view: SignedView,
  rules: readonly OriginRule[],
): FoundOrigin | { objections: OriginObjection[] } {
  const judged = view.statements.flatMap((statement) => judgeStatement(statement, view, rules));
  const accepted = judged.filter((each): each is Accepted => "source" in each);
  const newest = (digest: Digest): Accepted | undefined =>
    accepted
      .filter(({ subject }) => subject === digest)
      .toSorted((a, b) => b.time - a.time || (a.bundle < b.bundle ? -1 : 1))[0];
  const root = newest(view.digest);
  const parts = root === undefined ? view.children.map(newest) : [root];
  const covering = parts.filter((each) => each !== undefined);
  const [first] = covering;
  if (first === undefined || covering.length < parts.length) {
    const objections = judged.filter((each): each is OriginObjection => "problem" in each);
    const bare = view.children.find((_, index) => parts[index] === undefined) ?? view.digest;
    return { objections: objections.length > 0 ? objections : [{ problem: explainAbsence(bare, first, rules, view) }] };
  }
  const repositories = [...new Set(accepted.map(({ source }) => source.repository))];
  if (repositories.length > 1) {
    const problem = `what is signed about it contradicts itself: it is of ${repositories.join(", and of ")}`;
    return { objections: [{ problem }] };
  }
  if (covering.some(({ source }) => !isSameBuild(source, first.source)))
    return { objections: [{ problem: explainDifferentChildren }] };
  const builders = first.builders.filter((name) => covering.every((each) => each.builders.includes(name)));
  if (builders.length === 0) return { objections: [{ problem: "no builder of the policy takes all of its children" }] };
  const rests = new Map(covering.flatMap((each) => each.rests).map((rest) => [rest.bundle, rest]));
  return { source: first.source, builders, rests: [...rests.values()] };
}

const explainDifferentChildren =
  "its children are of different versions of their source, or of builds that different events or workflows started";

/**
 * Of sources of one repository. One child's event would otherwise stand for all: a pull request's build beside one of
 * what is in the repository.
 */
function isSameBuild({ version, ref, event, callerId }: OriginSource, other: OriginSource): boolean {
  return version === other.version && ref === other.ref && event === other.event && callerId === other.callerId;
}

/** What somebody signed that would say it, and why that counts for nothing, helps whoever has to mend it. */
function explainAbsence(
  digest: Digest,
  some: Accepted | undefined,
  rules: readonly OriginRule[],
  { rejected = [] }: Pick<SignedView, "rejected">,
): string {
  const signers = (kind: OriginKind): string[] => rules.flatMap((rule) => rule[kind]?.signers ?? []);
  const wanted = [
    ...signers("provenance").map((name) => `a provenance by '${name}'`),
    ...signers("import").map((name) => `an import by '${name}'`),
  ];
  const others = some === undefined ? "" : ", unlike others of the image";
  const kinds = [...foreignTypes, predicateTypes.import];
  const reasons = rejected
    .filter((each) => each.subject === digest && kinds.includes(each.claimedPredicateType ?? ""))
    .map(({ reason }) => reason);
  const [reason, ...more] = new Set(reasons);
  const there = reason === undefined ? "" : `; of what is there${more.length > 0 ? ", among others" : ""}: ${reason}`;
  return `nothing is signed about ${digest}${others} that says where it comes from (${wanted.join(" or ") || "no builder of the policy takes any"} would count)${there}`;
}

/** What one statement comes to; nothing where it is of neither kind, or by nobody whose word counts for its kind. */
function judgeStatement(
  signed: SignedStatement,
  view: SignedView,
  rules: readonly OriginRule[],
): (Accepted | OriginObjection)[] {
  const { predicateType } = signed.statement;
  const by = (kind: OriginKind): OriginRule[] =>
    rules.filter((rule) => rule[kind]?.signers.some((name) => signed.signers.includes(name)) === true);
  if (foreignTypes.includes(predicateType)) {
    const heeded = by("provenance");
    return heeded.length === 0 ? [] : [judgeProvenance(signed, view, heeded)];
  }
  if (predicateType !== predicateTypes.import) return [];
  const heeded = by("import");
  return heeded.length === 0 ? [] : [judgeImport(signed, view, heeded)];
}

function judgeProvenance(
  signed: SignedStatement,
  view: SignedView,
  rules: readonly OriginRule[],
): Accepted | OriginObjection {
  const { subject, bundle } = signed;
  const who = `the provenance by '${signed.signers.join("', '")}'`;
  const read = signed.isInSignedManifest
    ? readBuildKitProvenance(signed.statement, signed.identity)
    : readForeignProvenance(signed.statement);
  if ("problem" in read) return { problem: `${who} can't be understood: ${read.problem}` };
  const { buildType, builderId, source, finishedOn } = read;
  const ofType = rules.filter(({ provenance }) => provenance?.buildTypes.includes(buildType) === true);
  if (ofType.length === 0)
    return { problem: `${who} is of build type ${buildType}, which no builder of the policy takes` };
  const fitting = ofType.filter(
    ({ provenance }) => provenance?.builders.some((pattern) => matchesWorkflow(builderId, pattern)) === true,
  );
  if (fitting.length === 0) {
    const wanted = ofType.flatMap(({ provenance }) => provenance?.builders ?? []).join(" or ");
    return { problem: `${who} is of a build by ${builderId}, and ${wanted} counts` };
  }
  const differences = compareWithCertificate(read, signed);
  if (differences.length > 0) return { problem: `${who} is not of the run that signed it: ${differences.join("; ")}` };
  const leveled = holdToLevel(fitting, { subject, builderId }, view);
  if ("problem" in leveled) return { problem: `the build of ${who} ${leveled.problem}` };
  const time = (finishedOn ?? signed.time)?.getTime() ?? 0;
  const rests: OriginRest[] = [{ kind: "provenance", bundle: bundle.digest }, ...leveled.rests];
  const whole = completeByCertificate(source, signed);
  return { subject, bundle: bundle.digest, rests, builders: leveled.builders, source: whole, time };
}

/** Which of the rules take a build by its level, and by what; or why none does. */
function holdToLevel(
  rules: readonly OriginRule[],
  build: LeveledBuild,
  view: SignedView,
): { builders: string[]; rests: OriginRest[] } | { problem: string } {
  const judged = rules.map(({ name, provenance }) => {
    const level: JudgedLevel =
      provenance?.level === undefined ? { rests: [] } : judgeLevel(provenance.level, build, view);
    return { name, level };
  });
  const taking = judged.flatMap(({ name, level }) => ("rests" in level ? { name, rests: level.rests } : []));
  if (taking.length === 0)
    return { problem: judged.flatMap(({ level }) => ("problem" in level ? level.problem : [])).join("; it ") };
  return {
    builders: taking.map(({ name }) => name),
    rests: taking.flatMap(({ rests }) => rests.map((bundle): OriginRest => ({ kind: "verification-summary", bundle }))),
  };
}

/** What the run does not say of its source, the server that vouches for the run does: a pull request's is one of them. */
function completeByCertificate(source: OriginSource, { identity }: SignedStatement): OriginSource {
  if (identity === undefined) return source;
  const { repository, version, ref, event, callerId } = source;
  return {
    repository,
    version,
    ref: ref ?? identity.sourceRef,
    event: event ?? identity.buildTrigger,
    callerId: callerId ?? identity.buildConfigUri,
  };
}

/** The build types that tell all of a run that its certificate tells, their builder among it. */
const wholeTypes: readonly string[] = [githubBuildType, slsaGeneratorType];

/**
 * What a certificate says of the run that signed goes before what the run says. Some build types tell all of it; of
 * another what it tells, and the rest is the certificate's to say.
 */
function compareWithCertificate(
  { buildType, builderId, source }: ForeignProvenance,
  signed: SignedStatement,
): string[] {
  const { identity } = signed;
  if (identity === undefined) return [];
  const isWhole = wholeTypes.includes(buildType);
  const { repository, version, ref, event, callerId } = isWhole ? source : completeByCertificate(source, signed);
  const told = { sourceRepository: repository, sourceCommit: version, sourceRef: ref, callerId, event };
  return findDifferences({ ...told, builderId: isWhole ? builderId : identity.buildSignerUri }, identity);
}

function judgeImport(
  signed: SignedStatement,
  view: SignedView,
  rules: readonly OriginRule[],
): Accepted | OriginObjection {
  const { subject, bundle } = signed;
  const who = `the import by '${signed.signers.join("', '")}'`;
  const read = readImport(signed.statement.predicate);
  if ("problem" in read) return { problem: `${who} can't be understood: ${read.problem}` };
  const { uri, digest, until, importedOn } = read;
  if (digestAlgorithm(digest) !== "sha256") return { problem: `${who} names its image by another digest than SHA-256` };
  // A child of it may lie in another index, beside what nobody has imported.
  if (digest !== view.digest) return { problem: `${who} is of ${uri}@${digest}, and this image is ${view.digest}` };
  if (!(importedOn.getTime() - clockSkew <= view.now.getTime()))
    return { problem: `${who} is of ${importedOn.toISOString()}, which is in the future` };
  if (isDayOver(until, view.now)) return { problem: `${who}, of ${uri}, held until ${until}`, isOver: true };
  const source = { repository: uri, version: digestHex(digest) };
  const builders = rules.map(({ name }) => name);
  const rests: OriginRest[] = [{ kind: "import", bundle: bundle.digest }];
  return { subject, bundle: bundle.digest, rests, builders, source, time: importedOn.getTime() };
}

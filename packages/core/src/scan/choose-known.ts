import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, isWithin, type Repository } from "@goldenpath/registry-client/oci/reference";
import { judgeWithdrawals } from "../gate/withdrawn.ts";
import { explainNotInForce } from "../policy/pointer.ts";
import type { PolicyPointer } from "../policy/pointer-facts.ts";
import type { LoadedPolicy, Policy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { readProvenance } from "../signing/provenance.ts";
import { isOfRepository } from "../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { readVerificationSummary, summaryVerifierId } from "../signing/verification-summary.ts";
import { type Stage, stageVerifierId } from "../stages.ts";
import { readScanTime, readToldScan, type ToldScan } from "./told-findings.ts";

type Evidence = Pick<CollectedEvidence, "statements" | "lapsed">;

/** Times of other machines may be ahead of ours by so much. */
const clockSkew = 5 * 60_000;

/** The signers who speak for a stage in an environment, or in any of them. */
export function listStageSigners(
  { environments }: Pick<Policy, "environments">,
  stage: Stage,
  environment?: string,
): Set<string> {
  const asked = environment === undefined ? Object.keys(environments) : [environment];
  return new Set(
    asked.flatMap((name) =>
      (environments[name]?.requires ?? [])
        .filter((requirement) => requirement.stage === stage)
        .flatMap(({ signers }) => signers),
    ),
  );
}

/**
 * The newest scan of an image that one of `allowed` has signed, passed or failed; or why there is none to compare with.
 * What its signer's word no longer stands for is not believed, and what it overtook is not either.
 */
export function chooseScan(
  { statements, lapsed }: Evidence,
  allowed: ReadonlySet<string>,
): ToldScan | { problem: string } {
  const newestFirst = (from: readonly VerifiedStatement[]): TimedScan[] =>
    from
      .filter(
        ({ statement, signers }) =>
          statement.predicateType === predicateTypes.vulnerabilities && signers.some((name) => allowed.has(name)),
      )
      // One whose time can't be told may be the newest.
      .map((signed) => ({
        signed,
        time: readScanTime(signed.statement.predicate)?.getTime() ?? Number.POSITIVE_INFINITY,
      }))
      .toSorted((a, b) => b.time - a.time);
  const [newest] = newestFirst(statements);
  if (newest === undefined) return { problem: "no scan of it is signed by whoever speaks for the stage" };
  const [past] = newestFirst(lapsed).filter(({ signed }) => signed.bundle.digest !== newest.signed.bundle.digest);
  if (past !== undefined && past.time >= newest.time)
    return { problem: "a later scan of it is there, and the word of its signer or its signature has ended" };
  const scan = readToldScan(newest.signed.statement.predicate);
  return "problem" in scan ? { problem: `its newest signed scan can't be compared with: ${scan.problem}` } : scan;
}

interface TimedScan {
  signed: VerifiedStatement;
  time: number;
}

/** What the policy asks of an image whose findings are let pass as known. */
export interface KnownFacts {
  policy: LoadedPolicy;
  now: Date;
  /** The image that is scanned: its digests, with those of what runs of it, and what is signed about it. */
  own: { repository: Repository; digests: readonly Digest[]; evidence: Evidence };
  /** The image that it is compared with. */
  other: {
    repository: Repository;
    /** By which it was named, if it was by one. */
    tag?: string | undefined;
    digest: Digest;
    /** What runs of it. */
    children: readonly Digest[];
    /** About the image itself, and about each of its children. */
    evidence: ReadonlyMap<Digest, Evidence>;
    scan: ToldScan;
  };
}

/**
 * Why the policy does not take an image's findings for known, one clause; undefined where it does. A caller chooses the
 * image, and must not be able to choose one that has what his own brings: it is another one, that a tag of the policy's
 * points at, it was promoted into the policy's environment by its promoter, nothing of it was withdrawn, it is of the
 * same source repository by who speaks for builds, and its scan is not older than the policy says. What is withdrawn is
 * told by the policy in force alone, so another copy of the same policy takes no image for known.
 */
export function findObjection({ policy, now, own, other }: KnownFacts): string | undefined {
  const { failOnlyOn, comparison } = policy.policy.scan;
  if (failOnlyOn !== "new" || comparison === undefined) return "the policy refuses what is not new as well";
  const environment = policy.policy.environments[comparison.environment];
  if (environment === undefined) return `the policy has no environment '${comparison.environment}'`;
  if (!environment.to.some((prefix) => isWithin(other.repository, prefix)))
    return `it is not where '${comparison.environment}' puts images (${environment.to.join(", ")})`;
  const name = nameBelow(own.repository, environment.from);
  if (name === undefined || name !== nameBelow(other.repository, environment.to))
    return `it is another image than the scanned one (${formatRepository(own.repository)}): what is below '${comparison.environment}''s \`from\` and \`to\` is not the same`;
  if (other.tag === undefined || !comparison.tags.includes(other.tag))
    return `it is not named by a tag that the policy compares with (${comparison.tags.join(", ")})`;
  if ([other.digest, ...other.children].some((digest) => own.digests.includes(digest)))
    return "it is the scanned image itself";
  const evidence = other.evidence.get(other.digest) ?? { statements: [], lapsed: [] };
  const { inForce } = policy;
  if (inForce === undefined)
    return "what was withdrawn is told by the policy in force alone, and this one was not read from its place (`…:in-force`)";
  const asked = { environment: comparison.environment, promoter: environment.promoter, inForce };
  if (!isPromoted({ repository: other.repository, evidence }, asked))
    return `nothing that counts says that it was promoted into '${comparison.environment}'`;
  const [withdrawn] = judgeWithdrawals({ policy, image: other, evidence: other.evidence });
  if (withdrawn !== undefined) return withdrawn.problem;
  const builders = listStageSigners(policy.policy, "build", comparison.environment);
  const [source, theirs] = [sourceOf(own.evidence, builders), sourceOf(evidence, builders)];
  if (source === undefined) return "no provenance of the scanned image says which source it is of";
  if (source !== theirs) return `it is of ${theirs ?? "an unknown source"}, and the scanned image of ${source}`;
  const age = now.getTime() - other.scan.finishedOn.getTime();
  if (!(age >= -clockSkew)) return "its scan says that it was made in the future";
  if (age > comparison.maxAge)
    return `its scan is of ${other.scan.finishedOn.toISOString()}, and the policy takes none that is older than ${Math.floor(comparison.maxAge / 60_000)} minutes`;
  return undefined;
}

/** What an image is called below the first of some places that it is in; empty for the place itself. */
function nameBelow(repository: Repository, prefixes: readonly string[]): string | undefined {
  const prefix = prefixes.find((each) => isWithin(repository, each));
  return prefix === undefined ? undefined : formatRepository(repository).slice(prefix.length).replace(/^\//, "");
}

const promoteId = stageVerifierId("promote");

/**
 * The newest word of the environment's promoter about this environment is a pass, of this very repository and under a
 * policy that was in force then: the same image may have been let in as another one, or under a caller's own policy.
 */
function isPromoted(
  { repository, evidence: { statements, lapsed } }: { repository: Repository; evidence: Evidence },
  { environment, promoter, inForce }: { environment: string; promoter: string; inForce: PolicyPointer },
): boolean {
  const read = (from: readonly VerifiedStatement[]): { time: number; passed: boolean }[] =>
    from
      .filter(({ statement, signers }) => signers.includes(promoter) && summaryVerifierId(statement) === promoteId)
      .flatMap(({ statement, time }) => {
        const summary = readVerificationSummary(statement);
        // Its time can't be told, so it may be the newest, and no pass.
        if ("problem" in summary) return [{ time: Number.POSITIVE_INFINITY, passed: false }];
        if (summary.environment !== environment) return [];
        const { policySerial: serial, policyDigest: digest, timeVerified } = summary;
        const made = { serial, digest, time: time ?? timeVerified };
        const isOfHere =
          isOfRepository(statement, repository) && explainNotInForce(inForce, repository, made) === undefined;
        const passed = summary.result === "PASSED";
        return passed && !isOfHere ? [] : [{ time: timeVerified.getTime(), passed }];
      });
  const [newest] = read(statements).toSorted((a, b) => b.time - a.time || Number(a.passed) - Number(b.passed));
  if (newest?.passed !== true) return false;
  return !read(lapsed).some(({ time, passed }) => !passed && time >= newest.time);
}

/** The source repository that all provenances agree on. */
function sourceOf({ statements }: Evidence, builders: ReadonlySet<string>): string | undefined {
  const sources = statements
    .filter(
      ({ statement, signers }) =>
        statement.predicateType === predicateTypes.provenance && signers.some((name) => builders.has(name)),
    )
    .map(({ statement }) => {
      const provenance = readProvenance(statement);
      return "problem" in provenance ? undefined : provenance.sourceRepository;
    });
  const [first, ...others] = new Set(sources);
  return others.length === 0 ? first : undefined;
}

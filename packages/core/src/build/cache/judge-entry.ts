import { describeIssues } from "@goldenpath/foundation/text/json";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import type { Policy } from "../../policy/schema.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import { findDifferences } from "../../signing/run-differences.ts";
import { isDigestIn, namesSubject } from "../../signing/statement.ts";
import type { CollectedEvidence, VerifiedStatement } from "../../signing/types.ts";
import type { CacheLabels } from "./entry.ts";
import type { CacheKey } from "./key.ts";
import { type CacheRun, isProtected } from "./writer.ts";

const hex = z.string().regex(/^[0-9a-f]{64}$/, "expected a SHA-256");

/**
 * What the job that attests says of an entry. The key is the build's word; source, ref and event are this job's own
 * run's, and the builder is digested by the policy that this job read.
 */
const predicateSchema = z.object({
  key: hex,
  group: hex,
  strategy: z.string(),
  platform: z.string(),
  builder: z.object({ name: z.string(), digest: hex }),
  source: z.object({ repository: z.string(), ref: z.string(), commit: z.string().optional() }),
  event: z.string(),
  defaultBranch: z.string().optional(),
  workflow: z.string(),
  caller: z.string().optional(),
});
export type CachePredicate = z.infer<typeof predicateSchema>;

/** Facts of the attesting run → what it says; undefined where it may not speak for an entry that others read. */
export function describeEntry(
  { key, group, strategy, platform, builder }: CacheLabels,
  builderDigest: string,
  run: CacheRun & { sourceCommit?: string },
): CachePredicate | undefined {
  const { sourceRepository, sourceRef, sourceCommit, event, defaultBranch, builderId, callerId } = run;
  if (sourceRepository === undefined || sourceRef === undefined || event === undefined) return undefined;
  return {
    ...{ key, group, strategy, platform },
    builder: { name: builder, digest: builderDigest },
    source: {
      repository: sourceRepository,
      ref: sourceRef,
      ...(sourceCommit === undefined ? {} : { commit: sourceCommit }),
    },
    event,
    ...(defaultBranch === undefined ? {} : { defaultBranch }),
    workflow: builderId,
    ...(callerId === undefined ? {} : { caller: callerId }),
  };
}

export interface EntryFacts {
  /** Where it was found. */
  repository: Repository;
  digest: Digest;
  labels: CacheLabels;
  evidence: CollectedEvidence;
}

/** Of the build that would read it. */
export interface Reader {
  key: CacheKey;
  /** See `digestBuilder`. */
  builder: string;
  source: string | undefined;
  policy: Policy;
}

/** Who may speak for caches: whoever speaks for builds, in any environment. */
export function listCacheSigners({ environments }: Policy): string[] {
  const requirements = Object.values(environments).flatMap(({ requires }) => requires);
  return [...new Set(requirements.filter(({ stage }) => stage === "build").flatMap(({ signers }) => signers))];
}

/**
 * Why an entry does not count where the policy says `cache: verified`; undefined where it does. One statement has to
 * meet all of it: by a signer of builds, about this very digest in this very place, of this repository's protected ref,
 * of this builder and of the key that the entry has; and whose certificate, if its signer has one, says the same of the
 * run. Another statement is no objection to it, and so one out of its signer's time is none either: it only no longer
 * speaks for the entry.
 */
export function judgeEntry(entry: EntryFacts, reader: Reader): string | undefined {
  const { digest, evidence } = entry;
  const signers = listCacheSigners(reader.policy);
  const of = evidence.statements.filter(
    ({ statement }) => statement.predicateType === predicateTypes.buildCache && namesSubject(statement, digest),
  );
  const allowed = of.filter((each) => each.signers.some((name) => signers.includes(name)));
  if (allowed.length === 0) {
    const others = [...new Set(of.flatMap((each) => each.signers))].join(", ");
    if (others !== "") return `it is attested by ${others}, and ${signers.join(", ") || "nobody"} speaks for builds`;
    const [rejected] = evidence.rejected.filter((each) => each.claimedPredicateType === predicateTypes.buildCache);
    return rejected === undefined ? "nobody attested it" : `its statement counts for nothing: ${rejected.reason}`;
  }
  const against = allowed.map((each) => describeMismatch(each, entry, reader));
  return against.includes(undefined) ? undefined : [...new Set(against)].join("; or ");
}

function describeMismatch(
  { statement, identity }: VerifiedStatement,
  { repository, digest, labels }: EntryFacts,
  reader: Reader,
): string | undefined {
  const parsed = predicateSchema.safeParse(statement.predicate);
  if (!parsed.success) return `its statement is malformed: ${describeIssues(parsed.error)}`;
  const said = parsed.data;
  const { name } = statement.subject.find((each) => isDigestIn(each.digest, digest)) ?? {};
  if (name !== formatRepository(repository))
    return `its statement is about ${name || "an entry without a name"}, and it lies in ${formatRepository(repository)}`;
  if (said.source.repository !== reader.source)
    return `it was written for ${said.source.repository}, and this is ${reader.source ?? "of no known source"}`;
  if (said.builder.digest !== reader.builder)
    return `it was written with builder '${said.builder.name}' in another version than the policy's`;
  if (said.group !== reader.key.group || said.group !== labels.group || said.key !== labels.key)
    return "its statement is about another key";
  const run = readRun(said);
  const differences = identity === undefined ? [] : findDifferences(run, identity);
  if (differences.length > 0) return `its statement is not of the run that signed it: ${differences.join("; ")}`;
  return isProtected(run, reader.policy) ? undefined : `it was written on ${said.source.ref}, which is not protected`;
}

function readRun({
  source,
  event,
  workflow,
  caller,
  defaultBranch,
}: CachePredicate): CacheRun & { sourceRepository: string; sourceCommit: string | undefined } {
  return {
    sourceRepository: source.repository,
    sourceRef: source.ref,
    sourceCommit: source.commit,
    event,
    builderId: workflow,
    ...(caller === undefined ? {} : { callerId: caller }),
    ...(defaultBranch === undefined ? {} : { defaultBranch }),
  };
}

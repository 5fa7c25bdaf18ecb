import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Policy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { CollectedEvidence, VerifiedStatement } from "../signing/types.ts";
import { checkSbom, type Sbom } from "./catalog.ts";

export interface SignedSbom {
  sbom: Sbom;
  /** Of the bundle. */
  digest: Digest;
  signer: string;
}

/**
 * The signers whose word counts for a build wherever the policy asks for one: a lesser environment's must not speak for
 * all.
 */
export function listBuildSigners({ environments }: Pick<Policy, "environments">): Set<string> {
  const lists = Object.values(environments).flatMap(({ requires }) =>
    requires.filter(({ stage }) => stage === "build").map(({ signers }) => signers),
  );
  const [first = [], ...others] = lists;
  return new Set(first.filter((name) => others.every((list) => list.includes(name))));
}

/**
 * The SBOM of one platform's image that the build stage signed, the newest that says it is of `subject`: made of bytes
 * that were checked, so nobody has to unpack the image again. It is believed by its signature alone. One out of its signer's time is not believed, and what it overtook is
 * not believed again because of that: a package that only the newer one lists would be out of sight.
 */
export function chooseSbom(
  { statements, lapsed }: Pick<CollectedEvidence, "statements" | "lapsed">,
  subject: Digest,
  allowed: ReadonlySet<string>,
): SignedSbom | { problem: string } | undefined {
  const read = readSboms(statements, subject, allowed);
  if (read === undefined || "problem" in read) return read;
  const past = readSboms(lapsed, subject, allowed) ?? [];
  if ("problem" in past) return past;
  const [newest] = read.toSorted((a, b) => b.time - a.time);
  if (newest === undefined) return { problem: `no SBOM of those that are signed says that it is of ${subject}` };
  // One statement may be in time for one of its signers and out of it for another.
  const overtaking = past.find(({ time, digest }) => time >= newest.time && digest !== newest.digest);
  if (overtaking === undefined) return newest;
  return {
    problem: `a later SBOM is there, and the word of its signer ${overtaking.signer} or its signature has ended`,
  };
}

/** Those by who is allowed to; undefined where none is. */
function readSboms(
  from: readonly VerifiedStatement[],
  subject: Digest,
  allowed: ReadonlySet<string>,
): (SignedSbom & { time: number })[] | { problem: string } | undefined {
  const signed = from.flatMap((each) => {
    const signer = each.signers.find((name) => allowed.has(name));
    return signer === undefined || each.statement.predicateType !== predicateTypes.cyclonedx ? [] : [{ each, signer }];
  });
  if (signed.length === 0) return undefined;
  const read: (SignedSbom & { time: number })[] = [];
  for (const { each, signer } of signed) {
    const document = each.statement.predicate;
    const problem = checkSbom(document);
    // Its time can't be told, so it may be the newest.
    if (problem !== undefined) return { problem: `an SBOM that ${signer} signed can't be used: ${problem}` };
    const { component, timestamp } = document["metadata"] as { component?: { version?: unknown }; timestamp?: unknown };
    const time = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
    if (Number.isNaN(time)) return { problem: `an SBOM that ${signer} signed does not say when it was made` };
    // Of an index, every child's is signed with the index's digest as well: each says in itself which image it is of.
    if (component?.version === subject) read.push({ sbom: document, digest: each.bundle.digest, signer, time });
  }
  return read;
}

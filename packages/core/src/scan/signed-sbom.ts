import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { Policy } from "../policy/schema.ts";
import { collectEvidence } from "../signing/collect.ts";
import { predicateTypes } from "../signing/predicates.ts";
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
 * The SBOM of one platform's image that the build stage signed, the newest of them: made of bytes that were checked, so
 * nobody has to unpack the image again. It is believed by its signature alone.
 * @returns undefined where none is signed; `problem` where one is and can't be used
 * @throws as collectEvidence: that the registry can't be asked is an error
 */
export async function findSignedSbom(
  client: RegistryClient,
  repository: Repository,
  subject: Digest,
  policy: Pick<Policy, "environments" | "signers">,
  now: Date,
): Promise<SignedSbom | { problem: string } | undefined> {
  const allowed = listBuildSigners(policy);
  if (allowed.size === 0) return undefined;
  const { statements } = await collectEvidence(client, repository, subject, policy.signers, { now });
  const signed = statements.flatMap((each) => {
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
  const [newest] = read.toSorted((a, b) => b.time - a.time);
  return newest ?? { problem: `no SBOM of those that are signed says that it is of ${subject}` };
}

import { isKnownError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, parseReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { ComparisonReport } from "../result.ts";
import { collectEvidence } from "../signing/collect.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import { chooseScan, findObjection, listStageSigners } from "./choose-known.ts";
import type { ToldScan } from "./told-findings.ts";

/** What an image is compared with, and how far the policy goes by it. */
export interface KnownScan {
  /** Absent where there is nothing to compare with. */
  scan?: ToldScan;
  report: Pick<ComparisonReport, "with" | "scannedOn" | "databaseOf" | "gates" | "note">;
}

interface ComparisonSource {
  client: RegistryClient;
  image: ImageFacts;
  policy: Pick<LoadedPolicy, "policy"> & Partial<LoadedPolicy>;
  context: Pick<Context, "now">;
}

/**
 * The signed scan of the image that `compareWith` names: a digest, or a tag that is resolved here and told. Nothing
 * there yet, or nothing signed, is the first run, and is told; then everything found counts as new.
 * @throws UserError `reference-invalid`, `registry-unauthorized`; InfrastructureError where the registry can't be asked
 */
export async function gatherComparison(
  { client, image, policy, context }: ComparisonSource,
  compareWith: string | undefined,
): Promise<KnownScan | undefined> {
  const isAsked = policy.policy.scan.failOnlyOn === "new";
  if (compareWith === undefined) {
    const note = "nothing to compare with was named (input `compare-with`), so all that is found counts as new";
    return isAsked ? { report: { gates: false, note } } : undefined;
  }
  const named = parseReference(compareWith, "input 'compare-with'");
  const other = await findOther(client, named);
  if (other === undefined)
    return { report: { gates: false, note: `${compareWith} does not exist yet: all that is found counts as new` } };
  const collect = (of: Repository, digest: Digest): Promise<CollectedEvidence> =>
    collectEvidence(client, { registry: of.registry, name: of.name }, digest, policy.policy.signers, {
      now: context.now(),
    });
  const { reference } = other;
  const evidence = await collect(reference, reference.digest);
  const scan = chooseScan(
    evidence,
    listStageSigners(policy.policy, "scan", isAsked ? environmentOf(policy) : undefined),
  );
  const where = formatReference({ registry: reference.registry, name: reference.name, digest: reference.digest });
  if ("problem" in scan)
    return { report: { gates: false, note: `${where}: ${scan.problem}, so all that is found counts as new` } };
  const { uri, digest } = policy;
  // Without a policy of somebody's, nothing is let pass for being known.
  const objection =
    uri === undefined || digest === undefined || !isAsked
      ? undefined
      : findObjection({
          policy: { ...policy, uri, digest },
          now: context.now(),
          own: {
            repository: { registry: image.reference.registry, name: image.reference.name },
            digests: [image.reference.digest, ...image.children.map((child) => child.digest)],
            evidence: await collect(image.reference, image.reference.digest),
          },
          other: {
            ...{ repository: reference, digest: reference.digest, scan },
            tag: named.digest === undefined ? named.tag : undefined,
            children: other.children.map((child) => child.digest),
            evidence: await collectAll(other, evidence, collect),
          },
        });
  const gates = isAsked && uri !== undefined && objection === undefined;
  return {
    scan,
    report: {
      ...{ with: where, scannedOn: scan.finishedOn.toISOString(), gates },
      ...(scan.databaseOf === undefined ? {} : { databaseOf: scan.databaseOf }),
      ...(objection === undefined ? {} : { note: `what is not new counts all the same: ${objection}` }),
    },
  };
}

/** About the image, which is there already, and about each of its children: what is withdrawn may be one of them. */
async function collectAll(
  { reference, children }: ImageFacts,
  own: CollectedEvidence,
  collect: (of: Repository, digest: Digest) => Promise<CollectedEvidence>,
): Promise<Map<Digest, CollectedEvidence>> {
  const all = new Map([[reference.digest, own]]);
  for (const { digest } of children) if (!all.has(digest)) all.set(digest, await collect(reference, digest));
  return all;
}

function environmentOf({ policy }: ComparisonSource["policy"]): string | undefined {
  return policy.scan.comparison?.environment;
}

async function findOther(
  client: RegistryClient,
  named: ReturnType<typeof parseReference>,
): Promise<ImageFacts | undefined> {
  try {
    return await fetchImageFacts(client, named);
  } catch (error) {
    // A digest was seen somewhere: that it is not there is somebody's mistake, and no first run.
    if (isKnownError(error) && error.code === "image-not-found" && named.digest === undefined) return undefined;
    throw error;
  }
}

import { UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type Reference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import type { LoadedPolicy } from "../policy/schema.ts";
import { type BesideClient, type BundleSource, withBundles } from "../signing/bundles-beside.ts";
import { collectEvidence } from "../signing/collect.ts";
import type { CollectedEvidence } from "../signing/types.ts";

export interface AttachedBundle {
  subject: Digest;
  predicateType: string;
  signers: readonly string[];
  referrer: Digest;
}

export interface AttachedBundles {
  image: ImageFacts;
  /** What was put beside the image now. */
  attached: AttachedBundle[];
  /** What was given and counts for nothing under the policy: it is not put anywhere. */
  refused: { subject: Digest; reason: string }[];
}

/**
 * Puts bundles from elsewhere beside an image, and beside each image of an index that they are about, as cosign has
 * them: those that count under the policy and are not there yet. Every later step then reads them, and a promotion
 * takes them along.
 * @throws the registry's and the source's errors; UserError `evidence-missing` where there are no bundles about it
 */
export async function attachBundles(
  client: RegistryClient,
  reference: Reference,
  source: BundleSource,
  { policy }: Pick<LoadedPolicy, "policy">,
  now: Date,
): Promise<AttachedBundles> {
  const reader = withBundles(client, source, now);
  const image = await fetchImageFacts(reader, reference);
  const { registry, name, digest } = image.reference;
  const repository = { registry, name };
  const subjects = [...new Set([digest, ...image.children.map((child) => child.digest)])];
  const collected: CollectedEvidence[] = [];
  let given = 0;
  for (const subject of subjects) {
    given += (await source(subject)).length;
    collected.push(await collectEvidence(reader, repository, subject, policy.signers, { now }));
  }
  if (given === 0) {
    throw new UserError(`none of the bundles is about ${formatReference(image.reference)}`, {
      code: "evidence-missing",
      wayOut: "Name the image by the digest that was attested, or give the bundles of this one.",
    });
  }
  const attached: AttachedBundle[] = [];
  for (const { subject, statement, signers, referrer } of collected.flatMap(({ statements }) => statements)) {
    const own = reader.beside(referrer.digest);
    if (own === undefined) continue;
    await pushBeside(client, repository, own);
    attached.push({ subject, predicateType: statement.predicateType, signers, referrer: referrer.digest });
  }
  const refused = collected
    .flatMap(({ rejected }) => rejected)
    .filter(({ referrer }) => reader.beside(referrer) !== undefined)
    .map(({ subject, reason }) => ({ subject, reason }));
  return { image, attached, refused };
}

/** Puts a bundle from elsewhere, with the referrer that it was read by, where the image is that it is about. */
export async function pushBeside(
  client: RegistryClient,
  repository: Repository,
  { manifest, bundle, bytes }: NonNullable<ReturnType<BesideClient["beside"]>>,
): Promise<void> {
  const empty = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  await client.pushBlob(repository, empty, () => emptyBlob.bytes);
  await client.pushBlob(repository, bundle, () => bytes);
  await client.pushManifest(repository, manifest.bytes, manifest.mediaType);
}

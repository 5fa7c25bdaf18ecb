import { InfrastructureError } from "../errors.ts";
import type { Digest } from "../oci/digest.ts";
import type { Descriptor, Manifest } from "../oci/manifest.ts";
import { formatRepository, type Repository } from "../oci/reference.ts";
import type { RegistryClient } from "../registry/client.ts";
import type { ImageFacts } from "../registry/subject.ts";
import type { CollectedEvidence } from "../signing/types.ts";
import type { BlobFacts, ManifestFacts, PromotionFacts } from "./plan.ts";

export interface GatheredPromotion {
  facts: PromotionFacts;
  /** The bytes to push, by digest, as the source served them: checked once, and not asked for again. */
  manifests: ReadonlyMap<Digest, Manifest>;
}

/**
 * What the promotion of `image` needs at `to`: the image's manifests, children first, then every statement that a signer of the policy made. Other referrers stay
 * behind: whoever may write to quarantine may attach anything there, and nothing unverified is carried into vetted.
 */
export async function gatherPromotion(
  client: RegistryClient,
  image: ImageFacts,
  evidence: ReadonlyMap<Digest, CollectedEvidence>,
  to: Repository,
  tags: readonly string[],
): Promise<GatheredPromotion> {
  const from: Repository = { registry: image.reference.registry, name: image.reference.name };
  const manifests = new Map<Digest, Manifest>();
  const blobsPresent = createPresence(client, to);
  const fetch = async (digest: Digest): Promise<Manifest> => {
    const known = manifests.get(digest);
    if (known !== undefined) return known;
    const manifest = await client.fetchManifest({ ...from, digest });
    manifests.set(digest, manifest);
    return manifest;
  };
  const describe = async (digest: Digest, role: ManifestFacts["role"], subject?: Digest, isListed = true): Promise<ManifestFacts> => {
    const manifest = await fetch(digest);
    const isPresent = isListed && (await client.resolve({ ...to, digest })) === digest;
    const blobs: BlobFacts[] = [];
    for (const blob of blobsOf(manifest))
      blobs.push({ digest: blob.digest, mediaType: blob.mediaType, size: blob.size, isPresent: await blobsPresent(blob) });
    const { mediaType, bytes } = manifest;
    return { digest, mediaType, size: bytes.byteLength, role, ...(subject === undefined ? {} : { subject }), isPresent, blobs };
  };

  const facts: ManifestFacts[] = [];
  for (const child of await childrenOf(fetch, image, from)) facts.push(await describe(child, "child"));
  facts.push(await describe(image.reference.digest, "image"));
  for (const [subject, { statements }] of evidence) {
    // Without a referrers API the list is a manifest of its own: a promotion that was killed between the two leaves a referrer that nobody finds.
    const listed = new Set((await client.listReferrers(to, subject)).map((descriptor) => descriptor.digest));
    for (const { referrer } of statements) facts.push(await describe(referrer.digest, "evidence", subject, listed.has(referrer.digest)));
  }
  const current = await Promise.all(tags.map((tag) => client.resolve({ ...to, tag })));
  return {
    facts: {
      from,
      to,
      digest: image.reference.digest,
      manifests: facts,
      tags: tags.map((tag, index) => ({ tag, ...(current[index] === undefined ? {} : { current: current[index] }) })),
    },
    manifests,
  };
}

/** Every child of an index, the unrunnable attestation children as well: the index is copied byte for byte, and must not name what is not there. */
async function childrenOf(fetch: (digest: Digest) => Promise<Manifest>, image: ImageFacts, from: Repository): Promise<Digest[]> {
  const root = await fetch(image.reference.digest);
  if (root.kind === "image") return [];
  const children = root.manifest.manifests.map((descriptor) => descriptor.digest);
  for (const digest of children) {
    if ((await fetch(digest)).kind === "index") {
      throw new InfrastructureError(
        `${formatRepository(from)}@${root.digest} holds another index, ${digest}, which goldenpath does not promote`,
        {
          code: "manifest-invalid",
          safeToRetry: false,
        },
      );
    }
  }
  return [...new Set(children)];
}

function blobsOf(manifest: Manifest): Descriptor[] {
  if (manifest.kind === "index") return [];
  return [manifest.manifest.config, ...manifest.manifest.layers.filter((layer) => !isElsewhere(layer))];
}

/** Layers that a registry must not distribute (Docker's foreign layers) are of types of their own, named by URL, and in no registry. */
function isElsewhere({ mediaType, urls = [] }: Descriptor): boolean {
  return urls.length > 0 && /\.(?:nondistributable|foreign)\./.test(mediaType);
}

function createPresence(client: RegistryClient, to: Repository): (blob: Descriptor) => Promise<boolean> {
  const known = new Map<Digest, Promise<boolean>>();
  return (blob) => {
    const asked = known.get(blob.digest) ?? client.hasBlob(to, blob.digest);
    known.set(blob.digest, asked);
    return asked;
  };
}

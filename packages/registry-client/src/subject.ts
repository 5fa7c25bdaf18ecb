import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "./client.ts";
import type { Digest } from "./oci/digest.ts";
import {
  type Descriptor,
  type ImageConfig,
  type ImageManifest,
  isAttestation,
  isRunnable,
  type Manifest,
  type Platform,
  parseImageConfig,
} from "./oci/manifest.ts";
import { formatReference, type PinnedReference, type Reference, type Repository } from "./oci/reference.ts";

/**
 * An image as the stages decide on it. What was behind a tag has become a digest, and the tag plays no part any more.
 */
export interface ImageFacts {
  reference: PinnedReference;
  mediaType: string;
  /** Of the manifest or index itself, in bytes. */
  size: number;
  /** What runs: the image itself, or each runnable child of an index, in its order. Never empty. */
  children: ChildFacts[];
  /** What BuildKit attached to an index: manifests of statements. Absent for a single image. */
  attestations?: AttestationFacts[];
}

export interface AttestationFacts {
  digest: Digest;
  /** The child that it is about, as the index says. A hint: what the statements in it are about is for them to say. */
  child: string | undefined;
}

export interface ChildFacts {
  platform: Platform;
  /** As the index has it; for a single image, made from its own bytes. */
  descriptor: Descriptor;
  digest: Digest;
  manifest: ImageManifest;
  config: ImageConfig;
}

/** Where BuildKit writes which child an attestation of an index is about. */
const referenceDigest = "vnd.docker.reference.digest";

/** Children that are looked at at the same time. */
const concurrency = 8;

/** Far more than a config with large labels has. Bytes. */
const maxConfigBytes = 8 * 1024 * 1024;

/** Descriptors in an index: platforms and their attestations; official images with the most have some 30. */
export const maxChildren = 256;

/** Of an index's children: manifests and configs together. Bytes. */
export const maxChildrenBytes = 64 * 1024 * 1024;

/**
 * Fetches what is to be known about an image, all of it verified by digest: a tag is resolved once, and an index is
 * followed to each child that runs (BuildKit's `unknown/unknown` attestations do not, and must be that).
 * @throws UserError `image-not-found`, `registry-unauthorized`; InfrastructureError `manifest-invalid` (nothing in it
 *   runs, an image that says it does not, an index inside an index, more or fewer diffIDs than layers),
 *   `config-invalid`, `digest-mismatch`, and as {@link RegistryClient} has them
 */
export async function fetchImageFacts(client: RegistryClient, reference: Reference): Promise<ImageFacts> {
  return readImageFacts(client, reference, await client.fetchManifest(reference));
}

/** The same, of a manifest that is at hand. @param root what `reference` names */
export async function readImageFacts(
  client: RegistryClient,
  reference: Reference,
  root: Manifest,
): Promise<ImageFacts> {
  const repository: Repository = { registry: reference.registry, name: reference.name };
  const facts = {
    reference: { ...reference, digest: root.digest },
    mediaType: root.mediaType,
    size: root.bytes.byteLength,
  };
  if (root.kind === "image") {
    const descriptor: Descriptor = { mediaType: root.mediaType, digest: root.digest, size: root.bytes.byteLength };
    return { ...facts, children: [await fetchChild(client, repository, descriptor, root)] };
  }
  const { runnable, others } = planChildren(root.manifest.manifests, facts.reference);
  const configs = createBudget(maxChildrenBytes, facts.reference);
  await mapConcurrently(concurrency, others, async ({ digest }) => {
    const child = await client.fetchManifest({ ...repository, digest });
    if (child.kind === "image" && isAttestation(child.manifest)) return;
    throw invalid(
      facts.reference,
      `its child ${digest} says that it is of no platform, and is not an attestation: nobody would judge it`,
    );
  });
  const children = await mapConcurrently(concurrency, runnable, async (descriptor) => {
    const child = await client.fetchManifest({ ...repository, digest: descriptor.digest });
    if (child.kind !== "image") throw invalid(facts.reference, `its child ${descriptor.digest} is an index again`);
    if (child.bytes.byteLength !== descriptor.size) {
      throw invalid(
        facts.reference,
        `its child ${descriptor.digest} has ${child.bytes.byteLength} bytes, not the ${descriptor.size} that it says`,
      );
    }
    configs.spend(child.manifest.config.size);
    return fetchChild(client, repository, descriptor, child);
  });
  const attestations = others.map(({ digest, annotations }) => ({ digest, child: annotations?.[referenceDigest] }));
  return { ...facts, children, attestations };
}

/**
 * An index's descriptors → its children, each once: an image may stand in it for two platforms, and is one image all
 * the same. The first entry's platform is its platform.
 * @throws InfrastructureError `too-large`, `manifest-invalid`
 */
function planChildren(
  descriptors: readonly Descriptor[],
  reference: Reference,
): { runnable: Descriptor[]; others: Descriptor[] } {
  if (descriptors.length > maxChildren) {
    throw tooLarge(reference, `its index has ${descriptors.length} entries, and ${maxChildren} are read at most`);
  }
  const sizes = new Map<Digest, number>();
  for (const { digest, size } of descriptors) {
    const known = sizes.get(digest);
    if (known !== undefined && known !== size)
      throw invalid(reference, `its child ${digest} has ${known} bytes in one entry, and ${size} in another`);
    sizes.set(digest, size);
  }
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  if (total > maxChildrenBytes)
    throw tooLarge(reference, `its children have ${total} bytes, and ${maxChildrenBytes} are read at most`);
  const once = (chosen: Descriptor[]): Descriptor[] => {
    const seen = new Set<Digest>();
    return chosen.filter(({ digest }) => seen.size !== seen.add(digest).size);
  };
  const runnable = once(descriptors.filter(isRunnable));
  if (runnable.length === 0) throw invalid(reference, "it is an index, and nothing in it runs");
  return { runnable, others: once(descriptors.filter((descriptor) => !isRunnable(descriptor))) };
}

function createBudget(most: number, reference: Reference): { spend(bytes: number): void } {
  let spent = 0;
  return {
    spend(bytes) {
      spent += bytes;
      if (spent > most) throw tooLarge(reference, `the configs of its children have more than ${most} bytes`);
    },
  };
}

async function fetchChild(
  client: RegistryClient,
  repository: Repository,
  descriptor: Descriptor,
  child: Manifest & { kind: "image" },
): Promise<ChildFacts> {
  const { manifest, digest } = child;
  const where = formatReference({ ...repository, digest });
  const config = parseImageConfig(await client.fetchBlob(repository, manifest.config, maxConfigBytes), `of ${where}`);
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw invalid(
      { ...repository, digest },
      `it has ${manifest.layers.length} layers, and its config has ${config.rootfs.diff_ids.length} diffIDs`,
    );
  }
  return { platform: descriptor.platform ?? platformOf(config), descriptor, digest, manifest, config };
}

function platformOf(config: ImageConfig): Platform {
  return {
    os: config.os,
    architecture: config.architecture,
    ...(config.variant === undefined ? {} : { variant: config.variant }),
  };
}

function tooLarge(reference: Reference, why: string): InfrastructureError {
  return new InfrastructureError(`image ${formatReference(reference)} cannot be judged: ${why}`, {
    code: "too-large",
    safeToRetry: false,
    wayOut: "Build an index of the platforms that are deployed, each once.",
  });
}

function invalid(reference: Reference, why: string): InfrastructureError {
  return new InfrastructureError(`image ${formatReference(reference)} cannot be judged: ${why}`, {
    code: "manifest-invalid",
    safeToRetry: false,
  });
}

import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { describeError, InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import type { Descriptor, ImageManifest, Manifest } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { isAboutContent } from "./content-errors.ts";
import { unknownKeyReason } from "./predicates.ts";
import type { ReadingBounds } from "./reading-bounds.ts";
import { allSchemes } from "./schemes/find.ts";
import {
  type EvidenceVerifier,
  type FoundReferrer,
  maxBundleBytes,
  type ReadBlob,
  type SignedPayload,
} from "./schemes/scheme.ts";

/** Where evidence is read. */
export interface EvidenceSource {
  client: Pick<RegistryClient, "listReferrers" | "fetchManifest" | "fetchBlob">;
  repository: Repository;
  /** Told of what is read besides what the list of the image has; throws where that is too much. */
  bounds?: Pick<ReadingBounds, "referrers" | "read">;
}

/** By scheme, what verifies: a scheme that nobody is trusted by reads nothing. */
export type TrustedSchemes = ReadonlyMap<string, EvidenceVerifier>;

export interface ReadReferrer {
  found: FoundReferrer;
  /** Each statement that a scheme finds in it. */
  signed: readonly SignedPayload[];
}

/** Where evidence is found: in the list of what refers to an image, or under a scheme's tag. */
export interface EvidencePlace {
  digest: Digest;
  tag?: string;
}

/**
 * What lies under the tags of the schemes; nothing is asked where no scheme has any.
 * @throws what the client throws, where it can't be asked
 */
export async function findTagged(
  { client, repository }: EvidenceSource,
  subject: Digest,
  trusted: TrustedSchemes,
): Promise<EvidencePlace[]> {
  const tags = allSchemes.filter(({ kind }) => trusted.has(kind)).flatMap((scheme) => scheme.tags?.(subject) ?? []);
  const found = await mapConcurrently(concurrency, [...new Set(tags)], async (tag): Promise<EvidencePlace[]> => {
    try {
      return [{ digest: (await client.fetchManifest({ ...repository, tag })).digest, tag }];
    } catch (error) {
      if (isAboutContent(error)) return [];
      throw error;
    }
  });
  return found.flat();
}

/**
 * A referrer by digest → what is signed in it, and by whom. A reason where it counts for nothing: it is something else
 * than a scheme's evidence, or broken.
 * @throws what the client throws, where it can't be had
 */
export async function readReferrer(
  source: EvidenceSource,
  subject: Digest,
  { digest, tag }: EvidencePlace,
  trusted: TrustedSchemes,
): Promise<ReadReferrer | { reason: string }> {
  try {
    const fetched = await fetchCounted(source, digest);
    if (fetched.kind !== "image") return { reason: "it is an index" };
    const { manifest } = fetched;
    if (tag === undefined && manifest.subject?.digest !== subject)
      return { reason: "its manifest refers to another image" };
    const here =
      tag === undefined ? allSchemes : allSchemes.filter((scheme) => scheme.tags?.(subject).includes(tag) === true);
    const schemes = here.filter((scheme) => scheme.recognises(manifest));
    if (schemes.length === 0) {
      const wanted = here.map(({ evidence }) => evidence).join(" or ");
      return { reason: `it is of type ${manifest.artifactType ?? manifest.config.mediaType}, not ${wanted}` };
    }
    const used = schemes.flatMap((scheme) => trusted.get(scheme.kind) ?? []);
    if (used.length === 0) return { reason: unknownKeyReason };
    const levels = Math.max(...schemes.filter(({ kind }) => trusted.has(kind)).map((scheme) => scheme.levels));
    const found: FoundReferrer = {
      ...describeReferrer(fetched, manifest),
      below: await readBelow(source, digest, levels - 1),
    };
    const read = readOnce(source);
    const answers = await Promise.all(used.map((verifier) => verifier.verify(found, read)));
    const signed = mergePayloads(answers.flatMap((answer) => ("reason" in answer ? [] : answer)));
    const reason = answers
      .map((answer) => ("reason" in answer ? answer.reason : undefined))
      .find((each) => each !== undefined);
    return signed.length === 0 ? { reason: reason ?? "there is no statement in it" } : { found, signed };
  } catch (error) {
    if (isAboutContent(error)) return { reason: isKnownError(error) ? error.message : describeError(error) };
    throw error;
  }
}

async function fetchCounted({ client, repository, bounds }: EvidenceSource, digest: Digest): Promise<Manifest> {
  const fetched = await client.fetchManifest({ ...repository, digest });
  bounds?.read(fetched.bytes.byteLength);
  return fetched;
}

/** Each blob once, whichever schemes read it; of one that is named in two sizes, each, as one of them is false. */
function readOnce({ client, repository, bounds }: EvidenceSource): ReadBlob {
  const known = new Map<string, Promise<Uint8Array>>();
  return (blob) => {
    const key = `${blob.digest} ${blob.size}`;
    const reading = known.get(key);
    if (reading !== undefined) return reading;
    const begun = fetchBlobCounted();
    known.set(key, begun);
    return begun;

    async function fetchBlobCounted(): Promise<Uint8Array> {
      bounds?.read(blob.size);
      return client.fetchBlob(repository, blob, maxBundleBytes);
    }
  };
}

/** Referrers of one referrer that are read at the same time. */
const concurrency = 4;

/**
 * What refers to a referrer, so many levels down. A manifest there that is broken holds nothing: whoever may write to
 * quarantine can add one. A list that is broken can't be told from one of a failure, so that it is no answer.
 */
async function readBelow(source: EvidenceSource, subject: Digest, levels: number): Promise<FoundReferrer[]> {
  if (levels <= 0) return [];
  const { client, repository, bounds } = source;
  const listed = await listWhole(client, repository, subject);
  const digests = [...new Set(listed.map(({ digest }) => digest))];
  bounds?.referrers(digests.length);
  const read = await mapConcurrently(concurrency, digests, async (digest): Promise<FoundReferrer[]> => {
    try {
      const fetched = await fetchCounted(source, digest);
      if (fetched.kind !== "image" || fetched.manifest.subject?.digest !== subject) return [];
      return [{ ...describeReferrer(fetched, fetched.manifest), below: await readBelow(source, digest, levels - 1) }];
    } catch (error) {
      if (isAboutContent(error)) return [];
      throw error;
    }
  });
  return read.flat();
}

/**
 * The list of what refers to a referrer. That it is broken is no property of the referrer, which may be an honest one
 * with a failure below it: others can make its list too large.
 * @throws InfrastructureError as the client's, and `registry-error` where it is broken
 */
async function listWhole(
  client: EvidenceSource["client"],
  repository: Repository,
  subject: Digest,
): Promise<readonly Descriptor[]> {
  try {
    return await client.listReferrers(repository, subject);
  } catch (error) {
    if (!isAboutContent(error)) throw error;
    const where = formatReference({ ...repository, digest: subject });
    throw new InfrastructureError(`it can't be told what refers to ${where}: ${describeError(error)}`, {
      code: "registry-error",
      safeToRetry: false,
      wayOut: `Look at what refers to it (\`oras discover ${where}\`), and build the image again into a repository where only the path's stages write.`,
      cause: error,
    });
  }
}

function describeReferrer(
  { mediaType, digest, bytes }: Manifest,
  manifest: ImageManifest,
): Omit<FoundReferrer, "below"> {
  const { artifactType, annotations } = manifest;
  return {
    manifest,
    descriptor: {
      mediaType,
      digest,
      size: bytes.byteLength,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(annotations === undefined ? {} : { annotations }),
    },
  };
}

/**
 * Of all readings of a referrer each statement once for each proof of it, with the signers whose that is. Somebody may
 * have listed one envelope twice, without what proves it beside it, and a scheme for keys reads what another has a
 * certificate for: a reading that is nobody's takes nothing from one that is somebody's, and none lends another its time
 * or its certificate.
 */
function mergePayloads(all: readonly SignedPayload[]): SignedPayload[] {
  const payloads = Map.groupBy(all, ({ bundle, payload }) => `${bundle.digest} ${digestOf(payload)}`);
  return [...payloads.values()].flatMap((readings) => {
    const proven = readings.filter(({ signers }) => signers.length > 0);
    if (proven.length === 0) return readings.slice(0, 1);
    return [...Map.groupBy(proven, proofOf).values()].flatMap(joinSigners);
  });
}

/** By what, besides a signer's name, a statement counts. */
function proofOf({ time, identity, holds }: SignedPayload): string {
  return JSON.stringify([time, identity, holds]);
}

function joinSigners(readings: readonly SignedPayload[]): SignedPayload[] {
  const [first] = readings;
  const below = readings.flatMap((each) => each.below ?? []);
  const signers = [...new Set(readings.flatMap((each) => each.signers))];
  return first === undefined ? [] : [{ ...first, signers, ...(below.length === 0 ? {} : { below }) }];
}

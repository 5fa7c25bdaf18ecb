import { pipeline } from "node:stream/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { InfrastructureError, UserError } from "../errors.ts";
import { createDigester, type Digest, digestAlgorithm } from "../oci/digest.ts";
import { type Descriptor, isRunnable, type Platform } from "../oci/manifest.ts";
import { formatReference, formatRepository, parseRepository, type Reference, type Repository } from "../oci/reference.ts";
import type { PolicyBase } from "../policy/schema.ts";
import type { RegistryClient } from "../registry/client.ts";
import { type ChildFacts, fetchImageFacts } from "../registry/subject.ts";
import type { FalseLayer } from "./decide.ts";
import { type ApprovedBase, type BaseMatch, isSamePlatform } from "./identify.ts";

/** More than a layer of any base that is kept light; a stream that unpacks to more is a bomb. Bytes. */
const maxUnpackedLayer = 16 * 1024 * 1024 * 1024;

export function platformOf({ config }: Pick<ChildFacts, "config">): Platform {
  return { os: config.os, architecture: config.architecture, ...(config.variant === undefined ? {} : { variant: config.variant }) };
}

/**
 * Every approved version of every base for the given platforms, each fetched by its digest, in the policy's order.
 *
 * One that can't be read is an error, also where another one would match: the unread one may be the longer match, and then the evidence would name the wrong base,
 * or miss that the right one has expired.
 * @throws UserError `base-not-found`, `registry-unauthorized`; InfrastructureError `base-unreadable`
 */
export async function gatherApprovedBases(
  client: RegistryClient,
  bases: readonly PolicyBase[],
  platforms: readonly Platform[],
): Promise<ApprovedBase[]> {
  const cache = new Map<string, Promise<ChildFacts[]>>();
  const wanted = bases.flatMap((base) => base.digests.map((digest) => ({ base, reference: { ...parseRepository(base.image), digest } })));
  const fetched = wanted.map(({ base, reference }) => {
    const key = formatReference(reference);
    const children = cache.get(key) ?? fetchBase(client, base, reference, platforms);
    cache.set(key, children);
    return children;
  });
  const all = await Promise.all(fetched);
  return wanted.flatMap(({ base, reference }, index) =>
    (all[index] ?? []).map((child) => ({
      name: base.name,
      image: formatRepository(reference),
      digest: reference.digest,
      ...(base.until === undefined ? {} : { until: base.until }),
      platform: platformOf(child),
      diffIds: child.config.rootfs.diff_ids,
      layers: child.manifest.layers.map((layer) => layer.digest),
    })),
  );
}

async function fetchBase(
  client: RegistryClient,
  base: PolicyBase,
  reference: Reference & { digest: Digest },
  platforms: readonly Platform[],
): Promise<ChildFacts[]> {
  try {
    const root = await client.fetchManifest(reference);
    if (root.kind === "image") return (await fetchImageFacts(client, reference)).children;
    // What an index says of a child's platform only saves requests: a base is compared by the platform in its own config.
    const needed = root.manifest.manifests
      .filter(isRunnable)
      .filter(({ platform }) => platform === undefined || platforms.some((wanted) => isSamePlatform(wanted, platform)));
    const children: ChildFacts[] = [];
    for (const { digest } of needed) children.push(...(await fetchImageFacts(client, { ...reference, digest })).children);
    return children;
  } catch (error) {
    throw describeFailure(error, base, reference);
  }
}

function describeFailure(error: unknown, base: PolicyBase, reference: Reference): Error {
  const what = `approved base '${base.name}' (${formatReference(reference)})`;
  if (error instanceof UserError && error.code === "image-not-found") {
    return new UserError(`${what} is not in its registry`, {
      code: "base-not-found",
      cause: error,
      wayOut: "Put it back, or take this digest out of the policy: what nobody can look at can't be compared with.",
    });
  }
  const why = error instanceof Error ? error.message : String(error);
  if (error instanceof UserError) {
    return new UserError(`${what} can't be read: ${why}`, {
      code: error.code,
      cause: error,
      ...(error.wayOut === undefined ? {} : { wayOut: error.wayOut }),
    });
  }
  return new InfrastructureError(`${what} can't be read: ${why}`, {
    code: "base-unreadable",
    cause: error,
    ...(error instanceof InfrastructureError ? { attempts: error.attempts, safeToRetry: error.safeToRetry } : {}),
    wayOut: "See that its registry can be reached and serves it, then run again.",
  });
}

/**
 * Of the layers by which an image matches a base, the ones whose content is something else than the image's config says. A config is written by whoever built the
 * image; what is pulled and unpacked are the layers. Those with the base's own bytes need no look: most builders keep them, and then nothing is downloaded.
 * @throws InfrastructureError `layer-unreadable` (unknown compression, broken, too large), and the registry client's errors
 */
export async function findFalseLayers(
  client: RegistryClient,
  repository: Repository,
  child: Pick<ChildFacts, "manifest" | "config">,
  match: BaseMatch,
): Promise<FalseLayer[]> {
  const contradictions: FalseLayer[] = [];
  for (let index = 0; index < match.matchedLayers; index += 1) {
    const layer = child.manifest.layers[index];
    const diffId = child.config.rootfs.diff_ids[index];
    if (layer === undefined || diffId === undefined) throw unreadable(repository, `layer ${index + 1} of the image is missing`);
    if (match.bases.some((base) => base.layers[index] === layer.digest)) continue;
    const actual = await unpackedDigest(client, repository, layer, digestAlgorithm(diffId));
    if (actual !== diffId) contradictions.push({ index, actual });
  }
  return contradictions;
}

async function unpackedDigest(
  client: RegistryClient,
  repository: Repository,
  layer: Descriptor,
  algorithm: "sha256" | "sha512",
): Promise<Digest> {
  const digester = createDigester(algorithm);
  let size = 0;
  const hash = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of chunks) {
      size += chunk.byteLength;
      if (size > maxUnpackedLayer) throw unreadable(repository, `layer ${layer.digest} unpacks to more than ${maxUnpackedLayer} bytes`);
      digester.update(chunk);
    }
  };
  const decompress = decompressorFor(repository, layer);
  const content = await client.openBlob(repository, layer);
  if (decompress === undefined) await hash(content);
  else {
    try {
      await pipeline(content, decompress, hash);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? "";
      if (/^(?:Z_|ZSTD_|ERR_ZLIB)/.test(code)) throw unreadable(repository, `layer ${layer.digest} can't be unpacked`, error);
      throw error;
    }
  }
  return digester.digest();
}

/** By the media types of the OCI image specification and of Docker. */
function decompressorFor(repository: Repository, { mediaType, digest }: Descriptor) {
  if (/\.tar$/.test(mediaType)) return undefined;
  if (/[.+]gzip$/.test(mediaType)) return createGunzip();
  if (/\+zstd$/.test(mediaType)) return createZstdDecompress();
  throw unreadable(repository, `layer ${digest} is of the unknown type ${mediaType}`);
}

function unreadable(repository: Repository, why: string, cause?: unknown): InfrastructureError {
  return new InfrastructureError(`the layers of ${formatRepository(repository)} can't be compared with its base: ${why}`, {
    code: "layer-unreadable",
    cause,
    safeToRetry: false,
    wayOut: "Build the image again.",
  });
}

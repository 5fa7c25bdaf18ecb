import { setTimeout } from "node:timers/promises";
import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type Manifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import {
  attestationTag,
  type CosignTag,
  encodeTagManifest,
  judgeTagManifest,
  maxTagLayers,
  signatureAnnotation,
} from "./cosign-tags.ts";

/** What is to be a layer under one of cosign's tags. */
export interface TagLayer {
  descriptor: Descriptor;
  /** What the registry has not got yet. */
  bytes?: Uint8Array;
  /** Made when it is to be written. */
  annotate(): Promise<Record<string, string>>;
  /** Whether one with the same bytes is this one. */
  isSame(layer: Descriptor): boolean;
}

/** A tag of a repository. */
export interface CosignTagPlace {
  repository: Repository;
  tag: string;
  kind: CosignTag;
}

/** Stages that run beside each other write the same tag. */
const maxAttempts = 8;
/** Milliseconds. */
const pause = 250;

/**
 * More layers under the tag, of those that are not there yet. Few registries compare and set: whether they stayed is
 * seen afterwards, and another's write that took them away is met with another try.
 * @throws InfrastructureError `legacy-tag-taken`, `tag-moved`; the client's
 */
export async function addTagLayers(
  client: RegistryClient,
  place: CosignTagPlace,
  wanted: readonly TagLayer[],
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const current = await findTagged(client, place);
    const layers = readLayers(current, place);
    const missing = listMissing(wanted, layers);
    if (missing.length === 0) return;
    if (attempt > maxAttempts) throw movedAlways(place);
    if (layers.length + missing.length > maxTagLayers)
      throw taken(place, `it has ${layers.length} layers already, and ${maxTagLayers} are read at most`);
    const added: Descriptor[] = [];
    for (const { descriptor, bytes, annotate } of missing) {
      if (bytes !== undefined) await client.pushBlob(place.repository, descriptor, () => bytes);
      added.push({ ...descriptor, annotations: await annotate() });
    }
    await writeTag(client, place, [...layers, ...added], current?.digest);
    await setTimeout(attempt === 1 ? 0 : pause * attempt * Math.random());
  }
}

/**
 * Puts attestations of an image, which lie in the repository by digest, under their tag: as they are where nothing is
 * there, and else beside those that are. Nobody's word is taken away.
 * @throws InfrastructureError `legacy-tag-taken`, `tag-moved`; the client's
 */
export async function mergeAttestationTag(
  client: RegistryClient,
  repository: Repository,
  tag: string,
  attestations: Manifest,
): Promise<void> {
  const current = await client.resolve({ ...repository, tag });
  if (current === attestations.digest) return;
  if (current === undefined) {
    const set = await setOrSee(client, repository, tag, attestations, undefined);
    if (set === "set") return;
  }
  const place = { repository, tag, kind: attestationTag };
  const problem = describeOther(attestations, attestationTag);
  if (problem !== undefined || attestations.kind !== "image")
    throw taken(place, `what is to be under it can't be added to anything: ${problem}`);
  await addTagLayers(client, place, layersOf(attestations));
}

/**
 * What a tag that is in use has of an image's attestations: `has` all of them, `lacks` some and can be added to, or is
 * `other`, which is left alone.
 */
export async function compareAttestationTag(
  client: RegistryClient,
  repository: Repository,
  tag: string,
  attestations: Manifest,
): Promise<"has" | "lacks" | "other"> {
  if (describeOther(attestations, attestationTag) !== undefined) return "other";
  const current = await findTagged(client, { repository, tag, kind: attestationTag });
  if (current === undefined) return "lacks";
  if (current.kind !== "image" || describeOther(current, attestationTag) !== undefined) return "other";
  return listMissing(layersOf(attestations), current.manifest.layers).length === 0 ? "has" : "lacks";
}

function layersOf({ kind, manifest }: Manifest): TagLayer[] {
  if (kind === "index") return [];
  return manifest.layers.map(({ annotations = {}, ...descriptor }) => ({
    descriptor,
    annotate: async () => annotations,
    isSame: (layer) => layer.annotations?.[signatureAnnotation] === annotations[signatureAnnotation],
  }));
}

function listMissing(wanted: readonly TagLayer[], layers: readonly Descriptor[]): TagLayer[] {
  return wanted.filter(
    ({ descriptor, isSame }) => !layers.some((layer) => layer.digest === descriptor.digest && isSame(layer)),
  );
}

async function writeTag(
  client: RegistryClient,
  { repository, tag }: CosignTagPlace,
  layers: readonly Descriptor[],
  before: Digest | undefined,
): Promise<void> {
  const { manifest, config } = encodeTagManifest(layers);
  const configDescriptor = { mediaType: "application/json", digest: digestOf(config), size: config.byteLength };
  await client.pushBlob(repository, configDescriptor, () => config);
  const content = { bytes: manifest, mediaType: mediaTypes.ociManifest, digest: digestOf(manifest) };
  await setOrSee(client, repository, tag, content, before);
}

/** `moved` where somebody was faster. */
async function setOrSee(
  client: RegistryClient,
  repository: Repository,
  tag: string,
  content: Parameters<RegistryClient["setTag"]>[2],
  before: Digest | undefined,
): Promise<"set" | "moved"> {
  try {
    await client.setTag(repository, tag, content, before);
    return "set";
  } catch (error) {
    if (!isKnownError(error) || error.code !== "tag-moved") throw error;
    return "moved";
  }
}

async function findTagged(client: RegistryClient, { repository, tag }: CosignTagPlace): Promise<Manifest | undefined> {
  try {
    return await client.fetchManifest({ ...repository, tag });
  } catch (error) {
    if (isKnownError(error) && error.code === "image-not-found") return undefined;
    throw error;
  }
}

function readLayers(current: Manifest | undefined, place: CosignTagPlace): readonly Descriptor[] {
  if (current === undefined) return [];
  const problem = describeOther(current, place.kind);
  if (problem !== undefined) throw taken(place, problem);
  return current.kind === "image" ? current.manifest.layers : [];
}

function describeOther(found: Manifest, kind: CosignTag): string | undefined {
  return found.kind === "image" ? judgeTagManifest(found.manifest, kind) : "it is an index";
}

function taken({ repository, tag }: CosignTagPlace, why: string): InfrastructureError {
  return new InfrastructureError(`tag ${tag} of ${formatRepository(repository)} is left as it is: ${why}`, {
    code: "legacy-tag-taken",
    safeToRetry: false,
    wayOut: "Find out who wrote it and delete it; or sign without `legacy`, where it is signed.",
  });
}

function movedAlways({ repository, tag }: CosignTagPlace): InfrastructureError {
  return new InfrastructureError(
    `tag ${tag} of ${formatRepository(repository)} is written by somebody else all the time`,
    {
      code: "tag-moved",
      attempts: maxAttempts,
      wayOut: "Run the stage again: what it has signed is there, and the tag is added to.",
    },
  );
}

import { verify } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { InfrastructureError, isKnownError } from "@goldenpath/foundation/errors";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, type Manifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import {
  attestationTag,
  type CosignTag,
  encodeSimpleSigning,
  encodeTagManifest,
  judgeTagManifest,
  maxTagLayers,
  nameCosignTag,
  signatureAnnotation,
  signatureTag,
} from "./cosign-tags.ts";
import type { KeyMaterial } from "./material.ts";

interface TagLayer {
  bytes: Uint8Array;
  /** Made when it is to be written. */
  annotate(): Promise<Record<string, string>>;
  /** Whether one with the same bytes is this one. */
  isSame(layer: Descriptor): boolean;
}

/** Who signs with a key. */
interface KeyedSigner {
  material: KeyMaterial;
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** Stages that run beside each other write the same tag. */
const maxAttempts = 8;
/** Milliseconds. */
const pause = 250;

/**
 * What admission engines without bundles read, beside the bundle of a statement: the statement under the image's
 * `.att` tag, and the signer's signature of the image under `.sig`. What is there already stays; the same again is
 * nothing new.
 * @throws InfrastructureError `legacy-tag-taken`, `tag-moved`; the client's
 */
export async function attachLegacy(
  client: RegistryClient,
  repository: Repository,
  subject: Digest,
  { bundle, predicateType }: { bundle: Uint8Array; predicateType: string },
  signer: KeyedSigner,
): Promise<void> {
  await addLayer(client, repository, subject, attestationTag, {
    bytes: readEnvelope(bundle),
    annotate: async () => ({ [signatureAnnotation]: "", predicateType }),
    isSame: () => true,
  });
  const payload = encodeSimpleSigning(formatRepository(repository), subject);
  await addLayer(client, repository, subject, signatureTag, {
    bytes: payload,
    annotate: async () => ({ [signatureAnnotation]: Buffer.from(await signer.sign(payload)).toString("base64") }),
    // Each signature differs, and the payload does not say whose it is.
    isSame: ({ annotations }) => {
      const signature = Buffer.from(annotations?.[signatureAnnotation] ?? "", "base64");
      return verify("sha256", payload, { key: signer.material.key, dsaEncoding: "der" }, signature);
    },
  });
}

const bundleSchema = z.object({ dsseEnvelope: z.unknown() });

/** The envelope is the same in both forms. */
function readEnvelope(bundle: Uint8Array): Uint8Array {
  const { dsseEnvelope } = bundleSchema.parse(parseJson(new TextDecoder().decode(bundle)));
  return new TextEncoder().encode(JSON.stringify(dsseEnvelope));
}

/**
 * One more layer under the tag, unless one like it is there. Few registries compare and set: whether it stayed is seen
 * afterwards, and another stage's write that took it away is met with another try.
 */
async function addLayer(
  client: RegistryClient,
  repository: Repository,
  subject: Digest,
  kind: CosignTag,
  wanted: TagLayer,
): Promise<void> {
  const tag = nameCosignTag(subject, kind);
  const layer = { mediaType: kind.layerType, size: wanted.bytes.byteLength, digest: digestOf(wanted.bytes) };
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const current = await findTagged(client, repository, tag);
    const layers = readLayers(current, repository, tag, kind);
    if (layers.some((each) => each.digest === layer.digest && wanted.isSame(each))) return;
    const all = [...layers, { ...layer, annotations: await wanted.annotate() }];
    await writeTag(client, repository, tag, all, wanted.bytes, current?.digest);
    await setTimeout(attempt === 1 ? 0 : pause * attempt * Math.random());
  }
  throw new InfrastructureError(
    `tag ${tag} of ${formatRepository(repository)} is written by somebody else all the time`,
    {
      code: "tag-moved",
      attempts: maxAttempts,
      wayOut: "Run the stage again: what it has signed is there, and the tag is added to.",
    },
  );
}

async function writeTag(
  client: RegistryClient,
  repository: Repository,
  tag: string,
  layers: readonly Descriptor[],
  bytes: Uint8Array,
  before: Digest | undefined,
): Promise<void> {
  const { manifest, config } = encodeTagManifest(layers);
  const last = layers.at(-1);
  if (last === undefined) throw new TypeError("a tag of nothing");
  const configDescriptor = { mediaType: "application/json", digest: digestOf(config), size: config.byteLength };
  await client.pushBlob(repository, last, () => bytes);
  await client.pushBlob(repository, configDescriptor, () => config);
  const content = { bytes: manifest, mediaType: mediaTypes.ociManifest, digest: digestOf(manifest) };
  await client.setTag(repository, tag, content, before).catch((error: unknown) => {
    if (!isKnownError(error) || error.code !== "tag-moved") throw error;
  });
}

async function findTagged(client: RegistryClient, repository: Repository, tag: string): Promise<Manifest | undefined> {
  try {
    return await client.fetchManifest({ ...repository, tag });
  } catch (error) {
    if (isKnownError(error) && error.code === "image-not-found") return undefined;
    throw error;
  }
}

function readLayers(
  current: Manifest | undefined,
  repository: Repository,
  tag: string,
  kind: CosignTag,
): readonly Descriptor[] {
  if (current === undefined) return [];
  const problem = current.kind === "image" ? judgeTagManifest(current.manifest, kind) : "it is an index";
  const layers = current.kind === "image" ? current.manifest.layers : [];
  const full = layers.length >= maxTagLayers ? `it has ${layers.length} layers already` : undefined;
  const why = problem ?? full;
  if (why === undefined) return layers;
  throw new InfrastructureError(
    `tag ${tag} of ${formatRepository(repository)} is not cosign's, and is left as it is: ${why}`,
    {
      code: "legacy-tag-taken",
      safeToRetry: false,
      wayOut: "Find out who wrote it and delete it, or sign without `legacy`.",
    },
  );
}

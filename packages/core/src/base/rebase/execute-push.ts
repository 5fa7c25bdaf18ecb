import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { ManifestContent, RegistryClient } from "@goldenpath/registry-client/client";
import { blobsOf } from "@goldenpath/registry-client/copy";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type ImageConfig, type ImageIndex, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import type { ChildFacts } from "@goldenpath/registry-client/subject";
import type { PlannedTarget } from "../../build/plan-target.ts";
import type { ApprovedBase } from "../identify.ts";
import type { RebasePlan } from "./plan.ts";

/** An image that is rebased, down to the bytes of its manifest. */
export interface RenderedImage extends ManifestContent {
  /** Of those bytes. */
  size: number;
  config: ManifestContent;
  layers: RebasePlan["manifest"]["layers"];
  /** What its config says, its operating system among it. */
  system: ImageConfig;
}

const render = (value: unknown, mediaType: string): ManifestContent & { size: number } => {
  const bytes = Buffer.from(stringifyJson(value));
  return { bytes, mediaType, digest: digestOf(bytes), size: bytes.byteLength };
};

/** @param child the old image, whose media types the new one has */
export function renderImage({ config, manifest }: RebasePlan, child: Pick<ChildFacts, "manifest">): RenderedImage {
  const { bytes, ...described } = render(config, child.manifest.config.mediaType);
  const mediaType = child.manifest.mediaType ?? mediaTypes.ociManifest;
  return {
    ...render({ ...manifest, mediaType, config: described }, mediaType),
    config: { bytes, ...described },
    layers: manifest.layers,
    system: config,
  };
}

export function renderIndex(index: ImageIndex, mediaType: string): ManifestContent {
  return render({ ...index, mediaType }, mediaType);
}

/** Its layers by mount where one registry has both repositories, its manifest by digest. */
export async function pushImage(
  client: RegistryClient,
  to: Repository,
  { bytes, mediaType, config, layers }: RenderedImage,
  { from, next }: { from: Repository; next: ApprovedBase },
): Promise<void> {
  const ofBase = new Set<string>(next.layers);
  const base = parseRepository(next.image);
  for (const layer of layers) await client.copyBlob(ofBase.has(layer.digest) ? base : from, to, layer);
  await client.pushBlob(to, { ...config, size: config.bytes.byteLength }, () => config.bytes);
  await client.pushManifest(to, bytes, mediaType);
}

/** An image of an index that stays as it is. */
export async function copyImage(
  client: RegistryClient,
  from: Repository,
  to: Repository,
  digest: Digest,
): Promise<void> {
  const manifest = await client.fetchManifest({ ...from, digest });
  for (const blob of blobsOf(manifest)) await client.copyBlob(from, to, blob);
  await client.pushManifest(to, manifest.bytes, manifest.mediaType);
}

/** The tag, last. */
export async function setTag(client: RegistryClient, target: PlannedTarget, root: ManifestContent): Promise<void> {
  const { repository } = target;
  const [{ tag = "" }] = target.tags;
  const seen = await client.readTag(repository, tag);
  await client.setTag(repository, tag, root, seen.digest, seen);
}

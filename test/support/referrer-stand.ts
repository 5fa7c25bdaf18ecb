import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import { type Digest, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import {
  type BuiltManifest,
  buildImage,
  buildReferrer,
  encodeText,
  pushBuilt,
} from "@goldenpath/registry-client/testing";
import type { TestImage } from "@goldenpath/testing/chain";
import { openStand, type Stand, type StandOptions } from "@goldenpath/testing/promotion";
import { afterEach, expect } from "vitest";

export let stand: Stand;
/** The registry that the test is about. */
export async function openReferrerStand(options: StandOptions = {}): Promise<void> {
  stand = await openStand(options);
}

export const notation = "application/vnd.cncf.notary.signature";
export const there = (): Repository => parseRepository(`${stand.to}/shop`);
export const vetted = async () => (await stand.vettedState())["vetted/shop"] ?? expect.unreachable();
export const listedThere = async (subject: Digest): Promise<Digest[]> =>
  (await stand.client.listReferrers(there(), subject)).map(({ digest }) => digest);

/** Attaches an artifact to something in quarantine. */
export async function attach(
  image: TestImage,
  subject: Descriptor,
  type = notation,
  note = "one",
): Promise<Descriptor> {
  return pushBuilt(stand.client, image.repository, buildReferrer(plain(subject), type, { note }));
}
export const plain = ({ mediaType, digest, size }: Descriptor): Descriptor => ({ mediaType, digest, size });

export async function pushWithSubject(image: TestImage, built: BuiltManifest): Promise<Digest> {
  const bytes = encodeText(
    JSON.stringify({ ...JSON.parse(new TextDecoder().decode(built.bytes)), subject: image.image }),
  );
  for (const blob of built.blobs) await stand.client.pushBlob(image.repository, blob.descriptor, () => blob.bytes);
  return stand.client.pushManifest(image.repository, bytes, built.descriptor.mediaType);
}

/** Attaches an artifact with one layer: of these contents, or one that is there; described as told. */
export async function attachLayer(image: TestImage, content: string | Descriptor, described: Partial<Descriptor> = {}) {
  const built = buildReferrer(image.image, "application/x.data");
  const bytes = encodeText(typeof content === "string" ? content : "");
  const layer = typeof content === "string" ? { digest: digestOf(bytes), size: bytes.byteLength } : plain(content);
  if (typeof content === "string")
    await stand.client.pushBlob(image.repository, { mediaType: "application/x.data", ...layer }, () => bytes);
  const layers = [{ ...layer, mediaType: "application/x.data", ...described }];
  const manifest = encodeText(JSON.stringify({ ...JSON.parse(new TextDecoder().decode(built.bytes)), layers }));
  const digest = await pushWithSubject(image, { ...built, bytes: manifest });
  return {
    digest,
    layer: layer.digest,
    descriptor: { mediaType: mediaTypes.ociManifest, digest, size: await sizeOf(image, digest) },
  };
}
export const sizeOf = async (image: TestImage, digest: Digest): Promise<number> =>
  (await stand.client.fetchManifest({ ...image.repository, digest })).bytes.byteLength;

/** A signature as cosign 2 left it: an image by its config, under a tag. */
export async function attachAsCosign(
  image: TestImage,
  suffix: string,
  layer = encodeText('{"critical":{}}'),
): Promise<Digest> {
  const payload = {
    mediaType: "application/vnd.dev.cosign.simplesigning.v1+json",
    digest: digestOf(layer),
    size: layer.byteLength,
  };
  await stand.client.pushBlob(image.repository, payload, () => layer);
  const built = buildImage({ layers: [] });
  const manifest = { ...JSON.parse(new TextDecoder().decode(built.bytes)), layers: [payload] };
  for (const blob of built.blobs) await stand.client.pushBlob(image.repository, blob.descriptor, () => blob.bytes);
  return stand.client.pushManifest(
    image.repository,
    encodeText(JSON.stringify(manifest)),
    mediaTypes.ociManifest,
    `${fallbackTag(image.digest)}.${suffix}`,
  );
}

export const stands: [string, StandOptions][] = [
  ["within one registry", {}],
  ["between two registries", { apart: true }],
  ["without a referrers API", { registry: { referrers: false } }],
];

/** Promotes, and returns what it said that stays behind: digest → reason. */
export async function promoteBeside(image: TestImage): Promise<Map<string, string>> {
  const execution = await stand.promote(image);
  expect(execution.error).toBeUndefined();
  expect(execution.outcome.verdict).toBe("pass");
  const { leftBehind } = await stand.plan(execution);
  for (const { digest } of leftBehind)
    expect(execution.outcome.result.notes.join("\n")).toContain(`left behind: ${digest}`);
  return new Map(leftBehind.map(({ digest, reason }) => [digest, reason]));
}

/** Registers the hooks that open and close what the tests share. */
export function useReferrerStand(): void {
  afterEach(() => stand.close());
}

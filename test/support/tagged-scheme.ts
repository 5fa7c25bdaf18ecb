import { createPublicKey, sign, verify } from "node:crypto";
import type { FoundReferrer, ReadBlob, SigningScheme, TrustedSigner } from "@goldenpath/core/signing/schemes/scheme";
import { fallbackTag } from "@goldenpath/registry-client/fallback-index";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";

/**
 * A scheme that the project does not have, whose evidence is only read: as cosign's was before there were referrers, it
 * lies under a tag of the image's, all statements in one manifest, a layer each with its signature (Ed25519) on it.
 */

export const taggedArtifact = "application/vnd.example.tagged.v1";
const signatureAnnotation = "example.signature";
const layerType = "application/vnd.in-toto+json";

const signerSchema = z.strictObject({ kind: z.literal("tagged"), ed25519: z.base64() });

export const tagged = {
  kind: "tagged",
  signerSchema,
  evidence: "a manifest of statements",
  levels: 1,
  recognises: (manifest) => manifest.artifactType === taggedArtifact,
  listedAs: [taggedArtifact],
  tags: (subject) => [taggedName(subject)],
  identify: ({ ed25519 }) => ({ field: "ed25519", what: "key", text: ed25519 }),
  materialOf: ({ ed25519 }) => ({
    kind: "key",
    key: createPublicKey({ key: Buffer.from(ed25519, "base64"), format: "der", type: "spki" }),
  }),
  trust: (signers) => ({ verify: (found, read) => verifyTagged(found, read, signers) }),
} as const satisfies SigningScheme<z.infer<typeof signerSchema>>;

export const taggedName = (subject: Digest): string => `${fallbackTag(subject)}.signed`;

async function verifyTagged({ manifest }: FoundReferrer, read: ReadBlob, signers: readonly TrustedSigner[]) {
  if (manifest.config.digest !== emptyBlob.digest || manifest.layers.some(({ mediaType }) => mediaType !== layerType)) {
    return { reason: "it is not statements and nothing else" };
  }
  return Promise.all(
    manifest.layers.map(async ({ annotations, ...bundle }) => {
      const signature = Buffer.from(annotations?.[signatureAnnotation] ?? "", "base64");
      const by = signers.filter(
        ({ material }) => material.kind === "key" && verify(null, Buffer.from(bundle.digest), material.key, signature),
      );
      return { payload: await read(bundle), signers: by.map(({ name }) => name), bundle };
    }),
  );
}

/** The statements, each signed with a key, as one manifest. */
export function encodeTagged(
  statements: readonly { digest: Digest; size: number; by: Parameters<typeof sign>[2] }[],
): Uint8Array {
  const layers: Descriptor[] = statements.map(({ digest, size, by }) => {
    const signature = sign(null, Buffer.from(digest), by).toString("base64");
    return { mediaType: layerType, digest, size, annotations: { [signatureAnnotation]: signature } };
  });
  const config = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    artifactType: taggedArtifact,
    config,
    layers,
  };
  return new TextEncoder().encode(JSON.stringify(manifest));
}

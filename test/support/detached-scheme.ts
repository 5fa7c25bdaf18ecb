import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { readFile } from "node:fs/promises";
import { readIntact } from "@goldenpath/core/signing/content-errors";
import { createdAnnotation, intotoPayloadType, predicateAnnotation } from "@goldenpath/core/signing/predicates";
import type { SchemeOpener } from "@goldenpath/core/signing/schemes/opener";
import type { FoundReferrer, ReadBlob, SigningScheme, TrustedSigner } from "@goldenpath/core/signing/schemes/scheme";
import { encodeStatement } from "@goldenpath/core/signing/statement";
import type { Signer } from "@goldenpath/core/signing/types";
import { UserError } from "@goldenpath/foundation/errors";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { type Descriptor, emptyBlob, type ImageManifest, mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { z } from "zod";

/**
 * A scheme that the project does not have: Ed25519, and signatures apart from what they sign. The statement refers to
 * the image, and each signature to the statement's manifest, whose digest is what it signs; so that a statement can
 * have signatures of several, and evidence lies on two levels.
 */

export const statementArtifact = "application/vnd.example.statement.v1";
export const signatureArtifact = "application/vnd.example.signature.v1";

const signerSchema = z.strictObject({
  kind: z.literal("detached").describe("How this signer signs: with an Ed25519 key, apart from the statement."),
  ed25519: z
    .base64()
    .length(60, "expected the base64 of an Ed25519 key (SPKI, DER)")
    .describe("The public key: SPKI, DER, base64."),
});

export const detached = {
  kind: "detached",
  signerSchema,
  evidence: "a statement with signatures beside it",
  levels: 2,
  recognises: (manifest) => manifest.artifactType === statementArtifact,
  listedAs: [statementArtifact],
  identify: ({ ed25519 }) => ({ field: "ed25519", what: "key", text: ed25519 }),
  materialOf: ({ ed25519 }, what) => ({ kind: "key", key: readKey(ed25519, what) }),
  trust: (signers) => ({ verify: (found, read) => verifyDetached(found, read, signers) }),
} as const satisfies SigningScheme<z.infer<typeof signerSchema>>;

function readKey(text: string, what: string): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(text, "base64"), format: "der", type: "spki" });
  } catch {
    throw new UserError(`${what} is not an Ed25519 key`, { code: "key-invalid" });
  }
}

async function verifyDetached(
  { manifest, descriptor, below }: FoundReferrer,
  read: ReadBlob,
  signers: readonly TrustedSigner[],
) {
  const statement = onlyLayer(manifest, intotoPayloadType);
  if (statement === undefined) return { reason: "it is not one statement and nothing else" };
  const names = new Set<string>();
  const used: FoundReferrer[] = [];
  for (const each of below.filter(({ descriptor: { artifactType } }) => artifactType === signatureArtifact)) {
    const layer = onlyLayer(each.manifest, "application/octet-stream");
    if (layer === undefined || layer.size !== 64) continue;
    const signature = await readIntact(read, layer);
    if (signature === undefined) continue;
    const by = signers.filter(
      ({ material }) =>
        material.kind === "key" && verify(null, Buffer.from(descriptor.digest), material.key, signature),
    );
    for (const { name } of by) names.add(name);
    if (by.length > 0) used.push(each);
  }
  const known = signers.map(({ name }) => name).filter((name) => names.has(name));
  return [{ payload: await read(statement), signers: known, bundle: statement, below: used }];
}

/** The layer of a manifest that holds nothing besides. */
function onlyLayer({ config, layers }: ImageManifest, mediaType: string): Descriptor | undefined {
  const [layer, ...more] = layers;
  const isBare =
    config.mediaType === mediaTypes.ociEmpty && config.digest === emptyBlob.digest && config.size === emptyBlob.size;
  return isBare && more.length === 0 && layer?.mediaType === mediaType ? layer : undefined;
}

export const detachedOpener = {
  needs: ["key"],
  async open({ key = "" }, { ports }) {
    const text = await readFile(key, "utf8");
    ports.mask(text);
    return createDetachedSigner(createPrivateKey(text));
  },
} as const satisfies SchemeOpener;

export function createDetachedSigner(privateKey: KeyObject): Signer {
  return {
    kind: "detached",
    material: { kind: "key", key: createPublicKey(privateKey) },
    seal: async (statement) => ({
      bundle: { mediaType: intotoPayloadType, bytes: encodeStatement(statement) },
      carry: async (subject, bundle, created) => {
        const annotations = { [createdAnnotation]: created, [predicateAnnotation]: statement.predicateType };
        const manifest = encodeArtifact(statementArtifact, subject, bundle, annotations);
        const own = { mediaType: mediaTypes.ociManifest, digest: digestOf(manifest), size: manifest.byteLength };
        const bytes = sign(null, Buffer.from(own.digest), privateKey);
        const layer = { mediaType: "application/octet-stream", digest: digestOf(bytes), size: bytes.byteLength };
        return [
          { manifest, mediaType: mediaTypes.ociManifest, artifactType: statementArtifact },
          {
            manifest: encodeArtifact(signatureArtifact, own, layer),
            mediaType: mediaTypes.ociManifest,
            artifactType: signatureArtifact,
            blobs: [{ mediaType: layer.mediaType, bytes }],
          },
        ];
      },
    }),
  };
}

export function encodeArtifact(
  artifactType: string,
  subject: Descriptor,
  layer: Descriptor,
  annotations?: Readonly<Record<string, string>>,
): Uint8Array {
  const { mediaType, digest, size } = subject;
  const config = { mediaType: mediaTypes.ociEmpty, digest: emptyBlob.digest, size: emptyBlob.size };
  const own = { artifactType, config, layers: [layer], subject: { mediaType, digest, size }, annotations };
  return new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, ...own }));
}

import { createPublicKey, type KeyObject, verify as verifySignature } from "node:crypto";
import { stringifyJson } from "@goldenpath/foundation/text/json";
import type { Descriptor } from "@goldenpath/registry-client/oci/manifest";
import { bundleToJSON, toDSSEBundle } from "@sigstore/bundle";
import { dsse } from "@sigstore/core";
import { z } from "zod";
import { attestationTag, judgeTagManifest, nameCosignTag, signatureAnnotation } from "../cosign-tags.ts";
import { intotoPayloadType, predicateAnnotation } from "../predicates.ts";
import { signerTimes } from "../signer-times.ts";
import { publicKeyHint } from "../sigstore.ts";
import { parseStrictJson } from "../strict-json.ts";
import { key } from "./key.ts";
import {
  type EvidencePiece,
  type EvidenceVerifier,
  type FoundReferrer,
  type HandCheck,
  maxBundleBytes,
  type ReadBlob,
  type SignedPayload,
  type SigningScheme,
  type TrustedSigner,
} from "./scheme.ts";

const signerSchema = z.strictObject({
  kind: z
    .literal("legacy")
    .describe("How this signer signs: with a private key, as cosign did before bundles, under the tag sha256-….att."),
  publicKey: key.signerSchema.shape.publicKey,
  ...signerTimes,
});

/**
 * Attestations as cosign wrote them before version 3, and does on request: DSSE envelopes under a tag. They are only
 * read; what is signed here is a bundle, with these beside it on request.
 */
export const legacy = {
  kind: "legacy",
  signerSchema,
  evidence: "an attestation of cosign under a tag",
  levels: 1,
  recognises: (manifest) => judgeTagManifest(manifest, attestationTag) === undefined,
  listedAs: [],
  tags: (subject) => [nameCosignTag(subject, attestationTag)],
  identify: key.identify,
  materialOf: key.materialOf,
  trust,
  checkByHand: (signer: z.infer<typeof signerSchema>, piece) => checkTagged(signer, piece),
} as const satisfies SigningScheme<z.infer<typeof signerSchema>>;

const base64 = z.base64().transform((text) => Buffer.from(text, "base64"));
/** Of an envelope nothing else is signed, so that nothing else may be in it. */
const envelopeSchema = z.strictObject({
  payloadType: z.literal(intotoPayloadType),
  payload: base64,
  // Of several of which one holds, nobody could say whose word it is.
  signatures: z.tuple([z.strictObject({ keyid: z.string().optional(), sig: base64 })]),
});
const configSchema = z.strictObject({
  architecture: z.literal(""),
  os: z.literal(""),
  created: z.string().optional(),
  author: z.literal("").optional(),
  history: z.array(z.strictObject({ created: z.string().optional() })).optional(),
  rootfs: z.strictObject({ type: z.literal("layers"), diff_ids: z.array(z.string()).nullable() }),
  config: z.strictObject({}),
});

/** Proofs that cosign writes on a layer: they are not asked for with keys, and are all that there is without. */
export const proofAnnotations = {
  entry: "dev.sigstore.cosign/bundle",
  timestamp: "dev.sigstore.cosign/rfc3161timestamp",
  certificate: "dev.sigstore.cosign/certificate",
  chain: "dev.sigstore.cosign/chain",
} as const;
/** All that it writes there. */
const layerAnnotations: ReadonlySet<string> = new Set([
  signatureAnnotation,
  "predicateType",
  predicateAnnotation,
  ...Object.values(proofAnnotations),
]);

/** Of all envelopes of one image together. Bytes. */
const maxEnvelopes = 4 * maxBundleBytes;

function trust(signers: readonly TrustedSigner[]): EvidenceVerifier {
  const keys = signers.flatMap(({ name, material }) => (material.kind === "key" ? [{ name, key: material.key }] : []));
  return { verify: (found, read) => verifyTagged(found, read, keys) };
}

/** Where the bundle goes that cosign is given: the older form it reads from a registry alone. */
export const bundleFileOf = ({ file }: Pick<EvidencePiece, "file">): string =>
  file.replace(/(?:\.json)?$/, ".sigstore.json");

function checkTagged(signer: z.infer<typeof signerSchema>, piece: EvidencePiece): HandCheck {
  const envelope = parseEnvelope(piece.bytes);
  if (envelope === undefined) throw new TypeError("evidence that nobody has verified");
  const file = bundleFileOf(piece);
  const { payload, payloadType, signature } = envelope;
  const keyHint = publicKeyHint(createPublicKey(signer.publicKey));
  const bundle = toDSSEBundle({
    ...{ artifact: payload, artifactType: payloadType, signature: Buffer.from(signature), keyHint },
  });
  // As in what is signed here: cosign passes over a signature whose key id is not its own name for the key.
  for (const each of bundle.content.dsseEnvelope.signatures) each.keyid = "";
  const { argv, files } = key.checkByHand(signer, { ...piece, file });
  return { argv, files: { ...files, [file]: stringifyJson(bundleToJSON(bundle)) } };
}

async function verifyTagged(
  found: FoundReferrer,
  read: ReadBlob,
  keys: readonly { name: string; key: KeyObject }[],
): Promise<readonly SignedPayload[] | { reason: string }> {
  const envelopes = await readEnvelopes(found, read);
  if ("reason" in envelopes) return envelopes;
  return envelopes.map(({ bundle, payload, payloadType, signature }) => {
    const data = dsse.preAuthEncoding(payloadType, payload);
    const holds = ({ key: publicKey }: { key: KeyObject }): boolean =>
      verifySignature("sha256", data, { key: publicKey, dsaEncoding: "der" }, signature);
    return { payload, signers: keys.filter(holds).map(({ name }) => name), bundle };
  });
}

/** One attestation under a tag, nothing of it verified. */
export interface TaggedEnvelope {
  /** The layer without its annotations. */
  bundle: Descriptor;
  payload: Buffer;
  payloadType: string;
  signature: Uint8Array;
  annotations: Readonly<Record<string, string>>;
}

/** What cosign left under an image's tag for attestations; or why it is something else. */
export async function readEnvelopes(
  { manifest }: FoundReferrer,
  read: ReadBlob,
): Promise<readonly TaggedEnvelope[] | { reason: string }> {
  const problem = judgeTagManifest(manifest, attestationTag) ?? judgeLayers(manifest.layers);
  if (problem !== undefined) return { reason: problem };
  const config = parseStrictJson(await read(manifest.config));
  // No image that says how it is to be run: it lies where images are pulled from.
  if (
    "problem" in config ||
    !configSchema.safeParse(config.value).success ||
    Object.keys(manifest.annotations ?? {}).length > 0
  )
    return { reason: "its config is not that of cosign's attestations" };
  const found: TaggedEnvelope[] = [];
  for (const { mediaType, digest, size, annotations = {} } of manifest.layers) {
    const bundle: Descriptor = { mediaType, digest, size };
    const envelope = parseEnvelope(await read(bundle));
    if (envelope === undefined)
      return { reason: `its layer ${digest} is not an envelope of a statement with one signature` };
    found.push({ bundle, ...envelope, annotations });
  }
  return found;
}

/** Undefined for what is no envelope of a statement with one signature, or has anything besides. */
export function parseEnvelope(
  bytes: Uint8Array,
): Pick<TaggedEnvelope, "payload" | "payloadType" | "signature"> | undefined {
  const json = parseStrictJson(bytes);
  const envelope = "problem" in json ? undefined : envelopeSchema.safeParse(json.value).data;
  if (envelope === undefined) return undefined;
  const { payload, payloadType, signatures } = envelope;
  return { payload, payloadType, signature: signatures[0].sig };
}

function judgeLayers(layers: readonly Descriptor[]): string | undefined {
  const names = layers.flatMap(({ annotations }) => Object.keys(annotations ?? {}));
  if (names.some((name) => !layerAnnotations.has(name))) return "it has annotations that are not an attestation's";
  const bytes = layers.reduce((sum, { size }) => sum + size, 0);
  return bytes > maxEnvelopes ? `its envelopes have ${bytes} bytes, and ${maxEnvelopes} are read at most` : undefined;
}

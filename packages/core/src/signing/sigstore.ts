import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { type Bundle, bundleFromJSON, isBundleWithDsseEnvelope, isBundleWithPublicKey } from "@sigstore/bundle";
import { type TrustMaterial, toSignedEntity, Verifier } from "@sigstore/verify";
import { intotoPayloadType } from "./predicates.ts";
import { parseStrictJson } from "./statement.ts";

/** A statement in its envelope, parsed and not yet verified. */
export interface OpenedBundle {
  bundle: Bundle;
  payload: Uint8Array;
}

/**
 * Which key it was, as cosign writes it: base64 of the SHA-256 of the SPKI in DER. A hint: nothing is decided on it.
 */
export function publicKeyHint(publicKey: KeyObject | string): string {
  const key = typeof publicKey === "string" ? createPublicKey(publicKey) : publicKey;
  const der = key.export({ type: "spki", format: "der" });
  return createHash("sha256").update(der).digest("base64");
}

/**
 * Bytes → a bundle of the one kind that goldenpath reads: v0.3, one DSSE envelope of an in-toto statement with one
 * signature, made with a key.
 * @throws UserError `bundle-invalid`
 */
export function openBundle(bytes: Uint8Array): OpenedBundle {
  const invalid = (why: string): UserError =>
    new UserError(`the bundle is not acceptable: ${why}`, { code: "bundle-invalid" });
  const json = parseStrictJson(bytes);
  if ("problem" in json) throw invalid(json.problem);
  let bundle: Bundle;
  try {
    // Refuses an envelope without a payload, and one with more or fewer than one signature.
    bundle = bundleFromJSON(json.value);
  } catch {
    throw invalid("it is malformed");
  }
  if (bundle.mediaType !== mediaTypes.sigstoreBundle) throw invalid(`its media type is ${bundle.mediaType}`);
  if (!isBundleWithDsseEnvelope(bundle)) throw invalid("it holds a signature over bytes, not a statement");
  if (!isBundleWithPublicKey(bundle))
    throw invalid("it is signed with a certificate, and the policy's signers have keys");
  // The parser keeps one of the two where a bundle has both; which one is not ours to choose.
  if (hasCertificate(json.value)) throw invalid("it has a certificate beside its key");
  const envelope = bundle.content.dsseEnvelope;
  if (envelope.payloadType !== intotoPayloadType) throw invalid(`its payload type is ${envelope.payloadType}`);
  return { bundle, payload: envelope.payload };
}

/**
 * True where the bundle's signature holds with `key`. @sigstore/verify checks the envelope's pre-authentication
 * encoding. Log entries and timestamps are taken out before: the trust is in the policy's key, and with keys they prove
 * nothing that the gate asks for.
 */
export function verifyBundle(opened: OpenedBundle, key: KeyObject): boolean {
  const { bundle } = opened;
  const trust: TrustMaterial = {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    publicKey: () => ({ publicKey: key, validFor: () => true }),
  };
  const bare: Bundle = {
    ...bundle,
    verificationMaterial: { ...bundle.verificationMaterial, tlogEntries: [], timestampVerificationData: undefined },
  };
  try {
    new Verifier(trust, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 }).verify(toSignedEntity(bare));
  } catch {
    return false;
  }
  return true;
}

function hasCertificate(value: unknown): boolean {
  const material = isObject(value) ? (value["verificationMaterial"] ?? value["verification_material"]) : undefined;
  return isObject(material) && Object.keys(material).some((key) => /certificate/i.test(key));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { type Bundle, bundleFromJSON, isBundleWithDsseEnvelope, isBundleWithPublicKey } from "@sigstore/bundle";
import { dsse } from "@sigstore/core";
import { intotoPayloadType } from "./predicates.ts";
import { parseStatement } from "./statement.ts";
import { parseStrictJson } from "./strict-json.ts";
import type { Statement } from "./types.ts";

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

const invalid = (why: string): UserError =>
  new UserError(`the bundle is not acceptable: ${why}`, { code: "bundle-invalid" });

/**
 * Bytes → a bundle with one signature of a key: v0.3, one DSSE envelope of an in-toto statement.
 * @throws UserError `bundle-invalid`
 */
export function openBundle(bytes: Uint8Array): OpenedBundle {
  const { opened, materials } = openStatement(bytes);
  if (!isBundleWithPublicKey(opened.bundle))
    throw invalid("it is signed with a certificate, and the policy's signers have keys");
  // The parser keeps one of the two where a bundle has both; which one is not ours to choose.
  if (materials.some((name) => /certificate/i.test(name))) throw invalid("it has a certificate beside its key");
  return opened;
}

/**
 * The same, with one certificate instead of a key. @throws UserError `bundle-invalid`
 */
export function openWithCertificate(bytes: Uint8Array): OpenedBundle & { certificate: Uint8Array } {
  const { opened, materials } = openStatement(bytes);
  const { content } = opened.bundle.verificationMaterial;
  if (content.$case !== "certificate")
    throw invalid("it is signed without a certificate of its own, and the policy's signers are workflows");
  if (materials.some((name) => /key|chain/i.test(name))) throw invalid("it has a key beside its certificate");
  return { ...opened, certificate: content.certificate.rawBytes };
}

/**
 * What a bundle claims, whoever it is signed by: a hint at whom it is about, and nothing verified.
 * @throws UserError `bundle-invalid`, `statement-invalid`
 */
export function readClaim(bytes: Uint8Array): Statement {
  return parseStatement(openStatement(bytes).opened.payload);
}

/** `materials`: the names of what a bundle says it can be verified by. */
function openStatement(bytes: Uint8Array): { opened: OpenedBundle; materials: string[] } {
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
  const envelope = bundle.content.dsseEnvelope;
  if (envelope.payloadType !== intotoPayloadType) throw invalid(`its payload type is ${envelope.payloadType}`);
  return { opened: { bundle, payload: envelope.payload }, materials: listMaterials(json.value) };
}

/**
 * True where the bundle's one signature holds with `key`, over the envelope's pre-authentication encoding. Log entries
 * and timestamps are not looked at: the trust is in the policy's key, and with keys they prove nothing that the gate
 * asks for. Not by @sigstore/verify, which holds everything else up meanwhile: a fleet's images have thousands of
 * signatures, and Node verifies them in threads of its own.
 */
export function verifyBundle({ bundle }: OpenedBundle, key: KeyObject): Promise<boolean> {
  const envelope = isBundleWithDsseEnvelope(bundle) ? bundle.content.dsseEnvelope : undefined;
  const [signature, ...more] = envelope?.signatures ?? [];
  if (envelope === undefined || signature === undefined || more.length > 0) return Promise.resolve(false);
  const data = dsse.preAuthEncoding(envelope.payloadType, envelope.payload);
  return new Promise((resolve) => {
    verify("sha256", data, key, signature.sig, (error, holds) => resolve(error === null && holds));
  });
}

/**
 * Those of some keys, or of whatever has one, with which a bundle's signature holds. One key after another: each takes
 * copies of the bundle, and one by nobody's key is tried by all of them.
 */
export async function listHolding<Keyed extends { key: KeyObject }>(
  opened: OpenedBundle,
  keys: readonly Keyed[],
): Promise<Keyed[]> {
  const holding: Keyed[] = [];
  for (const each of keys) if (await verifyBundle(opened, each.key)) holding.push(each);
  return holding;
}

function listMaterials(value: unknown): string[] {
  const material = isObject(value) ? (value["verificationMaterial"] ?? value["verification_material"]) : undefined;
  return isObject(material) ? Object.keys(material) : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

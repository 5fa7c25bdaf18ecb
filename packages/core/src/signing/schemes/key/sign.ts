import { createPublicKey, type KeyObject, sign as signBytes } from "node:crypto";
import { bundleToJSON, toDSSEBundle } from "@sigstore/bundle";
import { dsse } from "@sigstore/core";
import { attachLegacy } from "../../attach-legacy.ts";
import type { KeyMaterial } from "../../material.ts";
import { intotoPayloadType } from "../../predicates.ts";
import { sealBundle } from "../../seal-bundle.ts";
import { publicKeyHint } from "../../sigstore.ts";
import { encodeStatement } from "../../statement.ts";
import type { Signer, Statement } from "../../types.ts";

export interface KeySigner extends Signer {
  material: KeyMaterial;
  /** SPKI PEM. */
  publicKeyPem: string;
  /** Signs the DSSE pre-authentication encoding of a payload. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** `privateKey`: ECDSA P-256, as whoever read it has seen. */
export function createKeySigner(privateKey: KeyObject): KeySigner {
  return createBundleSigner("key", createPublicKey(privateKey), async (data) =>
    signBytes("sha256", data, { key: privateKey, dsaEncoding: "der" }),
  );
}

/**
 * Whoever signs with the private half of `publicKey`, wherever that is. `sign`: bytes → an ECDSA signature over their
 * SHA-256, in ASN.1 DER.
 */
export function createBundleSigner(kind: string, publicKey: KeyObject, sign: KeySigner["sign"]): KeySigner {
  const material: KeyMaterial = { kind: "key", key: publicKey };
  return {
    kind,
    material,
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }).toString(),
    sign,
    async seal(statement, existing) {
      const bytes =
        existing === undefined
          ? await signStatement(statement, { material, sign })
          : await existing.read(existing.bundle);
      return sealBundle(statement, bytes);
    },
  };
}

/** The same, which attaches in cosign's older form besides. */
export function withLegacy(signer: KeySigner): KeySigner {
  return {
    ...signer,
    attachLegacy: (client, repository, subject, signed) => attachLegacy(client, repository, subject, signed, signer),
  };
}

/**
 * Statement → the bytes of a Sigstore bundle v0.3: a DSSE envelope, signed with a key, without log entry or timestamp.
 */
export async function signStatement(
  statement: Statement,
  signer: Pick<KeySigner, "material" | "sign">,
): Promise<Uint8Array> {
  const payload = Buffer.from(encodeStatement(statement));
  const signature = await signer.sign(dsse.preAuthEncoding(intotoPayloadType, payload));
  const bundle = toDSSEBundle({
    artifact: payload,
    artifactType: intotoPayloadType,
    signature: Buffer.from(signature),
    keyHint: publicKeyHint(signer.material.key),
  });
  // cosign passes over a signature whose key id is not its own name for the key; it writes none itself, and the hint
  // stands beside the envelope.
  for (const each of bundle.content.dsseEnvelope.signatures) each.keyid = "";
  return new TextEncoder().encode(JSON.stringify(bundleToJSON(bundle)));
}

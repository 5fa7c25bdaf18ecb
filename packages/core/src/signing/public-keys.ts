import { createPublicKey, type KeyObject } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";

export const wantedKey = "goldenpath signs with ECDSA P-256 keys, as cosign makes them.";
export const makeKey =
  "Make one with `cosign generate-key-pair` or `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`.";

/**
 * A policy's public key (SPKI, PEM) → a key to verify with.
 * @throws UserError `key-invalid`, `key-unsupported`
 */
export function parsePublicKey(pem: string, what: string): KeyObject {
  const invalid = (): UserError =>
    new UserError(`${what} is not a public key in PEM`, { code: "key-invalid", wayOut: makeKey });
  // Node would make a public key of a private one, or of a certificate, as well.
  if (!pem.startsWith("-----BEGIN PUBLIC KEY-----")) throw invalid();
  let key: KeyObject;
  try {
    key = createPublicKey({ key: pem, format: "pem", type: "spki" });
  } catch {
    throw invalid();
  }
  assertSupportedKey(key, what);
  return key;
}

/** @throws UserError `key-unsupported` */
export function assertSupportedKey(key: KeyObject, what: string): void {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ec" && details?.namedCurve === "prime256v1") return;
  const found =
    type === "ec"
      ? `an ECDSA key on ${details?.namedCurve}`
      : type === "rsa" || type === "rsa-pss"
        ? `an RSA key of ${details?.modulusLength} bits`
        : `a key of type ${type}`;
  throw new UserError(`${what} is ${found}; ${wantedKey}`, { code: "key-unsupported", wayOut: makeKey });
}

import { createHash } from "node:crypto";

/** SHA-256 in an AlgorithmIdentifier, and the head of its octet string. */
const sha256Imprint = Buffer.from("3031300d060960864801650304020105000420", "hex");
const versionOne = Buffer.from("020101", "hex");
const withCertificates = Buffer.from("0101ff", "hex");

/** What a timestamp authority is asked with, and what it answers. */
export const timestampQueryType = "application/timestamp-query";

/**
 * Bytes → the request for a timestamp over their SHA-256, with the authority's certificates in it (RFC 3161 section
 * 2.4.1). No nonce: that the answer is for these bytes and of an authority of the trusted root is verified, and an older
 * timestamp over the same signature would be as true.
 */
export function encodeTimestampQuery(bytes: Uint8Array): Uint8Array {
  const digest = createHash("sha256").update(bytes).digest();
  const body = Buffer.concat([versionOne, sha256Imprint, digest, withCertificates]);
  return Buffer.concat([Buffer.from([0x30, body.length]), body]);
}

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** Java's own default, which says nothing: the store holds no secret. */
const password = "changeit";

/**
 * A bundle of PEM certificates as Java reads trusted ones, a JKS store: magic number, version, and for each certificate a
 * tag, an alias, a time, its type and its DER; then SHA-1 over the password and all of it. Without times in it, so that
 * the same bundle is the same store.
 */
export function renderTrustStore(bundle) {
  const certificates = [
    ...readFileSync(bundle, "latin1").matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g),
  ].map(([, body]) => Buffer.from(body, "base64"));
  const entries = [...new Map(certificates.map((der) => [createHash("sha256").update(der).digest("hex"), der]))];
  const content = Buffer.concat([
    number(0xfeedfeed, 4),
    number(2, 4),
    number(entries.length, 4),
    ...entries.map(([alias, der]) =>
      Buffer.concat([number(2, 4), text(alias), number(0, 8), text("X.509"), number(der.length, 4), der]),
    ),
  ]);
  const salted = Buffer.concat([Buffer.from(password, "utf16le").swap16(), Buffer.from("Mighty Aphrodite"), content]);
  return Buffer.concat([content, createHash("sha1").update(salted).digest()]);
}

function number(value, bytes) {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 8) buffer.writeBigUInt64BE(BigInt(value));
  else buffer.writeUInt32BE(value);
  return buffer;
}

function text(value) {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

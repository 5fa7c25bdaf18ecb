import { createHash, type Hash, hash } from "node:crypto";
import { UserError } from "@goldenpath/foundation/errors";

/** `algorithm:hex`, of a registered algorithm and of its length: the only digests that goldenpath accepts. */
export type Digest = `sha256:${string}` | `sha512:${string}`;

const digestPattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && digestPattern.test(value);
}

/** @throws UserError `digest-invalid` */
export function parseDigest(value: string, what = "digest"): Digest {
  if (isDigest(value)) return value;
  throw new UserError(
    `${what} '${value}' is not a digest: expected sha256: and 64, or sha512: and 128, lowercase hexadecimal digits`,
    {
      code: "digest-invalid",
    },
  );
}

export function digestAlgorithm(digest: Digest): "sha256" | "sha512" {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

export function digestOf(bytes: Uint8Array | string, algorithm: "sha256" | "sha512" = "sha256"): Digest {
  return `${algorithm}:${hash(algorithm, bytes)}` as Digest;
}

/** Hashes a stream's chunks as they pass. */
export function createDigester(algorithm: "sha256" | "sha512" = "sha256"): {
  update(chunk: Uint8Array): void;
  digest(): Digest;
} {
  const hashing: Hash = createHash(algorithm);
  return {
    update: (chunk) => void hashing.update(chunk),
    digest: () => `${algorithm}:${hashing.digest("hex")}` as Digest,
  };
}

/** The algorithm and the first twelve digits, for people. */
export function shortDigest(digest: string): string {
  const colon = digest.indexOf(":");
  return colon === -1 ? digest : digest.slice(0, colon + 13);
}

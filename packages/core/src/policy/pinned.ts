import type { Digest } from "@goldenpath/registry-client/oci/digest";

/** What a policy names by digests: a base, or what builds run in. */
interface Pinned {
  /** HOST/NAME */
  image: string;
  digests: readonly Digest[];
}

/** Each of them as HOST/NAME@DIGEST. */
export function listPinned(entries: readonly Pinned[]): string[] {
  return entries.flatMap(({ image, digests }) => digests.map((digest) => `${image}@${digest}`));
}

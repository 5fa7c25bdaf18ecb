/** `algorithm:hex`, in one of the two algorithms that the image specification registers. */
export type Digest = `sha256:${string}` | `sha512:${string}`;
export type Algorithm = "sha256" | "sha512";

const digestPattern = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;
const namePattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

export function isDigest(value: unknown): value is Digest {
  return typeof value === "string" && digestPattern.test(value);
}

export function isAlgorithm(value: string): value is Algorithm {
  return value === "sha256" || value === "sha512";
}

export function algorithmOf(digest: Digest): Algorithm {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/**
 * A repository's name by the distribution specification ("Pulling manifests"), and no longer than the 255 characters
 * that clients can write. A component never starts with a dot or an underscore, so a name is a safe relative path, and
 * `_…` beside it can't be a repository.
 */
export function isRepositoryName(value: string): boolean {
  return value.length <= 255 && namePattern.test(value);
}

export function isTag(value: string): boolean {
  return tagPattern.test(value);
}

/**
 * True where `prefix` is the repository itself or whole components in front of it: `vetted` holds `vetted/shop`, not
 * `vetted2`.
 */
export function isWithinPrefix(name: string, prefix: string): boolean {
  const parent = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
  return name === parent || name.startsWith(`${parent}/`);
}

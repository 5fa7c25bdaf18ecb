import { createHash } from "node:crypto";
import { stringifyJson } from "@goldenpath/foundation/text/json";

/** Changes with what is in an entry, and how: entries of before are then nobody's. */
const format = 1;

/** What an entry is good for. */
export interface CacheScope {
  strategy: string;
  /** `linux/amd64`. */
  platform: string;
  /** Of everything that the policy pins of the builder; see {@link digestBuilder}. */
  builder: string;
  /** The source repository; undefined where it is not known. */
  source: string | undefined;
  /** What is built: the application's folder, from the checkout's root, and what of it. */
  application: { folder: string; module?: string | undefined; file?: string | undefined; target?: string | undefined };
}

/** Two names of an entry, each a SHA-256 in hex. */
export interface CacheKey {
  /** With the lock files: what such an entry has, this build would install as well. */
  exact: string;
  /** Without them: what is still good of such an entry, the build's own programs find out. */
  group: string;
}

/** @param locks path → SHA-256 of each file that pins what is installed */
export function planKey(scope: CacheScope, locks: Readonly<Record<string, string>>): CacheKey {
  const group = digestFacts({ format, ...scope });
  return { group, exact: digestFacts({ group, locks }) };
}

/** A builder as the policy pins it: its name, its images and buildpacks by digest. SHA-256 in hex. */
export function digestBuilder(builder: { name: string; strategy: string; pinned: object }): string {
  return digestFacts(builder);
}

/** One text of plain data, in whatever order it was put together. SHA-256 in hex. */
export function digestFacts(value: object): string {
  return createHash("sha256")
    .update(stringifyJson(sortKeys(value)))
    .digest("hex");
}

/** The order in which something was put together says nothing. */
function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(entries.map(([name, each]) => [name, sortKeys(each)]));
}

import { describeIssues } from "@goldenpath/foundation/text/json";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { isParsable } from "../policy/schema-text.ts";

/** How a policy's `build.sources` call a repository of images: `oci://HOST/NAME`. */
export const imageSourcePrefix = "oci://";

const predicateSchema = z.strictObject({
  source: z.strictObject({
    uri: z
      .string()
      .refine((text) => text.startsWith(imageSourcePrefix) && isRepository(text), "expected oci://HOST/NAME"),
    digest: z.record(z.string(), z.string()),
    tag: z.string().min(1).optional(),
  }),
  reason: z.string().min(1),
  owner: z.string().min(1),
  until: z.iso.date(),
  importedOn: z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
  policy: z.strictObject({
    uri: z.string(),
    digest: z.record(z.string(), z.string()),
    serial: z.number().int().positive(),
  }),
});

/** That the platform let an image in which nobody of it has built. */
export interface Import {
  /** `oci://HOST/NAME`: where it was taken from. */
  uri: string;
  repository: Repository;
  /** The same there and here. */
  digest: Digest;
  /** By which it was found there: for people, and to look for newer ones. */
  tag?: string | undefined;
  reason: string;
  /** Who answers for it. */
  owner: string;
  /** The last day (UTC) on which it counts. */
  until: string;
  importedOn: Date;
}

/** The predicate of an import → what is decided on. What is not understood in it is a problem. */
export function readImport(predicate: Readonly<Record<string, unknown>>): Import | { problem: string } {
  const parsed = predicateSchema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { source, reason, owner, until, importedOn } = parsed.data;
  const [digest, ...others] = Object.entries(source.digest).map(([algorithm, hex]) => `${algorithm}:${hex}`);
  if (!isDigest(digest) || others.length > 0) return { problem: "its source has no digest, or several" };
  const repository = parseRepository(source.uri.slice(imageSourcePrefix.length));
  return { uri: source.uri, repository, digest, tag: source.tag, reason, owner, until, importedOn };
}

/** One way of writing it, so that a pattern of the policy means what it says. */
function isRepository(uri: string): boolean {
  const text = uri.slice(imageSourcePrefix.length);
  if (!isParsable(() => parseRepository(text))) return false;
  const { registry, name } = parseRepository(text);
  return `${registry}/${name}` === text;
}

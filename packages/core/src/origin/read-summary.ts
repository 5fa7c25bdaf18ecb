import { describeIssues } from "@goldenpath/foundation/text/json";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseReference } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { isParsable } from "../policy/schema-text.ts";
import { imageSourcePrefix } from "./read-import.ts";

/** What is read of a verification summary that is not one of ours. */
export interface ForeignSummary {
  verifierId: string;
  /** SLSA lets it be left out. */
  timeVerified?: Date | undefined;
  resourceUri: string;
  policyUri: string;
  result: "PASSED" | "FAILED";
  levels: readonly string[];
}

const schema = z.object({
  verifier: z.object({ id: z.string().min(1) }),
  timeVerified: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .optional(),
  resourceUri: z.string().min(1),
  policy: z.object({ uri: z.string().min(1) }),
  verificationResult: z.enum(["PASSED", "FAILED"]),
  verifiedLevels: z.array(z.string()),
});

/** The predicate of anybody's summary, by what SLSA requires of one: https://slsa.dev/verification_summary/v1 */
export function readForeignSummary(predicate: Readonly<Record<string, unknown>>): ForeignSummary | { problem: string } {
  const parsed = schema.safeParse(predicate);
  if (!parsed.success) return { problem: describeIssues(parsed.error) };
  const { verifier, timeVerified, resourceUri, policy, verificationResult, verifiedLevels } = parsed.data;
  return {
    verifierId: verifier.id,
    timeVerified,
    resourceUri,
    policyUri: policy.uri,
    result: verificationResult,
    levels: verifiedLevels,
  };
}

/** A `resourceUri` without what differs from image to image. */
export interface NamedResource {
  /** `oci://HOST/NAME` of an image that is named by its reference or package URL; of anything else the whole URI. */
  uri: string;
  digest?: Digest | undefined;
}

/** A `resourceUri` → what a policy compares: the field writes images in three ways. */
export function readResource(uri: string): NamedResource {
  const packaged = readPackageUrl(uri);
  if (packaged !== undefined) return packaged;
  const reference = uri.startsWith(imageSourcePrefix) ? uri.slice(imageSourcePrefix.length) : uri;
  if (reference.includes("://") || !reference.includes("/") || !isParsable(() => parseReference(reference)))
    return { uri };
  const { digest, ...repository } = parseReference(reference);
  return { uri: `${imageSourcePrefix}${formatRepository(repository)}`, digest };
}

/** `pkg:oci/NAME@sha256%3A…?repository_url=HOST/NAME`: https://github.com/package-url/purl-spec, type oci */
function readPackageUrl(uri: string): NamedResource | undefined {
  const [, version, query] = /^pkg:oci\/[^/@?#]+(?:@([^?#]+))?\?([^#]+)$/.exec(uri) ?? [];
  const [repository, ...others] = new URLSearchParams(query).getAll("repository_url");
  if (repository === undefined || others.length > 0 || !isParsable(() => parseReference(repository))) return undefined;
  const digest = version?.replace(/%3a/i, ":");
  if (digest !== undefined && !isDigest(digest)) return undefined;
  return { uri: `${imageSourcePrefix}${formatRepository(parseReference(repository))}`, digest };
}

import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type ImageId } from "@goldenpath/registry-client/oci/reference";
import { imageSourcePrefix } from "../origin/read-import.ts";
import type { LoadedPolicy } from "../policy/schema.ts";
import { predicateTypes } from "../signing/predicates.ts";
import { buildStatement, buildSubjects, digestSet } from "../signing/statement.ts";
import type { Statement } from "../signing/types.ts";

/** Why an image is let in, by whom, and how long. */
export interface ImportReason {
  reason: string;
  /** Who answers for it. */
  owner: string;
  /** The last day (UTC) on which it counts. */
  until: string;
}

export interface ImportFacts extends ImportReason {
  /** Where it lies in quarantine. */
  image: ImageId & { children: readonly Digest[] };
  /** Where it was taken from: its digest is the same. */
  source: ImageId & { tag?: string | undefined };
  policy: Pick<LoadedPolicy, "uri" | "digest" | "policy">;
  importedOn: Date;
}

/** What the platform's signer signs of an import. docs/build-type-image.md says what its fields mean. */
export function buildImportStatement({ image, source, policy, importedOn, ...why }: ImportFacts): Statement {
  return buildStatement(buildSubjects(image.repository, [image.digest, ...image.children]), predicateTypes.import, {
    source: {
      uri: imageSource(source),
      digest: digestSet(source.digest),
      ...(source.tag === undefined ? {} : { tag: source.tag }),
    },
    reason: why.reason,
    owner: why.owner,
    until: why.until,
    importedOn: importedOn.toISOString(),
    policy: { uri: policy.uri, digest: digestSet(policy.digest), serial: policy.policy.serial },
  });
}

/** As `build.sources` of a policy call it. */
export function imageSource({ repository }: Pick<ImageId, "repository">): string {
  return `${imageSourcePrefix}${formatRepository(repository)}`;
}

import { UserError } from "@goldenpath/foundation/errors";
import type { RunFacts } from "@goldenpath/foundation/ports";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import type { LoadedPolicy } from "../policy/schema.ts";
import type { ProvenanceFacts } from "./provenance.ts";
import type { SignedImage } from "./result-statements.ts";

/** An approved base of the policy that an image's layers start with. */
export interface FoundBase {
  /** Every name by which the policy approves these very layers. */
  names: readonly string[];
  repository: Repository;
  digest: Digest;
}

/**
 * What the job that attests a build sees for itself. The source, the commit and the workflow are its own context's, which nobody can set but the runner; the
 * builder is told from the base that the image's layers prove. The build's own word for either is not asked for: it ran strangers' code.
 * @param bases one per child, undefined for a child that stands on no approved base: then there is no builder, and the gate says so
 * @throws UserError `source-unknown`
 */
export function describeBuild(
  image: SignedImage,
  policy: LoadedPolicy,
  run: RunFacts,
  bases: readonly (FoundBase | undefined)[],
): Omit<ProvenanceFacts, "buildEnvironment" | "startedOn" | "finishedOn"> {
  if (run.sourceRepository === undefined || run.sourceCommit === undefined) {
    throw new UserError("it is not known which commit the image was built from", {
      code: "source-unknown",
      wayOut: "Run this in the workflow that built the image, or in a checkout of its source that has a remote.",
    });
  }
  const found = bases.filter((base) => base !== undefined);
  const names = new Set(found.flatMap((base) => base.names));
  const isWhole = found.length > 0 && found.length === bases.length;
  return {
    image,
    source: { repository: run.sourceRepository, commit: run.sourceCommit, ref: run.sourceRef },
    builders: isWhole ? policy.policy.build.builders.filter((builder) => names.has(builder.runImage)) : [],
    bases: [...new Map(found.map((base) => [base.digest, { repository: base.repository, digest: base.digest }])).values()],
    policy: { uri: policy.uri, digest: policy.digest, serial: policy.policy.serial },
    builderId: run.builderId,
    event: run.event,
    callerId: run.callerId,
    invocationId: run.runUrl === undefined ? undefined : `${run.runUrl}/attempts/${run.runAttempt ?? 1}`,
  };
}

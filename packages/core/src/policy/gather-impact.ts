import { isDeepStrictEqual } from "node:util";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { listTaggedImages } from "../evidence/gather-record.ts";
import { describeGate, gatherEvidence } from "../gate/verify.ts";
import { type ImpactFacts, type ImpactOutcome, type JudgedImpact, judgeImpact } from "./judge-impact.ts";
import type { LoadedPolicy } from "./schema.ts";

/** Images that are looked at at the same time. */
const concurrency = 16;

export interface ImpactRequest {
  before: LoadedPolicy;
  after: LoadedPolicy;
  environment: string;
  repositories: readonly Repository[];
  now: Date;
}

export interface ImpactImage {
  /** HOST/NAME@sha256:… */
  image: string;
  tags: string[];
  /** Undefined where it could not be judged. */
  outcome: ImpactOutcome | undefined;
  because: JudgedImpact["because"];
  /** Why it could not. */
  unreadable?: string;
}

/**
 * What a changed policy would do to each image that a tag of the repositories points at: each is read once, and judged
 * by both policies on what was read. One that can't be read is told as such, and never left out.
 * @throws UserError `environment-unknown` where the older policy has no such environment; the client's errors where a
 *   repository can't be listed
 */
export async function gatherImpact(client: RegistryClient, request: ImpactRequest): Promise<ImpactImage[]> {
  const all: ImpactImage[] = [];
  // What a tag has shown, and what is read for one policy, is not asked for again.
  const reader = rememberReads(client);
  for (const repository of request.repositories) {
    const { images, unreadable } = await listTaggedImages(reader, repository);
    const name = formatRepository(repository);
    for (const { tag, why } of unreadable)
      all.push({ image: `${name}:${tag}`, tags: [tag], outcome: undefined, because: [], unreadable: why });
    const judged = await mapConcurrently(concurrency, [...images], async ([digest, tags]): Promise<ImpactImage> => {
      const image = { image: `${name}@${digest}`, tags };
      try {
        return { ...image, ...(await judgeOne(reader, { ...repository, digest }, request)) };
      } catch (error) {
        if (!isKnownError(error) || error.code === "environment-unknown") throw error;
        return { ...image, outcome: undefined, because: [], unreadable: error.message };
      }
    });
    all.push(...judged);
  }
  return all;
}

async function judgeOne(
  reader: RegistryClient,
  reference: Repository & { digest: Digest },
  { before, after, environment: environmentName, now }: ImpactRequest,
): Promise<JudgedImpact> {
  const image = await fetchImageFacts(reader, reference);
  const describe = (policy: LoadedPolicy, evidence: ImpactFacts["before"]["evidence"]) =>
    describeGate(image, evidence, { environmentName, policy, now, place: "to", destination: undefined });
  const evidence = await gatherEvidence(reader, image, before, now);
  const older = describe(before, evidence);
  if (!Object.hasOwn(after.policy.environments, environmentName))
    return judgeImpact({ before: older, after: undefined });
  const newer = describe(after, await gatherBy(reader, image, { before, after, evidence, now }));
  return judgeImpact({ before: older, after: newer });
}

/** Where both policies name the same signers, what one has verified is verified for the other. */
async function gatherBy(
  reader: RegistryClient,
  image: ImageFacts,
  {
    before,
    after,
    evidence,
    now,
  }: Pick<ImpactRequest, "before" | "after" | "now"> & Pick<ImpactFacts["before"], "evidence">,
): Promise<ImpactFacts["before"]["evidence"]> {
  return isDeepStrictEqual(before.policy.signers, after.policy.signers)
    ? evidence
    : gatherEvidence(reader, image, after, now);
}

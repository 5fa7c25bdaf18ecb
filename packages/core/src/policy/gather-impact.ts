import { isDeepStrictEqual } from "node:util";
import { mapConcurrently } from "@goldenpath/foundation/concurrency";
import { isKnownError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { listTaggedImages } from "../evidence/gather-record.ts";
import { describeGate, gatherEvidence, gatherImageLineage } from "../gate/verify.ts";
import { listRepositories } from "./judge-again/facts.ts";
import { type ImpactFacts, type ImpactOutcome, type JudgedImpact, judgeImpact } from "./judge-impact.ts";
import type { Exception, LoadedPolicy } from "./schema.ts";
import { gatherSignedExceptions } from "./signed-exceptions/gather.ts";

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
 * by both policies on what was read, and on the exceptions that are signed beside each. One that can't be read is told
 * as such, and never left out. `notes`: what of those exceptions can't be read.
 * @throws UserError `environment-unknown` where the older policy has no such environment; the client's errors where a
 *   repository can't be listed
 */
export async function gatherImpact(
  client: RegistryClient,
  request: ImpactRequest,
): Promise<{ images: ImpactImage[]; notes: string[] }> {
  const all: ImpactImage[] = [];
  const notes = new Set<string>();
  // What a tag has shown, and what is read for one policy, is not asked for again.
  const reader = rememberReads(client);
  const beside = {
    before: openBeside(reader, request.before, request.now, notes),
    after: openBeside(reader, request.after, request.now, notes),
  };
  for (const repository of request.repositories) {
    const { images, unreadable } = await listTaggedImages(reader, repository);
    const name = formatRepository(repository);
    for (const { tag, why } of unreadable)
      all.push({ image: `${name}:${tag}`, tags: [tag], outcome: undefined, because: [], unreadable: why });
    const judged = await mapConcurrently(concurrency, [...images], async ([digest, tags]): Promise<ImpactImage> => {
      const image = { image: `${name}@${digest}`, tags };
      try {
        return { ...image, ...(await judgeOne(reader, { ...repository, digest }, request, beside)) };
      } catch (error) {
        if (!isKnownError(error) || error.code === "environment-unknown") throw error;
        return { ...image, outcome: undefined, because: [], unreadable: error.message };
      }
    });
    all.push(...judged);
  }
  return { images: all, notes: [...notes] };
}

async function judgeOne(
  reader: RegistryClient,
  reference: Repository & { digest: Digest },
  { before, after, environment: environmentName, now }: ImpactRequest,
  beside: Record<"before" | "after", Beside>,
): Promise<JudgedImpact> {
  const image = await fetchImageFacts(reader, reference);
  const describe = async (policy: LoadedPolicy, evidence: ImpactFacts["before"]["evidence"]) => {
    const lineage = await gatherImageLineage(reader, image, evidence, policy, now);
    return describeGate(image, evidence, {
      environmentName,
      policy,
      now,
      place: "to",
      destination: undefined,
      lineage,
    });
  };
  const { children } = image;
  const evidence = await gatherEvidence(reader, image, before, now);
  const older = await describe(before, evidence);
  if (!Object.hasOwn(after.policy.environments, environmentName))
    return judgeImpact({ before: older, after: undefined, children });
  const newer = await describe(after, await gatherBy(reader, image, { before, after, evidence, now }));
  const exceptions = {
    before: await beside.before(older.evidence),
    after: await beside.after(newer.evidence),
  };
  return judgeImpact({ before: older, after: newer, children, exceptions });
}

/** What is signed beside a policy for the repositories that an image was judged in. */
type Beside = (evidence: ImpactFacts["before"]["evidence"]) => Promise<(repository: string) => readonly Exception[]>;

/** Each repository's are asked for once, whatever the number of images that were judged in it. */
function openBeside(reader: RegistryClient, { policy }: LoadedPolicy, now: Date, notes: Set<string>): Beside {
  const known = new Map<string, Promise<readonly Exception[]>>();
  const gather = async (name: string): Promise<readonly Exception[]> => {
    const chosen = await gatherSignedExceptions(reader, policy, parseRepository(name), now);
    if (chosen?.unreadable !== undefined) notes.add(chosen.unreadable);
    return chosen?.exceptions ?? [];
  };
  return async (evidence) => {
    if (policy.signedExceptions === undefined) return () => [];
    const statements = [...evidence.values()].flatMap((each) => each.statements);
    const names = new Set(statements.flatMap(({ statement }) => listRepositories(statement)));
    const found = new Map<string, readonly Exception[]>();
    for (const name of names) {
      const own = known.get(name) ?? gather(name);
      known.set(name, own);
      found.set(name, await own);
    }
    return (repository) => found.get(repository) ?? [];
  };
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

import type { RegistryClient } from "@goldenpath/registry-client/client";
import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { formatReference, formatRepository, type Reference } from "@goldenpath/registry-client/oci/reference";
import { type ChildFacts, fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { unreadable } from "../../layers/read.ts";
import type { Policy } from "../../policy/schema.ts";
import { collectEvidence } from "../../signing/collect.ts";
import { readChildLayers } from "../gather-child.ts";
import { readUsers } from "../habits/judge.ts";
import { platformOf } from "../identify.ts";
import { describeContents } from "./contents.ts";
import type { ScoredImage } from "./render.ts";
import { type ScoreFacts, scoreBase } from "./score.ts";

interface Surroundings {
  client: RegistryClient;
  /** Whose word counts, and which repositories are one's own. */
  policy?: Pick<Policy, "signers" | "bases">;
  now: Date;
  signal?: AbortSignal;
}

/**
 * Answers the four questions on an image, for each of its platforms: reads all of its layers and what is signed about
 * it.
 * @throws the registry's errors; InfrastructureError `layer-unreadable`, also where a layer is not what its config says
 */
export async function gatherScores(reference: Reference, around: Surroundings): Promise<ScoredImage[]> {
  const image = await fetchImageFacts(around.client, reference);
  const scored: ScoredImage[] = [];
  for (const child of image.children) {
    const facts = await gatherFacts(image, child, around);
    scored.push({
      image: formatReference({ ...image.reference, digest: child.digest }),
      platform: formatPlatform(platformOf(child)),
      score: scoreBase(facts),
    });
  }
  return scored;
}

async function gatherFacts(image: ImageFacts, child: ChildFacts, around: Surroundings): Promise<ScoreFacts> {
  const { client, policy, now, signal } = around;
  const where = formatReference({ ...image.reference, digest: child.digest });
  const { foreign: tree } = await readChildLayers(client, image.reference, child, 0, { signal });
  if (tree === undefined)
    throw unreadable(`the layers of ${where}`, "they are not what its config says, or lie on each other in two ways");
  const passwd = readUsers(tree);
  const { User: user, Labels: labels } = child.config.config ?? {};
  const source =
    child.manifest.annotations?.["org.opencontainers.image.source"] ?? labels?.["org.opencontainers.image.source"];
  const signed = policy === undefined ? undefined : await gatherSigned(image, child, { client, now }, policy);
  return {
    repository: formatRepository(image.reference),
    now,
    ...(signed === undefined ? {} : { signed }),
    ownPlaces: policy?.bases.map((base) => base.image) ?? [],
    ...(child.config.created === undefined ? {} : { created: child.config.created }),
    ...(user === undefined ? {} : { user }),
    ...(passwd === undefined ? {} : { passwd }),
    ...(source === undefined ? {} : { source }),
    contents: describeContents(tree),
  };
}

/** What is signed about the index is about its children too. */
async function gatherSigned(
  image: ImageFacts,
  child: ChildFacts,
  { client, now }: Pick<Surroundings, "client" | "now">,
  { signers }: Pick<Policy, "signers">,
): Promise<NonNullable<ScoreFacts["signed"]>> {
  const digests = [...new Set([image.reference.digest, child.digest])];
  const found = [];
  for (const digest of digests)
    found.push(...(await collectEvidence(client, image.reference, digest, signers, { now })).statements);
  const times = found.flatMap(({ time }) => (time === undefined ? [] : [time.getTime()]));
  return {
    signers: [...new Set(found.flatMap((each) => each.signers))].toSorted(),
    types: [...new Set(found.map(({ statement }) => statement.predicateType))],
    ...(times.length === 0 ? {} : { newest: new Date(Math.max(...times)) }),
  };
}

import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository, type ImageId } from "@goldenpath/registry-client/oci/reference";
import { type FleetFailure, type FleetImage, nameImage } from "./facts.ts";
import { isRunning, matchRunning, type RunningFacts } from "./running.ts";

/** An image, with all digests that it goes by and that go with it. */
export interface PrunableImage extends FleetImage {
  /** All that its index names: what runs of it, and what is attached to it there. */
  children: readonly Digest[];
  /** All that refers to it, to a child or to one of these again, whoever made it. */
  evidence: readonly Digest[];
  /** What it was rebased from, by the word of who attested it: the gate asks for that as long as this one is there. */
  ancestors: readonly ImageId[];
}

export interface PruneFacts extends RunningFacts {
  images: readonly PrunableImage[];
  /** The newest images of each repository and environment that a rollback may go to. */
  rollbacks: number;
  /** Years for which evidence of what was let in is kept. */
  evidenceYears: number;
  now: Date;
}

export interface PrunedImage {
  image: PrunableImage;
  /** Why it stays; none: it may go. */
  keptFor: string[];
}

export interface PrunePlan {
  images: PrunedImage[];
  /** What runs by the list, and is not there though it should be. */
  failures: FleetFailure[];
  /** By registry, how many lines of the list are of repositories that the policy puts nothing in. */
  elsewhere: ReadonlyMap<string, number>;
}

/**
 * What may go: no image that runs, none that a rollback may go to, none whose evidence is in its years, none of which
 * nobody says how it came in, and none that one of these is made of or a part of. Whatever is not certain stays.
 */
export function planPrune(facts: PruneFacts): PrunePlan {
  const { images } = facts;
  const { running, failures, elsewhere } = matchRunning(facts);
  const targets = listRollbackTargets(images, facts.rollbacks);
  const planned = images.map((image): PrunedImage => {
    const keptFor = [
      ...(isRunning(image, running) ? ["it runs"] : []),
      ...(targets.get(image) ?? []),
      ...keepForEvidence(image, facts),
      ...(image.environments.length === 0 ? ["no promotion says how it came in: look at it first"] : []),
    ];
    return { image, keptFor };
  });
  keepTogether(planned);
  return { images: planned, failures, elsewhere };
}

/**
 * What an image that stays is made of, what is made of it and what is signed about it stays as well: a platform's image
 * has a tag of its own here and there, and so has evidence. Of another repository nothing goes with it but what it was
 * rebased from.
 */
function keepTogether(planned: readonly PrunedImage[]): void {
  const named = new Map(planned.map((each) => [nameImage(each.image), each]));
  const linked = new Map<PrunedImage, Set<PrunedImage>>(planned.map((each) => [each, new Set()]));
  for (const each of planned) {
    for (const digest of [...each.image.children, ...each.image.evidence]) {
      const other = named.get(nameImage({ repository: each.image.repository, digest }));
      if (other === undefined || other === each) continue;
      linked.get(each)?.add(other);
      linked.get(other)?.add(each);
    }
  }
  const queue = planned.filter(({ keptFor }) => keptFor.length > 0);
  const keep = (other: PrunedImage | undefined, why: string): void => {
    if (other === undefined || other.keptFor.length > 0) return;
    other.keptFor.push(why);
    queue.push(other);
  };
  for (const each of queue) {
    const name = nameImage(each.image);
    for (const other of linked.get(each) ?? []) keep(other, `it goes with ${name}, which stays`);
    for (const ancestor of each.image.ancestors)
      keep(named.get(nameImage(ancestor)), `${name}, which stays, was rebased from it`);
  }
}

/** What images that stay were rebased from, and is not among what tags point at: each with an image that needs it. */
export function listUntagged({ images }: Pick<PrunePlan, "images">): { ancestor: ImageId; needs: string }[] {
  const known = new Set(images.map(({ image }) => nameImage(image)));
  const needed = images.flatMap(({ image, keptFor }) =>
    keptFor.length === 0 ? [] : image.ancestors.map((ancestor) => ({ ancestor, needs: nameImage(image) })),
  );
  const untagged = needed.filter(({ ancestor }) => !known.has(nameImage(ancestor)));
  return [...new Map(untagged.map((each) => [nameImage(each.ancestor), each])).values()];
}

/** Of each repository and environment the newest ones, by when they were let in last. */
function listRollbackTargets(images: readonly PrunableImage[], most: number): Map<PrunableImage, string[]> {
  const entries = images.flatMap((image) =>
    image.environments.map((environment) => ({
      ...{ image, environment },
      at: image.promotions
        .filter((each) => each.environment === environment)
        .reduce((last, { at }) => Math.max(last, at.getTime()), Number.NEGATIVE_INFINITY),
      place: `${formatRepository(image.repository)} ${environment}`,
    })),
  );
  const targets = new Map<PrunableImage, string[]>();
  for (const own of Map.groupBy(entries, ({ place }) => place).values()) {
    const newest = own.toSorted((a, b) => b.at - a.at);
    const oldest = most === 0 ? Number.POSITIVE_INFINITY : (newest[most - 1]?.at ?? Number.NEGATIVE_INFINITY);
    // Two of the same time are both among them.
    for (const { image, environment, at } of newest) {
      if (at >= oldest)
        targets.set(image, [...(targets.get(image) ?? []), `a rollback in ${environment} may go to it`]);
    }
  }
  return targets;
}

function keepForEvidence({ promotions }: PrunableImage, { evidenceYears, now }: PruneFacts): string[] {
  if (promotions.length === 0) return [];
  const until = new Date(promotions.reduce((last, { at }) => Math.max(last, at.getTime()), 0));
  until.setUTCFullYear(until.getUTCFullYear() + evidenceYears);
  return until.getTime() > now.getTime() ? [`its evidence is kept until ${until.toISOString().slice(0, 10)}`] : [];
}

/** As JSON, for programs. */
export function describePrune({ images, failures, elsewhere }: PrunePlan): Record<string, unknown> {
  const tell = ({ image, keptFor }: PrunedImage) => ({
    image: nameImage(image),
    ...{ tags: image.tags, environments: image.environments },
    ...(keptFor.length === 0 ? {} : { keptFor }),
  });
  return {
    mayGo: images.filter(({ keptFor }) => keptFor.length === 0).map(tell),
    kept: images.filter(({ keptFor }) => keptFor.length > 0).map(tell),
    failures,
    elsewhere: Object.fromEntries(elsewhere),
  };
}

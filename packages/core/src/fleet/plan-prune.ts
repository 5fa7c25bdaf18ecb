import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatRepository } from "@goldenpath/registry-client/oci/reference";
import { type FleetFailure, type FleetImage, nameImage } from "./facts.ts";

/** An image, with all digests that it goes by and that go with it. */
export interface PrunableImage extends FleetImage {
  /** What runs of it. */
  children: readonly Digest[];
  /** The referrers that carry what is signed about it. */
  evidence: readonly Digest[];
}

export interface PruneFacts {
  images: readonly PrunableImage[];
  /** What runs: HOST/NAME@DIGEST, DIGEST or HOST/NAME:TAG. */
  running: readonly string[];
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
  /** What runs from these repositories by the list, and is not there. */
  failures: FleetFailure[];
}

/**
 * What may go: no image that runs, none that a rollback may go to, none whose evidence is in its years, and none of which
 * nobody says how it came in. Whatever is not certain stays.
 */
export function planPrune(facts: PruneFacts): PrunePlan {
  const { images } = facts;
  const running = new Set(facts.running);
  const targets = listRollbackTargets(images, facts.rollbacks);
  const planned = images.map((image): PrunedImage => {
    const keptFor = [
      ...(runs(image, running) ? ["it runs"] : []),
      ...(targets.get(image) ?? []),
      ...keepForEvidence(image, facts),
      ...(image.environments.length === 0 ? ["no promotion says how it came in: look at it first"] : []),
    ];
    return { image, keptFor };
  });
  return { images: planned, failures: findAbsent(facts) };
}

function runs(image: PrunableImage, running: ReadonlySet<string>): boolean {
  const where = formatRepository(image.repository);
  const digests = [image.digest, ...image.children];
  return (
    // By the digest alone too: a mirror has the same image under another name.
    digests.some((digest) => running.has(digest) || running.has(`${where}@${digest}`)) ||
    [...running].some((each) => digests.some((digest) => each.endsWith(`@${digest}`))) ||
    image.tags.some((tag) => running.has(`${where}:${tag}`))
  );
}

/** Of each repository and environment the newest ones, by when they were let in last. */
function listRollbackTargets(images: readonly PrunableImage[], most: number): Map<PrunableImage, string[]> {
  const entries = images.flatMap((image) =>
    image.environments.map((environment) => ({
      ...{ image, environment },
      at: Math.max(
        ...image.promotions.filter((each) => each.environment === environment).map(({ at }) => at.getTime()),
      ),
      place: `${formatRepository(image.repository)} ${environment}`,
    })),
  );
  const targets = new Map<PrunableImage, string[]>();
  for (const own of Map.groupBy(entries, ({ place }) => place).values()) {
    const newest = own.toSorted((a, b) => b.at - a.at);
    const oldest = newest[most - 1]?.at ?? Number.NEGATIVE_INFINITY;
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
  const until = new Date(Math.max(...promotions.map(({ at }) => at.getTime())));
  until.setUTCFullYear(until.getUTCFullYear() + evidenceYears);
  return until.getTime() > now.getTime() ? [`its evidence is kept until ${until.toISOString().slice(0, 10)}`] : [];
}

/** Of another repository's images nothing is known here, and nothing has to be. */
function findAbsent({ images, running }: PruneFacts): FleetFailure[] {
  const repositories = new Set(images.map(({ repository }) => formatRepository(repository)));
  return running
    .filter((each) => repositories.has(each.replace(/@.*$/, "").replace(/:[^:/]+$/, "")) || repositories.has(each))
    .filter((each) => !images.some((image) => runs(image, new Set([each]))))
    .map((what) => ({ what, problem: "it runs, by the list, and no tag of its repository points at it" }));
}

/** As JSON, for programs. */
export function describePrune({ images, failures }: PrunePlan): Record<string, unknown> {
  const tell = ({ image, keptFor }: PrunedImage) => ({
    image: nameImage(image),
    ...{ tags: image.tags, environments: image.environments },
    ...(keptFor.length === 0 ? {} : { keptFor }),
  });
  return {
    mayGo: images.filter(({ keptFor }) => keptFor.length === 0).map(tell),
    kept: images.filter(({ keptFor }) => keptFor.length > 0).map(tell),
    failures,
  };
}

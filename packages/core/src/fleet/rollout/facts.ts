import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { formatReference, type Repository } from "@goldenpath/registry-client/oci/reference";
import { type FleetFailure, nameImage } from "../facts.ts";

/** The version of a base that images are put on. */
export interface RolloutTarget {
  /** The policy's name for the base. */
  base: string;
  /** HOST/NAME */
  image: string;
  /** As the policy approves it. */
  digest: Digest;
}

/** An image of vetted that stands on a base of the policy, by its layers. */
export interface RolloutImage {
  /** Of its repository, below what its environment promotes to. */
  name: string;
  repository: Repository;
  digest: Digest;
  /** Those that are to be at what is made of it. */
  tags: readonly string[];
  /** The newest version of its base that counts. */
  target: RolloutTarget;
  isBehind: boolean;
  /** By the newest provenance that a signer of the policy made. */
  isRebased: boolean;
  /** What it was rebased from, by the word of who attested it. */
  ancestors: readonly Digest[];
  /** When it was let into the environment first, or first since a tag of its repository went back from the version. */
  promotedAt: Date;
  /** When the first image of its repository was let in that stands on the version. */
  since: Date;
  /** Where it goes, once it is rebased. The same in each run, so that a run that is started again finds it. */
  quarantine: { repository: Repository; tag: string };
  /** There is something already: a run before got so far, and no further. */
  isTried: boolean;
  /** By its signed provenance. */
  source?: { repository: string; commit?: string };
}

export interface Wave {
  name: string;
  images: readonly RolloutImage[];
}

/** How far the images of one base are on its newest version. */
export interface Rollout {
  target: RolloutTarget;
  /** On it already. */
  done: number;
  /** What is still to come, in its order, as far as it can be told before each image is judged. */
  waves: readonly Wave[];
  /** The first of the waves, where it may begin. */
  due?: Wave;
  /** When the first of the waves may begin. */
  until?: Date;
  /** Why no other image is put on this version. */
  stopped?: string;
}

/** What is behind, or stands on no base of the policy, and is not put on another version. */
export interface LeftImage {
  /** HOST/NAME@DIGEST */
  image: string;
  problem: string;
}

export interface RolloutReport {
  environment: string;
  at: Date;
  rollouts: readonly Rollout[];
  left: readonly LeftImage[];
  /** What could not be looked at: nobody knows what it stands on. */
  failures: readonly FleetFailure[];
}

/** One entry of a matrix: what becomes of one image, and where. */
export function describeDue({ name, target, repository, digest, tags, quarantine, source }: RolloutImage) {
  return {
    name,
    image: nameImage({ repository, digest }),
    onto: target.digest,
    quarantine: formatReference(quarantine.repository),
    tag: quarantine.tag,
    vetted: formatReference(repository),
    tags: tags.join("\n"),
    source: source?.repository ?? "",
    commit: source?.commit ?? "",
  };
}
export type DueImage = ReturnType<typeof describeDue>;

/** All that is due, of all bases. */
export function listDue({ rollouts }: RolloutReport): RolloutImage[] {
  return rollouts.flatMap(({ due }) => due?.images ?? []);
}

/** As JSON, for programs. */
export function describeRollout(report: RolloutReport): Record<string, unknown> {
  const { environment, at, rollouts, left, failures } = report;
  const tellWave = ({ name, images }: Wave) => ({ name, images: images.map((each) => nameImage(each)) });
  return {
    ...{ environment, at: at.toISOString() },
    rollouts: rollouts.map(({ target, done, waves, due, until, stopped }) => ({
      ...{ target, done, waves: waves.map(tellWave) },
      ...(due === undefined ? {} : { due: due.name }),
      ...(until === undefined ? {} : { until: until.toISOString() }),
      ...(stopped === undefined ? {} : { stopped }),
    })),
    due: listDue(report).map(describeDue),
    ...{ left, failures },
  };
}

import type { RegistryClient } from "@goldenpath/registry-client/client";
import {
  formatRepository,
  isSameRepository,
  isWithin,
  parseRepository,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { rememberBases } from "../../base/gather-standings.ts";
import { platformOf } from "../../base/identify.ts";
import { isKeptTag, shortHex } from "../../base/kept-tag.ts";
import { type ChosenBases, chooseBases } from "../../base/rebase/choose.ts";
import { rebase } from "../../build/strategies/rebase.ts";
import { findEntries } from "../../evidence/record-facts.ts";
import { findEnvironment } from "../../gate/find-environment.ts";
import { listAncestors } from "../../gate/lineage.ts";
import type { PolicyPointer } from "../../policy/pointer-facts.ts";
import type { CollectedEvidence } from "../../signing/types.ts";
import { type FleetFailure, nameImage } from "../facts.ts";
import { type FleetSource, gatherFleet, type VisitedImage } from "../gather-fleet.ts";
import type { LeftImage, RolloutImage, RolloutTarget } from "./facts.ts";

export interface RolloutRequest {
  environment: string;
  /** The policy's name of the one base that is asked about; else all. */
  base?: string | undefined;
  /** Tags that move, and only what they point at is put on another version; none: all tags that images have. */
  tags: readonly string[];
  /** HOST/NAME below which rebased images go; else the environment's first `from`. */
  quarantine?: string | undefined;
  /** HOST/NAME of which nothing is put on another version. */
  leave: readonly string[];
}

export interface GatheredRollout {
  images: RolloutImage[];
  left: LeftImage[];
  failures: FleetFailure[];
}

/**
 * What stands on which version of its base, by layers; and of whom promotions and provenances are, by signatures. In
 * requests: what the fleet takes, and one for each image that is behind.
 * @throws UserError `environment-unknown`; as `gatherFleet`
 */
export async function gatherRollout(
  source: FleetSource,
  repositories: readonly Repository[],
  request: RolloutRequest,
): Promise<GatheredRollout> {
  const environment = findEnvironment(source.policy, request.environment);
  // What bases can't be read for is the failure of each image: nobody knows what that stands on.
  const approvedFor = rememberBases(source.client, source.policy, source.now, new Set());
  const { visited, failures } = await gatherFleet(source, repositories, async (visit) => {
    const approved = (await Promise.all(visit.image.children.map((child) => approvedFor(platformOf(child))))).flat();
    const chosen = visit.image.children.map((child) => chooseBases(child, approved, source.policy, source));
    const { repository } = visit.facts;
    const described = await describeImage(visit, chosen, { ...request, ...environment, reader: source.client });
    const isOnVersion = described !== undefined && "target" in described && !described.isBehind;
    const asked = { promoter: environment.promoter, environment: request.environment, inForce: source.policy.inForce };
    const back = isOnVersion ? [] : listReturns(visit, asked);
    return { described, repository, back };
  });
  const seen = visited.flatMap(({ described }) => (described === undefined ? [] : [described]));
  const all = seen
    .flatMap((each) => ("target" in each ? [each] : []))
    .map(({ promotions, ...each }) => ({ ...each, promotedAt: findEntry(each.repository, promotions, visited) }));
  return {
    images: all.filter(({ tags }) => tags.length > 0).map((each) => ({ ...each, since: findSince(each, all) })),
    left: seen.flatMap((each) => ("problem" in each ? [each] : [])),
    failures,
  };
}

/** An image without tags is one that nobody has asked about: it tells since when its repository stands on the version. */
type SeenImage = Omit<RolloutImage, "since">;
interface DescribedImage extends Omit<SeenImage, "promotedAt"> {
  promotions: readonly Date[];
}

/** When tags of a repository were taken back to what stands on another version: by what was signed of that. */
interface WentBack {
  repository: Repository;
  back: readonly Date[];
}

/** When tags were taken back to an image, by what its promoter has signed of it. */
export function listReturns(
  { facts: { repository }, evidence }: { facts: { repository: Repository }; evidence: CollectedEvidence },
  { promoter, environment, inForce }: { promoter: string; environment: string; inForce: PolicyPointer | undefined },
): Date[] {
  return findEntries({ repository, evidence }, promoter, environment, inForce)
    .found.filter(({ summary }) => summary.tagRollbacks.length > 0)
    .map(({ summary }) => summary.timeVerified);
}

/**
 * When an image was let in first: whoever promotes it again, for another tag, begins nothing anew. But whoever went back
 * from the version, and comes to it again, has not looked on meanwhile: what was before does not count. A promotion that
 * is repeated within a day is not signed again, so that is taken for the time at which somebody went back.
 */
export function findEntry(repository: Repository, promotions: readonly Date[], others: readonly WentBack[]): Date {
  const times = others
    .filter((each) => isSameRepository(each.repository, repository))
    .flatMap(({ back }) => back.map((at) => at.getTime()));
  const wentBack = Math.max(...times);
  const since = promotions.map((at) => at.getTime()).filter((at) => at > wentBack);
  return new Date(since.length === 0 ? wentBack : Math.min(...since));
}

/** When the first image of an image's repository was let in that stands on the version, by what tags still point at. */
export function findSince({ repository, target, promotedAt }: SeenImage, all: readonly SeenImage[]): Date {
  const times = all
    .filter((each) => !each.isBehind && each.target.digest === target.digest)
    .filter((each) => isSameRepository(each.repository, repository))
    .map((each) => each.promotedAt.getTime());
  return new Date(Math.min(promotedAt.getTime(), ...times));
}

interface Around extends RolloutRequest {
  from: readonly string[];
  to: readonly string[];
  /** Not the fleet's own, which remembers what is not there. */
  reader: RegistryClient;
}

/** Undefined for what nobody has asked about. */
async function describeImage(
  { facts, evidence }: VisitedImage,
  chosen: readonly ChosenBases[],
  around: Around,
): Promise<DescribedImage | LeftImage | undefined> {
  const { repository, digest, source } = facts;
  const own = facts.tags.filter((tag) => !isKeptTag(tag, digest));
  const tags = around.tags.length === 0 ? own : own.filter((tag) => around.tags.includes(tag));
  // None: another version of an application, or one that was left there for those that were rebased from it.
  const isAsked = tags.length > 0;
  const left = (problem: string): LeftImage | undefined => (isAsked ? { image: nameImage(facts), problem } : undefined);
  const bases = chosen.flatMap((each) => ("refused" in each ? [] : [each]));
  if (around.base !== undefined && bases.every(({ old }) => old.name !== around.base)) return undefined;
  const refused = chosen.find((each) => "refused" in each);
  if (refused !== undefined && "refused" in refused) return left(refused.refused.problem);
  const [first, ...others] = bases;
  if (first === undefined) return left("nothing of it runs");
  const { name: base, image, digest: onto } = first.next;
  if (others.some(({ next }) => next.digest !== onto || next.image !== image))
    return left("its platforms would stand on more than one version");
  const isBehind = bases.some(({ old, next }) => old.child !== next.child);
  if (isBehind && !isAsked) return undefined;
  if (isBehind && around.leave.some((prefix) => isWithin(repository, prefix)))
    return left("it is to be left as it is, by whoever runs this");
  const promotions = facts.promotions.filter(({ environment }) => environment === around.environment);
  if (promotions.length === 0)
    return left(`no promotion into '${around.environment}' counts, so it is not there rightly`);
  const target: RolloutTarget = { base, image, digest: onto };
  const placed = placeRebased(facts, target, around);
  const at = { ...placed.quarantine.repository, tag: placed.quarantine.tag };
  return {
    ...{ repository, digest, tags, target, isBehind, ...placed },
    isRebased: facts.strategy === rebase.name,
    ancestors: [...evidence.statements, ...evidence.lapsed].flatMap(listAncestors).map((each) => each.digest),
    promotions: promotions.map(({ at }) => at),
    isTried: isBehind && (await around.reader.resolve(at)) !== undefined,
    ...(source === undefined ? {} : { source }),
  };
}

/** Below quarantine by the name that it has below what its environment promotes to. */
function placeRebased(
  image: Pick<RolloutImage, "repository" | "digest">,
  target: RolloutTarget,
  { from, to, quarantine = from[0] ?? "" }: Around,
): Pick<RolloutImage, "name" | "quarantine"> {
  const full = formatRepository(image.repository);
  const prefix = to.find((each) => isWithin(image.repository, each)) ?? "";
  const name = full.slice(prefix.length).replace(/^\//, "") || (full.split("/").at(-1) ?? "");
  const tag = `rebased-${shortHex(image.digest)}-${shortHex(target.digest)}`;
  return { name, quarantine: { repository: parseRepository(`${quarantine}/${name}`, "quarantine"), tag } };
}

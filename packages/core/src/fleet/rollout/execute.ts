import { InfrastructureError, isKnownError, PolicyViolation, UserError } from "@goldenpath/foundation/errors";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import {
  formatReference,
  formatRepository,
  isWithin,
  parseReference,
  parseRepository,
  type Reference,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { type Rebased, rebaseImage } from "../../base/rebase/execute.ts";
import { kindOf } from "../../build/strategies/find.ts";
import { defaultRollout, type RebaseBuilder, type Rollout as Rules, rebase } from "../../build/strategies/rebase.ts";
import type { LoadedPolicy, Policy } from "../../policy/schema.ts";
import { findWithdrawn } from "../../policy/withdrawals.ts";
import { type FleetFailure, nameImage } from "../facts.ts";
import type { FleetSource } from "../gather-fleet.ts";
import type { LeftImage, Rollout, RolloutImage, RolloutReport } from "./facts.ts";
import { foreseeRefusal } from "./foresee.ts";
import { gatherRollout, type RolloutRequest } from "./gather.ts";
import { isCanary, planRollout } from "./plan.ts";

/** The waves of the policy's first builder of kind `rebase` that says something of them. */
export function readRules({ build }: Pick<Policy, "build">): Rules {
  const builders = build.builders.filter((each): each is RebaseBuilder => kindOf(each) === rebase.name);
  return builders.find(({ rollout }) => rollout !== undefined)?.rollout ?? defaultRollout;
}

/**
 * Which images of an environment stand on an older version of their base than the newest that counts, and which of them
 * go next. What is due is judged as `base rebase` judges it, with its layers, and as the gate will by what is signed
 * already: what can't be put on the other version, or would not count on it, is left, and others take its place; only a canary that can't be stops all.
 * @throws as {@link gatherRollout} and `rebaseImage`
 */
export async function planFleetRollout(
  source: FleetSource,
  repositories: readonly Repository[],
  request: RolloutRequest,
  signal: AbortSignal,
): Promise<RolloutReport> {
  const { images, left, failures } = await gatherRollout(source, repositories, request);
  const rules = readRules(source.policy.policy);
  const rollouts: Rollout[] = [];
  for (const own of Map.groupBy(images, ({ target }) => `${target.image}@${target.digest}`).values()) {
    const judged = await judgeRollout(source, own, { ...request, rules, signal });
    left.push(...judged.left);
    failures.push(...judged.failures);
    if (judged.rollout !== undefined) rollouts.push(judged.rollout);
  }
  const absent = source.areNamed === true || request.base !== undefined ? [] : findAbsent(rules, images, left);
  const all = [...failures, ...absent.filter(({ what }) => !failures.some((each) => mayHide(each.what, what)))];
  const unseen = all.find(({ what }) => rules.canaries.some((canary) => mayHide(what, canary)));
  const report = { environment: request.environment, at: source.now, left, failures: all };
  if (unseen === undefined) return { ...report, rollouts };
  const stopped = `the canary ${unseen.what} could not be looked at`;
  return { ...report, rollouts: rollouts.map((each) => stop(each, stopped)) };
}

/** Nothing goes next. */
const stop = ({ due: _due, ...rest }: Rollout, stopped: string): Rollout => ({ ...rest, stopped });

/** Whether a canary may be among what could not be looked at: HOST/NAME, HOST/NAME:TAG or HOST/NAME@DIGEST. */
function mayHide(what: string, canary: string): boolean {
  try {
    const place = parseReference(what);
    return isWithin(place, canary) || isWithin(parseRepository(canary), formatRepository(place));
  } catch {
    // Several places, or none that has a name.
    return true;
  }
}

/** A canary that nobody finds would let all others go without one. */
function findAbsent({ canaries }: Rules, images: readonly RolloutImage[], left: readonly LeftImage[]) {
  const there = [...images.map(({ repository }) => repository), ...left.map(({ image }) => parseReference(image))];
  return canaries
    .filter((canary) => !there.some((each) => isWithin(each, canary)))
    .map((what) => ({ what, problem: "the policy has it among the canaries, and no image of it was found" }));
}

interface Judging {
  rules: Rules;
  environment: string;
  leave: readonly string[];
  signal: AbortSignal;
}

async function judgeRollout(
  source: FleetSource,
  images: readonly RolloutImage[],
  judging: Judging,
): Promise<{ rollout?: Rollout; left: LeftImage[]; failures: FleetFailure[] }> {
  const [{ target } = {}] = images;
  const left: LeftImage[] = [];
  const failures: FleetFailure[] = [];
  if (target === undefined) return { left, failures };
  const { rules } = judging;
  const refused = new Set<RolloutImage>();
  const unseen = new Set<RolloutImage>();
  const passed = new Set<RolloutImage>();
  for (;;) {
    const rollout = planRollout({
      target,
      images: images.filter((each) => !refused.has(each)),
      rules,
      now: source.now,
    });
    const open = (rollout.due?.images ?? []).filter((each) => !passed.has(each));
    if (open.length === 0) return { rollout, left, failures };
    for (const each of open) {
      const { problem, isUnseen } = await findAgainst(source, each, judging);
      if (problem === undefined) {
        passed.add(each);
        continue;
      }
      refused.add(each);
      if (isUnseen === true) {
        unseen.add(each);
        failures.push({ what: nameImage(each), problem });
      } else left.push({ image: nameImage(each), problem });
    }
    // Whatever has kept out what was begun may keep out others: nobody knows that it does not.
    const begun = open.find((each) => each.isTried && unseen.has(each));
    if (begun !== undefined) {
      const why = `${nameImage(begun)} was begun, and could not be looked at`;
      return { rollout: stop(rollout, why), left, failures };
    }
    // Whoever goes first where none of this base is named is no canary: the next one takes its place.
    const canary = open.find((each) => refused.has(each) && isCanary(rules, each));
    if (canary !== undefined) {
      const why = `the canary ${nameImage(canary)} can't be put on it: have it built again, then run again`;
      return { rollout: stop(rollout, why), left, failures };
    }
  }
}

/** `isUnseen`: it could not be looked at, as what the fleet's own walk could not. */
async function findAgainst(
  source: FleetSource,
  image: RolloutImage,
  judging: Judging,
): Promise<{ problem?: string | undefined; isUnseen?: boolean }> {
  try {
    return { problem: await judgeImage(source, image, judging) };
  } catch (error) {
    if (!isKnownError(error) || error.code === "aborted" || error.name === "PolicyViolation") throw error;
    return { problem: error.message, isUnseen: true };
  }
}

/** What keeps one image from being put on the version: the evidence that there is is read before any layer. */
async function judgeImage(
  source: FleetSource,
  image: RolloutImage,
  { environment, signal }: Judging,
): Promise<string | undefined> {
  const { client, policy, now } = source;
  const foreseen = await foreseeRefusal(source, image, environment);
  if (foreseen !== undefined) return foreseen;
  const request = { onto: image.target.digest, isDryRun: true, now, signal };
  const rebased = await rebaseImage(client, policy, { ...place(image), ...request });
  return tellRefused(rebased) ?? tellReturn(image, rebased);
}

const place = ({ repository, digest, quarantine }: RolloutImage) => ({
  image: { ...repository, digest },
  to: formatReference({ ...quarantine.repository, tag: quarantine.tag }),
});

function tellRefused({ refused }: Rebased): string | undefined {
  const [first, ...others] = refused;
  if (first === undefined) return undefined;
  return `${first.problem}${others.length === 0 ? "" : ` (and ${others.length} more)`}. ${first.wayOut}`;
}

/**
 * The same bytes again: nobody can attest that an image was rebased from what was rebased from it, and by its tags it would
 * be tried in each run.
 */
function tellReturn({ ancestors, quarantine }: RolloutImage, { digest }: Rebased): string | undefined {
  if (digest === undefined || !ancestors.includes(digest)) return undefined;
  const before = formatReference({ ...quarantine.repository, digest });
  return `on that version it is ${digest} again, which it was rebased from. Promote that one with allow-tag-rollback (${before}), or build it again`;
}

/** What one image of a wave is to become. */
export interface RolloutStep {
  /** In vetted, by its digest. */
  image: Reference & { digest: Digest };
  onto: Digest;
  /** HOST/NAME:TAG in quarantine. */
  to: string;
  /** Those that were at the image when the wave was planned. */
  tags: readonly string[];
}

/**
 * Puts one image of a wave on the version that the wave is about, in quarantine; and nothing where that was withdrawn
 * since, or where a tag is at another image by now.
 * @param readPolicy the policy as it is now, with what is withdrawn
 * @returns HOST/NAME@DIGEST
 * @throws PolicyViolation `rebase-refused` of the rule `gate.withdrawn`: nothing else is to be put on it either; UserError
 *   `rebase-refused`; InfrastructureError `tag-moved`; as `rebaseImage`
 */
export async function rebaseStep(
  client: RegistryClient,
  readPolicy: () => Promise<LoadedPolicy>,
  { image, onto, to, tags }: RolloutStep,
  { now, signal }: { now: Date; signal: AbortSignal },
): Promise<string> {
  const policy = await readPolicy();
  const where = formatReference(image);
  if (findWithdrawn(policy, onto) !== undefined) {
    throw new PolicyViolation(`${onto} was withdrawn: ${where}, and whatever comes after it, stays as it is`, {
      code: "rebase-refused",
      rule: "gate.withdrawn",
      wayOut: "Plan anew: the next version that counts is taken. What stands on it is listed by goldenpath withdraw.",
    });
  }
  for (const tag of tags) {
    const { digest: at } = await client.readTag({ registry: image.registry, name: image.name }, tag);
    if (at === image.digest) continue;
    throw new InfrastructureError(
      `${formatReference({ ...image, tag, digest: undefined })} is at ${at ?? "nothing"}, and was at ${image.digest} when the wave was planned`,
      {
        code: "tag-moved",
        safeToRetry: true,
        wayOut: "Plan anew: what is there now is looked at.",
      },
    );
  }
  const rebased = await rebaseImage(client, policy, { image, to, onto, isDryRun: false, now, signal });
  if (rebased.image !== undefined) return rebased.image;
  throw new UserError(`${where} can't be put on ${onto}: ${tellRefused(rebased) ?? "it stands on it already"}`, {
    code: "rebase-refused",
    wayOut: "Build it again from its source, or leave it out.",
  });
}

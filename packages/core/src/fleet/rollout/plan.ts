import { isWithin } from "@goldenpath/registry-client/oci/reference";
import type { Rollout as Rules } from "../../build/strategies/rebase.ts";
import { nameImage } from "../facts.ts";
import type { Rollout, RolloutImage, RolloutTarget, Wave } from "./facts.ts";

const canaryWave = "canaries";

interface PlanFacts {
  target: RolloutTarget;
  /** All that stand on this base, or a version of it. */
  images: readonly RolloutImage[];
  rules: Rules;
  now: Date;
}

export const isCanary = ({ canaries }: Pick<Rules, "canaries">, { repository }: RolloutImage): boolean =>
  canaries.some((prefix) => isWithin(repository, prefix));

/**
 * Which images go next. It rests on what is there alone, and on nothing that a run before has left elsewhere:
 *
 * 1. Canaries, as long as one of them is behind.
 * 2. What a run before has begun and not brought into vetted, and nothing new besides: whatever kept it out may keep out
 *    others. No run begins more than `wave`: where more looks begun, somebody else has put it there, and it waits its turn.
 * 3. The next `wave` images by their names, once `pause` is over since the last of the waves before was let in.
 */
export function planRollout({ target, images, rules, now }: PlanFacts): Rollout {
  const sorted = images.toSorted((a, b) => (nameImage(a) < nameImage(b) ? -1 : 1));
  const goesFirst = (image: RolloutImage): boolean => isCanary(rules, image);
  const current = sorted.filter(({ isBehind }) => !isBehind);
  const behind = sorted.filter(({ isBehind }) => isBehind);
  const begun = current.filter((each) => each.isRebased || goesFirst(each));
  const first = {
    name: canaryWave,
    // Where nobody is named who goes first, one does.
    images: sorted.some(goesFirst) ? behind.filter(goesFirst) : begun.length === 0 ? behind.slice(0, 1) : [],
  };
  const rest = behind.filter((each) => !first.images.includes(each));
  const tried = rest.filter(({ isTried }) => isTried);
  const untried = rest.filter(({ isTried }) => !isTried);
  const isOurs = tried.length <= rules.wave;
  const again = { name: "again", images: isOurs ? tried : [] };
  const waves = [first, again, ...split(isOurs ? untried : [...tried, ...untried], rules.wave)].filter(
    (wave) => wave.images.length > 0,
  );
  const [due] = waves;
  const told = { target, done: current.length, waves };
  if (due === undefined) return told;
  // A canary that is built anew each day stands on the version since the first of these.
  const last = Math.max(...begun.map(({ isRebased, promotedAt, since }) => (isRebased ? promotedAt : since).getTime()));
  const until = due === first || due === again ? Number.NEGATIVE_INFINITY : last + rules.pause;
  return until > now.getTime() ? { ...told, until: new Date(until) } : { ...told, due };
}

function split(images: readonly RolloutImage[], size: number): Wave[] {
  return Array.from({ length: Math.ceil(images.length / size) }, (_, at) => ({
    name: `wave ${at + 1}`,
    images: images.slice(at * size, (at + 1) * size),
  }));
}

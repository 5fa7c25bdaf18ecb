import { isDayOver } from "../../policy/day.ts";
import type { BaseVersion, SignedImages } from "./gather-versions.ts";
import { judgeApproval, listNewer } from "./judge.ts";

/** The newest version of a base on which one may stand, or why each of them is none, the newest first. */
export type NewestVersion = { version: BaseVersion } | { problems: string[] };

/**
 * The version that a floating tag is to point at: the newest approved one that has not ended. The policy's `grace` is
 * for images that stand on a version already, and not for new ones.
 * @param versions from the oldest approval to the newest
 */
export function chooseNewest(
  versions: readonly BaseVersion[],
  { approval, until, use }: Pick<SignedImages, "approval" | "until" | "use">,
  now: Date,
): NewestVersion {
  if (until !== undefined && isDayOver(until, now)) return { problems: [`its until is ${until}`] };
  const { maxAge, maxBehind, score } = approval;
  const rules = { maxAge, maxBehind, score, grace: undefined, warnBefore: undefined };
  const problems: string[] = [];
  for (const version of versions.toReversed()) {
    const { digest, found } = version;
    const { refused } = judgeApproval({ rules, found, newer: listNewer(found, versions), use }, now);
    if (refused.length === 0) return { version };
    problems.push(`${digest}: ${refused.map(({ problem }) => problem).join("; ")}`);
  }
  return { problems };
}

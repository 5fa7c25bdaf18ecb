import { cleanLine } from "@goldenpath/foundation/text/clean";
import type { ApprovalRules } from "../../policy/approval-section.ts";
import { isDayReached } from "../../policy/day.ts";
import { findOwnDay, type OwnDay } from "../../policy/enforcement.ts";
import type { Violation } from "../../result.ts";
import { judgeProven, type LeastPoints } from "../score/demands.ts";
import type { FoundApproval } from "./choose.ts";
import type { ProvenScore } from "./predicate.ts";

/** What the policy asks of a version's approval, and what was found. */
export interface ApprovalState {
  rules: Pick<ApprovalRules, "maxAge" | "maxBehind" | "grace" | "warnBefore" | "score" | "enforceFrom">;
  found: FoundApproval;
  /** When the newer versions of the base were approved. */
  newer: readonly Date[];
  /** `build`: it is to build in. Default: to stand on. */
  use?: "run" | "build";
}

/** When those of a base's versions were approved that are newer than one of them; none, where that is not approved. */
export function listNewer(found: FoundApproval, versions: readonly { found: FoundApproval }[]): Date[] {
  const timeOf = (each: FoundApproval): number =>
    each.kind === "approved" ? each.approval.approvedAt.getTime() : Number.POSITIVE_INFINITY;
  return versions.flatMap((version) =>
    version.found.kind === "approved" && timeOf(version.found) > timeOf(found)
      ? [version.found.approval.approvedAt]
      : [],
  );
}

interface Refused extends Pick<Violation, "rule" | "problem" | "wayOut"> {
  /** The day of the approval's own demands, come or not, where one of those refuses it. */
  enforceFrom?: string;
}

export interface ApprovalVerdict {
  refused: Refused[];
  /** What `maxAge`, `maxBehind` and `score` refuse from the day of their `enforceFrom` on, which has not come. */
  waiting: Refused[];
  /** What will be refused, and when. */
  warnings: string[];
}

interface End {
  at: number;
  rule: "base.expired" | "base.behind";
  says: string;
  /** By the approval itself, and by no demand of the policy's. */
  isSigned?: true;
}

const day = 86_400_000;
const rebuild =
  "Rebuild the image on the newest version of the base; `goldenpath base of` names the version that it stands on.";

/**
 * May an application stand on a version with such an approval at a moment, or a build run in it? What was reached is
 * refused once the policy's `grace` is over, and said before.
 */
export function judgeApproval({ rules, found, newer, use = "run" }: ApprovalState, now: Date): ApprovalVerdict {
  if (found.kind === "refused") {
    const wayOut =
      "Rebuild it on an approved version, or have the platform team approve this one: goldenpath base approve.";
    return { refused: [{ rule: "base.approval", problem: found.problem, wayOut }], waiting: [], warnings: [] };
  }
  const { approvedAt, endOfLife, role } = found.approval;
  const verdict: ApprovalVerdict = { refused: [], waiting: [], warnings: [] };
  const { enforceFrom } = rules;
  const list = enforceFrom === undefined || isDayReached(enforceFrom, now) ? verdict.refused : verdict.waiting;
  const demand = (refused: Refused) => list.push({ ...refused, ...(enforceFrom === undefined ? {} : { enforceFrom }) });
  if (use === "build" && role === "run-only") {
    verdict.refused.push({
      rule: "build.builder",
      problem: "it is approved to run on, and not to build in (role run-only)",
      wayOut: "Build in an image that is approved to build in: goldenpath base approve --role build-only.",
    });
  }
  if (use === "run" && role === "build-only") {
    verdict.refused.push({
      rule: "base.build-image",
      problem: "it is approved to build in, and not to run on (role build-only)",
      wayOut: "Rebuild it on a base that is approved to run on.",
    });
  }
  for (const problem of judgePoints(found.approval.proven, rules.score))
    demand({ rule: "base.approval", problem, wayOut: mend });
  for (const { at, rule, says, isSigned } of listEnds({ approvedAt, endOfLife, rules, newer })) {
    const refusedFrom = at + (rules.grace ?? 0);
    // What is no time has been reached.
    if (!(now.getTime() < refusedFrom)) {
      const ended = { rule, problem: says, wayOut: rebuild };
      if (isSigned === true) verdict.refused.push(ended);
      else demand(ended);
    } else if (now.getTime() >= at - (rules.warnBefore ?? 0))
      verdict.warnings.push(`${says}; images on it are refused from ${new Date(refusedFrom).toISOString()} on`);
  }
  return verdict;
}

/**
 * All that it refuses of what stands on a base, now or from a day on. A demand with a day of its own has that also once
 * it has come: then no later day of its rule makes it wait.
 */
export function listByDay(
  { refused, waiting }: ApprovalVerdict,
  base: string,
): (Omit<Refused, "enforceFrom"> & { own?: OwnDay })[] {
  return [...refused, ...waiting].map(({ enforceFrom, ...each }) => {
    const own = findOwnDay(base, { enforceFrom });
    return { ...each, ...(own === undefined ? {} : { own }) };
  });
}

const mend =
  "Have the platform team mend what the score of this version lacks (goldenpath base score), and approve it anew; or rebuild the image on a version that has it.";

/** Of each platform, by what its approver has signed; what that does not tell is none. */
export function judgePoints(proven: readonly ProvenScore[], least: LeastPoints | undefined): string[] {
  if (least === undefined) return [];
  if (proven.length === 0)
    return ["its approval does not say how many points were proven, and the policy asks for some"];
  return proven.flatMap(({ platform, proven: points }) => judgeProven(cleanLine(platform, 60), points, least));
}

function listEnds({
  approvedAt,
  endOfLife,
  rules: { maxAge, maxBehind },
  newer,
}: Pick<ApprovalState, "rules" | "newer"> & { approvedAt: Date; endOfLife: string }): End[] {
  const approved = approvedAt.getTime();
  const ends: End[] = [
    {
      at: Date.parse(`${endOfLife}T00:00:00Z`) + day,
      rule: "base.expired",
      says: `its end of life is ${endOfLife}`,
      isSigned: true,
    },
  ];
  if (maxAge !== undefined) {
    ends.push({
      at: approved + maxAge,
      rule: "base.expired",
      says: `it was approved ${Number.isNaN(approved) ? "at no known time" : `on ${approvedAt.toISOString()}`}, and counts for ${describeDays(maxAge)} (maxAge)`,
    });
  }
  if (maxBehind !== undefined) {
    const ahead = newer.map((each) => each.getTime()).filter((each) => !(each - approved <= maxBehind));
    if (ahead.length > 0) {
      ends.push({
        // It fell behind with the first of them.
        at: Math.min(...ahead),
        rule: "base.behind",
        says: `it is ${describeDays(Math.max(...ahead) - approved)} behind the newest approved version, and may be ${describeDays(maxBehind)} (maxBehind)`,
      });
    }
  }
  return ends;
}

function describeDays(milliseconds: number): string {
  const days = milliseconds / day;
  return `${Number.isInteger(days) ? days : days.toFixed(1)} days`;
}

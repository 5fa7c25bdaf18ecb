import type { Policy } from "../policy/schema.ts";
import type { OwnWord } from "./base-view.ts";
import { describeAllowedSpots } from "./blind-spots.ts";
import type { ExaminedChild } from "./examine.ts";
import type { Finding } from "./finding.ts";
import { isAgainstPolicy, isLetPass, isRefused } from "./gate.ts";
import { hasFix } from "./gates.ts";
import type { ScannerRun } from "./scanners/scanner.ts";
import { describeClosed } from "./vex/describe.ts";
import type { VexAnswer } from "./vex/match.ts";

interface DescribedChild extends Pick<ExaminedChild, "notes" | "sight" | "ownWords" | "findings"> {
  turns: readonly { run: Pick<ScannerRun, "notes"> }[];
  /** Set for an index only. */
  platform?: string;
  /** True of what is not new. */
  isKnown?: (finding: Finding) => boolean;
  /** What VEX says of a finding. */
  vexOf?: (finding: Finding) => VexAnswer | undefined;
}

/** What of a scan no rule asks for, and a reader should know. */
export function describeChild(
  { platform, notes, sight, ownWords, turns, findings, isKnown, vexOf }: DescribedChild,
  policy: Pick<Policy, "scan">,
  now: Date,
): string[] {
  const told = [
    ...notes,
    ...describeAllowedSpots(sight, policy.scan.allowBlindSpots),
    ...describeOwnWords(ownWords),
    ...turns.flatMap(({ run }) => run.notes),
  ];
  if (policy.scan.onlyFixed) {
    const unfixed = findings.filter(
      (finding) => isRefused(finding, { ...policy.scan, onlyFixed: false }) && !hasFix(finding),
    ).length;
    if (unfixed > 0)
      told.push(
        `${unfixed} of severity ${policy.scan.failOn} or above have no fixed version; the policy refuses only what can be fixed.`,
      );
  }
  const old = findings.filter((each) => isLetPass(each, { isKnown }) && isAgainstPolicy(each, policy.scan, now)).length;
  if (old > 0)
    told.push(
      `${old} that the policy would refuse are let pass: the image that this is compared with has them as well.`,
    );
  if (vexOf !== undefined) told.push(...describeClosed(findings, vexOf));
  return platform === undefined ? told : told.map((note) => `${platform}: ${note}`);
}

/** One line a package: an update closes many findings at once. */
function describeOwnWords(ownWords: readonly OwnWord[]): string[] {
  const packages = Map.groupBy(
    ownWords,
    ({ finding, says }) => `${finding.package.name} ${finding.package.version}: ${says}`,
  );
  return [...packages].map(
    ([what, closed]) =>
      `by the image's own word the base's ${what}, which closes ${[...new Set(closed.map(({ finding }) => finding.id))].join(", ")}`,
  );
}

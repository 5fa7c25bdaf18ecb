import type { Violation } from "../result.ts";
import { type Finding, findingKey } from "./finding.ts";
import type { RefusedFinding } from "./gate.ts";
import type { VexAnswer } from "./vex/match.ts";

/** One platform's image, judged. */
export interface JudgedImage {
  findings: readonly Finding[];
  refused: readonly RefusedFinding[];
  /** What VEX says of a finding, where the policy takes anybody's. */
  vexOf?: (finding: Finding) => VexAnswer | undefined;
}

/**
 * Why a finding is not open, one sentence: an exception of the policy sets it aside, or the word of those whose VEX the
 * policy takes closes it. Undefined where it is open on any platform.
 */
export function findSuppressions(images: readonly JudgedImage[]): (finding: Finding) => string | undefined {
  const reasons = new Map<string, string | undefined>();
  for (const image of images) {
    const exceptions = Map.groupBy(image.refused, ({ finding }) => findingKey(finding));
    for (const finding of image.findings) {
      const key = findingKey(finding);
      const reason = describeVex(image.vexOf?.(finding)) ?? describeExceptions(exceptions.get(key) ?? []);
      reasons.set(key, reasons.has(key) && reasons.get(key) === undefined ? undefined : reason);
    }
  }
  return (finding) => reasons.get(findingKey(finding));
}

function describeVex(answer: VexAnswer | undefined): string | undefined {
  if (answer?.isClosed !== true) return undefined;
  const { status, because } = answer.statement;
  return `VEX by ${answer.signer}: ${status}${because === undefined ? "" : `, ${because}`}`;
}

/** What breaks several rules is set aside where it is of each. */
function describeExceptions(refused: readonly RefusedFinding[]): string | undefined {
  const exceptions = refused.map(({ violation }) => violation.exception);
  const [first] = exceptions;
  if (first === undefined || exceptions.includes(undefined)) return undefined;
  const told = (exception: NonNullable<Violation["exception"]>): string =>
    `${exception.reason} (${exception.owner}, until ${exception.expires})`;
  return [...new Set(exceptions.flatMap((each) => (each === undefined ? [] : told(each))))].join("; ");
}

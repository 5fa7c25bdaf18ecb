import { cleanLine } from "@goldenpath/foundation/text/clean";
import type { Finding } from "../finding.ts";
import type { VexAnswer } from "./match.ts";

/** A line for each finding that VEX closes, for a reader. */
export function describeClosed(
  findings: readonly Finding[],
  answerFor: (finding: Finding) => VexAnswer | undefined,
): string[] {
  return findings.flatMap((finding) => {
    const answer = answerFor(finding);
    if (answer?.isClosed !== true) return [];
    const { status, because } = answer.statement;
    const why = because === undefined ? "" : ` (${because})`;
    const { name, version } = finding.package;
    return [
      cleanLine(
        `by VEX of ${answer.signer}, ${name} ${version} is ${status.replaceAll("_", " ")}${status === "fixed" ? " of" : " by"} ${finding.id}${why}`,
        500,
      ),
    ];
  });
}

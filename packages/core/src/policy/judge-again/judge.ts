import type { GateDecision } from "../../gate/facts.ts";
import { predicateTypes } from "../../signing/predicates.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { judgeBaseAgain } from "./base.ts";
import type { AgainFacts, JudgedAgain } from "./facts.ts";
import { judgeSbomAgain, judgeScanAgain } from "./scan.ts";

/**
 * What a policy's own `scan`, `bases`, `images`, `rules` and `exceptions` say of what was found and signed under another:
 * the findings, the packages of the SBOM, the base and the config of each image, by the judges of those stages. What an
 * exception sets aside is left out. No layer is read: what only layers tell is unknown, where a rule asks for it.
 */
export function judgeAgain({ accepted }: Pick<GateDecision, "accepted">, facts: AgainFacts): JudgedAgain[] {
  const seen = new Set<string>();
  const once = accepted.filter(({ bundle, statement }) => {
    const key = `${bundle.digest} ${statement.predicateType}`;
    return !seen.has(key) && seen.add(key);
  });
  const of = (type: string): VerifiedStatement[] => once.filter(({ statement }) => statement.predicateType === type);
  const scans = of(predicateTypes.vulnerabilities);
  const sboms = scans.length === 0 ? [] : of(predicateTypes.cyclonedx);
  return [
    ...of(predicateTypes.base).flatMap((signed) => judgeBaseAgain(signed, facts)),
    ...scans.flatMap((signed) => judgeScanAgain(signed, sboms, facts)),
    ...sboms.flatMap((signed) => judgeSbomAgain(signed, facts)),
  ];
}

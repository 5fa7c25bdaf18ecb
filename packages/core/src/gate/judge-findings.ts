import { findException } from "../policy/exceptions.ts";
import { findMetGate } from "../scan/gates.ts";
import { readToldScan, type ToldFinding } from "../scan/told-findings.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import type { Problem, StageScope } from "./facts.ts";
import { wayToRunAgain } from "./problems.ts";

/** Findings that are told one by one; a reader needs no more to see that an image is not for here. */
const maxTold = 20;

/**
 * What an environment refuses besides what its scan stage has: the findings that the stage has signed, by the
 * environment's own gates, as of now. Of an index each image's are judged with the image, and what is of none of them
 * with the index.
 * @param scans what the stage's verdict rests on
 */
export function judgeSignedFindings(scope: StageScope, scans: readonly VerifiedStatement[]): Problem[] {
  const { environment } = scope.facts;
  if (environment.refuse === undefined) return [];
  const problems: Problem[] = [];
  for (const { statement } of scans) {
    const scan = readToldScan(statement.predicate);
    if ("problem" in scan) {
      const problem = `what ${scope.stage} found can't be held to the gates of environment '${scope.facts.environmentName}': it does not tell its findings (${scan.problem})`;
      problems.push({ rule: "gate.finding", problem, wayOut: wayToRunAgain(scope) });
      continue;
    }
    problems.push(...scan.findings.filter((told) => isJudgedHere(told, scope)).flatMap((told) => judge(told, scope)));
  }
  if (problems.length <= maxTold) return problems;
  const [first] = problems as [Problem];
  const more = { ...first, problem: `and ${problems.length - maxTold} findings more` };
  return [...problems.slice(0, maxTold), more];
}

function isJudgedHere({ child }: ToldFinding, { digest, facts }: StageScope): boolean {
  if (child === undefined) return true;
  const known: readonly string[] = facts.image.children;
  return known.includes(child) ? child === digest : digest === facts.image.digest;
}

function judge(told: ToldFinding, { facts }: StageScope): Problem[] {
  // By the word of whom the policy names, as the scan stage has it signed.
  if (told.vex !== undefined) return [];
  const met = findMetGate(told, facts.environment.refuse, facts.now);
  if (met === undefined) return [];
  const { id, aliases, package: of, fixedVersions } = told;
  const query = { rule: "gate.finding" as const, things: [id, ...aliases], package: of.name };
  const { applied, expired } = findException(facts.policy.policy.exceptions, query, facts.now);
  if (applied !== undefined) return [];
  const over = expired === undefined ? "" : ` (its exception by ${expired.owner} expired on ${expired.expires})`;
  const problem = `${id} in ${of.name} ${of.version}: gate '${met.gate.name}' of environment '${facts.environmentName}' refuses it: ${met.because.join("; ")}${over}`;
  const fix = fixedVersions.length === 0 ? "Do without it" : `Update ${of.name} to ${fixedVersions.join(" or ")}`;
  const wayOut = `${fix}, and take the new image along the path; or ask for an exception of gate.finding in the policy, with an owner and an end date.`;
  return [{ rule: "gate.finding", problem, wayOut }];
}

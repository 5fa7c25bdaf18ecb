import { deferViolation, findLaterDay, findOwnDay } from "../policy/enforcement.ts";
import { nameGate } from "../policy/own-days.ts";
import { listWithdrawn } from "../policy/withdrawals.ts";
import { isCounted } from "../result.ts";
import { findMetGates } from "../scan/gates.ts";
import { readToldScan, type ToldFinding, type ToldScan } from "../scan/told-findings.ts";
import { judgeSignerTime } from "../signing/signer-times.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { record } from "../stage-facts.ts";
import type { Problem, StageScope } from "./facts.ts";
import { wayToRunAgain } from "./problems.ts";
import { countsLater } from "./rescan.ts";

/** Findings that are told one by one; a reader needs no more to see that an image is not for here. */
const maxTold = 20;

/**
 * What an environment refuses besides what its scan stage has: the findings that the stage has signed, by the
 * environment's own gates, as of now; and, in any environment, findings that VEX has closed whose signer's word does not
 * count, has ended or was withdrawn since. Of an index each image's are judged with the image, and what is of none of them with the
 * index.
 * @param scans what the stage's verdict rests on
 */
export function judgeSignedFindings(scope: StageScope, scans: readonly VerifiedStatement[]): Problem[] {
  const { environment } = scope.facts;
  const problems: Problem[] = [];
  for (const { statement } of scans) {
    // One of before findings were told has none that VEX closed.
    if (environment.refuse === undefined && !tellsFindings(statement.predicate)) continue;
    const scan = readToldScan(statement.predicate);
    if ("problem" in scan) {
      const problem = `what ${scope.stage} found can't be judged in environment '${scope.facts.environmentName}': it does not tell its findings (${scan.problem})`;
      problems.push({ rule: "gate.finding", problem, wayOut: wayToRunAgain(scope), isFirm: true });
      continue;
    }
    const here = scan.findings.filter((told) => isJudgedHere(told, scope) && !isLater(told, scan, scope));
    problems.push(...judgeClosed(here, scope), ...here.flatMap((told) => judge(told, scope)));
  }
  if (problems.length <= maxTold) return problems;
  const left = `${problems.length - maxTold} more findings, which the scan's result and the report list`;
  const wayOut = `Put right what the scan found, build again, and take the new image along the path.`;
  // None that refuses gets lost among those that wait, be it for its own day or for that of the rule.
  const { policy, now } = scope.facts;
  const waitsUntil = ({ rule, isFirm, own }: Problem): number => {
    const day = isFirm === true ? undefined : findLaterDay(rule, policy.policy.enforceFrom, now, own);
    return day === undefined ? 0 : Date.parse(day);
  };
  const told = problems
    .map((problem) => ({ problem, until: waitsUntil(problem) }))
    .toSorted((a, b) => a.until - b.until)
    .map(({ problem }) => problem);
  // By the earliest day of those that are left out.
  const { own } = told[maxTold] ?? {};
  return [
    ...told.slice(0, maxTold),
    { rule: "gate.finding", problem: `and ${left}`, wayOut, ...(own === undefined ? {} : { own }) },
  ];
}

/** Whose VEX closed something, and does so no more: one problem for each. */
function judgeClosed(findings: readonly ToldFinding[], scope: StageScope): Problem[] {
  const { policy, now } = scope.facts;
  const signers: readonly string[] = policy.policy.scan.vex?.signers ?? [];
  const withdrawn = listWithdrawn(policy.inForce);
  const objections = findings.flatMap(({ vex }) => {
    if (vex === undefined) return [];
    if (!signers.includes(vex.by)) return [`'${vex.by}', whose VEX the policy does not take`];
    // Where nobody else says when that was, all of a signer's word is withdrawn.
    const taken = withdrawn.find(
      ({ thing }) =>
        thing.kind === "signer" && thing.name === vex.by && !(Date.parse(vex.time ?? "") < thing.from.getTime()),
    );
    if (taken !== undefined) return [`'${vex.by}', whose word was withdrawn on ${taken.at.toISOString()}`];
    // The scan asked by the policy and the day of then.
    const times = Object.hasOwn(policy.policy.signers, vex.by) ? policy.policy.signers[vex.by] : undefined;
    const signedAt = vex.time === undefined ? undefined : new Date(vex.time);
    const outside = judgeSignerTime(vex.by, times ?? {}, signedAt, now);
    return outside === undefined ? [] : [`'${vex.by}': ${outside}`];
  });
  return [...Map.groupBy(objections, (each) => each)].map(([whom, each]) => ({
    rule: "gate.finding",
    problem: `${each.length} ${each.length === 1 ? "finding is" : "findings are"} closed by the VEX of ${whom}`,
    wayOut: wayToRunAgain(scope),
    isFirm: true,
  }));
}

/** What a rescan found, and what by the policy's days counts later. */
function isLater({ countsFrom }: ToldFinding, { finishedOn }: ToldScan, { facts }: StageScope): boolean {
  const { rescan } = facts.policy.policy.scan;
  const from = countsFrom === undefined ? undefined : new Date(countsFrom);
  return countsLater({ at: finishedOn, countsFrom: from }, rescan, facts.now);
}

function tellsFindings(predicate: Record<string, unknown>): boolean {
  return record(record(record(predicate["scanner"])["result"])["goldenpath"])["findings"] !== undefined;
}

function isJudgedHere({ child }: ToldFinding, { digest, facts }: StageScope): boolean {
  if (child === undefined) return true;
  const known: readonly string[] = facts.image.children;
  return known.includes(child) ? child === digest : digest === facts.image.digest;
}

function judge(told: ToldFinding, { facts }: StageScope): Problem[] {
  // By the word of whom the policy names, as the scan stage has it signed.
  if (told.vex !== undefined) return [];
  const days = { enforceFrom: facts.policy.policy.enforceFrom, now: facts.now };
  const { id, package: of, fixedVersions } = told;
  const fix = fixedVersions.length === 0 ? "Do without it" : `Update ${of.name} to ${fixedVersions.join(" or ")}`;
  const problems: Problem[] = [];
  for (const { gate, because } of findMetGates(told, facts.environment.refuse, facts.now)) {
    const own = findOwnDay(nameGate(facts.environmentName, gate.name), gate);
    const problem = `${id} in ${of.name} ${of.version}: gate '${gate.name}' of environment '${facts.environmentName}' refuses it: ${because.join("; ")}`;
    const wayOut = `${fix}, and take the new image along the path.`;
    problems.push({ rule: "gate.finding", problem, wayOut, ...(own === undefined ? {} : { own }) });
    // What waits must not hide what refuses already.
    if (isCounted(deferViolation({ rule: "gate.finding", thing: id, problem, wayOut }, days, own))) break;
  }
  return problems;
}

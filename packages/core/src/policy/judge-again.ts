import type { Rule } from "@goldenpath/foundation/rules";
import { z } from "zod";
import type { GateDecision } from "../gate/facts.ts";
import type { Violation } from "../result.ts";
import type { Finding } from "../scan/finding.ts";
import { judgeFindings } from "../scan/gate.ts";
import { judgePackages } from "../scan/package-gates.ts";
import { readToldScan, type ToldFinding } from "../scan/told-findings.ts";
import { predicateTypes } from "../signing/predicates.ts";
import type { VerifiedStatement } from "../signing/types.ts";
import { isDayOver } from "./day.ts";
import { findLaterDay } from "./enforcement.ts";
import { findException } from "./exceptions.ts";
import type { Policy } from "./schema.ts";

/** What is read of a statement's findings by another policy than the one that they were judged by. */
export interface JudgedAgain {
  rule: Rule;
  thing: string;
  problem: string;
  /** The day from which on it counts, where that has not come. */
  from?: string;
}

/**
 * What a policy's own `scan`, `bases` and `exceptions` say of what was found and signed under another: the findings, the
 * packages of the SBOM and the base of each image, by the judges of those stages. What an exception sets aside is left
 * out. An image is not looked at, so what only its layers tell is not asked here.
 */
export function judgeAgain({ accepted }: Pick<GateDecision, "accepted">, policy: Policy, now: Date): JudgedAgain[] {
  const seen = new Set<string>();
  const once = accepted.filter(({ bundle, statement }) => {
    const key = `${bundle.digest} ${statement.predicateType}`;
    return !seen.has(key) && seen.add(key);
  });
  const of = (type: string): VerifiedStatement[] => once.filter(({ statement }) => statement.predicateType === type);
  const scans = of(predicateTypes.vulnerabilities);
  return [
    ...of(predicateTypes.base).flatMap((signed) => judgeBase(signed, policy, now)),
    ...scans.flatMap((signed) => judgeScan(signed, policy, now)),
    ...(scans.length === 0 ? [] : of(predicateTypes.cyclonedx)).flatMap((signed) => judgeSbom(signed, policy, now)),
  ];
}

const stoodOn = z.looseObject({
  name: z.string().optional(),
  image: z.string(),
  digest: z.string(),
  approval: z.looseObject({ endOfLife: z.string(), signers: z.array(z.string()) }).optional(),
});
type StoodOn = z.infer<typeof stoodOn>;
const baseSchema = z.looseObject({
  children: z.array(
    z.looseObject({ digest: z.string(), base: stoodOn.nullish(), sameLayers: z.array(stoodOn).default([]) }),
  ),
});

function judgeBase({ statement }: VerifiedStatement, policy: Policy, now: Date): JudgedAgain[] {
  const parsed = baseSchema.safeParse(statement.predicate);
  if (!parsed.success)
    return [{ rule: "gate.malformed", thing: "the signed base", problem: "what base found can't be read" }];
  const excepted = (rule: "base.approved"): boolean =>
    findException(policy.exceptions, { rule, things: listRepositories(statement) }, now).applied !== undefined;
  const later = (rule: Rule, thing: string, problem: string): JudgedAgain => {
    const from = findLaterDay(rule, policy.enforceFrom, now);
    return { rule, thing, problem, ...(from === undefined ? {} : { from }) };
  };
  return parsed.data.children.flatMap(({ digest, base, sameLayers }): JudgedAgain[] => {
    const stands = [...(base === null || base === undefined ? [] : [base]), ...sameLayers];
    const known = policy.bases.flatMap((each) => stands.flatMap((stood) => matchBase(each, stood) ?? []));
    if (known.some(({ until }) => until === undefined || !isDayOver(until, now))) return [];
    const [over] = known;
    if (over !== undefined)
      return [later("base.expired", digest, `base '${over.name}' was approved until ${over.until}`)];
    if (excepted("base.approved")) return [];
    const what = stands[0] === undefined ? "no approved base" : `${stands[0].image}@${stands[0].digest}`;
    const problem = `it stands on ${what}, and the policy approves ${policy.bases.map(({ name }) => name).join(", ") || "none"}`;
    return [later("base.approved", digest, problem)];
  });
}

/**
 * The base of a policy that an image was found to stand on, with the day on which that ends. Of one that counts by
 * signed approvals the finding says who approved it, and the registry is not asked whether that still holds.
 */
function matchBase(
  { name, image, digests, until, approval }: Policy["bases"][number],
  stood: StoodOn,
): { name: string; until?: string | undefined } | undefined {
  if (digests.length > 0 && !digests.some((digest) => digest === stood.digest)) return undefined;
  if (approval === undefined) return { name, until };
  const signed = stood.approval;
  if (image !== stood.image || !approval.signers.some((each) => signed?.signers.includes(each))) return undefined;
  const days = [until, signed?.endOfLife].filter((each) => each !== undefined);
  return { name, until: days.toSorted()[0] };
}

function judgeScan({ statement }: VerifiedStatement, policy: Policy, now: Date): JudgedAgain[] {
  if (policy.absent?.includes("scan") === true)
    return [{ rule: "scan.severity", thing: "the scan", problem: "the policy has no section scan: no scan passes" }];
  const told = readToldScan(statement.predicate);
  if ("problem" in told)
    return [{ rule: "gate.finding", thing: "the scan", problem: `what it found can't be read: ${told.problem}` }];
  const signers: readonly string[] = policy.scan.vex?.signers ?? [];
  const open = told.findings.filter(({ vex }) => vex === undefined || !signers.includes(vex.by));
  const refused = judgeFindings({
    findings: open.map(asFinding),
    policy: policy.scan,
    exceptions: policy.exceptions,
    enforceFrom: policy.enforceFrom,
    now,
  });
  return withoutExcepted(refused.map(({ violation }) => violation));
}

/** A finding as told has all that gates ask for; where it was seen decides nothing. */
function asFinding({ child: _child, platform: _platform, vex: _vex, excepted: _excepted, ...told }: ToldFinding) {
  return { ...told, layers: [], paths: [], urls: [], saidBy: [] } as Finding;
}

function judgeSbom({ statement }: VerifiedStatement, policy: Policy, now: Date): JudgedAgain[] {
  const { packages, licenses, sbom } = policy.scan;
  const [image = "the image"] = listRepositories(statement);
  return withoutExcepted(
    judgePackages({
      ...{ sbom: statement.predicate, policy: { packages, licenses, sbom } },
      ...{ exceptions: policy.exceptions, enforceFrom: policy.enforceFrom, now, image },
    }),
  );
}

function withoutExcepted(violations: readonly Violation[]): JudgedAgain[] {
  return violations
    .filter(({ exception }) => exception === undefined)
    .map(({ rule, thing, problem, enforcedFrom }) => ({
      ...{ rule, thing, problem },
      ...(enforcedFrom === undefined ? {} : { from: enforcedFrom }),
    }));
}

/** Where the image was when it was judged: an exception is granted to that. */
function listRepositories({ subject }: VerifiedStatement["statement"]): string[] {
  return subject.flatMap(({ name }) => (name === undefined ? [] : [name.replace(/@.*$/, "")]));
}

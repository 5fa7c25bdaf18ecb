import type { Rule } from "@goldenpath/foundation/rules";
import { type Digest, isDigest } from "@goldenpath/registry-client/oci/digest";
import { parseRepository, type Repository } from "@goldenpath/registry-client/oci/reference";
import { z } from "zod";
import { type ApprovalState, judgeApproval, listByDay } from "../../base/approval/judge.ts";
import { baseRoles } from "../../base/approval/predicate.ts";
import { listBaseFacts, type ToldBase } from "../../base/rule-facts.ts";
import type { VerifiedStatement } from "../../signing/types.ts";
import { isDayOver } from "../day.ts";
import { findLaterDay, findOwnDay, type OwnDay } from "../enforcement.ts";
import { findException } from "../exceptions.ts";
import { listPinned } from "../pinned.ts";
import type { Policy, PolicyBase } from "../schema.ts";
import { type AgainFacts, type JudgedAgain, listExceptions, listRepositories } from "./facts.ts";
import { judgeHabitsAgain } from "./habits.ts";
import { judgeRulesAgain } from "./rules.ts";

const digest = z.custom<Digest>(isDigest);
const stoodOn = z.looseObject({
  name: z.string().optional(),
  image: z.string(),
  digest,
  approval: z
    .looseObject({
      endOfLife: z.string(),
      signers: z.array(z.string()),
      approvedAt: z.string().default(""),
      role: z.enum(baseRoles).default("both"),
    })
    .optional(),
});
type StoodOn = z.infer<typeof stoodOn>;
const childSchema = z.looseObject({
  digest: z.string(),
  base: stoodOn.nullish(),
  sameLayers: z.array(stoodOn).default([]),
  layers: z.array(digest).optional(),
  matchedLayers: z.number().optional(),
});
type SignedChild = z.infer<typeof childSchema>;
const baseSchema = z.looseObject({ children: z.array(childSchema) });

/** What a policy says of a base that was found and signed: of the base, of what images must be like, and by rules of its own. */
export function judgeBaseAgain({ statement }: VerifiedStatement, facts: AgainFacts): JudgedAgain[] {
  const parsed = baseSchema.safeParse(statement.predicate);
  if (!parsed.success)
    return [{ rule: "gate.malformed", thing: "the signed base", problem: "what base found can't be read" }];
  return parsed.data.children.flatMap((child) => judgeChild(child, statement, facts));
}

function judgeChild(child: SignedChild, statement: VerifiedStatement["statement"], facts: AgainFacts): JudgedAgain[] {
  const { policy, now } = facts;
  const later = ({ rule, problem, own }: Ended): JudgedAgain => {
    const from = findLaterDay(rule, policy.enforceFrom, now, own);
    return { rule, thing: child.digest, problem, ...(from === undefined ? {} : { from }) };
  };
  const stands = [child.base ?? [], child.sameLayers].flat();
  const known = policy.bases.flatMap((each) => stands.flatMap((stood) => matchBase(each, stood, now) ?? []));
  const base = known.find(({ ended }) => ended.length === 0) ?? known[0];
  return [
    ...(base === undefined ? judgeForeign(stands, statement, facts) : base.ended).map(later),
    ...judgeForbiddenAgain(stands, base !== undefined, policy.forbiddenBases).map(later),
    ...judgeImageAgain(child, base?.told, statement, facts),
  ];
}

/**
 * What it was found to stand on, where that is forbidden by its digest; of what lies below, nothing is signed.
 * @param isApproved whether these layers are those of a base of the policy as well
 */
function judgeForbiddenAgain(
  stands: readonly StoodOn[],
  isApproved: boolean,
  forbidden: Policy["forbiddenBases"],
): Ended[] {
  return forbidden.flatMap((each): Ended[] => {
    const stood = stands.find(({ digest }) => each.digests?.includes(digest));
    if (stood === undefined || (isApproved && !each.lineage)) return [];
    const own = findOwnDay(each.name, each);
    const problem = `it stands on '${each.name}' (${stood.image}@${stood.digest}), which is forbidden`;
    return [{ rule: "base.forbidden", problem, ...(own === undefined ? {} : { own }) }];
  });
}

interface Ended {
  rule: Rule;
  problem: string;
  own?: OwnDay;
}

function judgeForeign(
  stands: readonly StoodOn[],
  statement: VerifiedStatement["statement"],
  facts: AgainFacts,
): Ended[] {
  const { policy, now } = facts;
  const query = { rule: "base.approved" as const, things: listRepositories(statement) };
  if (findException(listExceptions(facts, statement), query, now).applied !== undefined) return [];
  const what = stands[0] === undefined ? "no approved base" : `${stands[0].image}@${stands[0].digest}`;
  const problem = `it stands on ${what}, and the policy approves ${policy.bases.map(({ name }) => name).join(", ") || "none"}`;
  return [{ rule: "base.approved", problem }];
}

/**
 * The base of a policy that an image was found to stand on, with what has ended of it. Of one that counts by signed
 * approvals the finding says who approved it, and the registry is not asked whether that still holds, how it scored, or
 * what is newer.
 */
function matchBase(
  { digests, approval, ...base }: PolicyBase,
  stood: StoodOn,
  now: Date,
): { told: ToldBase; ended: Ended[] } | undefined {
  const { name, until } = base;
  if (digests.length > 0 && !digests.some((each) => each === stood.digest)) return undefined;
  const told = { ...base, image: stood.image, digest: stood.digest };
  const ended: Ended[] =
    until !== undefined && isDayOver(until, now)
      ? [{ rule: "base.expired", problem: `base '${name}' was approved until ${until}` }]
      : [];
  if (approval === undefined) return { told, ended };
  const signed = stood.approval;
  if (base.image !== stood.image || signed === undefined) return undefined;
  if (!approval.signers.some((each) => signed.signers.includes(each))) return undefined;
  const { score: _score, maxBehind: _maxBehind, ...rules } = approval;
  const { signers, endOfLife, role } = signed;
  const approvedAt = new Date(signed.approvedAt);
  const found = { signers, endOfLife, role, approvedAt, proven: [], bundle: stood.digest };
  const state: ApprovalState = { rules, found: { kind: "approved", approval: found }, newer: [] };
  const refused = listByDay(judgeApproval(state, now), name).map(
    ({ wayOut: _wayOut, ...each }): Ended => ({ ...each, problem: `it stands on base '${name}': ${each.problem}` }),
  );
  return { told: { ...told, approval: state }, ended: [...ended, ...refused] };
}

/** What is asked of an image whatever it stands on: of its config, by its digest, and of the layers that were signed. */
function judgeImageAgain(
  child: SignedChild,
  base: ToldBase | undefined,
  statement: VerifiedStatement["statement"],
  facts: AgainFacts,
): JudgedAgain[] {
  const [repository = ""] = listRepositories(statement);
  const place = parsePlace(repository);
  const own = facts.children?.find((each) => each.digest === child.digest);
  // Then only what is signed is asked.
  if (own === undefined) return [];
  const { layers, matchedLayers } = child;
  // A version that the older policy did not have may be what it stands on, by layers that nobody compared with it.
  const isBaseKnown = !hasNewBases(facts) && matchedLayers !== undefined;
  const areLayersKnown = isBaseKnown && layers !== undefined;
  const habits = { config: own.config.config, history: own.config.history };
  const labels = own.config.config?.Labels ?? {};
  const known = new Map([
    ["now", true],
    ["config", true],
    ["image", place !== undefined],
    ["base", isBaseKnown],
    ["layers", areLayersKnown],
  ]);
  const image = `${repository}@${child.digest}`;
  const values = listBaseFacts(
    { digest: own.digest, platform: own.platform, labels, habits, layers: layers ?? [], blobs: own.manifest.layers },
    { base, matchedLayers: matchedLayers ?? 0 },
    { repository: place ?? nowhere, now: facts.now },
  );
  const ownLayers = areLayersKnown ? layers.length - matchedLayers : undefined;
  return [
    ...judgeHabitsAgain({ habits, labels, ownLayers, image, statement }, facts),
    ...judgeRulesAgain(
      { stage: "base", statement, image, repository, values, isKnown: (fact) => known.get(fact) === true },
      facts,
    ),
  ];
}

const nowhere: Repository = { registry: "", name: "" };

function parsePlace(name: string): Repository | undefined {
  try {
    return parseRepository(name);
  } catch {
    return undefined;
  }
}

const versionsOf = ({ bases }: Pick<Policy, "bases">): string[] =>
  bases.flatMap((base) => (base.digests.length === 0 ? [base.image] : listPinned([base])));

function hasNewBases({ policy, older }: AgainFacts): boolean {
  if (older === undefined) return false;
  const before = new Set(versionsOf(older));
  return versionsOf(policy).some((each) => !before.has(each));
}

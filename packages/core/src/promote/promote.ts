import { UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import {
  formatRepository,
  isSameRepository,
  isWithin,
  type Repository,
} from "@goldenpath/registry-client/oci/reference";
import { rememberReads } from "@goldenpath/registry-client/remember";
import { keptTag } from "../base/kept-tag.ts";
import { findEnvironment } from "../gate/find-environment.ts";
import { type GateOutcome, runGate } from "../gate/verify.ts";
import { isPointerRepository, pointerName } from "../policy/pointer.ts";
import type { LoadedPolicy, PolicyEnvironment } from "../policy/schema.ts";
import { isCounted, type Violation } from "../result.ts";
import { isSignerNamed, schemeOf } from "../signing/schemes/find.ts";
import type { Signer } from "../signing/types.ts";
import { describeWorkflow } from "../signing/workflow-identity.ts";
import { executePromotion, type PromotionOutcome, type PromotionRequest } from "./execute-promotion.ts";
import type { PromotionPlan } from "./facts.ts";
import { type GatheredPromotion, gatherPromotion } from "./gather.ts";
import { readAge, unknownAge } from "./image-age.ts";
import { confirmInForce } from "./in-force.ts";
import { planPromotion } from "./plan.ts";
import { assertReplaced } from "./replaced.ts";
import { readWhereMoved } from "./server-side/moved-source.ts";
import { planServerSide } from "./server-side/plan.ts";
import { findProduct } from "./server-side/products/find.ts";
import { judgeLabels } from "./tag-order.ts";
import { findRollbacks, judgeRollbacks, readTagHolders, type TagRollback } from "./tag-rollbacks.ts";

export interface PromotionPreparation {
  gate: GateOutcome;
  violations: Violation[];
  /** Only where nothing is against it. */
  prepared?: { plan: PromotionPlan; execute(signer: Signer): Promise<PromotionOutcome> };
}

/**
 * Gates an image and plans its promotion. What is returned to execute belongs to the digest that was gated, and to
 * nothing else; without a passed gate there is nothing to execute.
 * @throws UserError `environment-unknown`, `input-invalid`, `key-not-promoter`; PolicyViolation `policy.not-in-force`,
 *   `policy.pointer-missing`, `policy.pointer-invalid`; InfrastructureError `tag-moved` where a tag is not at what the
 *   image replaces; the gate's and the client's errors
 */
export async function preparePromotion(
  client: RegistryClient,
  given: PromotionRequest,
  context: Context,
): Promise<PromotionPreparation> {
  const { environmentName, to } = given;
  const astray = judgeDestination(findEnvironment(given.policy, environmentName), environmentName, to);
  if (isSameRepository(given.image, to)) {
    throw new UserError(`input 'to' is '${formatRepository(to)}': that is where the image is already`, {
      code: "input-invalid",
    });
  }
  // Before anything else is asked of anybody. Where the policy's own word keeps the image out, no other is needed.
  const policy = astray.length > 0 ? given.policy : await confirmInForce(given.policy, to, given.pointers);
  // Whoever calls may name any policy. Only for the one that is in force does this job prove to a registry who it is.
  if (astray.length === 0) context.identities?.open();
  const request = { ...given, policy };
  const environment = findEnvironment(policy, environmentName);
  const { serverSide: settings } = environment;
  // A product that moves may have taken the image away already, asked by a run that was killed since. Where nothing
  // moves, what is gone from quarantine was withdrawn.
  const moves = settings !== undefined && findProduct(settings.product).moves(settings);
  const source = moves
    ? rememberReads(readWhereMoved(client, request.image, to))
    : (request.source ?? rememberReads(client));
  const gate = await runGate(source, request.image, environmentName, policy, context.now(), "from", to);
  const violations = [...astray, ...gate.violations, ...judgeLabels(gate.evidence)];
  if (violations.some(isCounted)) return { gate, violations };
  const from: Repository = { registry: gate.image.reference.registry, name: gate.image.reference.name };
  const gathered = await gatherPromotion(client, source, gate, to, request.tags, { referrers: environment.referrers });
  const { facts } = gathered;
  if (request.replaces !== undefined) assertReplaced(facts.tags, facts.digest, request.replaces, to);
  const rollbacks = await lookForRollbacks(client, request, gate, gathered, context.now());
  if (rollbacks.length > 0 && request.allowTagRollback !== true)
    return { gate, violations: judgeRollbacks(rollbacks, to) };
  const product =
    settings === undefined
      ? undefined
      : planServerSide({ settings, from, to, digest: facts.digest, tags: request.tags });
  const isThere = facts.manifests.some(({ role, isPresent }) => role === "image" && isPresent);
  const plan = planPromotion(product === undefined || isThere ? facts : { ...facts, serverSide: product });
  return {
    gate,
    violations,
    prepared: {
      plan,
      async execute(signer) {
        assertPromoter(signer, environment, policy);
        return executePromotion(
          { request, gate, gathered, plan, product, rollbacks },
          { client, source, context },
          signer,
        );
      },
    },
  };
}

/**
 * The tags that would move back. What it takes to know is counted among what the plan has read; and of an image that was
 * rebased from what a tag leaves, it is noted that this stays.
 */
async function lookForRollbacks(
  client: RegistryClient,
  { to, environmentName, policy: loaded }: PromotionRequest,
  gate: GateOutcome,
  { facts }: GatheredPromotion,
  now: Date,
): Promise<TagRollback[]> {
  const moving = new Set(
    facts.tags.flatMap(({ current }) => (current === undefined || current === facts.digest ? [] : [current])),
  );
  if (moving.size === 0) return [];
  const { policy } = loaded;
  const environment = findEnvironment(loaded, environmentName);
  const { held, lists, contents } = await readTagHolders(client, to, [...moving], policy, environment, now);
  facts.reads.lists += lists;
  facts.reads.contents += contents;
  const evidence = gate.evidence.get(facts.digest);
  const { lineage } = gate.facts;
  const age = evidence === undefined ? unknownAge : readAge({ policy, environment, evidence, lineage, isHeld: false });
  facts.tags = facts.tags.map((each) =>
    each.current !== undefined && age.ancestors.includes(each.current)
      ? { ...each, kept: keptTag(each.tag, each.current) }
      : each,
  );
  return findRollbacks(facts.tags, facts.digest, held, age);
}

function judgeDestination(environment: PolicyEnvironment, environmentName: string, to: Repository): Violation[] {
  if (isPointerRepository(to)) {
    return [
      {
        rule: "promote.destination",
        thing: formatRepository(to),
        problem: `what is in a ${pointerName} says which policy is in force, and no image is promoted to there`,
        wayOut: "Promote to a repository of another name.",
      },
    ];
  }
  if (environment.to.some((prefix) => isWithin(to, prefix))) return [];
  return [
    {
      rule: "promote.destination",
      thing: formatRepository(to),
      problem: `environment '${environmentName}' puts images in ${environment.to.join(", ")}, and nowhere else`,
      wayOut: `Promote to a repository under ${environment.to.join(" or ")}.`,
    },
  ];
}

/**
 * The promotion's statement counts for nothing when another key signs it, so nothing is copied for such a key.
 * @throws UserError `key-not-promoter`
 */
export function assertPromoter(signer: Signer, environment: PolicyEnvironment, policy: LoadedPolicy): void {
  const wanted = policy.policy.signers[environment.promoter];
  if (isSignerNamed(policy.policy.signers, environment.promoter, signer.material)) return;
  const field = wanted === undefined ? "publicKey" : schemeOf(wanted).identify(wanted).field;
  if (signer.material.kind === "workflow-run") {
    throw new UserError(
      `this job is not '${environment.promoter}', who signs promotions in policy '${policy.policy.name}': it is ${describeWorkflow(signer.material.identity)}`,
      {
        code: "key-not-promoter",
        wayOut: `Promote in the workflow that the policy has as signers.${environment.promoter}.${field}.`,
      },
    );
  }
  if (signer.material.kind === "certificate") {
    throw new UserError(
      `input 'key' has the certificate of ${signer.material.identity}, who is not '${environment.promoter}', the signer of promotions in policy '${policy.policy.name}'`,
      {
        code: "key-not-promoter",
        wayOut: `Give the key whose certificate is for what the policy has as signers.${environment.promoter}.${field}.`,
      },
    );
  }
  throw new UserError(
    `input 'key' is not the key of '${environment.promoter}', who signs promotions in policy '${policy.policy.name}'`,
    {
      code: "key-not-promoter",
      wayOut: `Give the private key whose public half the policy has as signers.${environment.promoter}.${field}.`,
    },
  );
}
